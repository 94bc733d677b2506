//! The queries as a client author meets them: names, limits, cursors, errors.

use serde_json::{Value, json};

use crate::world::{Account, Plyr, eventually, network, pds, run, same};

#[test]
fn errors_name_what_is_wrong() {
    run(async {
        let plyr = Plyr::up(network()).await;
        let uri = "at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/fm.plyr.track/3jzfcijpj2z2a";
        for (method, query, status, error, named) in [
            ("fm.plyr.feed.getLatest", vec![("limit", "0")], 400, "InvalidRequest", "limit"),
            ("fm.plyr.feed.getLatest", vec![("limit", "101")], 400, "InvalidRequest", "limit"),
            ("fm.plyr.feed.getLatest", vec![("limit", "ten")], 400, "InvalidRequest", "limit"),
            ("fm.plyr.feed.getLatest", vec![("cursor", "nonsense")], 400, "InvalidRequest", "cursor"),
            ("fm.plyr.feed.getTracks", vec![], 400, "InvalidRequest", "uris"),
            ("fm.plyr.feed.getTracks", vec![("uris", "https://x")], 400, "InvalidRequest", "uris"),
            ("fm.plyr.feed.getLikes", vec![], 400, "InvalidRequest", "uri"),
            ("fm.plyr.feed.getLikes", vec![("uri", uri)], 400, "NotFound", ""),
            ("fm.plyr.feed.getComments", vec![("uri", uri)], 400, "NotFound", ""),
            ("fm.plyr.actor.getProfile", vec![("actor", "not an actor")], 400, "InvalidRequest", "actor"),
            ("fm.plyr.actor.getProfile", vec![("actor", "nobody.test")], 400, "NotFound", ""),
            ("fm.plyr.feed.getNothing", vec![], 501, "MethodNotImplemented", ""),
        ] {
            let (found, body) = plyr.xrpc(method, &query).await;
            assert_eq!((found, &body["error"]), (status, &json!(error)), "{method} {query:?}: {body}");
            let message = body["message"].as_str().unwrap_or_default();
            assert!(message.contains(named), "{method} {query:?} does not name {named}: {message}");
        }
        let health: Value = plyr.get("/xrpc/_health").await.json().await.expect("JSON");
        assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    });
}

#[test]
fn pages_skip_nothing_when_many_share_a_moment() {
    run(async {
        let net = network();
        let artist = Account::create(net, "prolific").await;
        let mut wanted = Vec::new();
        let blob = artist.upload("audio/wav", pds::wav(1, 1)).await;
        for number in 0..23 {
            let mut record = pds::track(&format!("track {number}"), &blob);
            // All at one moment.
            record["createdAt"] = json!("2020-02-02T02:02:02Z");
            wanted.push(artist.create_record("fm.plyr.track", record).await.0);
        }
        let plyr = Plyr::up(net).await;
        eventually("all of them", || async {
            let held =
                plyr.db.number("select count(*) from track where created_at = '2020-02-02T02:02:02Z'").await;
            same(held, 23)
        })
        .await;
        for limit in ["1", "4", "100"] {
            let (mut found, mut cursor) = (Vec::new(), None::<String>);
            loop {
                let mut query = vec![("limit", limit)];
                query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
                let page = plyr.query("fm.plyr.feed.getLatest", &query).await;
                let tracks = page["tracks"].as_array().expect("tracks");
                found.extend(tracks.iter().map(|track| track["uri"].as_str().expect("a uri").to_owned()));
                match page["cursor"].as_str() {
                    Some(next) => cursor = Some(next.to_owned()),
                    None => break,
                }
            }
            let mut mine: Vec<String> = found.iter().filter(|uri| wanted.contains(uri)).cloned().collect();
            mine.sort();
            let mut all = wanted.clone();
            all.sort();
            assert_eq!(mine, all, "limit {limit}");
            let distinct: std::collections::BTreeSet<&String> = found.iter().collect();
            assert_eq!(distinct.len(), found.len(), "limit {limit} repeats tracks");
        }
    });
}
