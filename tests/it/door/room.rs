//! One account as the door hears of it.

use bytes::Bytes;
use chrono::{SubsecRound, Utc};
use indexer::apply::{Door, apply};
use indexer::change::{Asked, Commit, Cursor, Input, Op, RepoSnapshot, Report};
use indexer::record::Registry;
use indexer::syntax::{AtUri, Did, Tid};
use indexer::{dag, source};
use serde_json::json;

use crate::world::postgres::Database;

/// A database, a door and one account.
pub struct Room {
    pub db: Database,
    pub door: Door,
    pub did: Did,
    pub began_us: i64,
}

impl Room {
    pub async fn new() -> Room {
        let db = Database::create().await;
        indexer::MIGRATIONS.run(&db.pool).await.expect("the migrations run");
        for key in ["jetstream", "relay"] {
            source::open(&db.pool, key).await.expect("a source");
        }
        let url = "https://music.example".parse().expect("a URL");
        let door = Door::open(db.pool.clone(), Registry::new("fm.plyr", url)).await.expect("a door");
        let began_us = Utc::now().timestamp_micros() - 3_600_000_000;
        Room { db, door, did: "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa".parse().expect("a DID"), began_us }
    }

    /// The rev of a second after the beginning.
    pub fn rev(&self, second: i64) -> Tid {
        Tid::from_timestamp_us(self.began_us + second * 1_000_000, 0)
    }

    pub fn uri(&self, number: usize) -> AtUri {
        format!("at://{}/fm.plyr.like/{}", self.did, Tid::from_timestamp_us(number as i64, 0))
            .parse()
            .expect("a URI")
    }

    pub fn put(&self, of: &str) -> Op {
        let value = json!({
            "$type": "fm.plyr.like", "createdAt": "2026-01-02T03:04:05Z",
            "subject": {"uri": format!("at://{}/fm.plyr.track/{of}", self.did),
                        "cid": "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a"},
        });
        let (cid, bytes) = dag::encode(&dag::from_json(&value).expect("a value")).expect("it encodes");
        Op::Put { cid, value: Bytes::from(bytes) }
    }

    pub fn root(&self, rev: i64) -> cid::Cid {
        *self.put(&format!("root{rev}")).cid().expect("a put")
    }

    pub fn commit(&self, since: Option<i64>, rev: i64, ops: Vec<(AtUri, Op)>) -> Input {
        Input::Commit(Commit {
            did: self.did.clone(),
            rev: self.rev(rev),
            since: since.map(|since| self.rev(since)),
            prev_data: since.map(|since| self.root(since)),
            data: self.root(rev),
            ops,
        })
    }

    pub async fn asked(&self) -> Asked {
        let row: Option<(i32, Option<String>)> = sqlx::query_as("select epoch, seen_rev from repo")
            .fetch_optional(&self.db.pool)
            .await
            .expect("it answers");
        let (epoch, seen) = row.unwrap_or_default();
        let seen_rev = seen.map(|rev| rev.parse().expect("a rev"));
        Asked { epoch, seen_rev, at: Utc::now().trunc_subsecs(6) }
    }

    /// The records numbered `numbers` as of `rev`, in stretches that end with those numbered `cuts`.
    pub async fn stretches(&self, rev: i64, numbers: &[usize], cuts: &[usize]) -> Vec<Input> {
        let asked = self.asked().await;
        let ends = cuts.iter().map(|cut| Some(*cut)).chain([None]);
        let starts = [None].into_iter().chain(cuts.iter().map(|cut| Some(*cut)));
        let stretch = |(after, upto): (Option<usize>, Option<usize>)| {
            let inside = |number: &&usize| {
                after.is_none_or(|after| **number > after) && upto.is_none_or(|upto| **number <= upto)
            };
            let records = numbers.iter().filter(inside).map(|number| {
                let Op::Put { cid, value } = self.put(&number.to_string()) else { unreachable!("a put") };
                (self.uri(*number), cid, value)
            });
            Input::Snapshot(RepoSnapshot {
                did: self.did.clone(),
                rev: self.rev(rev),
                data: self.root(rev),
                records: records.collect(),
                after: after.map(|number| self.uri(number)),
                upto: upto.map(|number| self.uri(number)),
                authoritative: true,
                asked: asked.clone(),
            })
        };
        starts.zip(ends).map(stretch).collect()
    }

    pub fn report(&self, rev: i64, number: usize, op: Op) -> Input {
        Input::Report(Report { uri: self.uri(number), rev: self.rev(rev), op })
    }

    pub async fn say(&self, input: Input) {
        apply(&self.door, &[input], None).await.expect("it is applied");
    }

    pub async fn say_from(&self, source: &str, input: Input) {
        let cursor = Cursor { source: source.into(), seq: 1, memory: None };
        apply(&self.door, &[input], Some(&cursor)).await.expect("it is applied");
    }

    pub async fn text(&self, sql: &'static str) -> String {
        self.db.texts(sql).await.join(" ")
    }

    /// State, whether a resync is under way, and the records that live.
    pub async fn stands(&self) -> (String, bool, String) {
        let state = self.text("select state from repo").await;
        let reading = self.db.number("select count(*) from repo where resync_rev is not null").await > 0;
        let live = self.db.texts("select rkey from record where cid is not null order by rkey").await;
        let number = |rkey: &String| rkey.parse::<Tid>().expect("a TID").timestamp_us().to_string();
        (state, reading, live.iter().map(number).collect::<Vec<_>>().join(" "))
    }

    pub async fn jobs(&self, kind: &str) -> Vec<String> {
        sqlx::query_scalar("select key from job where kind = $1")
            .bind(kind)
            .fetch_all(&self.db.pool)
            .await
            .expect("jobs")
    }
}
