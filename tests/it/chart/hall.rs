//! A database and a door, and who speaks through it.

use bytes::Bytes;
use chrono::Utc;
use indexer::apply::batch::apply_all;
use indexer::apply::hear::{self, Heard, Listener, Told};
use indexer::apply::{Door, account};
use indexer::change::{Input, Op, Report, Status};
use indexer::chart::{self, Origins};
use indexer::dag;
use indexer::record::Registry;
use indexer::syntax::{AtUri, Did, Tid};
use serde_json::{Value, json};

use crate::sim::found::broken;
use crate::sim::sums;
use crate::world::Plyr;
use crate::world::postgres::Database;

/// A database and a door, and who speaks through it.
pub struct Hall {
    pub plyr: Plyr,
    pub door: Door,
    pub origins: Origins,
    number: std::sync::atomic::AtomicI64,
}

/// The DID of a number.
pub fn did(number: usize) -> Did {
    let digits: Vec<u8> = b"abcdefghijklmnopqrstuvwxyz234567".to_vec();
    let letter = |place: u32| digits[number / 32usize.pow(place) % 32] as char;
    format!("did:plc:aaaaaaaaaaaaaaaaaaaa{}{}{}{}", letter(3), letter(2), letter(1), letter(0))
        .parse()
        .expect("a DID")
}

impl Hall {
    pub async fn new() -> Hall {
        let db = Database::create().await;
        indexer::MIGRATIONS.run(&db.pool).await.expect("the migrations run");
        let url = "https://music.example".parse().expect("a URL");
        let door = Door::open(db.pool.clone(), Registry::new("fm.plyr", url)).await.expect("a door");
        let plyr = Plyr::stopped(db, &[("PLYR_PUBLIC_URL", "http://127.0.0.1:1".to_owned())]).twin().await;
        let origins = Origins::new(["open.example".to_owned()]);
        Hall { plyr, door, origins, number: 0.into() }
    }

    pub fn report(&self, did: &Did, collection: &str, value: &Value) -> (AtUri, Input) {
        let number = self.number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let rev = Tid::from_timestamp_us(Utc::now().timestamp_micros() - 3_600_000_000 + number, 0);
        let (cid, bytes) = dag::encode(&dag::from_json(value).expect("a value")).expect("it encodes");
        let uri: AtUri = format!("at://{did}/{collection}/{rev}").parse().expect("a URI");
        let op = Op::Put { cid, value: Bytes::from(bytes) };
        (uri.clone(), Input::Report(Report { uri, rev, op }))
    }

    pub async fn say(&self, inputs: Vec<Input>) {
        for inputs in inputs.chunks(500) {
            let refused = apply_all(&self.door, inputs.to_vec()).await;
            assert!(refused.is_empty(), "{refused:?}");
        }
    }

    pub async fn track(&self, artist: &Did, title: &str, tags: &[&str]) -> AtUri {
        let (uri, input) = self.report(artist, "fm.plyr.track", &track(title, tags));
        self.say(vec![input]).await;
        uri
    }

    pub fn play(&self, did: &Did, track: &AtUri, seconds_ago: i64) -> Input {
        let at = Utc::now() - chrono::TimeDelta::seconds(seconds_ago);
        let play = json!({
            "$type": "fm.teal.feed.play", "trackName": "t", "artists": [{"artistName": "a"}], "originUri": track.as_str(),
            "playedTime": at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        });
        self.report(did, "fm.teal.feed.play", &play).1
    }

    pub fn like(&self, did: &Did, track: &AtUri) -> Input {
        let like = json!({
            "$type": "fm.plyr.like", "createdAt": crate::world::pds::now(),
            "subject": {"uri": track.as_str(), "cid": "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a"},
        });
        self.report(did, "fm.plyr.like", &like).1
    }

    /// Nobody looks their documents up here: they live where this says.
    pub async fn settle_down(&self, dids: &[Did], pds: impl Fn(usize) -> String, days_ago: i32) {
        let names: Vec<&str> = dids.iter().map(Did::as_str).collect();
        let hosts: Vec<String> = (0..dids.len()).map(pds).collect();
        sqlx::query(
            "update actor set pds = w.pds, first_seen_at = now() - make_interval(days => $3)
             from unnest($1::text[], $2::text[]) as w (did, pds) where actor.did = w.did",
        )
        .bind(&names)
        .bind(&hosts)
        .bind(days_ago)
        .execute(&self.door.pool)
        .await
        .expect("they settle down");
    }

    pub async fn count(&self) {
        while chart::settle(&self.door.pool, &self.origins).await.expect("it counts") {}
    }

    /// Somebody anonymous hears it.
    pub async fn tell(&self, track: &AtUri, listener: [u8; 16], network: [u8; 16]) -> Heard {
        let told = Told {
            listener: Listener::Anonymous(listener),
            subject: track.clone(),
            duration_s: Some(100),
            client: None,
            network,
        };
        hear::hear(&self.door, &told).await.expect("it is heard")
    }

    /// How somebody stands, and it is counted.
    pub async fn hide(&self, did: &Did, status: Status) {
        self.say(vec![Input::Account { did: did.clone(), status }]).await;
        let asked =
            account::pending(&self.door, did).await.expect("it answers").expect("something is pending");
        assert!(account::confirm(&self.door, did, asked, Some(status)).await.expect("it is confirmed"));
        self.count().await;
    }

    /// What must hold of charts holds.
    pub async fn is_sound(&self, when: &str) {
        let broken = broken(&self.door.pool, &sums::INVARIANTS).await.expect("it answers");
        assert_eq!(broken, Vec::<String>::new(), "{when}");
    }

    /// Everything that charts are made of, by name.
    pub async fn all(&self) -> Vec<String> {
        sqlx::query_scalar(
            "select s.key || ' ' || (to_jsonb(c) - 'subject_id')::text from chart c join chart_subject s on s.id = subject_id
             union all
             select s.key || ' from ' || o.name || ' ' || (to_jsonb(p) - array['subject_id', 'origin_id'])::text
               from chart_part p join chart_subject s on s.id = subject_id join chart_origin o on o.id = origin_id
              where (plays, listeners, likes) <> (0, 0, 0)
             union all
             select s.key || ' by ' || l.name || ' ' || (to_jsonb(a) - array['subject_id', 'listener_id'])::text
               from chart_audience a join chart_subject s on s.id = subject_id join chart_listener l on l.id = listener_id
             order by 1",
        )
        .fetch_all(&self.door.pool)
        .await
        .expect("it answers")
    }

    /// Counted anew from the plays and likes themselves, it is the same.
    pub async fn is_the_same_from_scratch(&self, when: &str) {
        self.is_sound(when).await;
        let before = self.all().await;
        chart::due::all(&self.door.pool).await.expect("it is noted");
        self.count().await;
        let after = self.all().await;
        let differing: Vec<_> = before.iter().zip(&after).filter(|(a, b)| a != b).take(3).collect();
        assert!(before.len() == after.len() && differing.is_empty(), "{when}: {differing:#?}");
    }

    /// (what, plays, listeners, likes, score) of each place.
    pub async fn top(&self, query: &[(&str, &str)]) -> Vec<(String, [i64; 4])> {
        // Counted a moment ago, and not by this server: whoever shows a credential is answered anew.
        let request = self.plyr.http().get(format!("{}/xrpc/fm.plyr.feed.getTop", self.plyr.url));
        let answer = request.query(query).bearer_auth("nobody").send().await.expect("plyr answers");
        let answer: Value = answer.json().await.expect("JSON");
        let entries = answer["entries"].as_array().expect("entries").iter();
        let name = |entry: &Value| {
            let names = [&entry["track"]["record"]["title"], &entry["artist"]["did"], &entry["tag"]];
            names.iter().find_map(|name| name.as_str().map(str::to_owned)).expect("a name")
        };
        let numbers = ["playCount", "listenerCount", "likeCount", "score"];
        entries
            .map(|entry| (name(entry), numbers.map(|number| entry[number].as_i64().expect("a number"))))
            .collect()
    }
}

/// A track's record.
pub fn track(title: &str, tags: &[&str]) -> Value {
    json!({
        "$type": "fm.plyr.track", "title": title, "artist": "somebody", "fileType": "mp3", "duration": 100, "tags": tags,
        "audioUrl": "https://audio.example/x.mp3", "createdAt": "2026-01-02T03:04:05Z",
    })
}

/// A place in a chart, as [`Hall::top`] tells it.
pub fn is(name: &str, numbers: [i64; 4]) -> (String, [i64; 4]) {
    (name.to_owned(), numbers)
}
