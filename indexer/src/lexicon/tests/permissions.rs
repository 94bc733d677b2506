use super::*;
use crate::lexicon::schema::Permission;

fn ours<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.filter(|name| name.starts_with("fm.plyr.")).collect()
}

#[test]
fn the_full_set_names_every_record_and_method_of_ours() {
    let (nsid, set) = CATALOG.permission_sets().next().expect("a set");
    assert_eq!(nsid, "fm.plyr.authFullApp");
    let (mut collections, mut lxm) = (Vec::new(), Vec::new());
    for permission in &set.permissions {
        match permission {
            Permission::Repo(repo) => collections.extend(repo.collection.iter().map(String::as_str)),
            Permission::Rpc(rpc) => {
                assert!(rpc.inherit_aud, "whoever serves them is named by the client");
                lxm.extend(rpc.lxm.iter().map(String::as_str));
            }
        }
    }
    assert_eq!(collections, ours(records()));
    assert_eq!(lxm, ours(methods()));
}

#[test]
fn a_set_that_would_be_cut_down_in_silence_is_refused() {
    let load = |id: &str, permissions: Value| {
        let set = json!({"type": "permission-set", "title": "All", "detail": "All of it.", "permissions": permissions});
        let files = [
            json!({"lexicon": 1, "id": "a.b.like", "defs": {"main": {"type": "record", "key": "tid", "record": {"type": "object", "properties": {}}}}}),
            json!({"lexicon": 1, "id": "a.b.feed.get", "defs": {"main": {"type": "query"}}}),
            json!({"lexicon": 1, "id": "a.bc.get", "defs": {"main": {"type": "query"}}}),
            json!({"lexicon": 1, "id": id, "defs": {"main": set}}),
        ];
        let path = |json: &Value| json["id"].as_str().expect("an id").replace('.', "/") + ".json";
        Catalog::load(files.iter().map(|json| (path(json), json.to_string()))).map(|_| ())
    };
    let repo = |names: &[&str]| json!([{"type": "permission", "resource": "repo", "collection": names, "action": ["create"]}]);
    let rpc =
        |names: &[&str]| json!([{"type": "permission", "resource": "rpc", "inheritAud": true, "lxm": names}]);
    assert_eq!(load("a.b.full", repo(&["a.b.like"])), Ok(()));
    assert_eq!(load("a.b.full", rpc(&["a.b.feed.get"])), Ok(()));
    assert_eq!(
        load(
            "a.b.full",
            json!([{"type": "permission", "resource": "rpc", "aud": "*", "lxm": ["a.b.feed.get"]}])
        ),
        Ok(())
    );
    for (id, permissions, reason) in [
        ("a.b.full", repo(&["a.b.nothing"]), "no record is named a.b.nothing"),
        ("a.b.full", repo(&["*"]), "no record is named *"),
        ("a.b.full", repo(&["a.b.feed.get"]), "no record is named a.b.feed.get"),
        ("a.b.full", rpc(&["a.b.like"]), "no method is named a.b.like"),
        ("a.b.full", rpc(&["a.bc.get"]), "a.bc.get is not below a.b"),
        ("a.b.feed.full", repo(&["a.b.like"]), "a.b.like is not below a.b.feed"),
        ("a.b.full", repo(&["a.b.like", "a.b.like"]), "a.b.like is named twice"),
        ("a.b.full", rpc(&[]), "names no method"),
        (
            "a.b.full",
            json!([{"type": "permission", "resource": "rpc", "lxm": ["a.b.feed.get"]}]),
            "either inheritAud or",
        ),
        (
            "a.b.full",
            json!([{"type": "permission", "resource": "blob", "accept": ["*/*"]}]),
            "unknown variant `blob`",
        ),
        ("a.b.full", json!([{"type": "permission", "resource": "repo", "lxm": []}]), "unknown field `lxm`"),
    ] {
        let problem = load(id, permissions.clone()).expect_err("wrong");
        assert!(problem.contains(reason), "{permissions}: {problem}");
    }
}

#[test]
fn the_files_are_told_as_they_are() {
    let all: Vec<_> = sources().collect();
    assert!(all.is_sorted_by(|a, b| a.nsid < b.nsid) && all.len() > methods().count() + records().count());
    for nsid in methods().chain(records()) {
        assert!(all.iter().any(|source| source.nsid == nsid), "{nsid}");
    }
    let list = source("fm.plyr.list.getLists").expect("a lexicon");
    assert_eq!((list.kind(), list.authority().as_str()), ("query", "list.plyr.fm"));
    assert!(list.description().is_some_and(|text| !text.is_empty()));
    let track = source("fm.plyr.track").expect("a lexicon");
    assert_eq!((track.kind(), track.authority().as_str()), ("record", "plyr.fm"));
    assert_eq!(serde_json::from_slice::<Value>(&track.text).expect("JSON"), track.json);
    let defs = source("fm.plyr.feed.defs").expect("a lexicon");
    assert_eq!((defs.kind(), defs.description()), ("defs", defs.json["description"].as_str()));
    for nsid in ["", "fm.plyr", "fm.plyr.nothing", "fm/plyr/track", "../lexicons.fm.plyr.track"] {
        assert!(source(nsid).is_none(), "{nsid}");
    }
}
