use super::*;

/// Loading checks that paths are names, that references lead somewhere, and that required fields exist.
#[test]
fn the_embedded_files_are_read_and_all_there() {
    let methods: Vec<_> = methods().collect();
    assert_eq!(
        methods,
        [
            "app.bsky.feed.describeFeedGenerator",
            "app.bsky.feed.getFeedSkeleton",
            "blue.microcosm.links.getBacklinkDids",
            "blue.microcosm.links.getBacklinks",
            "blue.microcosm.links.getBacklinksCount",
            "com.atproto.identity.resolveHandle",
            "com.atproto.repo.getRecord",
            "com.atproto.repo.listRecords",
            "fm.plyr.actor.getNowPlaying",
            "fm.plyr.actor.getProfile",
            "fm.plyr.actor.getProfileAnalytics",
            "fm.plyr.actor.getProfiles",
            "fm.plyr.actor.searchActors",
            "fm.plyr.feed.getActivity",
            "fm.plyr.feed.getActorLikes",
            "fm.plyr.feed.getActorTracks",
            "fm.plyr.feed.getComments",
            "fm.plyr.feed.getLatest",
            "fm.plyr.feed.getLikes",
            "fm.plyr.feed.getTagTracks",
            "fm.plyr.feed.getTags",
            "fm.plyr.feed.getTimeline",
            "fm.plyr.feed.getTop",
            "fm.plyr.feed.getTrack",
            "fm.plyr.feed.getTracks",
            "fm.plyr.feed.recordPlay",
            "fm.plyr.list.getAlbum",
            "fm.plyr.list.getList",
            "fm.plyr.list.getLists",
            "fm.plyr.search.query",
            "fm.plyr.search.searchTracks",
            "fm.plyr.stats.getStats",
            "fm.plyr.sync.getRepoStatus",
            "fm.plyr.sync.getStatus",
            "fm.teal.actor.getProfile",
            "fm.teal.actor.getProfiles",
            "fm.teal.actor.getStatus",
            "fm.teal.actor.searchActors",
            "fm.teal.feed.getActorFeed",
            "fm.teal.feed.getPlay",
            "fm.teal.stats.getLatest",
            "fm.teal.stats.getRepoTopReleases",
            "fm.teal.stats.getTopArtists",
            "fm.teal.stats.getTopReleases",
            "fm.teal.stats.getUserTopArtists",
            "fm.teal.stats.getUserTopRecordings",
            "fm.teal.stats.getUserTopReleases",
            "parts.page.mention.search",
        ]
    );
    assert_eq!(errors("fm.plyr.feed.getLikes").collect::<Vec<_>>(), ["NotFound"]);
    assert_eq!(errors("fm.plyr.sync.getRepoStatus").collect::<Vec<_>>(), ["RepoNotFound"]);
    assert_eq!(errors("fm.plyr.feed.getLatest").count() + errors("no.such.query").count(), 0);
}

fn load(files: &[(&str, Value)]) -> Result<Catalog, String> {
    Catalog::load(files.iter().map(|(path, json)| (path.to_string(), json.to_string())))
}

#[test]
fn a_file_that_is_wrong_is_named_with_its_reason() {
    let document = |id: &str, defs: Value| json!({"lexicon": 1, "id": id, "defs": defs});
    let main = |def: Value| document("a.b.c", json!({"main": def}));
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    assert!(load(&[("a/b/c.json", main(object(json!({}))))]).is_ok());
    for (json, reason) in [
        (json!("a lexicon"), "invalid type"),
        (json!({"lexicon": 2, "id": "a.b.c", "defs": {}}), "version 2"),
        (document("a.b.d", json!({})), "belongs elsewhere"),
        (main(json!({"type": "number"})), "unknown variant `number`"),
        (main(object(json!({"a": {"type": "string", "maxLenght": 3}}))), "unknown field `maxLenght`"),
        (main(object(json!({"a": {"type": "string", "format": "email"}}))), "unknown variant `email`"),
        (main(object(json!({"a": {"type": "ref", "ref": "#b"}}))), "nothing is named a.b.c#b"),
        (main(object(json!({"a": {"type": "union", "refs": ["x.y.z"]}}))), "nothing is named x.y.z#main"),
        (main(json!({"type": "ref", "ref": "#main"})), "a reference cannot be named"),
        (main(json!({"type": "object", "required": ["a"], "properties": {}})), "a is required"),
        (
            main(json!({"type": "record", "key": "uuid", "record": object(json!({}))})),
            "no such kind of record key",
        ),
        (main(json!({"type": "record", "key": "tid", "record": {"type": "integer"}})), "must be an object"),
        (document("a.b.c", json!({"x": {"type": "query"}})), "#x must be named main"),
        (
            main(
                json!({"type": "query", "parameters": {"type": "params", "properties": {"a": object(json!({}))}}}),
            ),
            "neither a scalar nor",
        ),
    ] {
        let problem = load(&[("a/b/c.json", json.clone())]).expect_err("wrong");
        assert!(problem.starts_with("a/b/c.json: ") && problem.contains(reason), "{json}: {problem}");
    }
}
