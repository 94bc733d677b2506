//! Numbers tell of all that was heard, and the order believes twenty an hour of each person.

use bytes::Bytes;
use chrono::Utc;
use indexer::change::{Input, Op, Report};
use indexer::dag;
use indexer::syntax::{AtUri, Did, Tid};
use serde_json::Value;

use super::hall::{Hall, did, is, track};
use crate::world::run;

/// What teal's queries tell of somebody, or of everybody: each name with its number.
async fn teal(hall: &Hall, method: &str, actor: Option<&Did>) -> Vec<(String, i64)> {
    let query: Vec<(&str, &str)> = actor.map(|did| ("actor", did.as_str())).into_iter().collect();
    let request = hall.plyr.http().get(format!("{}/xrpc/fm.teal.stats.{method}", hall.plyr.url));
    let answer = request.query(&query).bearer_auth("nobody").send().await.expect("plyr answers");
    let answer: Value = answer.json().await.expect("JSON");
    let list = ["artists", "recordings", "releases"].iter().find_map(|list| answer[list].as_array());
    let list = list.unwrap_or_else(|| panic!("{answer}")).iter();
    list.map(|it| {
        (it["name"].as_str().expect("a name").to_owned(), it["playCount"].as_i64().expect("a number"))
    })
    .collect()
}

async fn say_tags(hall: &Hall, uri: &AtUri, tags: &[&str]) {
    let rev = Tid::from_timestamp_us(Utc::now().timestamp_micros(), 0);
    let (cid, bytes) = dag::encode(&dag::from_json(&track("often", tags)).expect("a value")).expect("bytes");
    let op = Op::Put { cid, value: Bytes::from(bytes) };
    hall.say(vec![Input::Report(Report { uri: uri.clone(), rev, op })]).await;
    hall.count().await;
}

#[test]
fn numbers_tell_all_that_was_heard() {
    run(async {
        let hall = Hall::new().await;
        let often = hall.track(&did(0), "often", &["a"]).await;
        let (x, y) = (did(1), did(2));
        // All within one hour of the clock, whenever this runs.
        let hour_ago = Utc::now().timestamp() % 3600 + 3600;
        let mut inputs: Vec<Input> =
            (0..25).map(|second| hall.play(&x, &often, hour_ago - 60 - second)).collect();
        let last = inputs[24].clone();
        inputs.extend((0..30).map(|second| hall.play(&y, &often, hour_ago - 60 - second)));
        // And in the hour before it.
        inputs.push(hall.play(&x, &often, hour_ago + 60));
        hall.say(inputs).await;
        hall.settle_down(&[did(0)], |_| "https://pds.artist.example".into(), 400).await;
        hall.settle_down(&[x.clone(), y.clone()], |at| format!("https://pds.host{at}.example"), 30).await;
        hall.count().await;
        for of in ["tracks", "tags", "artists"] {
            assert_eq!(hall.top(&[("of", of)]).await[0].1, [56, 2, 0, 41], "{of}");
        }
        for method in ["getUserTopArtists", "getUserTopRecordings"] {
            assert_eq!(teal(&hall, method, Some(&x)).await[0].1, 26, "{method}");
        }
        assert_eq!(teal(&hall, "getTopArtists", None).await, [("a".to_owned(), 56)]);
        hall.is_the_same_from_scratch("heard often").await;

        // What it counts for anew gets all of it, and weighs as much.
        say_tags(&hall, &often, &["b"]).await;
        assert_eq!(hall.top(&[("of", "tags")]).await, [is("b", [56, 2, 0, 41])]);
        hall.is_sound("another tag").await;
        // Both from one host now: what one of them brings beyond the other is no more than ten.
        hall.settle_down(std::slice::from_ref(&y), |_| "https://pds.host0.example".into(), 30).await;
        sqlx::query("insert into chart_due (did) values ($1)")
            .bind(y.as_str())
            .execute(&hall.door.pool)
            .await
            .expect("it is noted");
        hall.count().await;
        assert_eq!(hall.top(&[]).await, [is("often", [56, 2, 0, 10])]);
        hall.is_sound("moved to one host").await;
        // One play fewer is one fewer that is told of.
        let Input::Report(Report { uri, .. }) = last else { panic!("a report") };
        let rev = Tid::from_timestamp_us(Utc::now().timestamp_micros(), 0);
        hall.say(vec![Input::Report(Report { uri, rev, op: Op::Delete })]).await;
        hall.count().await;
        assert_eq!(hall.top(&[]).await, [is("often", [55, 2, 0, 10])]);
        hall.is_the_same_from_scratch("one play fewer").await;
        // A day later the day holds none of it.
        for step in [
            "update heard set hour = hour - 26",
            "update liked set hour = hour - 26",
            "update chart_clock set hour = hour - 26",
        ] {
            hall.plyr.db.run(step).await;
        }
        hall.count().await;
        hall.is_sound("a day later").await;
        assert_eq!(hall.top(&[("period", "day")]).await, []);
        assert_eq!(hall.top(&[("period", "all")]).await, [is("often", [55, 2, 0, 10])]);
    });
}
