//! What can be asked for, as the description and the lexicons say.

use reqwest::Method;
use serde_json::{Value, json};

use super::answer::Judge;

/// A parameter.
pub struct Parameter {
    pub name: String,
    pub is_path: bool,
    pub is_required: bool,
    pub schema: Value,
}

/// What a request carries.
#[derive(Clone, Debug)]
pub enum Body {
    None,
    /// Of a content type.
    Raw(String, Vec<u8>),
    /// Name, whether it is a file, bytes.
    Form(Vec<(String, bool, Vec<u8>)>),
}

/// What an operation takes beside its parameters.
pub enum Takes {
    Nothing,
    Json(Value),
    Form(Value),
}

/// Something that can be asked for.
pub struct Operation {
    pub id: String,
    /// Method and path.
    pub name: String,
    pub method: Method,
    pub paths: Vec<String>,
    pub parameters: Vec<Parameter>,
    pub takes: Takes,
    pub judge: Judge,
}

impl Operation {
    /// Whether few requests do: each makes this server ask another, or only so many are taken of one person.
    pub fn is_costly(&self) -> bool {
        let by_id =
            ["startSignIn", "startDeveloperToken", "uploadTrack", "likeTrack", "unlikeTrack", "countPlay"];
        by_id.contains(&self.id.as_str())
            || self.id.ends_with("Comment")
            || ["deleteTrack", "fm.plyr.feed.recordPlay"].contains(&self.id.as_str())
    }

    /// Whether there may be nothing good to answer: at a server without https, and of what a test does not have.
    pub fn may_stay_unanswered(&self) -> bool {
        let rare = [
            "clientMetadata",
            "exchangeToken",
            "revokeDeveloperToken",
            "signOut",
            "com.atproto.repo.getRecord",
        ];
        rare.contains(&self.id.as_str())
    }
}

/// The operations of `/openapi.json`.
pub fn described(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let also = item["x-also"].as_array().into_iter().flatten().filter_map(|it| it.as_str());
        let paths: Vec<String> =
            [path.as_str()].into_iter().chain(also).map(|path| path.replace("{*", "{")).collect();
        for (method, operation) in
            item.as_object().expect("an item").iter().filter(|(key, _)| *key != "x-also")
        {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let content = &operation["requestBody"]["content"];
            let takes =
                match (&content["application/json"]["schema"], &content["multipart/form-data"]["schema"]) {
                    (Value::Null, Value::Null) => Takes::Nothing,
                    (Value::Null, form) => Takes::Form(form.clone()),
                    (json, _) => Takes::Json(json.clone()),
                };
            found.push(Operation {
                id: operation["operationId"].as_str().expect("an id").to_owned(),
                name: format!("{} {path}", method.to_uppercase()),
                method: method.to_uppercase().parse().expect("a method"),
                paths: paths.clone(),
                parameters: parameters.filter(|it| it["in"] != "header").map(parameter).collect(),
                takes,
                judge: Judge::of(&operation["responses"], &document["components"]),
            });
        }
    }
    found
}

fn parameter(told: &Value) -> Parameter {
    Parameter {
        name: told["name"].as_str().expect("a name").to_owned(),
        is_path: told["in"] == "path",
        is_required: told["required"] == true,
        schema: told["schema"].clone(),
    }
}

/// The XRPC methods.
pub fn of_lexicons() -> Vec<Operation> {
    let methods = indexer::lexicon::methods().map(|nsid| {
        let lexicon = indexer::lexicon::source(nsid).expect("a lexicon").json;
        let main = &lexicon["defs"]["main"];
        let is_query = main["type"] == "query";
        let empty = serde_json::Map::new();
        let properties = main["parameters"]["properties"].as_object().unwrap_or(&empty);
        let required = &main["parameters"]["required"];
        let parameters = properties.iter().map(|(name, schema)| Parameter {
            name: name.clone(),
            is_path: false,
            is_required: required.as_array().is_some_and(|names| names.contains(&json!(name))),
            schema: schema.clone(),
        });
        Operation {
            id: nsid.to_owned(),
            name: format!("{} /xrpc/{nsid}", if is_query { "GET" } else { "POST" }),
            method: if is_query { Method::GET } else { Method::POST },
            paths: vec![format!("/xrpc/{nsid}")],
            parameters: parameters.collect(),
            takes: match &main["input"]["schema"] {
                Value::Null => Takes::Nothing,
                schema => Takes::Json(schema.clone()),
            },
            judge: Judge::Lexicon(nsid.to_owned()),
        }
    });
    methods.collect()
}
