//! Who liked a post before it was known to share something of ours.
//!
//! Likes that were seen stand in our own notes, and so do those that a backlink service told of. None is believed: each is asked
//! for at its author's PDS. Whoever is asked about is made known before that, so that what they take back meanwhile is heard.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use crate::Indexer;
use crate::apply::account;
use crate::apply::batch::apply_all;
use crate::change::Input;
use crate::job::{Job, Outcome};
use crate::pds::{self, PdsError};
use crate::syntax::{AtUri, Nsid, Rkey};

/// Likes that are read from our notes at once, and questions under way.
const PAGE_URIS: i64 = 500;
const AT_ONCE: usize = 8;
/// After so long a job gives way to others.
const BUDGET: Duration = Duration::from_secs(300);
/// Before those are asked again who did not answer.
const AGAIN: Duration = Duration::from_secs(10);
/// Answers about a like that prove nothing, after which that is believed to be all there is: one may have been damaged on its way.
const DOUBTS_MAX: i16 = 4;

/// Asks for every like, repost and quote of a post that was noted and that we do not hold, each once.
pub(super) async fn look_back(indexer: &Indexer, job: &Job) -> anyhow::Result<Outcome> {
    let (post, started) = (job.key.parse::<AtUri>()?, Instant::now());
    let (mut unknown, mut settled, mut after) = (None, 0, String::new());
    loop {
        let awaited = sqlx::query_scalar!(
            "select a.uri from awaited_link a left join actor p on p.did = split_part(a.uri, '/', 3)
             where a.target = $1 and a.uri > $2 and coalesce(p.active, true) order by a.uri limit $3",
            post.as_str(),
            after,
            PAGE_URIS
        )
        .fetch_all(&indexer.door.pool)
        .await?;
        let Some(last) = awaited.last() else { break };
        after = last.clone();
        let mut asked = stream::iter(awaited)
            .map(|uri| async move {
                let looked = match uri.parse() {
                    Ok(uri) => look(indexer, &uri).await,
                    Err(_) => Ok(true),
                };
                (uri, looked)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((uri, looked)) = asked.next().await {
            match looked {
                Ok(true) => {
                    settled += 1;
                    sqlx::query!("delete from awaited_link where uri = $1", uri)
                        .execute(&indexer.door.pool)
                        .await?;
                }
                Ok(false) => {}
                Err(error) => unknown = Some(error),
            }
        }
        if started.elapsed() > BUDGET {
            // Others come first; what is left is asked for then.
            anyhow::ensure!(settled > 0, "nobody has answered for {} s", BUDGET.as_secs());
            return Ok(Outcome::Later(Duration::from_secs(1)));
        }
    }
    match unknown {
        // Somebody's host may be away for ever: it costs an attempt, unless something came of this one.
        Some(_) if settled > 0 => Ok(Outcome::Later(AGAIN)),
        Some(error) => Err(error.into()),
        None => Ok(Outcome::Done),
    }
}

/// Whether it is known now what a like is. Fails where that may be asked again.
async fn look(indexer: &Indexer, uri: &AtUri) -> Result<bool, PdsError> {
    if is_held(indexer, uri).await? {
        return Ok(true);
    }
    let did = uri.did();
    account::acquaint(&indexer.door, &did).await?;
    let (Ok(collection), Ok(rkey)) = (uri.collection().parse::<Nsid>(), uri.rkey().parse::<Rkey>()) else {
        return Ok(true);
    };
    match pds::get_record(indexer, &did, &collection, &rkey).await {
        Ok(proof) => {
            // What it proves may be of no concern: then nothing is kept, and nothing is to be asked again.
            apply_all(&indexer.door, vec![Input::Proof(proof)]).await;
            Ok(true)
        }
        // Who is not to be seen now may come back: the note stays until then. Where they were away for a moment and nobody ever saw
        // it, nothing would ask again but this.
        Err(error) if error.status().is_some() => {
            super::note_standing(indexer, &did, &error).await;
            if super::is_away(indexer, &did).await? { Ok(false) } else { Err(error) }
        }
        Err(error) if error.is_transient() => Err(error),
        Err(error) if error.is_doubtful() && doubt(indexer, uri).await? < DOUBTS_MAX => Err(error),
        // No such person, or no such record and no proof of it.
        Err(error) => {
            tracing::info!(%uri, %error, "no proof of a like");
            Ok(true)
        }
    }
}

/// Notes that an answer about a like proved nothing; how often that was so.
async fn doubt(indexer: &Indexer, uri: &AtUri) -> sqlx::Result<i16> {
    let doubts = sqlx::query_scalar!(
        "update awaited_link set doubts = least(doubts + 1, $2) where uri = $1 returning doubts",
        uri.as_str(),
        i32::from(DOUBTS_MAX)
    )
    .fetch_optional(&indexer.door.pool)
    .await?;
    // Whoever took the note away has the answer.
    Ok(doubts.unwrap_or(DOUBTS_MAX))
}

async fn is_held(indexer: &Indexer, uri: &AtUri) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from record where uri = $1) as "held!""#, uri.as_str())
        .fetch_one(&indexer.door.pool)
        .await
}
