//! Whom nobody vouches for yet: they give a thing no more than all others do, whichever hosts they are on.

use indexer::change::{Input, Status};
use indexer::syntax::{AtUri, Did};

use super::hall::{Hall, did, is};
use crate::world::run;

fn speak(hall: &Hall, dids: &[Did], track: &AtUri) -> Vec<Input> {
    dids.iter().flat_map(|did| [hall.play(did, track, 600), hall.like(did, track)]).collect()
}

#[test]
fn a_host_vouches_for_itself_by_no_half_of_it() {
    run(async {
        let hall = Hall::new().await;
        let artist = did(0);
        let honest_track = hall.track(&artist, "honest", &[]).await;
        let pushed = hall.track(&artist, "pushed", &["loud"]).await;
        let honest: Vec<Did> = (1..31).map(did).collect();
        let newer: Vec<Did> = (50..70).map(did).collect();
        let aged: Vec<Did> = (100..5_100).map(did).collect();
        let fresh: Vec<Did> = (6_000..11_000).map(did).collect();
        for (dids, track) in
            [(&honest, &honest_track), (&newer, &honest_track), (&aged, &pushed), (&fresh, &pushed)]
        {
            hall.say(speak(&hall, dids, track)).await;
        }
        for number in 0..10 {
            hall.tell(&honest_track, [number; 16], [number; 16]).await;
        }
        hall.settle_down(&[artist], |_| "https://pds.artist.example".into(), 400).await;
        hall.settle_down(&honest, |at| format!("https://pds{}.example", at % 5), 30).await;
        hall.settle_down(&newer, |at| format!("https://pds{}.example", at % 5), 1).await;
        hall.settle_down(&aged, |at| format!("https://{at}.hostile.example"), 300).await;
        hall.settle_down(&fresh, |at| format!("https://{at}.hostile.example"), 1).await;
        hall.count().await;
        // Where old and new people of many hosts and some anonymous ones agree, all of it counts.
        let expected = [is("honest", [60, 60, 50, 60]), is("pushed", [10_000, 10_000, 10_000, 10])];
        for by in ["plays", "listeners"] {
            assert_eq!(hall.top(&[("by", by)]).await, expected, "{by}");
        }
        assert_eq!(hall.top(&[("by", "likes")]).await[1], expected[1]);
        assert_eq!(hall.top(&[("of", "tags")]).await, [is("loud", [10_000, 10_000, 10_000, 10])]);
        hall.is_sound("half of them are new").await;
        hall.settle_down(&newer, |at| format!("https://pds{}.example", at % 5), 8).await;
        hall.settle_down(&fresh, |at| format!("https://{at}.hostile.example"), 8).await;
        hall.plyr.db.run("update chart_clock set hour = hour - 1").await;
        hall.count().await;
        assert_eq!(hall.top(&[]).await, expected, "a week later");
        hall.is_the_same_from_scratch("a week later").await;
    });
}

#[test]
fn new_and_anonymous_people_vouch_for_nobody() {
    run(async {
        let hall = Hall::new().await;
        let artist = did(0);
        let spread = hall.track(&artist, "spread", &["a"]).await;
        let mixed = hall.track(&artist, "mixed", &["b"]).await;
        let vouched = hall.track(&artist, "vouched for", &[]).await;
        let fresh: Vec<Did> = (100..200).map(did).collect();
        let open: Vec<Did> = (300..340).map(did).collect();
        let known: Vec<Did> = (1..31).map(did).collect();
        for (dids, track) in
            [(&fresh, &spread), (&fresh, &mixed), (&open, &mixed), (&known, &vouched), (&fresh, &vouched)]
        {
            hall.say(speak(&hall, dids, track)).await;
        }
        for number in 0..60 {
            hall.tell(&mixed, [number; 16], [number; 16]).await;
        }
        let hosts = |at: usize| format!("https://pds{at}.fresh{at}.example");
        let open_hosts = |at: usize| format!("https://pds{at}.open.example");
        hall.settle_down(&[artist], |_| "https://pds.artist.example".into(), 400).await;
        hall.settle_down(&known, |at| format!("https://pds{at}.known{at}.example"), 30).await;
        hall.settle_down(&fresh, hosts, 1).await;
        hall.settle_down(&open, open_hosts, 2).await;
        hall.count().await;
        let day = hall.top(&[("period", "day")]).await;
        let expected = [
            is("vouched for", [130, 130, 130, 70]),
            is("mixed", [200, 200, 140, 10]),
            is("spread", [100, 100, 100, 10]),
        ];
        let sorted = |mut places: Vec<(String, [i64; 4])>| {
            places.sort_by(|a, b| b.1[3].cmp(&a.1[3]).then(a.0.cmp(&b.0)));
            places
        };
        assert_eq!(sorted(day), expected);
        assert_eq!(
            sorted(hall.top(&[("by", "likes")]).await),
            [
                is("vouched for", [130, 130, 130, 70]),
                is("mixed", [200, 200, 140, 10]),
                is("spread", [100, 100, 100, 10])
            ]
        );
        hall.is_the_same_from_scratch("in their first week").await;

        // Who is hidden is out of both of their parts, and comes back to both.
        hall.hide(&fresh[0], Status::Deactivated).await;
        hall.is_sound("somebody new is hidden").await;
        assert_eq!(hall.top(&[]).await[0], is("vouched for", [129, 129, 129, 70]));
        hall.hide(&fresh[0], Status::Active).await;
        hall.is_sound("somebody new is back").await;

        // Who moves is as new at the other host, and takes all along.
        hall.settle_down(&fresh[..1], |_| "https://pds.elsewhere.example".into(), 1).await;
        sqlx::query("insert into chart_due (did) values ($1)")
            .bind(fresh[0].as_str())
            .execute(&hall.door.pool)
            .await
            .expect("it is noted");
        hall.count().await;
        hall.is_sound("somebody new moved").await;

        // One of them has been here for a week, then all; those of the host that counts in full, too.
        hall.settle_down(&fresh[1..2], |_| hosts(1), 8).await;
        hall.plyr.db.run("update chart_clock set hour = hour - 1").await;
        hall.count().await;
        assert_eq!(hall.top(&[]).await[0], is("vouched for", [130, 130, 130, 72]));
        hall.is_sound("one has been here for a week").await;
        hall.settle_down(&fresh, hosts, 8).await;
        hall.settle_down(&open, open_hosts, 8).await;
        hall.plyr.db.run("update chart_clock set hour = hour - 1").await;
        hall.count().await;
        let found = hall.top(&[]).await;
        let expected = [
            is("mixed", [200, 200, 140, 200]),
            is("vouched for", [130, 130, 130, 130]),
            is("spread", [100, 100, 100, 100]),
        ];
        assert_eq!(found, expected);
        hall.is_the_same_from_scratch("all have been here for a week").await;
    });
}

/// As they stood in the database of an earlier version: new people in an origin of their own, and no part beside.
#[test]
fn what_was_counted_before_is_counted_anew() {
    run(async {
        let hall = Hall::new().await;
        let track = hall.track(&did(0), "heard", &["a"]).await;
        let (known, fresh): (Vec<Did>, Vec<Did>) = ((1..9).map(did).collect(), (20..60).map(did).collect());
        hall.say(speak(&hall, &known, &track)).await;
        hall.say(speak(&hall, &fresh, &track)).await;
        hall.tell(&track, [1; 16], [1; 16]).await;
        // All within one hour of the clock, a day ago.
        let day_ago = chrono::Utc::now().timestamp() % 3600 + 25 * 3600;
        hall.say((0..25).map(|second| hall.play(&known[0], &track, day_ago - 60 - second)).collect()).await;
        hall.settle_down(&[did(0)], |_| "https://pds.artist.example".into(), 400).await;
        hall.settle_down(&known, |at| format!("https://pds{at}.known{at}.example"), 30).await;
        hall.settle_down(&fresh, |_| "https://hostile.example".into(), 1).await;
        hall.count().await;
        let now = hall.all().await;
        let now: Vec<&String> = now.iter().filter(|line| !line.contains("from new ")).collect();
        for step in [
            "insert into chart_origin (name) values ('new')",
            "update chart_listener set origin_id = (select id from chart_origin where name = 'new')
              where is_unvouched and name like 'did:%'",
            "delete from chart_part p using chart_origin o where o.id = origin_id and o.name = 'not vouched for'",
            "update chart_part p set origin_id = n.id from chart_origin o, chart_origin n
              where o.id = p.origin_id and o.name = 'hostile.example' and n.name = 'new'",
            // At most twenty an hour, whatever was heard.
            "with cut as (
               update heard h set plays = 20 from heard was
                where was.plays > 20 and (was.listener_id, was.kind, was.hour, was.subject_id)
                    = (h.listener_id, h.kind, h.hour, h.subject_id)
               returning h.listener_id, h.kind, h.subject_id, was.plays - 20 as by)
             update chart_audience a set plays = a.plays - cut.by from cut left join chart_member m
                 on cut.kind = 1 and m.track_id = cut.subject_id
              where cut.kind = 1 and a.listener_id = cut.listener_id and a.period in (0, 1, 2)
                and (a.subject_id = cut.subject_id or a.subject_id = m.key_id)",
            "drop index heard_excess_idx",
            "alter table chart drop column excess",
            "alter table chart_listener drop column is_unvouched",
            "alter table chart_origin drop constraint chart_origin_unvouched_never_open",
            "delete from chart_origin where id = 0",
        ] {
            hall.plyr.db.run(step).await;
        }
        let migration = indexer::MIGRATIONS.iter().find(|it| it.version == 51).expect("it is there");
        sqlx::raw_sql(migration.sql.clone()).execute(&hall.door.pool).await.expect("it runs");
        hall.count().await;
        hall.is_sound("after the migration").await;
        let after = hall.all().await;
        assert_eq!(after.iter().collect::<Vec<_>>(), now);
    });
}
