//! A Jetstream that says what is not so: nobody signs what it says.

use sim::jetstream::{Body, Commit, Event, Operation};

use super::bridge::{Bridge, reworded};
use super::{await_proven, await_same_rows, jetstream, plyr_on, upstream};
use crate::world::network::Network;
use crate::world::{Account, Plyr, eventually, pds, run, same};

/// Comments with other words under the CID of the true ones, comments with other words and their CID, and likes that are
/// taken back by nobody.
#[test]
fn lies_are_refuted_and_counted() {
    run(async {
        let net = Network::start(&[]);
        let jetstream = jetstream().await;
        let (artist, fan) = (Account::create(&net, "artist").await, Account::create(&net, "fan").await);
        // The fan's repo is read as soon as the forgery is seen, and a report that comes after that is old news.
        let other = Account::create(&net, "other").await;
        let track = artist.create_track("lied about").await;
        let quiet = fan.create_record("fm.plyr.comment", pds::comment(&track, "before the lies", 1)).await;
        let _bridge = Bridge::lying(&net, &[&jetstream], lie);
        let plyr = plyr_on(&net, &[upstream(2, &jetstream)]).await;
        eventually("the repos to be read", || async {
            same(plyr.db.texts("select distinct state from repo").await, vec!["synchronized".to_owned()])
        })
        .await;
        await_proven(&plyr).await;
        let forged = fan.create_record("fm.plyr.comment", pds::comment(&track, "forge this", 2)).await;
        let altered = other.create_record("fm.plyr.comment", pds::comment(&track, "alter this", 3)).await;
        let like = artist.like(&track).await;
        eventually("the lies to be believed or kept aside", || async {
            let kinds = plyr.db.texts("select distinct kind from problem where length(bytes) > 0").await;
            let believed = plyr
                .db
                .number("select count(*) from record where cid is null and uri like '%/fm.plyr.like/%'")
                .await;
            if kinds.contains(&"CidMismatch".to_owned()) && believed > 0 {
                Ok(())
            } else {
                Err(format!("{kinds:?} {believed}"))
            }
        })
        .await;
        let commits = Plyr::up(&net).await;
        await_same_rows(&plyr, &commits).await;
        await_proven(&plyr).await;
        let held = super::rows(&plyr).await;
        for (uri, cid) in [&quiet, &forged, &altered, &like] {
            assert_eq!(held.get(uri).map(|(cid, _)| cid), Some(cid), "{uri}");
        }
        let divergences = plyr.db.number("select divergences from source").await;
        assert!(divergences >= 2, "{divergences}");
    });
}

fn lie(event: Event) -> Vec<Event> {
    let Body::Commit(commit) = &event.body else { return vec![event] };
    let with = |commit: Commit| Event { body: Body::Commit(commit), ..event.clone() };
    let text = commit.record.as_ref().and_then(|record| record["text"].as_str()).unwrap_or_default();
    match (commit.collection.as_str(), text) {
        (_, "forge this") => {
            vec![with(Commit { cid: commit.cid.clone(), ..reworded(commit, "text", "forged") })]
        }
        (_, "alter this") => vec![with(reworded(commit, "text", "altered"))],
        ("fm.plyr.like", _) => {
            // By a commit that never was, a moment later.
            let rev = later(&commit.rev);
            let gone =
                Commit { operation: Operation::Delete, rev, cid: None, record: None, ..commit.clone() };
            vec![event.clone(), with(gone)]
        }
        _ => vec![event],
    }
}

/// The next rev: its last letter one further, where that is one.
fn later(rev: &str) -> String {
    const LETTERS: &str = "234567abcdefghijklmnopqrstuvwxyz";
    let (head, last) = rev.split_at(rev.len() - 3);
    let number = last.chars().fold(0, |sum, letter| sum * 32 + LETTERS.find(letter).expect("a letter"));
    let letter = |number: usize| LETTERS.as_bytes()[number % 32] as char;
    let next = number + 1;
    format!("{head}{}{}{}", letter(next / 1024), letter(next / 32), letter(next))
}
