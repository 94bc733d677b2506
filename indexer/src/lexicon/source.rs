//! The lexicons as their files say them: to be read by people, and to be published.

use std::borrow::Cow;

use serde_json::Value;

use super::catalog::{Files, path_of};

/// One file of the folder `lexicons/`.
#[derive(Debug, Clone)]
pub struct Source {
    /// The lexicon's name.
    pub nsid: String,
    /// The file, byte by byte.
    pub text: Cow<'static, [u8]>,
    /// What it says.
    pub json: Value,
}

/// All lexicons, in the order of their names.
pub fn sources() -> impl Iterator<Item = Source> {
    let mut paths: Vec<_> = Files::iter().filter(|path| path.ends_with(".json")).collect();
    paths.sort_by_cached_key(|path| nsid_of(path));
    paths.into_iter().filter_map(|path| source(&nsid_of(&path)))
}

/// The lexicon of this name, if there is one.
pub fn source(nsid: &str) -> Option<Source> {
    let text = Files::get(&path_of(nsid))?.data;
    let json: Value = serde_json::from_slice(&text).ok()?;
    // A path may be said in several ways, a name in one.
    (json["id"] == nsid).then(|| Source { nsid: nsid.to_owned(), text, json })
}

fn nsid_of(path: &str) -> String {
    path.strip_suffix(".json").unwrap_or(path).replace('/', ".")
}

impl Source {
    /// What the main definition is: `record`, `query`, `procedure`, `permission-set`, or `defs` for what others share.
    pub fn kind(&self) -> &str {
        self.json["defs"]["main"]["type"].as_str().unwrap_or("defs")
    }

    /// What it says of itself; a permission set says it to people, others to developers.
    pub fn description(&self) -> Option<&str> {
        let main = &self.json["defs"]["main"];
        [&main["description"], &main["detail"], &self.json["description"]].into_iter().find_map(Value::as_str)
    }

    /// The domain whose owner says what the lexicon means: the NSID reversed, without its last part. Each domain speaks for
    /// itself and not for those below it: <https://atproto.com/specs/lexicon#lexicon-publication-and-resolution>.
    pub fn authority(&self) -> String {
        let mut parts: Vec<&str> = self.nsid.split('.').collect();
        parts.pop();
        parts.reverse();
        parts.join(".")
    }
}
