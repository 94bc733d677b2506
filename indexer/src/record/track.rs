//! `fm.plyr.track` → `track`, `blob_ref`.

use chrono::{DateTime, Utc};
use ipld_core::ipld::Ipld;
use serde::Deserialize;
use sqlx::PgConnection;

use super::blob_ref::{self, Ref};
use super::{BlobRef, Checked, datetime, duration_s, public_id, tag};
use crate::album;
use crate::apply::effects::Effects;
use crate::copy::{self, Rows, Target};
use crate::search::due::Due;
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
    pub(super) uri: String,
    pub(super) did: String,
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
    pub(super) tags: Vec<String>,
    feature_dids: Vec<String>,
    created_at: DateTime<Utc>,
    pub(super) sort_at: DateTime<Utc>,
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

/// The columns of `track` that a record gives.
pub const TRACKS: Target = copy::into!(track: uri, did, title, artist, album, album_base, description, file_type, duration_s, audio_cid,
    audio_url, image_cid, image_url, tags, feature_dids, created_at, sort_at);

pub(super) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    for uri in gone.iter().chain(rows.iter().map(|row| &row.uri)) {
        effects.touch(uri, true);
        effects.retold(uri);
        effects.seek(Due::Track(uri.clone()));
    }
    if !gone.is_empty() {
        let deleted = sqlx::query!("delete from track where uri = any($1) returning did, album_base", gone);
        for row in deleted.fetch_all(&mut *db).await? {
            row.album_base.into_iter().for_each(|base| effects.seek(Due::Called(row.did.clone(), base)));
            effects.seek(Due::Artist(row.did));
        }
        tag::remove(db, gone, effects).await?;
        blob_ref::forget(db, gone).await?;
    }
    if rows.is_empty() {
        return Ok(());
    }
    for row in rows {
        effects.happen("track", &row.uri, &row.did, Some(&row.uri), row.sort_at);
        effects.seek(Due::Artist(row.did.clone()));
        let base = row.album.as_deref().map(album::slug);
        base.into_iter().for_each(|base| effects.seek(Due::Called(row.did.clone(), base)));
    }
    public_id::assign(db, "track", rows.iter().map(|row| row.uri.as_str())).await?;
    insert(db, rows).await?;
    tag::add(db, rows, effects).await?;
    let albums = rows
        .iter()
        .filter_map(|row| Some(album::Named { did: &row.did, name: row.album.as_deref()?, list_uri: None }));
    album::give(db, albums, effects).await?;
    let mut refs = Vec::new();
    for row in rows {
        let (uri, did) = (row.uri.as_str(), row.did.as_str());
        refs.extend(row.audio_cid.as_deref().map(|cid| Ref { uri, did, cid, role: "audio" }));
        refs.extend(row.image_cid.as_deref().map(|cid| Ref { uri, did, cid, role: "cover" }));
        row.feature_dids.iter().for_each(|did| effects.meet(did.clone()));
    }
    blob_ref::add(db, &refs, effects).await?;
    let ours = rows.iter().filter(|row| row.audio_cid.is_none() && row.audio_url.is_some());
    refer_to_uploads(db, &ours.map(|row| row.uri.as_str()).collect::<Vec<_>>()).await
}

/// The bytes behind an address of ours, where a record names nothing else: only we have them, so nothing is fetched.
async fn refer_to_uploads(db: &mut PgConnection, uris: &[&str]) -> sqlx::Result<()> {
    if uris.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into blob_ref (uri, cid, did, role)
         select t.uri, u.audio_cid, t.did, 'audio' from track t join upload u on u.uri = t.uri and u.did = t.did
         where t.uri = any($1)
         on conflict do nothing",
        uris as &[&str]
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn insert(db: &mut PgConnection, rows: &[Row]) -> sqlx::Result<()> {
    let mut tracks = Rows::into(TRACKS);
    for row in rows {
        tracks.row().field(&row.uri).field(&row.did).field(&row.title).field(&row.artist);
        tracks.field(&row.album).field(row.album.as_deref().map(album::slug));
        tracks.field(&row.description).field(&row.file_type).field(row.duration_s).field(&row.audio_cid);
        tracks.field(&row.audio_url).field(&row.image_cid).field(&row.image_url).field(&row.tags);
        tracks.field(&row.feature_dids).field(row.created_at).field(row.sort_at);
    }
    tracks.write(db).await
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
