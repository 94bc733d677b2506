//! Charts: what moves them, what does not, and what leaves them as time goes on.

mod generator;
mod hall;
mod told;
mod vouched;

use std::collections::BTreeSet;

use bytes::Bytes;
use chrono::Utc;
use indexer::apply::hear::Heard;
use indexer::change::{Input, Op, Report, Status};
use indexer::chart::{self, Origins};
use indexer::dag;
use indexer::syntax::{AtUri, Did, Tid};
use serde_json::json;

use crate::world::run;
use hall::{Hall, did, is, track};

#[test]
fn ten_thousand_accounts_of_one_host_make_no_chart() {
    run(async {
        let hall = Hall::new().await;
        let artist = did(0);
        let honest_track = hall.track(&artist, "honest", &["calm"]).await;
        let pushed = hall.track(&artist, "pushed", &["loud"]).await;
        let fresh_track = hall.track(&artist, "fresh", &[]).await;
        let open_track = hall.track(&artist, "open", &[]).await;
        let honest: Vec<Did> = (1..31).map(did).collect();
        let hostile: Vec<Did> = (100..10_100).map(did).collect();
        let fresh: Vec<Did> = (11_000..11_200).map(did).collect();
        let open: Vec<Did> = (12_000..12_025).map(did).collect();
        let speak = |dids: &[Did], track: &AtUri| {
            dids.iter()
                .flat_map(|did| [hall.play(did, track, 600), hall.like(did, track)])
                .collect::<Vec<_>>()
        };
        for (dids, track) in
            [(&honest, &honest_track), (&hostile, &pushed), (&fresh, &fresh_track), (&open, &open_track)]
        {
            hall.say(speak(dids, track)).await;
        }
        hall.settle_down(&[artist], |_| "https://pds.artist.example".into(), 400).await;
        hall.settle_down(&honest, |at| format!("https://pds{}.example", at % 5), 30).await;
        // As many names as they like, and for as long as they like.
        hall.settle_down(&hostile, |at| format!("https://{at}.hostile.example"), 300).await;
        hall.settle_down(&fresh, |at| format!("https://pds.fresh{at}.example"), 1).await;
        hall.settle_down(&open, |at| format!("https://pds{at}.open.example"), 30).await;
        hall.count().await;
        let expected = [
            is("honest", [30, 30, 30, 30]),
            is("open", [25, 25, 25, 25]),
            is("fresh", [200, 200, 200, 10]),
            is("pushed", [10_000, 10_000, 10_000, 10]),
        ];
        for by in ["plays", "listeners", "likes"] {
            for period in ["day", "week", "month", "all"] {
                let mut found = hall.top(&[("by", by), ("period", period)]).await;
                // Which of two equals comes first is nothing that is promised.
                found.sort_by(|a, b| b.1[3].cmp(&a.1[3]).then(a.0.cmp(&b.0)));
                assert_eq!(found, expected, "{by} {period}");
            }
        }
        let tags = hall.top(&[("of", "tags")]).await;
        assert_eq!(tags, [is("calm", [30, 30, 30, 30]), is("loud", [10_000, 10_000, 10_000, 10])]);
        // Ten others vouch for ten more each.
        let vouching: Vec<Input> = (1..11)
            .map(did)
            .flat_map(|did| [hall.play(&did, &pushed, 300), hall.like(&did, &pushed)])
            .collect();
        hall.say(vouching).await;
        hall.count().await;
        let found = hall.top(&[("by", "listeners")]).await;
        assert!(found.contains(&is("pushed", [10_010, 10_010, 10_010, 30])), "{found:?}");
        // After a week here, new people count for where they come from.
        hall.settle_down(&fresh, |at| format!("https://pds.fresh{at}.example"), 8).await;
        hall.plyr.db.run("update chart_clock set hour = hour - 1").await;
        hall.count().await;
        assert_eq!(hall.top(&[]).await[0], is("fresh", [200, 200, 200, 200]));
        // Which hosts are open is the operator's to change.
        let origins = Origins::new(["hostile.example".to_owned()]);
        chart::reopen(&hall.door.pool, &origins).await.expect("it counts");
        assert_eq!(hall.top(&[]).await[0], is("pushed", [10_010, 10_010, 10_010, 10_010]));
        chart::reopen(&hall.door.pool, &hall.origins).await.expect("it counts");
        assert_eq!(hall.top(&[]).await[0], is("fresh", [200, 200, 200, 200]));
        // And one machine with as many cookies as it likes is nobody.
        let mut counted = 0;
        for number in 0..100 {
            let heard = hall.tell(&open_track, [number; 16], [7; 16]).await;
            counted += usize::from(heard == Heard::Counted);
        }
        assert_eq!(counted, 10, "the others are plays, of a crowd");
        // What one of the crowd hears beside, where there is none, counts, and what they heard in it does not.
        assert_eq!(hall.tell(&honest_track, [50; 16], [7; 16]).await, Heard::Counted);
        for number in 100..200 {
            hall.tell(&open_track, [number; 16], [number; 16]).await;
        }
        hall.count().await;
        let found = hall.top(&[]).await;
        assert!(found.contains(&is("open", [135, 135, 25, 60])), "{found:?}");
        assert!(found.contains(&is("honest", [31, 31, 30, 31])), "{found:?}");
    });
}

#[test]
fn charts_follow_what_happens() {
    run(async {
        let hall = Hall::new().await;
        let (artist, other) = (did(0), did(9));
        let one = hall.track(&artist, "one", &["a", "b"]).await;
        let two = hall.track(&other, "two", &["b"]).await;
        let (x, y) = (did(1), did(2));
        // A twin record in the other namespace, hours ago, days ago, more often than anybody hears.
        let mut inputs = vec![
            hall.play(&x, &one, 60),
            hall.play(&x, &one, 30 * 3600),
            hall.play(&x, &one, 9 * 86_400),
            hall.play(&x, &one, 40 * 86_400),
            hall.play(&y, &one, 60),
            hall.like(&y, &one),
            hall.like(&y, &one),
        ];
        // All within one hour of the clock, whenever this runs.
        let hour_ago = Utc::now().timestamp() % 3600 + 3600;
        inputs.extend((0..50).map(|second| hall.play(&y, &two, hour_ago - 60 - second)));
        hall.say(inputs).await;
        hall.count().await;
        let day = hall.top(&[("period", "day")]).await;
        assert_eq!(day, [is("two", [50, 1, 0, 10]), is("one", [2, 2, 1, 2])]);
        assert_eq!(hall.top(&[("period", "week")]).await[1], is("one", [3, 2, 1, 3]));
        assert_eq!(hall.top(&[("period", "month")]).await[1], is("one", [4, 2, 1, 4]));
        assert_eq!(hall.top(&[("period", "all")]).await[1], is("one", [5, 2, 1, 5]));
        assert_eq!(hall.top(&[("by", "likes")]).await, [is("one", [3, 2, 1, 1])]);
        let tags = hall.top(&[("of", "tags"), ("by", "listeners")]).await;
        assert_eq!(BTreeSet::from_iter(tags), [is("a", [3, 2, 1, 2]), is("b", [53, 2, 1, 2])].into());
        let artists = hall.top(&[("of", "artists")]).await;
        assert_eq!(artists, [is(other.as_str(), [50, 1, 0, 10]), is(artist.as_str(), [3, 2, 1, 3])]);
        // What they heard here, only they and we know.
        let (code, body) = hall.plyr.xrpc("fm.plyr.feed.getTop", &[("actor", y.as_str())]).await;
        assert_eq!((code, &body["error"]), (401, &json!("AuthMissing")));
        let (code, body) =
            hall.plyr.xrpc("fm.plyr.feed.getTop", &[("actor", y.as_str()), ("by", "listeners")]).await;
        assert_eq!((code, &body["error"]), (400, &json!("InvalidRequest")));

        // Another tag takes all along, and a track that goes takes nothing of its numbers away but itself.
        let rev = Tid::from_timestamp_us(Utc::now().timestamp_micros(), 0);
        let (cid, bytes) =
            dag::encode(&dag::from_json(&track("one", &["c"])).expect("a value")).expect("bytes");
        let op = Op::Put { cid, value: Bytes::from(bytes) };
        hall.say(vec![Input::Report(Report { uri: one.clone(), rev, op })]).await;
        hall.count().await;
        let tags = hall.top(&[("of", "tags"), ("period", "all")]).await;
        assert_eq!(tags, [is("b", [50, 1, 0, 10]), is("c", [5, 2, 1, 5])]);

        // Who is hidden counts for nothing, and what they made is not shown.
        hall.hide(&y, Status::Deactivated).await;
        assert_eq!(hall.top(&[("period", "all")]).await, [is("one", [4, 1, 0, 4])]);
        let (code, _) = hall.plyr.xrpc("fm.plyr.feed.getTop", &[("actor", y.as_str())]).await;
        assert_eq!(code, 400);
        hall.hide(&y, Status::Active).await;
        assert_eq!(hall.top(&[("period", "all")]).await[1], is("one", [5, 2, 1, 5]));
        hall.hide(&other, Status::Deactivated).await;
        assert_eq!(hall.top(&[("period", "all")]).await, [is("one", [5, 2, 1, 5])]);
        hall.hide(&other, Status::Active).await;

        // The next hour, and the next: what is older leaves the day, and in the end the month.
        for (hours, gone) in
            [(25, &["day"][..]), (24 * 7, &["day", "week"]), (24 * 30, &["day", "week", "month"])]
        {
            sqlx::query("update heard set hour = hour - $1")
                .bind(hours)
                .execute(&hall.door.pool)
                .await
                .expect("it passes");
            sqlx::query("update liked set hour = hour - $1")
                .bind(hours)
                .execute(&hall.door.pool)
                .await
                .expect("it passes");
            sqlx::query("update chart_clock set hour = hour - $1")
                .bind(hours)
                .execute(&hall.door.pool)
                .await
                .expect("it passes");
            hall.count().await;
            for gone in gone {
                assert_eq!(hall.top(&[("period", gone)]).await, [], "{gone} after {hours} hours");
            }
        }
        assert_eq!(hall.top(&[("period", "all")]).await[1], is("one", [5, 2, 1, 5]));
    });
}

#[test]
fn pages_of_a_chart_repeat_and_skip_nothing() {
    run(async {
        let hall = Hall::new().await;
        let mut tracks = Vec::new();
        for number in 0..23 {
            tracks.push(hall.track(&did(0), &format!("track {number}"), &[]).await);
        }
        let (x, y) = (did(1), did(2));
        let plays = |number: usize| 1 + number % 3;
        let inputs = tracks.iter().enumerate().flat_map(|(number, track)| {
            (0..plays(number)).map(|time| hall.play(&x, track, 7200 + 400 * time as i64)).collect::<Vec<_>>()
        });
        hall.say(inputs.collect()).await;
        hall.count().await;
        for limit in ["1", "4", "100"] {
            let (mut found, mut cursor) = (Vec::new(), None::<String>);
            loop {
                let mut query = vec![("limit", limit), ("period", "all")];
                query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
                let page = hall.plyr.query("fm.plyr.feed.getTop", &query).await;
                let entries = page["entries"].as_array().expect("entries").iter();
                found.extend(
                    entries.map(|entry| (entry["score"].as_i64(), entry["track"]["uri"].to_string())),
                );
                // Meanwhile what was listed already rises further.
                if let Some((_, first)) = found.first().filter(|_| limit == "4") {
                    let track = first.trim_matches('"').parse().expect("a URI");
                    hall.say(vec![hall.play(&y, &track, 60 + found.len() as i64)]).await;
                    hall.count().await;
                }
                match page["cursor"].as_str() {
                    Some(next) => cursor = Some(next.to_owned()),
                    None => break,
                }
            }
            let distinct: BTreeSet<&String> = found.iter().map(|(_, uri)| uri).collect();
            assert_eq!((found.len(), distinct.len()), (23, 23), "limit {limit}");
            assert!(found.is_sorted_by(|a, b| a.0 >= b.0), "limit {limit}: {found:?}");
        }
        let (code, body) = hall.plyr.xrpc("fm.plyr.feed.getTop", &[("cursor", "nonsense")]).await;
        assert_eq!((code, &body["error"]), (400, &json!("InvalidRequest")));
    });
}
