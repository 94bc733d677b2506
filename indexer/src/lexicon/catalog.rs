//! All lexicons together, read once, every reference between them resolved.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rust_embed::RustEmbed;

use super::permission;
use super::schema::{Def, Document, Object, Params, PermissionSet, Primary, Query, Record, Schema};

/// The folder `lexicons/` at the root of the repository.
#[derive(RustEmbed)]
#[folder = "../lexicons"]
pub(super) struct Files;

/// The embedded lexicons. That they parse is no matter of input: a test reads them, and the process that could not
/// would know nothing.
pub(super) static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let paths = Files::iter().filter(|path| path.ends_with(".json"));
    let files = paths.filter_map(|path| Some((Files::get(&path)?, path)));
    Catalog::load(files.map(|(file, path)| (path.into_owned(), file.data)))
        .unwrap_or_else(|problem| panic!("embedded lexicons: {problem}"))
});

/// Definitions by `nsid#name`.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    defs: BTreeMap<String, Def>,
}

impl Catalog {
    /// Reads files given as (path below the folder, JSON). Names the first file that is wrong, and why.
    pub(super) fn load(files: impl Iterator<Item = (String, impl AsRef<[u8]>)>) -> Result<Self, String> {
        let mut catalog = Catalog::default();
        let mut refs = Vec::new();
        for (path, json) in files {
            let document =
                serde_json::from_slice(json.as_ref()).map_err(|error| format!("{path}: {error}"))?;
            catalog.add(&path, document, &mut refs).map_err(|problem| format!("{path}: {problem}"))?;
        }
        if let Some((path, target)) = refs.iter().find(|(_, target)| catalog.schema(target).is_none()) {
            return Err(format!("{path}: nothing is named {target}"));
        }
        for (nsid, set) in catalog.permission_sets() {
            permission::check(&catalog, nsid, set)
                .map_err(|problem| format!("{}: #main: {problem}", path_of(nsid)))?;
        }
        Ok(catalog)
    }

    fn add(
        &mut self,
        path: &str,
        document: Document,
        refs: &mut Vec<(String, String)>,
    ) -> Result<(), String> {
        let Document { lexicon, id, defs, .. } = document;
        if lexicon != 1 {
            return Err(format!("version {lexicon} of the language"));
        }
        if path != path_of(&id) {
            return Err(format!("the file of {id} belongs elsewhere"));
        }
        for (name, mut def) in defs {
            if name != "main" && matches!(def, Def::Primary(_)) {
                return Err(format!("#{name} must be named main"));
            }
            for schema in def.schemas_mut() {
                schema.for_each_ref(&mut |target| {
                    *target = absolute(&id, target);
                    refs.push((path.to_owned(), target.clone()));
                });
            }
            check_def(&def).map_err(|problem| format!("#{name}: {problem}"))?;
            self.defs.insert(format!("{id}#{name}"), def);
        }
        Ok(())
    }

    /// The record lexicon of this NSID.
    pub(super) fn record(&self, nsid: &str) -> Option<&Record> {
        match self.defs.get(&absolute("", nsid))? {
            Def::Primary(Primary::Record(record)) => Some(record),
            _ => None,
        }
    }

    /// The query or procedure lexicon of this NSID.
    pub(super) fn query(&self, nsid: &str) -> Option<&Query> {
        match self.defs.get(&absolute("", nsid))? {
            Def::Primary(Primary::Query(query) | Primary::Procedure(query)) => Some(query),
            _ => None,
        }
    }

    /// What a resolved reference leads to. A reference to a record means the object in it.
    pub(super) fn schema(&self, target: &str) -> Option<&Schema> {
        match self.defs.get(target)? {
            Def::Schema(schema) => Some(schema),
            Def::Primary(Primary::Record(record)) => Some(&record.record),
            Def::Primary(Primary::Query(_) | Primary::Procedure(_) | Primary::PermissionSet(_)) => None,
        }
    }

    /// NSIDs of the lexicons whose main definition is a query or a procedure.
    pub(super) fn methods(&self) -> impl Iterator<Item = &str> {
        let is_method = |primary: &Primary| matches!(primary, Primary::Query(_) | Primary::Procedure(_));
        self.mains().filter_map(move |(nsid, primary)| is_method(primary).then_some(nsid))
    }

    /// NSIDs of the lexicons whose main definition is a record.
    pub(super) fn records(&self) -> impl Iterator<Item = &str> {
        self.mains().filter_map(|(nsid, primary)| matches!(primary, Primary::Record(_)).then_some(nsid))
    }

    /// The permission sets by their NSIDs.
    pub(super) fn permission_sets(&self) -> impl Iterator<Item = (&str, &PermissionSet)> {
        self.mains().filter_map(|(nsid, primary)| match primary {
            Primary::PermissionSet(set) => Some((nsid, set)),
            _ => None,
        })
    }

    fn mains(&self) -> impl Iterator<Item = (&str, &Primary)> {
        self.defs.iter().filter_map(|(name, def)| match def {
            Def::Primary(primary) => Some((name.strip_suffix("#main")?, primary)),
            Def::Schema(_) => None,
        })
    }
}

/// Where the file of a lexicon is, below the folder.
pub(super) fn path_of(nsid: &str) -> String {
    format!("{}.json", nsid.replace('.', "/"))
}

/// The one full form of a reference written in the lexicon `base`: `nsid#name`.
pub(super) fn absolute(base: &str, target: &str) -> String {
    match target.split_once('#') {
        Some(("", name)) => format!("{base}#{name}"),
        Some(_) => target.to_owned(),
        None => format!("{target}#main"),
    }
}

impl Def {
    fn schemas_mut(&mut self) -> Vec<&mut Schema> {
        match self {
            Def::Schema(schema) => vec![schema],
            Def::Primary(Primary::Record(record)) => vec![&mut record.record],
            Def::Primary(Primary::Query(query) | Primary::Procedure(query)) => {
                let params = query.parameters.iter_mut().flat_map(|params| params.properties.values_mut());
                let bodies = query.input.as_deref_mut().into_iter().chain(&mut query.output);
                let bodies = bodies.map(|body| &mut body.schema);
                params.chain(bodies).collect()
            }
            Def::Primary(Primary::PermissionSet(_)) => Vec::new(),
        }
    }
}

/// What the types cannot say. That no named definition is itself a reference is what bounds the interpreter's
/// recursion by the depth of the value.
fn check_def(def: &Def) -> Result<(), String> {
    match def {
        Def::Schema(Schema::Ref(_) | Schema::Union(_)) => Err("a reference cannot be named".to_owned()),
        Def::Schema(schema) => check_schema(schema),
        Def::Primary(Primary::Record(record)) if !matches!(record.record, Schema::Object(_)) => {
            Err("a record must be an object".to_owned())
        }
        Def::Primary(Primary::Record(record)) => check_schema(&record.record),
        // What it names is looked for when all files are read.
        Def::Primary(Primary::PermissionSet(_)) => Ok(()),
        Def::Primary(Primary::Query(query)) if query.input.is_some() => {
            Err("a query has no input".to_owned())
        }
        Def::Primary(Primary::Query(query) | Primary::Procedure(query)) => {
            query.parameters.as_ref().map_or(Ok(()), check_params)?;
            query
                .input
                .as_deref()
                .into_iter()
                .chain(&query.output)
                .try_for_each(|body| check_schema(&body.schema))
        }
    }
}

fn check_params(params: &Params) -> Result<(), String> {
    let scalar = |s: &Schema| matches!(s, Schema::String(_) | Schema::Integer(_) | Schema::Boolean(_));
    for (name, schema) in &params.properties {
        if !scalar(schema) && !matches!(schema, Schema::Array(array) if scalar(&array.items)) {
            return Err(format!("the parameter {name} is neither a scalar nor an array of scalars"));
        }
    }
    check_names(&params.required, &params.properties)
}

fn check_schema(schema: &Schema) -> Result<(), String> {
    match schema {
        Schema::Object(Object { required, nullable, properties, .. }) => {
            check_names(required, properties)?;
            check_names(nullable, properties)?;
            properties.values().try_for_each(check_schema)
        }
        Schema::Array(array) => check_schema(&array.items),
        _ => Ok(()),
    }
}

fn check_names(names: &[String], properties: &BTreeMap<String, Schema>) -> Result<(), String> {
    match names.iter().find(|name| !properties.contains_key(*name)) {
        Some(name) => Err(format!("{name} is required or nullable, but no property")),
        None => Ok(()),
    }
}
