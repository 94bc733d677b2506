//! `/docs`: the description for people, made of the same document; with the XRPC methods, made of their lexicons. One page without any
//! script.

mod markup;
mod methods;

use serde_json::{Map, Value};

use super::TAGS;
use markup::{Field, code, escape, fields, rich, table, type_of};

const STYLE: &str = include_str!("page/page.css");

/// The page of a finished document.
pub(super) fn page(document: &Value) -> String {
    let url = document["servers"][0]["url"].as_str().unwrap_or_default();
    let operations = operations(document);
    let sections = TAGS.iter().map(|(tag, about)| section(url, tag, about, &operations));
    let sections: String = sections.collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\" />\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
         <meta name=\"color-scheme\" content=\"dark light\" />\n\
         <title>plyr · api</title>\n<style>\n{STYLE}</style>\n\
         <body>\n{}<main>\n{}{sections}{}{}</main>\n</body>\n</html>\n",
        navigation(),
        head(document, url),
        methods::section(url),
        shapes(document),
    )
}

/// All of them with their paths and methods, in the order of the document.
fn operations(document: &Value) -> Vec<(&str, &str, &Value, &Value)> {
    let paths = document["paths"].as_object();
    let each = paths.into_iter().flatten().flat_map(|(path, item)| {
        // In the order in which people think of them.
        let methods = ["get", "post", "patch", "delete"].into_iter();
        let told = methods.filter_map(|method| Some((method, item.get(method)?)));
        told.map(move |(method, operation)| (path.as_str(), method, operation, &item["x-also"]))
    });
    each.collect()
}

fn navigation() -> String {
    let nouns: String =
        TAGS.iter().map(|(tag, _)| format!("<li><a href=\"#{}\">{tag}</a></li>", anchor(tag))).collect();
    let groups: String =
        methods::groups().keys().map(|group| format!("<li><a href=\"#{group}\">{group}</a></li>")).collect();
    format!(
        "<nav>\n<p class=\"mark\"><a href=\"/\">plyr</a> · api</p>\n<p>http</p>\n<ul>{nouns}</ul>\n<p>xrpc</p>\n<ul>{groups}</ul>\n\
         <p><a href=\"#shapes\">shapes</a></p>\n<p><a href=\"/openapi.json\">openapi.json</a></p>\n</nav>\n"
    )
}

fn anchor(tag: &str) -> String {
    tag.replace(' ', "-")
}

fn head(document: &Value, url: &str) -> String {
    let info = &document["info"];
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let about = info["description"].as_str().unwrap_or_default();
    let paragraphs: String = about.split("\n\n").map(|part| format!("<p>{}</p>\n", rich(part))).collect();
    let schemes: String = document["components"]["securitySchemes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, scheme)| {
            format!("<dt>{name}</dt><dd>{}</dd>", rich(scheme["description"].as_str().unwrap_or_default()))
        })
        .collect();
    format!(
        "<header>\n<h1>{} <small>{} · {}</small></h1>\n<p class=\"base\"><code>{}</code></p>\n{paragraphs}\
         <h3>who asks</h3>\n<dl>{schemes}</dl>\n</header>\n",
        text(&info["title"]),
        text(&info["version"]),
        text(&info["license"]["name"]),
        escape(url),
    )
}

fn section(url: &str, tag: &str, about: &str, all: &[(&str, &str, &Value, &Value)]) -> String {
    let own = all.iter().filter(|(_, _, operation, _)| operation["tags"][0] == tag);
    let shown: String =
        own.map(|(path, method, operation, also)| show(url, path, method, operation, also)).collect();
    let name = anchor(tag);
    format!("<section id=\"{name}\">\n<h2>{tag}</h2>\n<p>{}</p>\n{shown}</section>\n", rich(about))
}

fn show(url: &str, path: &str, method: &str, operation: &Value, also: &Value) -> String {
    let text = |key: &str| operation[key].as_str().unwrap_or_default();
    let mut body = String::new();
    if !text("description").is_empty() {
        body.push_str(&format!("<p>{}</p>\n", rich(text("description"))));
    }
    if let Some(also) = also[0].as_str() {
        body.push_str(&format!("<p class=\"soft\">also at {}</p>\n", code(also)));
    }
    body.push_str(
        match operation["security"]
            .as_array()
            .map(|ways| ways.iter().any(|way| way == &Value::Object(Map::new())))
        {
            Some(false) => "<p class=\"soft\">only for who is signed in</p>\n",
            Some(true) => "<p class=\"soft\">whoever is signed in is answered with what is theirs</p>\n",
            None => "",
        },
    );
    body.push_str(&parameters(operation));
    let content = operation["requestBody"]["content"].as_object();
    for (kind, content) in content.into_iter().flatten() {
        body.push_str(&format!(
            "<h4>body · {}</h4>\n{}",
            escape(kind),
            table(&fields(&content["schema"], ""))
        ));
    }
    body.push_str(&format!("<h4>answers</h4>\n{}", answers(operation)));
    body.push_str(&format!("<pre><code>{}</code></pre>\n", escape(&curl(url, path, method, operation))));
    format!(
        "<details id=\"{}\"><summary><b class=\"{method}\">{method}</b> <code>{}</code> <span>{}</span></summary>\n\
         <div>\n{body}</div></details>\n",
        escape(text("operationId")),
        escape(path),
        rich(text("summary")),
    )
}

fn parameters(operation: &Value) -> String {
    let told = operation["parameters"].as_array().into_iter().flatten();
    let rows: Vec<Field> = told
        .map(|parameter| {
            let mut schema = parameter["schema"].clone();
            schema["description"] = parameter["description"].clone();
            let name = parameter["name"].as_str().unwrap_or_default().to_owned();
            let place = parameter["in"].as_str().unwrap_or_default();
            let is_required = parameter["required"] == true;
            Field::new(name, &schema, is_required).at(place)
        })
        .collect();
    if rows.is_empty() { String::new() } else { format!("<h4>parameters</h4>\n{}", table(&rows)) }
}

fn answers(operation: &Value) -> String {
    let mut rows = String::new();
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let content = response["content"].as_object().and_then(|content| content.iter().next());
        let schema = content.map(|(_, content)| &content["schema"]).filter(|schema| schema.is_object());
        let kind = content.map_or("", |(kind, _)| kind.as_str());
        let shape = match schema {
            Some(schema) if kind == "application/json" => type_of(schema),
            _ => escape(kind),
        };
        let about = rich(response["description"].as_str().unwrap_or_default());
        rows.push_str(&format!("<tr><td>{status}</td><td>{shape}</td><td>{about}</td></tr>\n"));
        // What has no name is told here.
        let inline = schema.map(|schema| fields(schema, "")).unwrap_or_default();
        rows.extend(inline.iter().map(Field::row_within));
    }
    format!("<table>{rows}</table>\n")
}

/// A request by hand.
fn curl(url: &str, path: &str, method: &str, operation: &Value) -> String {
    let mut path = path.to_owned();
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let schema = &parameter["schema"];
        let example = &schema["examples"][0];
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        let example = if example == "null" {
            schema["enum"][0].as_str().unwrap_or(&name.to_uppercase()).to_owned()
        } else {
            example
        };
        match parameter["in"].as_str() {
            Some("path") => path = path.replace(&format!("{{{name}}}"), &example),
            Some("query") if parameter["required"] == true => query.push(format!("{name}={example}")),
            _ => {}
        }
    }
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut line = "curl".to_owned();
    if method != "get" {
        line.push_str(&format!(" -X {}", method.to_uppercase()));
    }
    let is_required = operation["security"]
        .as_array()
        .is_some_and(|ways| ways.iter().all(|way| way != &Value::Object(Map::new())));
    if is_required {
        line.push_str(" -H \"authorization: Bearer $TOKEN\"");
    }
    let content = &operation["requestBody"]["content"];
    if let Value::Object(schema) = &content["application/json"]["schema"] {
        let body = Value::Object(
            schema.get("properties").and_then(Value::as_object).map(example).unwrap_or_default(),
        );
        line.push_str(&format!(" \\\n  -H 'content-type: application/json' \\\n  -d '{body}'"));
    }
    if content["multipart/form-data"].is_object() {
        line.push_str(" \\\n  -F title='a song' -F file=@song.mp3");
    }
    format!("{line} \\\n  '{url}{path}{query}'")
}

/// A body by hand: what has to be in it, if anything.
fn example(properties: &Map<String, Value>) -> Map<String, Value> {
    let fields = properties.iter().filter(|(_, schema)| schema["type"].is_string()).map(|(name, schema)| {
        let value = match schema["type"].as_str() {
            Some("integer") => schema["default"].as_i64().or(schema["minimum"].as_i64()).unwrap_or(0).into(),
            Some("boolean") => true.into(),
            _ => "…".into(),
        };
        (name.clone(), value)
    });
    fields.collect()
}

fn shapes(document: &Value) -> String {
    let shapes: String = document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let about = rich(schema["description"].as_str().unwrap_or_default());
            let rows = fields(schema, "");
            let content = if rows.is_empty() { format!("<p>{}</p>", type_of(schema)) } else { table(&rows) };
            format!("<details id=\"shape-{name}\"><summary><code>{name}</code> <span>{about}</span></summary>\n<div>\n{content}</div></details>\n")
        })
        .collect();
    format!(
        "<section id=\"shapes\">\n<h2>shapes</h2>\n<p>What answers of the HTTP API are made of.</p>\n{shapes}</section>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::openapi::Document;
    use crate::openapi::operation::{Family, operation};
    use crate::openapi::schema::{integer, named, text};

    #[test]
    fn an_operation_is_shown_with_all_that_is_said_of_it() {
        let told = operation("getTrack", "tracks", "One `track`")
            .path("id", integer("Its <number>.").example(42))
            .asked("q", text("What for."))
            .needs_session()
            .answers(named("Track"));
        let mut document = Document::default();
        document.add("/tracks/{id}", true, Family::Api, vec![("get", told)]);
        let options = Options::new("https://plyr.example".parse().expect("a URL"));
        let page = page(&document.finish(&options));
        for part in [
            "One <code>track</code>",
            "Its &lt;number&gt;.",
            "also at <code>/tracks/{id}/</code>",
            "only for who is signed in",
            "<a href=\"#shape-Track\">Track</a>",
            "https://plyr.example/tracks/42?q=Q&#39;",
            "Authorization",
            "<h2>xrpc</h2>",
            "id=\"fm.plyr.feed.getLatest\"",
        ] {
            assert!(page.to_lowercase().contains(&part.to_lowercase()), "{part}");
        }
        assert!(!page.contains("<script") && !page.contains("src="), "nothing is loaded");
    }
}
