//! Repos read as a whole: backfills that are killed, hosts that want rest, files cut off, drift found and mended.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::world::gate::Act;
use crate::world::network::Network;
use crate::world::{Account, Gate, Plyr, eventually, pds, run, same};

const GET_REPO: &str = "com.atproto.sync.getRepo?";

/// A plyr with a migrated database that does not run.
async fn asleep(net: &Network, settings: &[(&str, &str)]) -> Plyr {
    let mut plyr = Plyr::up_with(net, settings).await;
    eventually("the first look at the host", || async {
        same(plyr.db.number("select count(*) from source where backfilled_at is not null").await, 1)
    })
    .await;
    plyr.kill();
    plyr
}

async fn commented(net: &Network, count: usize) -> Vec<Account> {
    let mut people = Vec::new();
    let artist = Account::create(net, "artist").await;
    let track = artist.create_track("to be found").await;
    for number in 1..count {
        let account = Account::create(net, "fan").await;
        account.create_record("fm.plyr.comment", pds::comment(&track, "here", number as u64)).await;
        people.push(account);
    }
    people.push(artist);
    people
}

/// As a query names it, whatever it encodes.
fn id(account: &Account) -> &str {
    account.did.rsplit(':').next().expect("a DID")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

#[test]
fn a_killed_backfill_goes_on_where_it_was() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let plyr = asleep(&net, &[("PLYR_BACKFILL_PER_HOST", "1")]).await;
        let people = commented(&net, 20).await;
        let stranger = Account::create(&net, "stranger").await;
        let before = gate.count(&[GET_REPO]);
        let killed = plyr
            .command(&["backfill"])
            .env("PLYR_SABOTAGE", "die:backfill-read:12")
            .output()
            .expect("it runs");
        assert!(killed.status.code().is_none(), "it was killed: {}", text(&killed));
        // One more may have been asked for while the twelfth was taken in; of one host no two at once.
        let asked = gate.count(&[GET_REPO]) - before;
        assert!((12..=13).contains(&asked), "{asked} were asked for");
        let done = plyr.db.number("select count(*) from backfill_repo where state = 'read'").await;
        assert!((6..12).contains(&done), "{done} were written down");
        // Those that it died over are here, or not.
        let held = plyr.db.number("select count(*) from repo where state = 'synchronized'").await;
        assert!((done..=12).contains(&held), "{held} are here, and {done} of them written down");
        let output = plyr.command(&["backfill"]).output().expect("it runs");
        let said = text(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("continued what was begun"), "{said}");
        assert!(
            said.contains(&format!("{} read, {} skipped", 20 - (held - done), 1 + held - done)),
            "{said}"
        );
        // Only what was on its way is asked for again, and the stranger's repo never.
        assert_eq!(gate.count(&[GET_REPO]) - before, asked + 20 - held as usize);
        assert_eq!(gate.count(&[GET_REPO, id(&stranger)]), 0);
        assert!(gate.count(&[GET_REPO, id(&people[0])]) > 0);
        assert_eq!(
            plyr.db.number("select count(*) from record where cid is not null").await,
            people.len() as i64
        );
        assert_eq!(plyr.db.texts("select distinct state from repo").await, ["synchronized"]);
        // And one more time there is nothing to read.
        let again = text(&plyr.command(&["backfill"]).output().expect("it runs"));
        assert!(again.contains("0 read") && !again.contains("continued"), "{again}");
    });
}

#[test]
fn what_was_deleted_beyond_the_hosts_memory_is_gone() {
    run(async {
        let net = Network::start(&[("REPO_BACKFILL_LIMIT_MS", "3000")]);
        let mut plyr = Plyr::up(&net).await;
        let (artist, fan) = (Account::create(&net, "artist").await, Account::create(&net, "fan").await);
        let track = artist.create_track("loved and left").await;
        let like = fan.like(&track).await;
        // Somebody whose repo is not followed: no comparison of revs says anything of one like.
        let stranger = Account::create(&net, "stranger").await;
        let theirs = stranger
            .create_record(
                "app.bsky.feed.like",
                json!({"subject": {"uri": track.0, "cid": track.1}, "createdAt": pds::now()}),
            )
            .await;
        plyr.await_counts(&track.0, Some([2, 0, 0])).await;
        plyr.kill();
        fan.delete_record(&like.0).await;
        stranger.delete_record(&theirs.0).await;
        // The host has to forget it: its memory is counted in time.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let second = artist.create_track("remembered").await;
        plyr.start().await;
        plyr.await_counts(&second.0, Some([0, 0, 0])).await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        assert!(plyr.read_log().contains("OutdatedCursor"), "the stream itself did not bring it");
        let tombstones = plyr
            .db
            .number("select count(*) from record where cid is null and collection = 'fm.plyr.like'")
            .await;
        assert_eq!(tombstones, 1);
    });
}

#[test]
fn a_host_that_wants_rest_has_it() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let plyr = asleep(&net, &[("PLYR_BACKFILL_PER_HOST", "1")]).await;
        let people = commented(&net, 6).await;
        let before = gate.count(&[GET_REPO]);
        gate.rule(1, &[GET_REPO, id(&people[2])], Act::Busy(429, 3));
        let dids: Vec<&str> = people.iter().map(|account| account.did.as_str()).collect();
        let started = Instant::now();
        let output = plyr.command(&[&["backfill"], dids.as_slice()].concat()).output().expect("it runs");
        assert!(output.status.success() && text(&output).contains("6 read"), "{}", text(&output));
        assert!(started.elapsed() >= Duration::from_secs(3), "{:?}", started.elapsed());
        assert_eq!(gate.count(&[GET_REPO]) - before, 7, "nobody was asked in vain");
    });
}

#[test]
fn a_file_cut_off_changes_nothing_and_is_named() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let plyr = asleep(&net, &[]).await;
        let people = commented(&net, 3).await;
        let (cut, gone) = (&people[0], "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa");
        gate.rule(100, &[GET_REPO, id(cut)], Act::Cut(400));
        let names = plyr.data.path().join("failures");
        let dids = [people[0].did.as_str(), &people[1].did, &people[2].did, gone];
        let file = ["--failures", names.to_str().expect("text")];
        let arguments = [["backfill"].as_slice(), &file, &dids].concat();
        let output = plyr.command(&arguments).output().expect("it runs");
        let said = text(&output);
        assert!(!output.status.success() && said.contains("2 read") && said.contains("2 failed"), "{said}");
        let named = std::fs::read_to_string(&names).expect("a file");
        assert!(named.contains(&format!("{}\tCarMalformed", cut.did)), "{named}");
        assert!(named.contains(&format!("{gone}\tNoSuchDid")), "{named}");
        let records = || plyr.db.number("select count(*) from record");
        assert_eq!(records().await, 2);
        gate.clear();
        // That somebody is gone is nobody's fault.
        let output = plyr.command(&arguments).output().expect("it runs");
        assert!(output.status.success() && text(&output).contains("3 read"), "{}", text(&output));
        assert_eq!(records().await, 3);
    });
}

#[test]
fn an_audit_finds_drift_and_mends_it() {
    run(async {
        let net = Network::start(&[]);
        let plyr = Plyr::up(&net).await;
        let people = commented(&net, 5).await;
        eventually("all records", || async {
            same(plyr.db.number("select count(*) from record where cid is not null").await, 5)
        })
        .await;
        plyr.await_quiet().await;
        let clean = plyr.command(&["audit"]).output().expect("it runs");
        assert!(clean.status.success() && text(&clean).contains("5 repos: 5 the same"), "{}", text(&clean));
        let uris =
            plyr.db.texts("select uri from record where collection = 'fm.plyr.comment' order by uri").await;
        plyr.db.run("delete from record where uri = (select min(uri) from record where collection = 'fm.plyr.comment')").await;
        plyr.db
            .run(
                "update record set cid = 'bafyreie5cvv4h45feadgeuwhbcutmh6t2ceseocckahdoe6uat64zmz454'
                  where uri = (select max(uri) from record where collection = 'fm.plyr.comment')",
            )
            .await;
        plyr.db
            .run(
                "insert into record (uri, did, collection, rkey, epoch, rev, proven, cid, value)
                  select uri || 'x', did, collection, rkey || 'x', epoch, rev, proven, cid, value from record
                  where collection = 'fm.plyr.track'",
            )
            .await;
        let found = plyr.command(&["audit", "--all", "--repair"]).output().expect("it runs");
        let said = text(&found);
        assert!(!found.status.success() && said.contains("3 drifted"), "{said}");
        for line in [format!("missing {}", uris[0]), format!("differing {}", uris[3])] {
            assert!(said.contains(&line), "no {line} in {said}");
        }
        assert!(said.contains(&format!("extra at://{}/fm.plyr.track/", people[4].did)), "{said}");
        plyr.await_quiet().await;
        let mended = plyr.command(&["audit", "--sample", "100"]).output().expect("it runs");
        assert!(mended.status.success(), "{}", text(&mended));
    });
}

#[test]
fn what_a_stream_does_not_bring_a_comparison_finds() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let plyr = Plyr::up(&net).await;
        let (artist, fan) = (Account::create(&net, "artist").await, Account::create(&net, "fan").await);
        let track = artist.create_track("compared").await;
        fan.like(&track).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        gate.hold_stream();
        fan.create_record("fm.plyr.comment", pds::comment(&track, "unheard", 1)).await;
        plyr.db.run("update source set compare_owed_at = clock_timestamp()").await;
        plyr.await_counts(&track.0, Some([1, 1, 0])).await;
        eventually("an answer to what was owed", || async {
            same(plyr.db.number("select count(*) from source where compared_at > compare_owed_at").await, 1)
        })
        .await;
        gate.release_stream();
        plyr.await_quiet().await;
        assert_eq!(plyr.db.texts("select distinct state from repo").await, ["synchronized"]);
        plyr.await_counts(&track.0, Some([1, 1, 0])).await;
    });
}
