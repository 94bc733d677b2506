//! The Lexicon language as types: what a definition in one of the JSON files may say.
//!
//! Unknown keys are refused, so that a misspelt limit is found when the files are read and not when it fails to limit.
//! `subscription`, `token` and `null` are not here: nothing in the files uses them.

use std::collections::BTreeMap;

use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub lexicon: u32,
    pub id: String,
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    pub defs: BTreeMap<String, Def>,
}

/// A named definition. Records, methods and permission sets are only ever named `main`.
#[derive(Debug)]
pub(super) enum Def {
    Primary(Primary),
    Schema(Schema),
}

impl<'de> Deserialize<'de> for Def {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = serde_json::Value::deserialize(deserializer)?;
        let def = match json.get("type").and_then(|kind| kind.as_str()) {
            Some("record" | "query" | "procedure" | "permission-set") => {
                serde_json::from_value(json).map(Def::Primary)
            }
            _ => serde_json::from_value(json).map(Def::Schema),
        };
        def.map_err(D::Error::custom)
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Primary {
    Record(Record),
    Query(Query),
    Procedure(Query),
    PermissionSet(PermissionSet),
}

/// What a client may ask a person for in one word: <https://atproto.com/specs/permission#permission-sets>.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PermissionSet {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    /// What the person reads when they are asked; the spec would let it be absent.
    pub title: String,
    pub detail: String,
    #[serde(default, rename = "title:lang")]
    _titles: IgnoredAny,
    #[serde(default, rename = "detail:lang")]
    _details: IgnoredAny,
    pub permissions: Vec<Permission>,
}

/// The two kinds that may stand in a set.
#[derive(Debug, Deserialize)]
#[serde(tag = "resource", rename_all = "lowercase")]
pub(super) enum Permission {
    Repo(RepoPermission),
    Rpc(RpcPermission),
}

/// Writing records of these collections, in all ways unless `action` names some.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepoPermission {
    #[serde(rename = "type")]
    _kind: PermissionKind,
    #[serde(default, rename = "action")]
    _actions: Vec<WriteAction>,
    pub collection: Vec<String>,
}

/// Calling these methods: of the service that the client names beside the set (`inheritAud`), or of any (`aud` is `*`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RpcPermission {
    #[serde(rename = "type")]
    _kind: PermissionKind,
    #[serde(default)]
    pub inherit_aud: bool,
    pub aud: Option<String>,
    pub lxm: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PermissionKind {
    Permission,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WriteAction {
    Create,
    Update,
    Delete,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    pub key: RecordKey,
    pub record: Schema,
}

/// What the record keys of a collection look like.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum RecordKey {
    Tid,
    Nsid,
    Any,
    Literal(String),
}

impl TryFrom<String> for RecordKey {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "tid" => Ok(RecordKey::Tid),
            "nsid" => Ok(RecordKey::Nsid),
            "any" => Ok(RecordKey::Any),
            _ => match text.strip_prefix("literal:") {
                Some(literal) if !literal.is_empty() => Ok(RecordKey::Literal(literal.to_owned())),
                _ => Err(format!("no such kind of record key: {text:?}")),
            },
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    pub parameters: Option<Params>,
    /// Only procedures have one.
    pub input: Option<Box<Output>>,
    pub output: Option<Output>,
    #[serde(default)]
    pub errors: Vec<ErrorName>,
}

/// The parameters of a query: an object whose values are scalars or arrays of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    #[serde(rename = "type")]
    _kind: ParamsKind,
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    #[serde(default)]
    pub required: Vec<String>,
    pub properties: BTreeMap<String, Schema>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ParamsKind {
    Params,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    #[serde(rename = "encoding")]
    _encoding: IgnoredAny,
    pub schema: Schema,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorName {
    pub name: String,
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
}

/// What one value may be.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Schema {
    Object(Object),
    Array(Array),
    String(Text),
    Integer(Integer),
    Boolean(Boolean),
    Bytes(Bytes),
    CidLink(Bare),
    Blob(Blob),
    Ref(Ref),
    Union(Union),
    Unknown(Bare),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bare {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Object {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    #[serde(default)]
    pub required: Vec<String>,
    #[serde(default)]
    pub nullable: Vec<String>,
    pub properties: BTreeMap<String, Schema>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Array {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    pub items: Box<Schema>,
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
}

/// Lengths are in bytes of UTF-8. `knownValues` are a hint to programs: others are legal.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Text {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    pub format: Option<Format>,
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
    pub min_graphemes: Option<usize>,
    pub max_graphemes: Option<usize>,
    #[serde(default, rename = "knownValues")]
    _known_values: IgnoredAny,
    #[serde(rename = "enum")]
    pub options: Option<Vec<String>>,
    #[serde(rename = "const")]
    pub constant: Option<String>,
    pub default: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Format {
    AtIdentifier,
    AtUri,
    Cid,
    Datetime,
    Did,
    Handle,
    Language,
    Nsid,
    RecordKey,
    Tid,
    Uri,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Integer {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    #[serde(rename = "enum")]
    pub options: Option<Vec<i64>>,
    #[serde(rename = "const")]
    pub constant: Option<i64>,
    pub default: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Boolean {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    #[serde(rename = "const")]
    pub constant: Option<bool>,
    pub default: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Bytes {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    pub min_length: Option<usize>,
    pub max_length: Option<usize>,
}

/// `accept` holds MIME types or globs such as `audio/*`; `max_size` is in bytes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Blob {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    pub accept: Option<Vec<String>>,
    pub max_size: Option<i64>,
}

/// `target` is written `#name`, `nsid` or `nsid#name`; once the file is read, always `nsid#name`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ref {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    #[serde(rename = "ref")]
    pub target: String,
}

/// Open unless `closed`: a value whose `$type` is none of `refs` is legal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Union {
    #[serde(default, rename = "description")]
    _description: IgnoredAny,
    pub refs: Vec<String>,
    #[serde(default)]
    pub closed: bool,
}

impl Schema {
    /// Visits every reference inside, at any depth.
    pub(super) fn for_each_ref(&mut self, visit: &mut impl FnMut(&mut String)) {
        match self {
            Schema::Object(object) => object.properties.values_mut().for_each(|p| p.for_each_ref(visit)),
            Schema::Array(array) => array.items.for_each_ref(visit),
            Schema::Ref(reference) => visit(&mut reference.target),
            Schema::Union(union) => union.refs.iter_mut().for_each(visit),
            _ => {}
        }
    }
}
