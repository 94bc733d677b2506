//! Who somebody is, and whether they are there: what their own host and directory say, and nobody else.

mod erased;
mod guard;
mod handles;
pub mod stand;
mod voice;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::gate::Act;
use crate::world::network::Network;
use crate::world::{Account, Gate, Plyr, eventually, pds, run, same};
use stand::Stand;
use voice::Voice;

/// A DID document as the directory has it.
async fn document(directory: &str, did: &str) -> Value {
    let answer = pds::http().get(format!("{directory}/{did}")).send().await.expect("the directory answers");
    answer.json().await.expect("JSON")
}

/// (confirmed, pending) of an account.
async fn standing(plyr: &Plyr, did: &str) -> (String, Option<String>) {
    sqlx::query_as("select status, pending_status from actor where did = $1")
        .bind(did)
        .fetch_optional(&plyr.db.pool)
        .await
        .expect("the row")
        .unwrap_or_default()
}

/// What everybody else says is heard, asked about, and has no effect; and it keeps nobody from being heard.
#[test]
fn a_foreign_host_hides_nobody() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let voice = Voice::start().await;
        let plyr = Plyr::up_with(&net, &[("PLYR_UPSTREAMS", &voice.beside(&net.upstream()))]).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("slandered").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        for status in ["deactivated", "takendown", "suspended", "deleted"] {
            voice.account(&artist.did, status);
            // It is asked about until it is settled, and meanwhile all is as before.
            eventually("the question", || async {
                let heard = plyr.db.number("select count(*) from source where event_at is not null").await;
                same((plyr.track(&track.0).await.is_some(), heard), (true, 2))
            })
            .await;
            eventually("the answer", || async {
                assert!(plyr.track(&track.0).await.is_some(), "{status} was believed");
                same(standing(&plyr, &artist.did).await, ("active".into(), None))
            })
            .await;
        }

        // It goes on talking, faster than anybody answers; the account's own host is heard all the same.
        gate.rule(1000, &["getRepoStatus"], Act::DelayAnswer(Duration::from_millis(400)));
        let (talker, did) = (voice.clone(), artist.did.clone());
        let talking = tokio::spawn(async move {
            for status in ["active", "deleted"].into_iter().cycle() {
                talker.account(&did, status);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let started = Instant::now();
        artist.deactivate().await;
        plyr.await_counts(&track.0, None).await;
        assert!(started.elapsed() < Duration::from_secs(10), "hidden after {:?}", started.elapsed());
        artist.activate().await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        talking.abort();
    });
}

/// No answer is no answer.
#[test]
fn a_host_that_is_away_says_nothing() {
    run(async {
        let net = Network::start(&[]);
        let voice = Voice::start().await;
        let plyr = Plyr::up_with(&net, &[("PLYR_UPSTREAMS", &voice.beside(&net.upstream()))]).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("away").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        net.command("stop-pds");
        voice.account(&artist.did, "deleted");
        eventually("the question", || async {
            same(standing(&plyr, &artist.did).await.1.as_deref(), Some("deleted"))
        })
        .await;
        eventually("a second question", || async {
            same(plyr.read_log().matches("a standing is not known").count() >= 2, true)
        })
        .await;
        assert!(plyr.track(&track.0).await.is_some(), "unknown is not gone");
        let status = plyr.query("fm.plyr.sync.getRepoStatus", &[("did", &artist.did)]).await;
        assert_eq!((&status["status"], &status["pendingStatus"]), (&json!("active"), &json!("deleted")));
        net.command("start-pds");
        eventually("the answer", || async {
            same(standing(&plyr, &artist.did).await, ("active".into(), None))
        })
        .await;
        assert!(plyr.track(&track.0).await.is_some());
    });
}

/// Whoever has moved is judged by the host that they moved to, from the moment the directory says so.
#[test]
fn an_account_that_moved_is_not_judged_by_the_host_it_left() {
    run(async {
        let net = Network::start(&[]);
        let voice = Voice::start().await;
        let (directory, new_host) = (Stand::before(&net.plc).await, Stand::before(&net.direct).await);
        let hosts = format!("localhost:{0},127.0.0.1:{0},{1}", net.pds_port, new_host.authority());
        let settings = [
            ("PLYR_UPSTREAMS", voice.beside(&net.upstream())),
            ("PLYR_PLC_URL", directory.url()),
            ("PLYR_PRIVATE_HOSTS", hosts),
        ];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let plyr = Plyr::up_with(&net, &settings).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("moved").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        plyr.await_quiet().await;

        let mut moved = document(&net.plc, &artist.did).await;
        moved["service"][0]["serviceEndpoint"] = json!(new_host.url());
        let status = json!({"did": artist.did, "active": true, "status": "active"});
        new_host.says("getRepoStatus", 200, status);
        // Looked at a moment before it moves, so that what was true is fresh in memory.
        let asked = directory.asked(&artist.did);
        voice.identity(&artist.did);
        eventually("a look", || async { same(directory.asked(&artist.did) > asked, true) }).await;
        directory.says(&artist.did, 200, moved);
        artist.delete_account(&net).await;
        eventually("the new host to be asked", || async { same(new_host.asked("getRepoStatus") > 0, true) })
            .await;
        eventually("the answer", || async {
            same(standing(&plyr, &artist.did).await, ("active".into(), None))
        })
        .await;
        assert!(plyr.track(&track.0).await.is_some());
    });
}

/// A host that knows somebody no more may have lost its data, and their own event may have been lost: they are hidden, and
/// nothing is erased, so that they are back as soon as it knows them again.
#[test]
fn whom_their_host_knows_no_more_is_hidden_and_not_erased() {
    run(async {
        let net = Network::start(&[]);
        let (directory, host) = (Stand::before(&net.plc).await, Stand::before(&net.direct).await);
        let artist = Account::create(&net, "artist").await;
        let mut there = document(&net.plc, &artist.did).await;
        there["service"][0]["serviceEndpoint"] = json!(host.url());
        directory.says(&artist.did, 200, there);
        let hosts = format!("localhost:{0},127.0.0.1:{0},{1}", net.pds_port, host.authority());
        let (url, every) = (directory.url(), "1s");
        let settings =
            [("PLYR_PLC_URL", &*url), ("PLYR_PRIVATE_HOSTS", &hosts), ("PLYR_COMPARE_EVERY", every)];
        let plyr = Plyr::up_with(&net, &settings).await;
        let track = artist.create_track("known no more").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;

        let unknown = json!({"error": "RepoNotFound", "message": "Could not find repo"});
        for question in ["getRepoStatus", "getLatestCommit", "getRepo?", "sync.getRecord"] {
            host.says(question, 400, unknown.clone());
        }
        plyr.await_counts(&track.0, None).await;
        assert_eq!(standing(&plyr, &artist.did).await.0, "deactivated");
        assert_eq!(plyr.db.number("select count(*) from record where cid is not null").await, 1);
        host.clear();
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;

        // Some hosts prove no absence: then the whole repo tells what is only said to be there.
        host.says(
            "sync.getRecord",
            400,
            json!({"error": "RecordNotFound", "message": "Could not find record"}),
        );
        plyr.db
            .run(
                "insert into record (uri, did, collection, rkey, epoch, rev, proven, reported_by, cid, value)
                 select uri || 'x', did, collection, rkey || 'x', epoch, rev, false, 'somebody', cid, value from record
                 where collection = 'fm.plyr.track'",
            )
            .await;
        plyr.db.run("insert into job (kind, key) select 'prove', did from repo").await;
        eventually("the false report to be gone", || async {
            same(plyr.db.number("select count(*) from record where cid is not null and not proven").await, 0)
        })
        .await;
        assert_eq!(plyr.db.number("select count(*) from record where cid is not null").await, 1);
    });
}
