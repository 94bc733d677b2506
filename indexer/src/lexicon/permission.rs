//! Permission sets: what a client may ask a person for in one word.
//!
//! <https://atproto.com/specs/permission#permission-sets>. An authorization server leaves out, without a word, what a set
//! may not hold; so it is looked for here.

use std::collections::BTreeSet;

use super::catalog::Catalog;
use super::schema::{Permission, PermissionSet};

/// Checks that a set names records and methods that there are, each once, all of the set's own group or below it.
pub(super) fn check(catalog: &Catalog, nsid: &str, set: &PermissionSet) -> Result<(), String> {
    for (name, text) in [("title", &set.title), ("detail", &set.detail)] {
        if text.trim().is_empty() {
            return Err(format!("{name} is empty, and is what people are asked"));
        }
    }
    let group = nsid.rsplit_once('.').map_or(nsid, |(group, _)| group);
    let mut seen = BTreeSet::new();
    for permission in &set.permissions {
        let (names, noun) = match permission {
            Permission::Repo(repo) => (&repo.collection, "record"),
            Permission::Rpc(rpc) => {
                match (rpc.inherit_aud, rpc.aud.as_deref()) {
                    (true, None) | (false, Some("*")) => {}
                    _ => return Err("an rpc permission has either inheritAud or the aud `*`".to_owned()),
                }
                (&rpc.lxm, "method")
            }
        };
        if names.is_empty() {
            return Err(format!("a permission names no {noun}"));
        }
        for name in names {
            let is_known = match permission {
                Permission::Repo(_) => catalog.record(name).is_some(),
                Permission::Rpc(_) => catalog.query(name).is_some(),
            };
            if !is_known {
                return Err(format!("no {noun} is named {name}"));
            }
            if name.strip_prefix(group).is_none_or(|rest| !rest.starts_with('.')) {
                return Err(format!("{name} is not below {group}"));
            }
            if !seen.insert(name) {
                return Err(format!("{name} is named twice"));
            }
        }
    }
    Ok(())
}
