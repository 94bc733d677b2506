//! The record of an upload.

use std::collections::BTreeSet;

use chrono::SecondsFormat;
use indexer::identity::IdentityError;
use indexer::syntax::{Did, Handle};
use serde_json::{Map, Value, json};

use super::Workshop;
use super::row::Upload;
use crate::blob;
use crate::probe::Format;

/// `fm.plyr.track#artist`.
const ARTIST_MAX_BYTES: usize = 256;

/// Builds it from what was given and what was found out.
pub(super) async fn build(shop: &Workshop, upload: &Upload, format: Format) -> anyhow::Result<Value> {
    let mut record = Map::new();
    let mut set = |key: &str, value: Value| {
        record.insert(key.to_owned(), value);
    };
    set("$type", upload.uri.collection().into());
    set("title", upload.title.clone().into());
    set("artist", artist(shop, &upload.by.did).await?.into());
    set("fileType", format.extension().into());
    set("createdAt", upload.created_at.to_rfc3339_opts(SecondsFormat::Millis, true).into());
    let digest = blob::digest_of(&upload.audio_cid.parse()?)?;
    set("audioUrl", shop.options.audio_url(&blob::file_id(&digest)).into());
    if let (Some(audio), false) = (&upload.audio_blob, upload.blob_refused) {
        set("audioBlob", audio.clone());
    }
    if let Some(duration_s) = upload.duration_s {
        set("duration", duration_s.into());
    }
    if let Some(album) = &upload.album {
        set("album", album.clone().into());
    }
    if let Some(description) = &upload.description {
        set("description", description.clone().into());
    }
    if !upload.tags.is_empty() {
        set("tags", upload.tags.clone().into());
    }
    let features = features(shop, upload).await;
    if !features.is_empty() {
        set("features", features.into_iter().map(|did| json!({"did": did})).collect::<Vec<_>>().into());
    }
    if let (Some(cid), Some(image)) = (&upload.cover_cid, &upload.cover_blob) {
        set("image", image.clone());
        set("imageUrl", shop.options.image_url(cid).into());
    }
    Ok(Value::Object(record))
}

/// Their display name, else their handle; else, as long as that cannot be verified, their DID.
async fn artist(shop: &Workshop, did: &Did) -> anyhow::Result<String> {
    let row = sqlx::query!(
        r#"select handle as "handle?", display_name as "display_name?" from actor
             left join bsky_profile on bsky_profile.did = actor.did
            where actor.did = $1"#,
        did.as_str()
    )
    .fetch_optional(&shop.indexer.door.pool)
    .await?;
    let (handle, display_name) = row.map_or((None, None), |row| (row.handle, row.display_name));
    let display_name = display_name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let mut name = match (display_name, handle) {
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => {
            let document = shop.indexer.identity.document(did).await?;
            let handle = shop.indexer.identity.verified_handle(&document).await?;
            handle.map_or_else(|| did.to_string(), |handle| handle.to_string())
        }
    };
    name.truncate(name.floor_char_boundary(ARTIST_MAX_BYTES));
    Ok(name)
}

/// The people among those named who can be found; oneself is not a guest.
async fn features(shop: &Workshop, upload: &Upload) -> BTreeSet<Did> {
    let mut dids = BTreeSet::new();
    for name in &upload.features {
        let name = name.trim_start_matches('@');
        let found = match (name.parse::<Did>(), Handle::normalized(name)) {
            (Ok(did), _) => Ok(Some(did)),
            (_, Ok(handle)) => shop.indexer.identity.resolve_handle(&handle).await,
            _ => Ok(None),
        };
        match found {
            Ok(did) => dids.extend(did.filter(|did| *did != upload.by.did)),
            Err(error @ IdentityError::Unreachable(_)) => {
                tracing::info!(name, %error, "left out of the features")
            }
            Err(_) => {}
        }
    }
    dids
}
