//! Everything that is shown of a page of tracks, in one query.

use chrono::{DateTime, Utc};
use indexer::syntax::AtUri;
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;
use url::Url;

use super::{TrackView, ViewerState};
use crate::Options;
use crate::actor::ProfileViewBasic;
use crate::error::{Error, stored};
use crate::foreign;
use crate::hydrate::{self, LikeSources, PAGE_MAX_BYTES, PlaySources};
use crate::label;
use crate::media::{self, Kind};
use crate::session::Viewer;

/// JSON of a view beside its record and whom it features, at most; and of each of those.
const VIEW_BYTES: usize = 4096;
const FEATURE_BYTES: usize = 512;

/// Somebody whom a track features, and who may be seen.
#[derive(Deserialize)]
struct Feature {
    did: String,
    handle: Option<String>,
    display_name: Option<String>,
    avatar_cid: Option<String>,
}

/// What is stored of one track.
struct Row {
    uri: String,
    did: String,
    cid: String,
    rev: String,
    value: Vec<u8>,
    indexed_at: DateTime<Utc>,
    position: i64,
    total: i64,
    handle: Option<String>,
    display_name: Option<String>,
    avatar_cid: Option<String>,
    has_blob: bool,
    audio_url: Option<String>,
    address_id: Option<String>,
    tags: Vec<String>,
    features: Option<Json<Vec<Feature>>>,
    created_at: DateTime<Utc>,
    sort_at: DateTime<Utc>,
    id: Option<i64>,
    audio_file: Option<String>,
    audio_mime: Option<String>,
    own_file: Option<String>,
    own_mime: Option<String>,
    cover_cid: Option<String>,
    image_url: Option<String>,
    own_image: Option<String>,
    thumbnail_cid: Option<String>,
    liked: Option<String>,
    like_count: i64,
    plyr_like_count: i64,
    bluesky_like_count: i64,
    share_like_count: i64,
    share_count: i64,
    repost_count: i64,
    comment_count: i64,
    play_count: i64,
    plyr_play_count: i64,
    teal_play_count: i64,
}

/// The views of the visible ones of `uris`, in their order, until they fill a page; and how many of `uris` that covers, at least
/// one.
pub(crate) async fn views(
    options: &Options,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    uris: &[AtUri],
) -> Result<(Vec<TrackView>, usize), Error> {
    if uris.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let rows = rows(db, viewer, uris).await?;
    // Only the last row may reach over the edge; if none did, nothing was cut.
    let cut = rows.last().filter(|last| last.total >= PAGE_MAX_BYTES as i64);
    let covered = cut.map_or(uris.len(), |last| last.position as usize);
    let (mut views, mut size_bytes) = (Vec::with_capacity(rows.len()), 0);
    for row in rows {
        let position = row.position as usize;
        let Some(json) = hydrate::record_json(&row.uri, &row.value) else { continue };
        // What stands in the view beside the record is in the record, too. Its JSON may be six times as long as the bytes that the
        // query limited.
        size_bytes += 2 * json.get().len()
            + VIEW_BYTES
            + row.features.as_ref().map_or(0, |features| features.len()) * FEATURE_BYTES;
        if size_bytes > PAGE_MAX_BYTES && !views.is_empty() {
            return Ok((views, position - 1));
        }
        views.push(view(options, row, json, viewer.is_some())?);
    }
    Ok((views, covered))
}

/// The rows of those that may be seen, until their records fill a page. Nearly every table is entered at one row of its key.
async fn rows(db: &mut PgConnection, viewer: Option<&Viewer>, uris: &[AtUri]) -> Result<Vec<Row>, Error> {
    let wanted: Vec<&str> = uris.iter().map(AtUri::as_str).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select page.uri as "uri!", page.did as "did!", page.cid as "cid!", page.rev as "rev!", page.value as "value!",
                  page.indexed_at as "indexed_at!", page.position as "position!", page.total as "total!", page.handle,
                  p.display_name as "display_name?", avatar.cid as "avatar_cid?", page.audio_cid is not null as "has_blob!",
                  page.audio_url, case when page.audio_cid is null then left(md5(page.audio_url), 16) end as address_id, page.tags as "tags!", page.created_at as "created_at!",
                  page.sort_at as "sort_at!", n.id as "id?", audio.file_id as "audio_file?", audio.mime as "audio_mime?",
                  own.file_id as "own_file?", own.mime as "own_mime?", cover.cid as "cover_cid?", small.cid as "thumbnail_cid?",
                  page.image_url,
                  case when cover.cid is null then
                    (select b.cid from blob b
                      where b.cid = substring(page.image_url from '/media/([a-z0-9]+)$') and b.mime like 'image/%'
                        and exists (select from blob_ref f join actor who on who.did = f.did and who.active
                                     where f.cid = b.cid and f.role in ('cover', 'avatar')))
                  end as own_image,
                  case when page.feature_dids <> '{}' then
                    (select json_agg(json_build_object('did', f.did, 'handle', who.handle, 'display_name', them.display_name,
                                                       'avatar_cid', face.cid) order by f.n)
                       from unnest(page.feature_dids) with ordinality as f (did, n)
                       join actor as who on who.did = f.did and who.active
                       left join bsky_profile as them on them.did = f.did
                       left join blob as face on face.cid = them.avatar_cid and face.mime like 'image/%')
                  end as "features: Json<Vec<Feature>>",
                  case when $3::text is not null then
                    (select r.uri from reaction r where r.subject_uri = page.uri and r.did = $3 and r.verb = 'like' and r.source = 'plyr'
                      order by r.sort_at, r.uri limit 1) end as liked,
                  coalesce(c.like_count, 0) as "like_count!", coalesce(c.plyr_like_count, 0) as "plyr_like_count!",
                  coalesce(c.bluesky_like_count, 0) as "bluesky_like_count!", coalesce(c.share_like_count, 0) as "share_like_count!",
                  coalesce(c.share_count, 0) as "share_count!", coalesce(c.repost_count, 0) as "repost_count!",
                  coalesce(c.comment_count, 0) as "comment_count!", coalesce(c.play_count, 0) as "play_count!",
                  coalesce(c.plyr_play_count, 0) as "plyr_play_count!", coalesce(c.teal_play_count, 0) as "teal_play_count!"
             from (select r.uri, r.cid, r.rev, r.value, r.indexed_at, t.did, t.audio_cid, t.audio_url, t.image_cid, t.image_url,
                          t.tags, t.feature_dids, t.created_at, t.sort_at, a.handle, w.position,
                          sum(octet_length(r.value)) over (order by w.position)::bigint as total
                     from unnest($1::text[]) with ordinality as w (uri, position)
                     join record r on r.uri = w.uri and r.value is not null
                     join track t on t.uri = r.uri
                     join actor a on a.did = t.did and a.active) as page
             left join bsky_profile p on p.did = page.did
             left join blob avatar on avatar.cid = p.avatar_cid and avatar.mime like 'image/%'
             left join subject_count c on c.uri = page.uri
             left join public_id n on n.kind = 'track' and n.uri = page.uri
             left join blob audio on audio.cid = page.audio_cid
             left join blob cover on cover.cid = page.image_cid and cover.mime like 'image/%'
             left join cover_size s on s.cover_cid = page.image_cid and s.width_px = $4
             left join blob small on small.cid = s.cid
             left join lateral (
                  select b.file_id, b.mime from blob b
                   where page.audio_cid is null and b.file_id = substring(page.audio_url from '/audio/([0-9a-f]{16})$')
                     and exists (select from blob_ref f join actor who on who.did = f.did and who.active
                                  where f.cid = b.cid and f.role = 'audio')
                   limit 1) as own on true
            where page.total - octet_length(page.value) < $2
            order by page.position"#,
        &wanted as &[&str],
        PAGE_MAX_BYTES as i64,
        viewer.map(|viewer| viewer.did.as_str()),
        crate::cover::THUMBNAIL_PX as i32
    );
    Ok(rows.fetch_all(db).await?)
}

fn view(options: &Options, row: Row, record: Box<RawValue>, has_viewer: bool) -> Result<TrackView, Error> {
    let uri: AtUri = stored(&row.uri)?;
    // What the bytes are decides, not what the record takes them for.
    let sound = |file: Option<String>, mime: Option<String>| {
        file.filter(|_| mime.is_some_and(|mime| media::kind(&mime) == Some(Kind::Audio)))
    };
    let audio = match row.has_blob {
        true => sound(row.audio_file, row.audio_mime).map(|file| options.audio_url(&file)),
        false => {
            let own = sound(row.own_file, row.own_mime);
            row.audio_url.as_deref().and_then(|url| playable(options, url, own.as_deref()))
        }
    };
    // Not a key of ours but a claim in a record: one that is no DID features nobody.
    let featured = row.features.into_iter().flat_map(|Json(features)| features).filter_map(|feature| {
        let Feature { did, handle, display_name, avatar_cid } = feature;
        Some(ProfileViewBasic::of(options, did.parse().ok()?, handle, display_name, avatar_cid))
    });
    let liked = row.liked.as_deref().map(stored).transpose()?;
    let cover = match (row.cover_cid, row.image_url) {
        (Some(cid), _) => Some(options.image_url(&cid)),
        (None, address) => address.and_then(|url| picture(options, &url, row.own_image.as_deref())),
    };
    Ok(TrackView {
        labels: label::own(&uri, &row.cid, row.created_at, &record),
        uri,
        id: row.id.unwrap_or_default(),
        viewer: has_viewer.then_some(ViewerState { like: liked }),
        cid: row.cid,
        rev: row.rev,
        author: ProfileViewBasic::of(
            options,
            stored(&row.did)?,
            row.handle,
            row.display_name,
            row.avatar_cid,
        ),
        record,
        audio,
        address_id: row.address_id,
        cover,
        thumbnail: row.thumbnail_cid.map(|cid| options.image_url(&cid)),
        features: featured.collect(),
        tags: row.tags,
        like_count: row.like_count,
        like_sources: LikeSources {
            plyr: row.plyr_like_count,
            bluesky: row.bluesky_like_count,
            shares: row.share_like_count,
        },
        share_count: row.share_count,
        repost_count: row.repost_count,
        comment_count: row.comment_count,
        play_count: row.play_count,
        play_sources: PlaySources { plyr: row.plyr_play_count, teal: row.teal_play_count },
        sort_at: row.sort_at,
        indexed_at: row.indexed_at,
    })
}

/// Where a page may play what a record gives only an address for: at a foreign host that encrypts, or at ours if we have it.
fn playable(options: &Options, text: &str, own: Option<&str>) -> Option<String> {
    let url = Url::parse(text).ok()?;
    if options.is_ours(&url) {
        return options
            .file_id_in(&url)
            .filter(|id| own == Some(id.as_str()))
            .map(|id| options.audio_url(&id));
    }
    foreign::url(options, text).map(|_| text.to_owned())
}

/// The same of a picture.
fn picture(options: &Options, text: &str, own: Option<&str>) -> Option<String> {
    let is_ours = Url::parse(text).is_ok_and(|url| options.is_ours(&url));
    let shown = if is_ours { own } else { Some(text) };
    shown.and_then(|shown| foreign::picture(options, shown))
}
