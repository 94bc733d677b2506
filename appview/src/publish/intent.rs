//! The rows of `intent`: what was wished, who is writing it, what became of it.

use std::time::Duration;

use bytes::Bytes;
use cid::Cid;
use indexer::job;
use indexer::syntax::{AtUri, Did};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use crate::session::{SessionId, SignedIn};

/// A job looks after a wish this long after it was uttered.
const LOOK_AFTER: Duration = Duration::from_secs(10);
/// A put without an answer may still be on its way for so long.
pub(super) const DOUBT: Duration = Duration::from_secs(60);

/// What is to happen to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Create,
    Update,
    Delete,
}

impl Op {
    fn as_str(self) -> &'static str {
        match self {
            Op::Create => "create",
            Op::Update => "update",
            Op::Delete => "delete",
        }
    }

    pub fn from_word(word: &str) -> Self {
        match word {
            "create" => Op::Create,
            "update" => Op::Update,
            _ => Op::Delete,
        }
    }
}

/// A wish as it is uttered.
pub(super) struct Wish<'a> {
    pub by: &'a SignedIn,
    pub action: &'a str,
    pub op: Op,
    pub uri: &'a AtUri,
    pub value: Option<(Cid, Bytes)>,
    pub swap_cid: Option<Cid>,
}

/// A wish as its writer holds it.
#[derive(Debug, Clone)]
pub(super) struct Intent {
    pub did: Did,
    pub action: String,
    pub generation: i64,
    pub op: Op,
    pub uri: AtUri,
    pub value: Option<(Cid, Bytes)>,
    pub swap_cid: Option<Cid>,
    /// What an earlier wish may have put at `uri`.
    pub put_cid: Option<Cid>,
    pub session: SessionId,
    /// Puts at `uri` of which nobody knows whether they landed, or will.
    pub unanswered: i32,
    /// Not written any more: only asked for.
    pub is_old: bool,
    /// Not even asked for any more.
    pub is_lost: bool,
    pub lessee: Vec<u8>,
}

impl Intent {
    /// What a toggled thing is about: its record is one of many possible, and any of them will do.
    pub fn subject(&self) -> Option<&str> {
        self.action.split_once(' ').map(|(_, subject)| subject).filter(|subject| subject.starts_with("at://"))
    }

    pub fn job_key(&self) -> String {
        format!("{} {}", self.did, self.action)
    }
}

/// What became of a wish.
#[derive(Debug)]
pub(super) struct End {
    /// A word of `intent.outcome`.
    pub outcome: &'static str,
    pub uri: AtUri,
    pub cid: Option<Cid>,
    /// Why it was refused.
    pub problem: Option<Value>,
    /// See [`Intent::unanswered`]: how many remain.
    pub unanswered: i32,
}

impl End {
    pub fn gone(uri: &AtUri) -> Self {
        End { outcome: "gone", uri: uri.clone(), cid: None, problem: None, unanswered: 0 }
    }
}

/// How far a wish has come.
#[derive(Debug)]
pub(super) struct Standing {
    pub settled: i64,
    pub outcome: Option<String>,
    pub uri: String,
    pub cid: Option<String>,
    pub problem: Option<Value>,
}

/// Commits a wish and returns its generation. One that is being carried out already is joined.
pub(super) async fn utter(pool: &PgPool, wish: &Wish<'_>) -> sqlx::Result<i64> {
    let (cid, value) = match &wish.value {
        Some((cid, value)) => (Some(cid.to_string()), Some(value.to_vec())),
        None => (None, None),
    };
    let mut tx = pool.begin().await?;
    // Inserted as the generation before the first, so that both cases go on alike.
    sqlx::query!(
        "insert into intent (did, action, generation, op, uri, value, cid, session, wished_at)
         values ($1, $2, 0, $3, $4, $5, $6, $7, now()) on conflict do nothing",
        wish.by.did.as_str(),
        wish.action,
        wish.op.as_str(),
        wish.uri.as_str(),
        value,
        cid,
        wish.by.session.0.as_slice()
    )
    .execute(&mut *tx)
    .await?;
    let row = sqlx::query!(
        r#"select generation, settled, op, action ~ '^[a-z]+ at://' as "toggles!",
                  coalesce(outcome = 'written', false) and exists (select from record r where r.uri = intent.uri and r.cid is not null)
                    as "stands!",
                  wished_at > now() - interval '10 seconds' as "recent!"
             from intent where did = $1 and action = $2 for update"#,
        wish.by.did.as_str(),
        wish.action
    )
    .fetch_one(&mut *tx)
    .await?;
    let (open, same) = (row.settled < row.generation, row.op == wish.op.as_str() && wish.op != Op::Update);
    // A second tap. What a toggle stands for is not asked here; a named record may have been deleted meanwhile.
    if same && (open || (!row.toggles && wish.op == Op::Create && row.stands && row.recent)) {
        return Ok(row.generation);
    }
    let may_land = wish.op == Op::Delete && !row.toggles && overrule(&mut tx, wish).await?;
    sqlx::query!(
        "update intent set generation = generation + 1, op = $3, value = $4, cid = $5, swap_cid = $6, session = $7,
                           uri = case when $8 and generation > 0 then uri else $9 end, wished_at = now(),
                           unanswered = unanswered + case when $10 then 1 else 0 end,
                           doubtful_until = case when $10 then now() + make_interval(secs => $11) else doubtful_until end
          where did = $1 and action = $2",
        wish.by.did.as_str(),
        wish.action,
        wish.op.as_str(),
        value,
        cid,
        wish.swap_cid.map(|cid| cid.to_string()),
        wish.by.session.0.as_slice(),
        row.toggles,
        wish.uri.as_str(),
        may_land,
        DOUBT.as_secs_f64()
    )
    .execute(&mut *tx)
    .await?;
    let key = format!("{} {}", wish.by.did, wish.action);
    job::enqueue_after(&mut tx, LOOK_AFTER, job::INTENT, &key).await?;
    tx.commit().await?;
    Ok(row.generation + 1)
}

/// Ends other wishes for a record that is to be deleted. True if one of them may still land.
async fn overrule(db: &mut PgConnection, wish: &Wish<'_>) -> sqlx::Result<bool> {
    let overruled = sqlx::query!(
        r#"update intent set settled = generation, outcome = 'gone', lessee = null, leased_until = null
            where did = $1 and uri = $2 and action <> $3 and settled < generation
        returning action"#,
        wish.by.did.as_str(),
        wish.uri.as_str(),
        wish.action
    )
    .fetch_all(db)
    .await?;
    Ok(!overruled.is_empty())
}

/// How far a wish has come; none when there is no such wish.
pub(super) async fn standing(pool: &PgPool, did: &Did, action: &str) -> sqlx::Result<Option<Standing>> {
    sqlx::query_as!(
        Standing,
        r#"select settled, outcome, uri, put_cid as cid, problem from intent where did = $1 and action = $2"#,
        did.as_str(),
        action
    )
    .fetch_optional(pool)
    .await
}

/// Whether the newest wish is not settled.
pub(super) async fn is_open(pool: &PgPool, did: &Did, action: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from intent where did = $1 and action = $2 and settled < generation) as "open!""#,
        did.as_str(),
        action
    )
    .fetch_one(pool)
    .await
}
