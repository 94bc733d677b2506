//! From a checked form to bytes that stand and a job that cannot be forgotten, in one transaction.

use chrono::{SubsecRound, Utc};
use indexer::apply::effects::Effects;
use indexer::job;
use indexer::syntax::{AtUri, Nsid};
use sqlx::PgConnection;
use uuid::Uuid;

use super::budget;
use super::form::{Form, Given};
use crate::detail::Detail;
use crate::session::SignedIn;
use crate::store::PublishError;
use crate::{App, blob, publish};

/// An upload that will be worked on.
pub(super) struct Accepted {
    pub id: String,
    /// The record, once it is written.
    pub uri: AtUri,
}

/// Writes the rows, publishes the files in the store and enqueues the job. If this fails, the files are the collector's.
pub(super) async fn accept(app: &App, viewer: &SignedIn, form: Form) -> Result<Accepted, Detail> {
    let indexer = app.sessions.indexer();
    let collection: Nsid = indexer.door.registry.track_collection().parse().map_err(Detail::internal)?;
    let accepted =
        Accepted { id: Uuid::new_v4().to_string(), uri: publish::reserve(&viewer.did, &collection) };
    let size_bytes =
        form.audio.file.size_bytes() + form.image.as_ref().map_or(0, |image| image.file.size_bytes());
    let mut is_first = true;
    // Whatever may wait in a circle comes before the first file moves, so that it can be done again.
    let tx = loop {
        let mut tx = indexer.door.pool.begin().await?;
        budget::lock(&mut tx, &viewer.did).await?;
        budget::check(&mut tx, &viewer.did, size_bytes, app.options.upload_day_mb).await?;
        match write(&mut tx, viewer, &form, &accepted, size_bytes).await {
            Ok(()) => break tx,
            Err(error) if is_first && is_deadlock(&error) => is_first = false,
            Err(error) => return Err(Detail::from_cause(error)),
        }
    };
    for given in [Some(form.audio), form.image].into_iter().flatten() {
        let digest = given.file.digest();
        match given.file.publish(&digest).await {
            Ok(_) => {}
            Err(PublishError::Io(error)) => return Err(budget::disk(error)),
            Err(error) => return Err(Detail::internal(error)),
        }
    }
    tx.commit().await?;
    metrics::counter!("plyr_uploads_total", "outcome" => "accepted").increment(1);
    Ok(accepted)
}

/// The rows of the files, of the upload and of its job.
async fn write(
    db: &mut PgConnection,
    viewer: &SignedIn,
    form: &Form,
    accepted: &Accepted,
    size_bytes: u64,
) -> anyhow::Result<()> {
    // Locks are taken in the order of the digests.
    let mut files: Vec<([u8; 32], &Given)> = [Some(&form.audio), form.image.as_ref()]
        .into_iter()
        .flatten()
        .map(|given| (given.file.digest(), given))
        .collect();
    files.sort_by_key(|(digest, _)| *digest);
    for (digest, given) in files {
        blob::note(db, &digest, &blob::cid_of(&digest)?, given.file.size_bytes(), given.mime, false).await?;
    }
    let cid = |given: &Given| anyhow::Ok(blob::cid_of(&given.file.digest())?.to_string());
    sqlx::query!(
        "insert into upload (id, did, session, uri, message, title, album, description, tags, features, audio_cid,
                             image_cid, size_bytes, created_at)
         values ($1, $2, $3, $4, 'upload queued for processing', $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        accepted.id,
        viewer.did.as_str(),
        viewer.session.0.as_slice(),
        accepted.uri.as_str(),
        form.title,
        form.album,
        form.description,
        &form.tags,
        &form.features,
        cid(&form.audio)?,
        form.image.as_ref().map(cid).transpose()?,
        i64::try_from(size_bytes)?,
        Utc::now().trunc_subsecs(3)
    )
    .execute(&mut *db)
    .await?;
    let mut effects = Effects::default();
    effects.job(job::UPLOAD, accepted.id.as_str());
    effects.carry_out(db).await?;
    Ok(())
}

/// Two waited for each other, and this one was chosen to give way.
fn is_deadlock(error: &anyhow::Error) -> bool {
    let database = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    database.and_then(|error| error.code()).is_some_and(|code| code == "40P01")
}
