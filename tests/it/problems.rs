//! What was kept aside, and another try once its cause is mended.

use std::process::Output;

use futures_util::StreamExt;
use serde_json::Value;
use tokio_tungstenite::connect_async;

use crate::world::network::Network;
use crate::world::{Account, Plyr, eventually, run, same};

/// The frames of a PDS's stream that name this account, from the beginning up to its last commit, with their seqs.
async fn frames(network: &Network, account: &Account) -> Vec<Vec<u8>> {
    let rev = account.latest_rev().await;
    let url = format!("ws://127.0.0.1:{}/xrpc/com.atproto.sync.subscribeRepos?cursor=0", network.pds_port);
    let (mut stream, _) = connect_async(url).await.expect("the PDS");
    let mut found = Vec::new();
    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    loop {
        let bytes = stream.next().await.expect("a frame").expect("a frame").into_data().to_vec();
        if has(&bytes, &account.did) && has(&bytes, "#commit") {
            found.push(bytes.clone());
            if has(&bytes, &rev) {
                return found;
            }
        }
    }
}

async fn keep_aside(plyr: &Plyr, kind: &str, about: [Option<&str>; 3], bytes: Option<&[u8]>) -> i64 {
    let [source, did, uri] = about;
    sqlx::query_scalar(
        "insert into problem (kind, source, did, uri, detail, bytes) values ($1, $2, $3, $4, 'as it was', $5)
         returning id",
    )
    .bind(kind)
    .bind(source)
    .bind(did)
    .bind(uri)
    .bind(bytes)
    .fetch_one(&plyr.db.pool)
    .await
    .expect("a row")
}

fn say(plyr: &Plyr, arguments: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = plyr.command(arguments).output().expect("it runs");
    let text = String::from_utf8([stdout, stderr].concat()).expect("text");
    assert!(!text.contains("panicked"), "{text}");
    (status.success(), text)
}

#[test]
fn what_was_mended_is_settled_and_what_was_not_is_kept() {
    run(async {
        let net = Network::start(&[]);
        let mut plyr = Plyr::up(&net).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("kept aside").await;
        let [fan, gone, refused, forged] = [
            Account::create(&net, "fan").await,
            Account::create(&net, "gone").await,
            Account::create(&net, "refused").await,
            Account::create(&net, "forged").await,
        ];
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        plyr.await_quiet().await;
        plyr.kill();
        // What they write passes by: the cursor lies behind it, and nothing is owed.
        for person in [&fan, &gone, &refused] {
            person.like(&track).await;
        }
        let refused_like = refused.list_records("fm.plyr.like").await.remove(0).0;
        forged.like(&track).await;
        let source = net.upstream();
        let commits = frames(&net, &fan).await;
        let like = commits.last().expect("its like");
        let mut bad = frames(&net, &forged).await.pop().expect("its like");
        let middle = bad.len() / 2;
        bad[middle] ^= 0x40;
        plyr.db.run("update source set cursor = cursor + 100000").await;
        let source = Some(source.as_str());
        let id = keep_aside(&plyr, "IdentityUnknown", [source, Some(&fan.did), None], Some(like)).await;
        keep_aside(&plyr, "FrameMalformed", [source, Some(&gone.did), None], None).await;
        keep_aside(&plyr, "Refused", [None, None, Some(&refused_like)], Some(b"whatever")).await;
        let bad_id = keep_aside(&plyr, "BadSignature", [source, Some(&forged.did), None], Some(&bad)).await;
        keep_aside(&plyr, "FrameMalformed", [source, None, None], None).await;
        plyr.db.run("update record set problem = 'InvalidRecord', problem_detail = E'\\x1b[31mred'").await;
        plyr.db.run("delete from track").await;

        let (good, text) = say(&plyr, &["problems"]);
        assert!(good && text.contains("IdentityUnknown") && text.contains(&track.0), "{text}");
        assert!(text.contains("6 in all") && !text.contains('\x1b'), "{text}");
        let (_, text) = say(&plyr, &["problems", "--kind", "Refused", "--json"]);
        let entry: Value = serde_json::from_str(text.trim()).expect("one line of JSON");
        assert_eq!(
            (&entry["uri"], &entry["detail"]),
            (&Value::from(refused_like.clone()), &Value::from("as it was"))
        );
        let (_, text) = say(&plyr, &["problems", "--since", "1h", "--did", &gone.did, "--limit", "1"]);
        assert!(text.contains(&gone.did) && !text.contains(&fan.did), "{text}");
        let (_, text) = say(&plyr, &["problems", "--summary"]);
        assert!(text.contains("FrameMalformed  2") && text.contains("records  InvalidRecord  1"), "{text}");
        let file = plyr.data.path().join("frame.bin");
        let file = file.to_str().expect("a path");
        let (good, text) = say(&plyr, &["problems", "--show", &id.to_string(), "--save", file]);
        assert!(good && text.contains(&fan.did), "{text}");
        assert_eq!(&std::fs::read(file).expect("the file"), like);
        let (_, text) = say(&plyr, &["problems", "--show", &id.to_string()]);
        assert!(text.contains("00000000  a2 61 74") && text.contains("#commit"), "{text}");
        assert!(!say(&plyr, &["problems", "--show", "999999"]).0);

        let (good, text) = say(&plyr, &["problems", "retry"]);
        assert!(!good && text.contains("6 tried: 4 settled (2 by reading the whole repo)"), "{text}");
        assert!(text.contains("2 failed again") && text.contains(&format!("  {bad_id}: ")), "{text}");
        assert_eq!(
            plyr.db.texts("select kind from problem order by 1").await,
            ["BadSignature", "FrameMalformed"]
        );
        assert_eq!(plyr.db.number("select min(attempts)::bigint from problem").await, 1);
        assert_eq!(plyr.db.number("select count(*) from record where problem is not null").await, 0);

        assert_eq!(plyr.db.number("select max(like_count)::bigint from subject_count").await, 3);

        // The host does not know that cursor: all is read, the forged one's true like too.
        plyr.start().await;
        plyr.await_counts(&track.0, Some([4, 0, 0])).await;
        eventually("its sound", || async {
            let track = plyr.track(&track.0).await.ok_or("no track")?;
            same(track["audio"].is_string(), true)
        })
        .await;
        // Named one by one, while it runs; and once more changes nothing.
        let (good, text) = say(&plyr, &["problems", "retry", &bad_id.to_string(), &track.0]);
        assert!(!good && text.contains("1 tried: 0 settled"), "{text}");
        assert_eq!(plyr.db.number("select max(attempts)::bigint from problem").await, 2);
        plyr.await_counts(&track.0, Some([4, 0, 0])).await;
    });
}

/// An event that the chain has passed meanwhile says nothing new, whatever it says.
#[test]
fn what_the_repo_has_passed_is_read_from_the_repo() {
    run(async {
        let net = Network::start(&[]);
        let mut plyr = Plyr::up(&net).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("passed").await;
        let fan = Account::create(&net, "fan").await;
        let like = fan.like(&track).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        plyr.await_quiet().await;
        let old = frames(&net, &fan).await.pop().expect("its like");
        fan.delete_record(&like.0).await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        plyr.kill();
        // As if it had never been read since.
        plyr.db.run("update repo set synced_rev = null").await;
        let source = net.upstream();
        for _ in 0..2 {
            keep_aside(&plyr, "IdentityUnknown", [Some(&source), Some(&fan.did), None], Some(&old)).await;
        }
        let (good, text) = say(&plyr, &["problems", "retry", "--kind", "IdentityUnknown"]);
        assert!(good && text.contains("2 tried: 2 settled (1 by reading the whole repo)"), "{text}");
        assert_eq!(plyr.db.number("select count(*) from problem").await, 0);
        plyr.start().await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
    });
}
