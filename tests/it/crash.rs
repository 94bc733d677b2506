//! Killed again and again while the network goes on: nothing is lost, and nothing else is there.

use std::collections::BTreeMap;

use serde_json::json;

use crate::world::{Account, Plyr, eventually, network::Network, pds, run, same};

const COLLECTIONS: [&str; 4] = ["fm.plyr.track", "fm.plyr.like", "fm.plyr.comment", "fm.teal.feed.play"];

#[test]
fn ten_kills_in_two_thousand_records_lose_nothing() {
    run(async {
        let net = Network::start(&[]);
        let mut plyr = Plyr::up(&net).await;
        let mut people = Vec::new();
        for _ in 0..8 {
            people.push(Account::create(&net, "writer").await);
        }
        let track = people[0].create_track("the one").await;
        let writers: Vec<_> = people
            .iter()
            .cloned()
            .enumerate()
            .map(|(number, account)| tokio::spawn(write(account, track.clone(), number)))
            .collect();
        let mut kills = 0;
        while kills < 10 {
            // Each kill comes at another moment: while it starts, while it reads, while it applies.
            let held = plyr.db.number("select count(*) from record").await;
            eventually("some progress", || async {
                let now = plyr.db.number("select count(*) from record").await;
                let finished = writers.iter().all(|writer| writer.is_finished());
                if now > held + 20 * i64::from(kills) || finished {
                    Ok(())
                } else {
                    Err(format!("{now} records"))
                }
            })
            .await;
            plyr.kill();
            kills += 1;
            if kills % 3 == 0 { plyr.spawn() } else { plyr.start().await }
        }
        for writer in writers {
            writer.await.expect("all was written");
        }
        let truth = live_records(&people).await;
        assert!(truth.len() >= 1_200, "only {} records are alive", truth.len());
        eventually("every record", || async { same(held_records(&plyr).await.len(), truth.len()) }).await;
        assert_eq!(held_records(&plyr).await, truth);
        let projected = plyr
            .db
            .texts("select uri from track union select uri from reaction union select uri from comment union select uri from play order by 1")
            .await;
        assert_eq!(projected, truth.keys().cloned().collect::<Vec<_>>());
        let likers = people.len() as i64;
        plyr.await_counts(&track.0, Some([likers, comments_in(&truth), 0])).await;
    });
}

/// 250 records of one person, some of them deleted again.
async fn write(account: Account, track: (String, String), number: usize) {
    account.like(&track).await;
    for round in 0..25 {
        let mut writes = Vec::new();
        for index in 0..10 {
            let value = match (round + index + number) % 3 {
                0 => pds::comment(&track, &format!("{number} {round} {index}"), index as u64),
                1 => pds::like(&track),
                _ => json!({"$type": "fm.teal.feed.play", "trackName": format!("song {index}"),
                            "artists": [{"artistName": "somebody"}], "playedTime": pds::now()}),
            };
            let collection = value["$type"].clone();
            writes.push(json!({"$type": "com.atproto.repo.applyWrites#create", "collection": collection, "value": value}));
        }
        let answer = account.apply_writes(writes).await;
        let gone = answer["results"].as_array().expect("results")[round % 10]["uri"]
            .as_str()
            .expect("a uri")
            .to_owned();
        if round % 2 == 0 {
            account.delete_record(&gone).await;
        }
    }
}

async fn live_records(people: &[Account]) -> BTreeMap<String, String> {
    let mut records = BTreeMap::new();
    for account in people {
        for collection in COLLECTIONS {
            records.extend(account.list_records(collection).await);
        }
    }
    records
}

async fn held_records(plyr: &Plyr) -> BTreeMap<String, String> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select uri, cid from record where cid is not null and collection <> 'app.bsky.actor.profile'",
    )
    .fetch_all(&plyr.db.pool)
    .await
    .expect("rows");
    rows.into_iter().collect()
}

fn comments_in(truth: &BTreeMap<String, String>) -> i64 {
    truth.keys().filter(|uri| uri.contains("/fm.plyr.comment/")).count() as i64
}
