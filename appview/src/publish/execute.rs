//! What a wish means for the repo, and what its PDS makes of it. Where an answer is missing, the repo itself is asked.

use anyhow::ensure;
use cid::Cid;
use indexer::change::{Input, Op as Change, Proof};
use indexer::dag;
use indexer::pds as proven;
use indexer::syntax::AtUri;

use super::intent::{End, Intent, Op};
use super::lease;
use super::pds::{self, Answer, Swap};
use super::{Publisher, local, problem};
use crate::session::CallError;

/// A write without an answer that is not in the repo is sent so often.
const ATTEMPTS: usize = 3;

/// What became of a wish.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Settled.
    Done(End),
    /// Nothing is known; so many puts may still land.
    Undecided { unanswered: i32 },
}

impl Verdict {
    fn done(outcome: &'static str, uri: &AtUri, cid: Option<Cid>) -> Self {
        Verdict::Done(End { outcome, cid, ..End::gone(uri) })
    }

    fn written(uri: &AtUri, cid: Cid, unanswered: i32) -> Self {
        Verdict::Done(End { outcome: "written", cid: Some(cid), unanswered, ..End::gone(uri) })
    }

    fn refused(uri: &AtUri, status: u16, error: &str, message: &str) -> Self {
        let problem = Some(problem(status, error, message));
        Verdict::Done(End { outcome: "refused", uri: uri.clone(), cid: None, problem, unanswered: 0 })
    }

    /// Nobody will ever know more.
    fn lost(uri: &AtUri) -> Self {
        Self::refused(uri, 504, "lost", "your PDS never confirmed it")
    }

    /// A call that was not made; what went before it may leave doubts.
    fn uncalled(uri: &AtUri, error: CallError, unanswered: i32) -> anyhow::Result<Self> {
        Ok(match error {
            CallError::Database(error) => return Err(error.into()),
            _ if unanswered > 0 => Verdict::Undecided { unanswered },
            CallError::SessionExpired => Self::refused(uri, 401, "session_expired", "signed out"),
            CallError::ScopeMissing => Self::refused(uri, 403, "scope_upgrade_required", "not permitted"),
            CallError::Unsent(error) => Self::refused(uri, 502, "unsent", &format!("{error:#}")),
            CallError::Unanswered(_) => Verdict::Undecided { unanswered },
        })
    }
}

/// Writes a wish to the PDS. Returns what is known of the repo now, for the door, and what became of the wish.
pub(super) async fn execute(publisher: &Publisher, intent: &Intent) -> anyhow::Result<(Vec<Input>, Verdict)> {
    let mut inputs = Vec::new();
    let verdict = match intent.op {
        Op::Create | Op::Update => put(publisher, intent, &mut inputs).await?,
        Op::Delete => delete(publisher, intent, &mut inputs).await?,
    };
    Ok((inputs, verdict))
}

async fn put(publisher: &Publisher, intent: &Intent, inputs: &mut Vec<Input>) -> anyhow::Result<Verdict> {
    let uri = &intent.uri;
    let Some((cid, value)) = &intent.value else { anyhow::bail!("{} has no value to put", intent.action) };
    if let Some(verdict) = stands_already(publisher, intent, inputs).await? {
        return Ok(verdict);
    }
    let record = dag::to_json(&dag::decode(value)?);
    let swap = match (intent.op, intent.swap_cid) {
        (Op::Update, Some(cid)) => Swap::Version(cid),
        _ => Swap::Absent,
    };
    // Where an earlier put has no answer the repo is asked first: a refusal now would say nothing of that one.
    let (mut unanswered, mut asks) = (intent.unanswered, intent.unanswered > 0);
    for _ in 0..ATTEMPTS {
        // What was wished long ago and never answered is not written any more; but it may stand.
        let answer = if intent.is_old || std::mem::take(&mut asks) {
            Answer::Unknown
        } else {
            ensure!(lease::renew(&publisher.indexer.door.pool, intent).await?, "another took it over");
            match pds::put(&publisher.sessions, &intent.session, uri, &record, swap).await {
                Ok(answer) => {
                    unanswered += i32::from(matches!(answer, Answer::Unknown));
                    answer
                }
                Err(error) => return Verdict::uncalled(uri, error, unanswered),
            }
        };
        let committed = match answer {
            Answer::Committed { rev, cid: Some(found) } if found == *cid => {
                inputs.push(local(uri, rev, Change::Put { cid: *cid, value: value.clone() }));
                return Ok(Verdict::written(uri, *cid, unanswered));
            }
            Answer::Refused { .. } if unanswered > 0 => return Ok(Verdict::Undecided { unanswered }),
            Answer::Refused { status, error, message } => {
                return Ok(Verdict::refused(uri, status, &error, &message));
            }
            Answer::Committed { .. } => true,
            Answer::Unchanged | Answer::Mismatch | Answer::Unknown => false,
        };
        let found = match truth(publisher, uri).await {
            Some(proof) => {
                let found = proof.op.cid().copied();
                inputs.push(Input::Proof(proof));
                found
            }
            None if intent.is_lost => return Ok(Verdict::lost(uri)),
            None => return Ok(Verdict::Undecided { unanswered }),
        };
        match found {
            Some(found) if found == *cid || committed || intent.subject().is_some() => {
                // What stands there is one of those without an answer.
                let landed = i32::from(!committed && unanswered > 0);
                return Ok(Verdict::written(uri, found, unanswered - landed));
            }
            _ if intent.is_old => return Ok(Verdict::lost(uri)),
            // The request has not come there yet, or never will: it can be sent again, being the same.
            found if found == intent.swap_cid => {}
            Some(_) if intent.op == Op::Create => {
                return Ok(Verdict::refused(uri, 409, "NameTaken", "another record stands at its name"));
            }
            _ => return Ok(Verdict::done("conflict", uri, None)),
        }
    }
    Ok(Verdict::Undecided { unanswered })
}

/// What needs no write: a toggled thing that somebody's record stands for already, and a record that was deleted since it
/// was wished.
async fn stands_already(
    publisher: &Publisher,
    intent: &Intent,
    inputs: &mut Vec<Input>,
) -> anyhow::Result<Option<Verdict>> {
    for (uri, cid) in standing_for(publisher, intent).await? {
        // Another program may have deleted it, and its echo be on its way.
        match truth(publisher, &uri).await {
            Some(proof) if proof.op == Change::Delete => inputs.push(Input::Proof(proof)),
            _ => return Ok(Some(Verdict::written(&uri, cid, intent.unanswered))),
        }
    }
    if intent.op != Op::Create || intent.subject().is_some() {
        return Ok(None);
    }
    let is_deleted = sqlx::query_scalar!(
        r#"select exists (select from record where uri = $1 and value is null) as "deleted!""#,
        intent.uri.as_str()
    )
    .fetch_one(&publisher.indexer.door.pool)
    .await?;
    Ok(is_deleted.then(|| Verdict::done("gone", &intent.uri, None)))
}

async fn delete(publisher: &Publisher, intent: &Intent, inputs: &mut Vec<Input>) -> anyhow::Result<Verdict> {
    let mut targets: Vec<(AtUri, Swap)> = match intent.subject() {
        None => vec![(intent.uri.clone(), Swap::Whatever)],
        Some(_) => standing_for(publisher, intent)
            .await?
            .into_iter()
            .map(|(uri, cid)| (uri, Swap::Version(cid)))
            .collect(),
    };
    // Put by an earlier wish whose answer never came.
    let doubtful = intent.put_cid.filter(|_| !targets.iter().any(|(uri, _)| *uri == intent.uri));
    targets.extend(doubtful.map(|cid| (intent.uri.clone(), Swap::Version(cid))));
    let mut unanswered = intent.unanswered;
    for (uri, swap) in targets {
        let before = inputs.len();
        if let Some(verdict) = delete_one(publisher, intent, &uri, swap, inputs).await? {
            return Ok(verdict);
        }
        // It was there, so one of those without an answer had landed.
        let was_there = matches!(inputs.get(before), Some(Input::Local(_)));
        unanswered -= i32::from(was_there && doubtful.is_some() && uri == intent.uri && unanswered > 0);
    }
    Ok(Verdict::Done(End { unanswered, ..End::gone(&intent.uri) }))
}

/// Deletes one record; a verdict only where that does not succeed.
async fn delete_one(
    publisher: &Publisher,
    intent: &Intent,
    uri: &AtUri,
    mut swap: Swap,
    inputs: &mut Vec<Input>,
) -> anyhow::Result<Option<Verdict>> {
    for _ in 0..ATTEMPTS {
        if !intent.is_old {
            ensure!(lease::renew(&publisher.indexer.door.pool, intent).await?, "another took it over");
            match pds::delete(&publisher.sessions, &intent.session, uri, swap).await {
                Ok(Answer::Committed { rev, .. }) => {
                    inputs.push(local(uri, rev, Change::Delete));
                    return Ok(None);
                }
                Ok(Answer::Refused { status, error, message }) => {
                    return Ok(Some(Verdict::refused(uri, status, &error, &message)));
                }
                Ok(Answer::Unchanged | Answer::Mismatch | Answer::Unknown) => {}
                Err(error) => return Verdict::uncalled(uri, error, 0).map(Some),
            }
        }
        let Some(proof) = truth(publisher, uri).await else {
            return Ok(Some(match intent.is_lost {
                true => Verdict::lost(uri),
                false => Verdict::Undecided { unanswered: intent.unanswered },
            }));
        };
        let found = proof.op.cid().copied();
        inputs.push(Input::Proof(proof));
        match found {
            None => return Ok(None),
            Some(_) if intent.is_old => {
                return Ok(Some(Verdict::lost(uri)));
            }
            Some(found) if matches!(swap, Swap::Version(_)) => swap = Swap::Version(found),
            Some(_) => {}
        }
    }
    Ok(Some(Verdict::Undecided { unanswered: intent.unanswered }))
}

/// What the repo holds at a name, proven; nothing when its PDS does not say.
async fn truth(publisher: &Publisher, uri: &AtUri) -> Option<Proof> {
    let (collection, rkey) = (uri.collection().parse().ok()?, uri.rkey().parse().ok()?);
    let asked = proven::get_record(&publisher.indexer, &uri.did(), &collection, &rkey).await;
    asked.inspect_err(|error| tracing::warn!(%uri, %error, "the repo does not say what it holds")).ok()
}

/// The records that stand for a toggled thing now, whoever wrote them.
async fn standing_for(publisher: &Publisher, intent: &Intent) -> anyhow::Result<Vec<(AtUri, Cid)>> {
    let Some(subject) = intent.subject() else { return Ok(Vec::new()) };
    let rows = sqlx::query!(
        r#"select l.uri, r.cid as "cid!" from reaction l join record r on r.uri = l.uri
            where l.subject_uri = $1 and l.verb = 'like' and l.did = $2 and l.source = 'plyr' and r.cid is not null order by l.sort_at, l.uri"#,
        subject,
        intent.did.as_str()
    )
    .fetch_all(&publisher.indexer.door.pool)
    .await?;
    rows.into_iter().map(|row| Ok((row.uri.parse()?, row.cid.parse()?))).collect()
}
