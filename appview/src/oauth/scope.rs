//! What a grant allows, read by its meaning: servers expand, order and abbreviate scopes as they like.
//!
//! <https://atproto.com/specs/permission>

use percent_encoding::percent_decode_str;

/// What can be done to a record, all of which we ask for.
const ACTIONS: [&str; 3] = ["create", "update", "delete"];

/// Everything we ever ask for, in the records' namespace.
pub(crate) fn wanted(namespace: &str) -> String {
    let collections = ["track", "like", "comment", "list", "actor.profile"];
    let repos = collections.map(|name| format!("repo:{namespace}.{name}"));
    format!("atproto {} blob:*/*", repos.join(" "))
}

/// Those of the `wanted` scopes that the `granted` ones do not cover.
pub(crate) fn missing(granted: &str, wanted: &str) -> Vec<String> {
    let granted: Vec<Permission> = granted.split_ascii_whitespace().map(Permission::read).collect();
    let is_missing = |scope: &&str| {
        let wanted = Permission::read(scope);
        !match wanted.resource {
            "repo" => wanted.items("collection").iter().all(|collection| {
                ACTIONS.iter().all(|action| granted.iter().any(|one| one.allows_write(collection, action)))
            }),
            "blob" => {
                wanted.items("accept").iter().all(|accept| granted.iter().any(|one| one.allows_blob(accept)))
            }
            // No parameters: it is there or not.
            _ => granted.iter().any(|one| one.text == wanted.text),
        }
    };
    wanted.split_ascii_whitespace().filter(is_missing).map(str::to_owned).collect()
}

/// Whether a PDS is going to take this call, as far as its method shows what it needs.
pub(crate) fn allows(granted: &str, nsid: &str, collection: &str, mime: &str) -> bool {
    let may = |actions: &[&str]| {
        let granted: Vec<Permission> = granted.split_ascii_whitespace().map(Permission::read).collect();
        actions.iter().all(|action| granted.iter().any(|one| one.allows_write(collection, action)))
    };
    match nsid {
        "com.atproto.repo.createRecord" => may(&["create"]),
        "com.atproto.repo.putRecord" => may(&["create", "update"]),
        "com.atproto.repo.deleteRecord" => may(&["delete"]),
        "com.atproto.repo.uploadBlob" => {
            granted.split_ascii_whitespace().any(|one| Permission::read(one).allows_blob(mime))
        }
        _ => true,
    }
}

/// One scope: `resource[:positional][?name=value&…]`.
struct Permission<'a> {
    text: &'a str,
    resource: &'a str,
    positional: Option<String>,
    parameters: Vec<(String, String)>,
}

impl<'a> Permission<'a> {
    fn read(text: &'a str) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (head, query) = text.split_once('?').unwrap_or((text, ""));
        let (resource, positional) = match head.split_once(':') {
            Some((resource, positional)) => (resource, Some(decode(positional))),
            None => (head, None),
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let parameters = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Permission { text, resource, positional, parameters: parameters.collect() }
    }

    /// The values of a parameter, which may also stand before the query.
    fn items(&self, name: &str) -> Vec<&str> {
        let named = self.parameters.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        self.positional.as_deref().into_iter().chain(named).collect()
    }

    fn allows_write(&self, collection: &str, action: &str) -> bool {
        if self.text == "transition:generic" {
            return true;
        }
        let actions: Vec<&str> = self
            .parameters
            .iter()
            .filter(|(key, _)| key == "action")
            .map(|(_, value)| value.as_str())
            .collect();
        self.resource == "repo"
            && self.items("collection").iter().any(|item| *item == "*" || *item == collection)
            && (actions.is_empty() || actions.contains(&action))
    }

    fn allows_blob(&self, accept: &str) -> bool {
        if self.text == "transition:generic" {
            return true;
        }
        let class = |mime: &str| mime.split_once('/').map(|(class, _)| class.to_owned());
        self.resource == "blob"
            && self.items("accept").iter().any(|item| {
                *item == "*/*"
                    || *item == accept
                    || (item.ends_with("/*") && accept != "*/*" && class(item) == class(accept))
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_asked_for_is_enough() {
        let wanted = wanted("fm.plyr");
        assert!(wanted.starts_with("atproto repo:fm.plyr.track ") && wanted.ends_with(" blob:*/*"));
        assert!(missing(&wanted, &wanted).is_empty());
    }

    #[test]
    fn scopes_are_covered_by_meaning() {
        let wanted = wanted("fm.plyr");
        let expanded = "blob:*/* repo?collection=fm.plyr.actor.profile&collection=fm.plyr.comment\
                        &collection=fm.plyr.like&collection=fm.plyr.list&collection=fm.plyr.track atproto";
        let by_action =
            format!("atproto blob?accept=*/* {} repo:*?action=delete", "repo:*?action=create&action=update");
        for enough in [
            expanded,
            &by_action,
            "atproto repo:* blob:*/*",
            "atproto transition:generic",
            "atproto repo:%2A blob:%2A%2F%2A",
        ] {
            assert!(missing(enough, &wanted).is_empty(), "{enough}: {:?}", missing(enough, &wanted));
        }
    }

    #[test]
    fn what_is_not_granted_is_named() {
        let wanted = "atproto repo:fm.plyr.track repo:fm.plyr.like blob:*/*";
        for (granted, expected) in [
            ("", "atproto repo:fm.plyr.track repo:fm.plyr.like blob:*/*"),
            ("atproto", "repo:fm.plyr.track repo:fm.plyr.like blob:*/*"),
            ("atproto repo:fm.plyr.track", "repo:fm.plyr.like blob:*/*"),
            ("atproto repo:fm.plyr.* blob:audio/*", "repo:fm.plyr.track repo:fm.plyr.like blob:*/*"),
            ("atproto repo:*?action=create blob:*/*", "repo:fm.plyr.track repo:fm.plyr.like"),
            ("atproto repo repo: blob:*/*", "repo:fm.plyr.track repo:fm.plyr.like"),
            (
                "atproto include:fm.plyr.authFull rpc:*?aud=x blob",
                "repo:fm.plyr.track repo:fm.plyr.like blob:*/*",
            ),
        ] {
            assert_eq!(missing(granted, wanted).join(" "), expected, "{granted}");
        }
        let write = |granted: &str, method: &str| {
            allows(granted, &format!("com.atproto.repo.{method}"), "fm.plyr.like", "audio/wav")
        };
        assert!(
            write("atproto repo:fm.plyr.like", "putRecord") && write("repo:*?action=delete", "deleteRecord")
        );
        assert!(!write("repo:*?action=create", "putRecord") && !write("repo:fm.plyr.track", "createRecord"));
        assert!(write("blob:audio/*", "uploadBlob") && !write("blob:image/*", "uploadBlob"));
        assert!(write("", "describeRepo"), "not our question");
        assert!(missing("blob:audio/*", "blob:audio/wav").is_empty());
        assert_eq!(missing("blob:image/*", "blob:audio/wav"), ["blob:audio/wav"]);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(granted in "\\PC{0,200}") {
            let wanted = wanted("fm.plyr");
            prop_assert!(missing(&granted, &wanted).len() <= 7);
        }
    }
}
