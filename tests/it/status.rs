//! What plyr says of itself: of one repo, and of all.

use serde_json::{Value, json};

use crate::world::{Account, Plyr, eventually, network, pds, run, same};

/// Root of an account's tree, read out of the commit in the PDS's own CAR.
async fn data_root(account: &Account) -> String {
    let url = format!("{}/xrpc/com.atproto.sync.getRepo?did={}", account.host, account.did);
    let car = pds::http().get(url).send().await.expect("the PDS answers").bytes().await.expect("a CAR");
    // The key, then a link: tag 42, 37 bytes, the first of them zero.
    let mark = b"ddata\xd8\x2a\x58\x25\x00";
    let at = car.windows(mark.len()).position(|window| window == mark).expect("a commit") + mark.len();
    let (mut text, mut bits, mut held) = (String::from("b"), 0u32, 0);
    for byte in &car[at..at + 36] {
        (bits, held) = (bits << 8 | u32::from(*byte), held + 8);
        while held >= 5 {
            held -= 5;
            text.push(b"abcdefghijklmnopqrstuvwxyz234567"[(bits >> held) as usize & 31] as char);
        }
    }
    text.push(b"abcdefghijklmnopqrstuvwxyz234567"[(bits << (5 - held)) as usize & 31] as char);
    text
}

#[test]
fn a_repo_is_accounted_for() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let method = "fm.plyr.sync.getRepoStatus";
        for (query, error, named) in [
            (vec![], "InvalidRequest", "did"),
            (vec![("did", "not a did")], "InvalidRequest", "did"),
            (vec![("did", "did:plc:ewvi7nxzyoun6zhxrhs64oiz")], "RepoNotFound", ""),
            (vec![("did", "nobody.test")], "RepoNotFound", ""),
        ] {
            let (status, body) = plyr.xrpc(method, &query).await;
            assert_eq!((status, &body["error"]), (400, &json!(error)), "{query:?}: {body}");
            assert!(body["message"].as_str().unwrap_or_default().contains(named), "{query:?}: {body}");
        }

        let artist = Account::create(net, "accounted").await;
        let track = artist.create_track("one").await;
        let like = artist.like(&track).await;
        artist.delete_record(&like.0).await;
        artist.create_record("fm.plyr.like", json!({"$type": "fm.plyr.like", "subject": 7})).await;
        let did = [("did", artist.did.as_str())];
        let root = data_root(&artist).await;
        let wanted = json!([
            {"collection": "fm.plyr.like", "records": 1, "problems": 1, "unproven": 0},
            {"collection": "fm.plyr.track", "records": 1, "problems": 0, "unproven": 0},
        ]);
        let (rev, ask) = (artist.latest_rev().await, || plyr.xrpc(method, &did));
        let status = eventually("all of it to be proven", || async {
            let status = ask().await.1;
            same(&status["rev"], &json!(rev))?;
            same(&status["collections"], &wanted)?;
            // Somebody just met is read as a whole once, beside what the stream brings of them.
            same(&status["state"], &json!("synchronized"))?;
            Ok(status)
        })
        .await;
        for (key, value) in [
            ("did", json!(artist.did)),
            ("state", json!("synchronized")),
            ("root", json!(root)),
            ("seenRev", json!(rev)),
            ("epoch", json!(0)),
            ("status", json!("active")),
            ("total", json!(2)),
            ("problems", json!(1)),
            ("unproven", json!(0)),
            ("pendingStatus", Value::Null),
        ] {
            assert_eq!(status[key], value, "{key}: {status}");
        }
        let verified_at: chrono::DateTime<chrono::Utc> =
            status["verifiedAt"].as_str().expect("a time").parse().expect("a time");
        assert!((chrono::Utc::now() - verified_at).num_seconds() < 90, "{status}");
        eventually("the handle", || async {
            let by_handle = plyr.xrpc(method, &[("did", &artist.handle)]).await.1;
            same(&by_handle["did"], &json!(artist.did))
        })
        .await;

        artist.deactivate().await;
        eventually("the standing", || async {
            let status = ask().await.1;
            same((&status["status"], &status["total"]), (&json!("deactivated"), &json!(2)))
        })
        .await;
    });
}

#[test]
fn troubles_are_told_and_secrets_are_not() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "told").await;
        artist.create_record("fm.plyr.like", json!({"$type": "fm.plyr.like", "subject": 7})).await;
        let ask = || plyr.query("fm.plyr.sync.getStatus", &[]);
        eventually("the source", || async {
            let status = ask().await;
            same(status["sources"][0]["key"].as_str(), Some(net.upstream().as_str()))?;
            same(status["sources"][0]["kind"].as_str(), Some("repos"))?;
            same(status["sources"][0]["cursor"].is_i64(), true)?;
            same(status["sources"][0]["backfilledAt"].is_string(), true)?;
            same(status["repos"]["synchronized"].as_i64() > Some(0), true)?;
            let unfit = status["recordProblems"].as_array().expect("kinds");
            same(unfit.iter().any(|kind| kind["kind"] == "InvalidRecord"), true)
        })
        .await;

        // The gap lies ahead, so that no comparison makes it good meanwhile.
        plyr.db
            .run(
                "insert into source (key, connected, heard_at, event_at, gaps, gap_at, blind_since, divergences)
                 values ('jetstream2+wss://reader:swordfish@stream.example/swordfish?key=swordfish', true, now(),
                         now() - interval '2 minutes', 3, now() + interval '1 hour', now(), 7)",
            )
            .await;
        plyr.db
            .run(
                "insert into job (kind, key, state, last_error)
                 values ('blob', 'swordfish', 'dead', 'swordfish'), ('blob', 'x', 'dead', null)",
            )
            .await;
        plyr.db
            .run(
                "insert into problem (kind, source, detail, bytes)
                 select 'Flood', 'repos+wss://reader:swordfish@relay.example', 'swordfish', 'swordfish'
                 from generate_series(1, 20000)",
            )
            .await;
        plyr.db.run("insert into problem (kind, detail) values ('Rare', 'swordfish')").await;
        let status = eventually("the troubles", || async {
            let status = ask().await;
            same(status["sources"].as_array().map(Vec::len), Some(2))?;
            same(status["problems"].as_array().is_some_and(|kinds| kinds.len() >= 2), true)?;
            Ok(status)
        })
        .await;
        assert!(!status.to_string().contains("swordfish"), "{status}");
        let source = &status["sources"][0];
        assert_eq!(source["key"], "jetstream2+wss://stream.example");
        assert_eq!(
            (&source["kind"], &source["gaps"], &source["divergences"]),
            (&json!("jetstream2"), &json!(3), &json!(7))
        );
        assert_eq!(source["lagMs"], 120_000);
        let count = |kind: &str| {
            let kinds = status["problems"].as_array().expect("kinds").iter();
            kinds
                .filter(|entry| entry["kind"] == kind)
                .filter_map(|entry| entry["count"].as_i64())
                .sum::<i64>()
        };
        assert_eq!((count("Flood"), count("Rare")), (10_000, 1));
        let jobs = status["jobs"].as_array().expect("jobs");
        let blob = jobs.iter().find(|job| job["kind"] == "blob").unwrap_or_else(|| panic!("{status}"));
        assert_eq!(blob["dead"], 2);
        let alarms = status["alarms"].as_array().expect("alarms");
        for (name, about) in [
            ("gap", Some("jetstream2+wss://stream.example")),
            ("blind", Some("jetstream2+wss://stream.example")),
            ("lag", Some("jetstream2+wss://stream.example")),
            ("deadJobs", None),
        ] {
            let found = alarms.iter().any(|alarm| alarm["name"] == name && alarm["source"].as_str() == about);
            assert!(found, "{name}: {status}");
        }
    });
}
