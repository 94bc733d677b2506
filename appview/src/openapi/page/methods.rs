//! The XRPC methods, as their lexicons tell them.

use std::collections::BTreeMap;

use indexer::lexicon;
use serde_json::Value;

use super::markup::{Field, code, escape, fields, of_lexicon, rich, table, type_of};

/// The methods by the first three words of their names, or all but the last.
pub(super) fn groups() -> BTreeMap<String, Vec<&'static str>> {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for nsid in lexicon::methods() {
        let group = nsid.rsplit_once('.').map_or(nsid, |(group, _)| group);
        groups.entry(group.to_owned()).or_default().push(nsid);
    }
    groups
}

/// All of them.
pub(super) fn section(url: &str) -> String {
    let mut shown = String::new();
    for (group, methods) in groups() {
        let methods: String = methods.into_iter().filter_map(|nsid| show(url, nsid)).collect();
        shown.push_str(&format!("<h3 id=\"{group}\">{group}</h3>\n{methods}"));
    }
    format!(
        "<section id=\"xrpc\">\n<h2>xrpc</h2>\n<p>For any client of the network, from any page. A PDS forwards requests here, with a token that says \
         for whom. Every method may refuse with <code>InvalidRequest</code>, and with <code>RateLimitExceeded</code>.</p>\n{shown}</section>\n"
    )
}

fn show(url: &str, nsid: &str) -> Option<String> {
    let main = of_lexicon(&lexicon::source(nsid)?.json["defs"]["main"]);
    let main = &main;
    let is_query = main["type"] == "query";
    let mut body = String::new();
    let parameters = rows(&main["parameters"]);
    if !parameters.is_empty() {
        body.push_str(&format!("<h4>parameters</h4>\n{}", table(&parameters)));
    }
    for (key, title) in [("input", "input"), ("output", "output")] {
        let schema = &main[key]["schema"];
        if schema.is_object() {
            let rows = fields(schema, "");
            let told = if rows.is_empty() { format!("<p>{}</p>\n", type_of(schema)) } else { table(&rows) };
            body.push_str(&format!("<h4>{title}</h4>\n{told}"));
        }
    }
    let errors: String = main["errors"].as_array().into_iter().flatten().map(error).collect();
    if !errors.is_empty() {
        body.push_str(&format!("<h4>errors</h4>\n<table>{errors}</table>\n"));
    }
    body.push_str(&format!("<pre><code>{}</code></pre>\n", escape(&curl(url, nsid, main, is_query))));
    Some(format!(
        "<details id=\"{nsid}\"><summary><b class=\"{0}\">{0}</b> <code>{nsid}</code> <span>{1}</span></summary>\n<div>\n{body}</div></details>\n",
        if is_query { "get" } else { "post" },
        rich(main["description"].as_str().unwrap_or_default()),
    ))
}

fn rows(params: &Value) -> Vec<Field> {
    let required = params["required"].as_array();
    let told = params["properties"].as_object().into_iter().flatten();
    told.map(|(name, schema)| {
        let is_required = required.is_some_and(|names| names.iter().any(|it| it == name));
        Field::new(name.clone(), schema, is_required).at("query")
    })
    .collect()
}

fn error(error: &Value) -> String {
    let text = |key: &str| error[key].as_str().unwrap_or_default();
    format!("<tr><td>{}</td><td>400</td><td>{}</td></tr>\n", code(text("name")), rich(text("description")))
}

fn curl(url: &str, nsid: &str, main: &Value, is_query: bool) -> String {
    let required = main["parameters"]["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let query: Vec<String> = required.map(|name| format!("{name}={}", name.to_uppercase())).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let body = if is_query { "" } else { " -X POST -H 'content-type: application/json' -d '{…}'" };
    format!("curl{body} \\\n  '{url}/xrpc/{nsid}{query}'")
}
