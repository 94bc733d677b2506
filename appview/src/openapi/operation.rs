//! What one method of one path takes, and what it may answer.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::schema::{Schema, any_of, named};

/// Whom a request has to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    /// Nobody in particular, and nothing changes with who it is.
    Unread,
    /// Whoever is signed in is answered with what is theirs.
    Optional,
    Required,
}

/// How a part of the router refuses what its handlers never see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// The HTTP API: `{"detail": …}`.
    Api,
    /// What knows nobody, and counts requests: `{"error", "message"}` before the handler, as XRPC has it.
    Anonymous,
    /// The same without counting.
    Plain,
}

/// An operation under description.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    description: String,
    session: Session,
    is_limited: bool,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: BTreeMap<u16, Value>,
}

/// Begins a description: `id` is one of a kind, `tag` says what it belongs to.
pub(crate) fn operation(id: &'static str, tag: &'static str, summary: &'static str) -> Operation {
    Operation {
        id,
        tag,
        summary,
        description: String::new(),
        session: Session::Unread,
        is_limited: false,
        parameters: Vec::new(),
        body: None,
        responses: BTreeMap::new(),
    }
}

fn json_body(schema: Schema) -> Value {
    json!({"application/json": {"schema": schema.into_value()}})
}

impl Operation {
    /// More than the summary says.
    pub(crate) fn about(mut self, text: &str) -> Self {
        if !self.description.is_empty() {
            self.description.push(' ');
        }
        self.description.push_str(text);
        self
    }

    fn parameter(mut self, place: &str, name: &str, is_required: bool, schema: Schema) -> Self {
        let mut schema = schema.into_value();
        let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut parameter = json!({"name": name, "in": place, "required": is_required, "schema": schema,
                                   "description": about});
        if parameter["schema"]["type"] == "array" {
            (parameter["style"], parameter["explode"]) = ("form".into(), true.into());
        }
        self.parameters.push(parameter);
        self
    }

    /// A part of the path. Whatever part cannot be read is refused with 422.
    pub(crate) fn path(self, name: &str, schema: Schema) -> Self {
        self.parameter("path", name, true, schema).invalid()
    }

    /// A part of the path that may be anything: what cannot be read is not there.
    pub(crate) fn part(self, name: &str, schema: Schema) -> Self {
        self.parameter("path", name, true, schema)
    }

    /// A parameter of the query that may be missing.
    pub(crate) fn query(self, name: &str, schema: Schema) -> Self {
        self.parameter("query", name, false, schema)
    }

    /// A parameter of the query that may not.
    pub(crate) fn asked(self, name: &str, schema: Schema) -> Self {
        self.parameter("query", name, true, schema)
    }

    /// A header that may be missing.
    pub(crate) fn header(self, name: &str, schema: Schema) -> Self {
        self.parameter("header", name, false, schema)
    }

    /// Whoever is signed in is answered with what is theirs.
    pub(crate) fn knows_viewer(self) -> Self {
        Operation { session: Session::Optional, ..self }
    }

    /// 401 for whoever is not signed in.
    pub(crate) fn needs_session(self) -> Self {
        let known = Operation { session: Session::Required, ..self };
        known.refuses(401, "Nobody is signed in, or the session has ended.")
    }

    /// The same of what changes something: 403 where a foreign page sends the cookie along.
    pub(crate) fn acts(self) -> Self {
        self.needs_session().refuses(
            403,
            "The cookie was sent by a page that is not ours, or the grant does not cover this (`scope_upgrade_required`).",
        )
    }

    /// What writes to the person's repo, and so depends on their PDS.
    pub(crate) fn publishes(self) -> Self {
        self.acts()
            .limited()
            .invalid()
            .refuses(409, "The record was changed elsewhere meanwhile.")
            .refuses(502, "The person's PDS refused, or gave no usable answer.")
            .responds(
                503,
                "The database is busy or away, or the PDS has not confirmed yet (`unsettled`): it is being asked again. \
                 `Retry-After` says when to look.",
                Some(any_of([named("Refusal"), named("CodedRefusal")])),
            )
    }

    /// It has a limit of its own, beside that of all that is read.
    pub(crate) fn limited(self) -> Self {
        Operation { is_limited: true, ..self }
    }

    /// A JSON body.
    pub(crate) fn takes(self, schema: Schema) -> Self {
        let body = json!({"required": true, "content": json_body(schema)});
        Operation { body: Some(body), ..self }.invalid()
    }

    /// A form with files.
    pub(crate) fn takes_form(self, schema: Schema) -> Self {
        let content = json!({"multipart/form-data": {"schema": schema.into_value()}});
        Operation { body: Some(json!({"required": true, "content": content})), ..self }.invalid()
    }

    fn responds(mut self, status: u16, about: &str, schema: Option<Schema>) -> Self {
        let mut response = json!({"description": about});
        if let Some(schema) = schema {
            response["content"] = json_body(schema);
        }
        self.responses.insert(status, response);
        self
    }

    /// 200 with JSON.
    pub(crate) fn answers(self, schema: Schema) -> Self {
        self.responds(200, "As asked.", Some(schema))
    }

    /// The same, which caches may keep and ask whether it is still so.
    pub(crate) fn answers_cached(self, schema: Schema) -> Self {
        self.answers(schema).responds(304, "Still what `If-None-Match` names.", None)
    }

    /// A status with a body of another type.
    pub(crate) fn answers_type(mut self, status: u16, about: &str, kind: &str) -> Self {
        let content = json!({kind: {"schema": {"type": "string"}}});
        self.responses.insert(status, json!({"description": about, "content": content}));
        self
    }

    /// A status without a body.
    pub(crate) fn answers_empty(self, status: u16, about: &str) -> Self {
        self.responds(status, about, None)
    }

    /// To another address, by `Location`.
    pub(crate) fn leads(mut self, status: u16, about: &str) -> Self {
        let location = json!({"schema": {"type": "string", "format": "uri-reference"}, "required": true});
        self.responses.insert(status, json!({"description": about, "headers": {"Location": location}}));
        self
    }

    /// `{"detail": text}`.
    pub(crate) fn refuses(self, status: u16, about: &str) -> Self {
        self.responds(status, about, Some(named("Refusal")))
    }

    /// `{"error": name, "message": text}`.
    pub(crate) fn fails(self, status: u16, about: &str) -> Self {
        self.responds(status, about, Some(named("XrpcError")))
    }

    /// 422 with a list of what is wrong.
    pub(crate) fn invalid(self) -> Self {
        self.responds(
            422,
            "Something of the request is not lawful: `detail` names it.",
            Some(named("Invalid")),
        )
    }

    /// As it stands in the document, with what its part of the router adds.
    pub(super) fn finish(mut self, family: Family, method: &str) -> Value {
        let envelope = if family == Family::Api { "Refusal" } else { "XrpcError" };
        let refusal = match family {
            Family::Api => named(envelope),
            Family::Anonymous | Family::Plain => any_of([named("Refusal"), named(envelope)]),
        };
        if self.is_limited || (method == "get" && family != Family::Plain) {
            let limited = if family == Family::Api { "RateLimited" } else { envelope };
            let about = "Too many requests. `Retry-After` says when there is one more.";
            self = self.responds(429, about, Some(named(limited)));
        }
        if !self.responses.contains_key(&500) {
            self = self.responds(500, "Our fault.", Some(refusal.clone()));
        }
        if !self.responses.contains_key(&503) {
            let about =
                "The database is busy or away, or there is no room; `Retry-After` says when to try again.";
            self = self.responds(503, about, Some(refusal));
        }
        let mut whole = Map::new();
        whole.insert("operationId".into(), self.id.into());
        whole.insert("tags".into(), json!([self.tag]));
        whole.insert("summary".into(), self.summary.into());
        if !self.description.is_empty() {
            whole.insert("description".into(), self.description.into());
        }
        let either = [json!({"cookie": []}), json!({"bearer": []})];
        match self.session {
            Session::Unread => {}
            Session::Optional => drop(whole.insert("security".into(), json!([{}, either[0], either[1]]))),
            Session::Required => drop(whole.insert("security".into(), json!(either))),
        }
        if !self.parameters.is_empty() {
            whole.insert("parameters".into(), self.parameters.into());
        }
        if let Some(body) = self.body {
            whole.insert("requestBody".into(), body);
        }
        let responses = self.responses.into_iter().map(|(status, it)| (status.to_string(), it));
        whole.insert("responses".into(), responses.collect::<Map<String, Value>>().into());
        whole.into()
    }
}
