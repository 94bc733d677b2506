//! What is cut off or crashes costs nothing that was counted as applied.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use indexer::apply::Door;
use indexer::apply::batch::{apply_all, apply_from};
use indexer::change::{Cursor, Input, Op, Problem};
use indexer::firehose::{Kind, Upstream, replay};
use indexer::identity::{Identity, IdentityOptions};
use indexer::memory::Memory;
use indexer::net::{Net, NetOptions};
use indexer::record::Registry;
use indexer::{Indexer, dag, source};
use serde_json::json;
use url::Url;

use super::room::Room;
use crate::world::postgres::Database;
use crate::world::{eventually, run, same};

/// A transaction that is dropped where it stands, in the middle of the rows it sends above all, leaves nothing, and its
/// connection serves no one before it is clean.
#[test]
fn who_is_cut_off_leaves_nothing_behind() {
    run(async {
        let room = Room::new().await;
        let likes = |rev: i64| -> Vec<Input> {
            let puts = (0..400).map(|number| {
                (room.uri(rev as usize * 1_000 + number), room.put(&format!("{rev}x{number}")))
            });
            vec![room.commit((rev > 1).then_some(rev - 1), rev, puts.collect())]
        };
        let rows = "select (select count(*) from record) + (select count(*) from reaction)
                         + (select count(*) from subject_count where like_count = 1)";
        let (mut rev, mut cut, mut pause) = (1, 0, Duration::from_micros(200));
        while rev <= 3 {
            let done = tokio::time::timeout(pause, apply_all(&room.door, likes(rev))).await;
            let held = room.db.number(rows).await;
            match done {
                Ok(refused) => {
                    assert_eq!((held, refused), (rev * 1_200, Vec::new()));
                    (rev, pause) = (rev + 1, Duration::from_micros(200));
                }
                Err(_) => {
                    // Its end may have been on the way already.
                    assert!(held % 1_200 == 0, "{held} rows: half a transaction");
                    (cut, pause) = (cut + 1, pause + pause / 6);
                }
            }
        }
        assert!(cut > 10, "only {cut} were cut off");
    });
}

/// A cursor that is saved says that all before it is here.
#[test]
fn no_cursor_goes_before_its_data() {
    run(async {
        let room = Room::new().await;
        let net = Net::new(NetOptions::default()).expect("a way out");
        let identity =
            Identity::new(net.clone(), IdentityOptions::new("https://plc.example".parse().expect("a URL")));
        let door = Door::open(room.db.pool.clone(), room.door.registry.clone()).await.expect("a door");
        let indexer = Indexer::new(Arc::new(door), identity, net);
        let url: Url = "wss://jetstream.example".parse().expect("a URL");
        let upstream =
            Upstream { key: url.as_str().into(), kind: Kind::Jetstream1, ws_url: url.clone(), http_url: url };
        let uri = room.uri(1);
        let Op::Put { cid, value } = room.put("1") else { unreachable!("a put") };
        let record = dag::to_json(&dag::decode(&value).expect("DAG-CBOR"));
        let event = json!({
            "did": room.did.as_str(), "time_us": 1_790_000_000_000_000_i64, "kind": "commit",
            "commit": {"rev": room.rev(1).as_str(), "operation": "create", "collection": uri.collection(),
                       "rkey": uri.rkey(), "record": record, "cid": cid.to_string()},
        });
        let saved = || room.db.number("select coalesce(max(cursor), 0) from source");

        let mut closed = room.db.pool.begin().await.expect("a transaction");
        sqlx::query("lock table record in exclusive mode").execute(&mut *closed).await.expect("a lock");
        let replay = tokio::spawn(replay(indexer, upstream, vec![Bytes::from(event.to_string())]));
        eventually("the data to wait", || async {
            let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            same(room.db.number(waiting).await, 1)
        })
        .await;
        assert_eq!(saved().await, 0, "the cursor went first");
        closed.rollback().await.expect("open again");
        replay.await.expect("it ends").expect("it is applied");
        assert_eq!((saved().await, room.stands().await.2), (1_790_000_000_000_000, "1".into()));
    });
}

/// What is not waited for may be lost with a crash; but never without a word.
#[test]
fn who_does_not_wait_for_the_disk_hears_of_a_crash() {
    run(async {
        let (db, postgres) = Database::alone().await;
        indexer::MIGRATIONS.run(&db.pool).await.expect("the migrations run");
        source::open(&db.pool, "relay").await.expect("a source");
        let url = "https://music.example".parse().expect("a URL");
        let door = Door::open(db.pool.clone(), Registry::new("fm.plyr", url)).await.expect("a door");
        let cursor =
            |memory: &Memory, seq| Cursor { source: "relay".into(), seq, memory: Some(memory.clone()) };
        let problem = |seq| {
            vec![Input::Problem(Problem { kind: "FrameMalformed", seq: Some(seq), ..Problem::default() })]
        };
        let saved = || db.number("select coalesce(max(cursor), 0) from source");

        let memory = Memory::begin(&db.pool).await.expect("a memory");
        for seq in 1..=3 {
            apply_from(&door, problem(seq), Some(&cursor(&memory, seq))).await.expect("nothing happened");
        }
        assert_eq!(saved().await, 3);
        postgres.crash().await;
        let left = saved().await;
        assert_eq!(db.number("select count(*) from problem").await, left, "data and cursor agree");
        for inputs in [problem(4), Vec::new()] {
            let said = apply_from(&door, inputs, Some(&cursor(&memory, 4))).await;
            assert!(said.is_err(), "it goes on with a hole behind it");
        }
        assert_eq!((saved().await, db.number("select count(*) from problem").await), (left, left));

        let memory = Memory::begin(&db.pool).await.expect("a memory");
        for inputs in [problem(left + 1), Vec::new()] {
            // The first leaves the cursor to others while one is still being let go of; the second waits for it.
            apply_from(&door, inputs, Some(&cursor(&memory, left + 1))).await.expect("it goes on");
        }
        assert_eq!(saved().await, left + 1);
    });
}
