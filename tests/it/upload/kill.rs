//! plyr is killed in each phase of an upload: the job ends, there is one record, and no byte too many or too few.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection};

use super::{Form, assert_in_step, ended, files, records, sound};
use crate::world::gate::{Act, Hold};
use crate::world::{Account, Gate, Person, Plyr, eventually, pds, run, same};

const BLOB: &str = "com.atproto.repo.uploadBlob";
const PUT: &str = "com.atproto.repo.putRecord";

/// The moments of a death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Accepted,
    Phase(&'static str),
    CoverSent,
    AudioSent,
    AudioTaken,
    RecordSent,
    RecordTaken,
}

impl Moment {
    /// What has to be arranged before, for those that the gate can hold.
    fn hold(self, gate: &Gate) -> Option<Hold> {
        match self {
            Moment::Accepted | Moment::Phase(_) => None,
            Moment::CoverSent => Some(gate.hold_request(&[BLOB])),
            Moment::AudioSent => {
                gate.rule(1, &[BLOB], Act::Pass);
                Some(gate.hold_request(&[BLOB]))
            }
            Moment::AudioTaken => {
                gate.rule(1, &[BLOB], Act::Pass);
                Some(gate.hold_answer(&[BLOB]))
            }
            Moment::RecordSent => Some(gate.hold_request(&[PUT])),
            Moment::RecordTaken => Some(gate.hold_answer(&[PUT])),
        }
    }
}

#[test]
fn an_upload_survives_its_worker() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let mut plyr = Plyr::up(&net).await;
        let artist = Person::sign_in(&plyr, &Account::create(&net, "artist").await).await;
        let moments = [
            Moment::Accepted,
            Moment::Phase("metadata"),
            Moment::Phase("image"),
            Moment::CoverSent,
            Moment::AudioSent,
            Moment::AudioTaken,
            Moment::RecordSent,
            Moment::RecordTaken,
        ];
        for (number, moment) in moments.into_iter().enumerate() {
            let bytes = sound::wav();
            let form = Form::new(&format!("killed {moment:?}"), bytes.clone()).file(
                "image",
                "c",
                sound::picture(&format!("{}x3000", 2000 + number), "png"),
            );
            let hold = moment.hold(&gate);
            // A phase is held where it is left, for it may be shorter than a look at it.
            let phase = match moment {
                Moment::Phase(phase) => Some(PhaseHeld::new(&plyr, phase).await),
                _ => None,
            };
            let upload_id = form.accepted(&artist).await;
            if let Some(hold) = &hold {
                hold.arrived().await;
            }
            if let Some(phase) = &phase {
                phase.arrived(&plyr, &upload_id).await;
            }
            plyr.kill();
            if let Some(phase) = phase {
                phase.release(&plyr, &upload_id).await;
            }
            if let Some(hold) = &hold {
                hold.release();
            }
            gate.clear();
            // That time alone makes others go on is seen once; it need not be waited for each time.
            if moment != Moment::RecordTaken {
                let passed = "update job set locked_until = '-infinity' where state = 'running'";
                sqlx::query(passed).execute(&plyr.db.pool).await.expect("time passes");
                let passed = "update intent set leased_until = now() where leased_until is not null";
                sqlx::query(passed).execute(&plyr.db.pool).await.expect("time passes");
            }
            plyr.start().await;
            assert_eq!(ended(&plyr, &upload_id).await, "completed", "{moment:?}");
            assert_one(&plyr, &artist, number + 1, &bytes).await;
        }
        super::await_still(&plyr).await;
        super::collector::collect_now(&plyr).await;
        assert_in_step(&plyr).await;
        // Audio, cover and thumbnail of each; the thumbnails may be the same.
        let kept = files(&plyr).len();
        assert!((2 * moments.len() + 1..=3 * moments.len()).contains(&kept), "{kept}");
        for record in records(&artist.account).await {
            let uri = record["uri"].as_str().expect("a uri").to_owned();
            let track = plyr.track(&uri).await.expect("it is shown");
            for key in ["audio", "cover", "thumbnail"] {
                let url = track[key].as_str().unwrap_or_else(|| panic!("no {key}: {track}"));
                assert!(pds::http().get(url).send().await.expect("an answer").status().is_success(), "{url}");
            }
        }
    });
}

/// Lets no upload leave a phase: its row waits where the next one is written.
struct PhaseHeld {
    name: &'static str,
    holder: sqlx::PgConnection,
}

/// What the trigger waits for.
const GATE: i64 = 7001;

impl PhaseHeld {
    async fn new(plyr: &Plyr, name: &'static str) -> Self {
        let mut holder = sqlx::PgConnection::connect(&plyr.db.url).await.expect("Postgres answers");
        sqlx::query("select pg_advisory_lock($1)").bind(GATE).execute(&mut holder).await.expect("locked");
        let trigger = format!(
            "create function hold_phase() returns trigger language plpgsql as $$ begin
               if old.phase = '{name}' and new.phase <> '{name}' then
                 perform pg_advisory_xact_lock({GATE});
               end if;
               return new;
             end $$;
             create trigger hold_phase before update on upload for each row execute function hold_phase();"
        );
        sqlx::raw_sql(AssertSqlSafe(trigger)).execute(&mut holder).await.expect("made");
        PhaseHeld { name, holder }
    }

    async fn arrived(&self, plyr: &Plyr, upload_id: &str) {
        eventually("the phase", || async { same(phase(plyr, upload_id).await.as_deref(), Some(self.name)) })
            .await;
    }

    /// The death was in this phase and no other.
    async fn release(mut self, plyr: &Plyr, upload_id: &str) {
        assert_eq!(phase(plyr, upload_id).await.as_deref(), Some(self.name));
        // What waits for the lock belongs to the dead.
        let waiting = "select pg_terminate_backend(pid) from pg_locks
                        where locktype = 'advisory' and objid::bigint = $1 and not granted
                          and database = (select oid from pg_database where datname = current_database())";
        sqlx::query(waiting).bind(GATE).execute(&mut self.holder).await.expect("ended");
        sqlx::raw_sql("drop trigger hold_phase on upload; drop function hold_phase")
            .execute(&mut self.holder)
            .await
            .expect("dropped");
        self.holder.close().await.expect("closed");
    }
}

async fn phase(plyr: &Plyr, upload_id: &str) -> Option<String> {
    sqlx::query_scalar("select phase from upload where id = $1")
        .bind(upload_id)
        .fetch_one(&plyr.db.pool)
        .await
        .expect("a row")
}

/// So many records there and here, the newest with these bytes.
async fn assert_one(plyr: &Plyr, artist: &Person, number: usize, bytes: &[u8]) {
    eventually("the tracks", || async {
        same(plyr.db.number("select count(*) from track").await, number as i64)
    })
    .await;
    let records = records(&artist.account).await;
    assert_eq!(records.len(), number);
    let newest = &records[0]["value"];
    let cid = super::cid_of(bytes);
    assert_eq!(newest["audioBlob"]["ref"]["$link"], cid);
    let url = format!("{}/xrpc/com.atproto.sync.listBlobs", artist.account.host);
    let listed: Value = pds::http()
        .get(url)
        .query(&[("did", artist.account.did.as_str()), ("limit", "500")])
        .send()
        .await
        .expect("the PDS answers")
        .json()
        .await
        .expect("JSON");
    let listed = listed["cids"].as_array().expect("cids");
    assert_eq!(listed.len(), 2 * number, "{listed:?}");
    assert!(listed.iter().any(|listed| *listed == cid));
}
