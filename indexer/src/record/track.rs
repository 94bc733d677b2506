//! `fm.plyr.track` → `track`, `blob_ref`.

use chrono::{DateTime, Utc};
use ipld_core::ipld::Ipld;
use serde::Deserialize;
use sqlx::PgConnection;

use super::{BlobRef, Checked, datetime, duration_s, public_id};
use crate::apply::effects::Effects;
use crate::syntax::Did;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    title: String,
    artist: String,
    file_type: String,
    created_at: String,
    audio_url: Option<String>,
    audio_blob: Option<BlobRef>,
    album: Option<String>,
    duration: Option<i64>,
    #[serde(default)]
    features: Vec<Feature>,
    image: Option<BlobRef>,
    image_url: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    support_gate: Option<Ipld>,
}

#[derive(Deserialize)]
struct Feature {
    did: Did,
}

/// A row of `track`.
#[derive(Debug)]
pub struct Row {
    uri: String,
    did: String,
    title: String,
    artist: String,
    album: Option<String>,
    description: Option<String>,
    file_type: String,
    duration_s: Option<i32>,
    audio_cid: Option<String>,
    audio_url: Option<String>,
    image_cid: Option<String>,
    image_url: Option<String>,
    tags: Vec<String>,
    feature_dids: Vec<String>,
    created_at: DateTime<Utc>,
    sort_at: DateTime<Utc>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    if record.audio_url.is_none() && record.audio_blob.is_none() {
        return Err("audioBlob: neither it nor audioUrl is there, so nothing can be played".into());
    }
    let created_at = datetime("createdAt", &record.created_at)?;
    // For supporters only, and we know of nobody that they are one: its sound is neither fetched nor handed out.
    let open = record.support_gate.is_none();
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        title: record.title,
        artist: record.artist,
        album: record.album.filter(|album| !album.trim().is_empty()),
        description: record.description.filter(|text| !text.trim().is_empty()),
        file_type: record.file_type,
        duration_s: duration_s(record.duration),
        audio_cid: record.audio_blob.filter(|_| open).map(|blob| blob.cid.to_string()),
        audio_url: record.audio_url.filter(|_| open),
        image_cid: record.image.map(|blob| blob.cid.to_string()),
        image_url: record.image_url,
        tags: normalize_tags(record.tags),
        feature_dids: record.features.into_iter().map(|feature| feature.did.into()).collect(),
        created_at,
        sort_at: checked.sort_at(created_at),
    })
}

/// Tags compare in one form: trimmed, lower case, single spaces, no hyphens at the ends, each once.
pub fn normalize_tags(tags: Vec<String>) -> Vec<String> {
    let mut normal: Vec<String> = Vec::with_capacity(tags.len());
    for tag in tags {
        let words: Vec<&str> = tag.split_whitespace().collect();
        let tag = words.join(" ").to_lowercase().trim_matches(['-', ' ']).to_owned();
        if !tag.is_empty() && !normal.contains(&tag) {
            normal.push(tag);
        }
    }
    normal
}

pub(super) async fn project(
    db: &mut PgConnection,
    uris: &[String],
    rows: Vec<Row>,
    effects: &mut Effects,
) -> sqlx::Result<()> {
    for uri in uris {
        effects.touch(uri, true);
    }
    sqlx::query!("delete from track where uri = any($1)", uris).execute(&mut *db).await?;
    sqlx::query!("delete from blob_ref where uri = any($1)", uris).execute(&mut *db).await?;
    let numbered: Vec<String> = rows.iter().map(|row| row.uri.clone()).collect();
    public_id::assign(db, "track", &numbered).await?;
    for row in rows {
        insert(db, &row).await?;
        for (cid, role) in [(&row.audio_cid, "audio"), (&row.image_cid, "cover")] {
            if let Some(cid) = cid {
                refer(db, &row.uri, &row.did, cid, role, effects).await?;
            }
        }
        for did in row.feature_dids {
            effects.meet(did);
        }
    }
    refer_to_uploads(db, uris).await
}

/// The bytes behind an address of ours, where a record names nothing else: only we have them, so nothing is fetched.
async fn refer_to_uploads(db: &mut PgConnection, uris: &[String]) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into blob_ref (uri, cid, did, role)
         select t.uri, u.audio_cid, t.did, 'audio' from track t join upload u on u.uri = t.uri and u.did = t.did
         where t.uri = any($1) and t.audio_cid is null and t.audio_url is not null
         on conflict do nothing",
        uris
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn insert(db: &mut PgConnection, row: &Row) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into track (uri, did, title, artist, album, description, file_type, duration_s, audio_cid, audio_url,
                            image_cid, image_url, tags, feature_dids, created_at, sort_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        row.uri,
        row.did,
        row.title,
        row.artist,
        row.album,
        row.description,
        row.file_type,
        row.duration_s,
        row.audio_cid,
        row.audio_url,
        row.image_cid,
        row.image_url,
        &row.tags,
        &row.feature_dids,
        row.created_at,
        row.sort_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Notes that a record names a blob, and asks for its bytes.
pub(super) async fn refer(
    db: &mut PgConnection,
    uri: &str,
    did: &str,
    cid: &str,
    role: &str,
    effects: &mut Effects,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into blob_ref (uri, cid, did, role) values ($1, $2, $3, $4) on conflict do nothing",
        uri,
        cid,
        did,
        role
    )
    .execute(db)
    .await?;
    effects.fetch_blob(cid);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::normalize_tags;

    #[test]
    fn tags_take_one_form() {
        let tags = ["  Deep   House ", "deep house", "-ambient-", "--", "Ünder"].map(String::from).to_vec();
        assert_eq!(normalize_tags(tags), ["deep house", "ambient", "ünder"]);
    }
}
