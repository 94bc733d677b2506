//! `/audio/{file_id}`: what a track sounds like.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use url::Url;

use crate::detail::Detail;
use crate::media::{self, Held, Kind};
use crate::{App, Options, foreign};

/// Caches ask again after so long: whose track it is may stop being visible.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Answers the bytes, in part if asked, of a blob that a visible track names as its audio; 307 when a media
/// host is set, or to the address that is called so, where a visible track gives nothing else.
pub(crate) async fn audio(
    State(app): State<App>,
    file_id: Result<Path<String>, PathRejection>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Detail> {
    let missing = || Detail::not_found("audio file not found");
    let Path(file_id) = file_id.map_err(|_| missing())?;
    if !is_file_id(&file_id) {
        return Err(missing());
    }
    // Two blobs can be made to share the 64 bits of a file id: the one we have held longest answers.
    let held = sqlx::query_as!(
        Held,
        "select cid, size_bytes, mime, storage_key
           from blob
          where file_id = $1
            and exists (select
                          from blob_ref
                          join actor on actor.did = blob_ref.did and actor.active
                         where blob_ref.cid = blob.cid and role = 'audio')
          order by stored_at, cid
          limit 1",
        file_id
    )
    .fetch_optional(&mut *app.pool.acquire().await?)
    .await?;
    let Some(held) = held.filter(|held| media::kind(&held.mime) == Some(Kind::Audio)) else {
        let address = address(&app, &file_id).await?.ok_or_else(missing)?;
        let location = HeaderValue::try_from(String::from(address)).map_err(Detail::internal)?;
        return Ok(
            (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location), (CACHE_CONTROL, CACHE)]).into_response()
        );
    };
    if let Some(elsewhere) = media::elsewhere(&app, &headers, &format!("audio/{file_id}")) {
        return Ok(elsewhere);
    }
    Ok(media::deliver(&app, &method, &headers, &held).await?)
}

/// The address that is called so, where a visible track gives only that, and pages may play it. Bytes are asked for first.
async fn address(app: &App, file_id: &str) -> Result<Option<Url>, Detail> {
    let named = sqlx::query_scalar!(
        r#"select audio_url as "audio_url!"
             from track
             join actor on actor.did = track.did and actor.active
            where audio_cid is null and audio_url is not null and left(md5(audio_url), 16) = $1
            limit 1"#,
        file_id
    )
    .fetch_optional(&mut *app.pool.acquire().await?)
    .await?;
    Ok(named.and_then(|text| foreign::url(&app.options, &text)))
}

/// The file id of a sound that only has an address: that of the bytes where it is one of ours, else `address_id`, which is made of the
/// address itself.
pub(crate) fn id_of(options: &Options, audio_url: &str, address_id: String) -> String {
    Url::parse(audio_url).ok().and_then(|url| options.file_id_in(&url)).unwrap_or(address_id)
}

/// The first 16 hex digits of a SHA-256, or of what stands for an address.
pub(crate) fn is_file_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    #[test]
    fn file_ids_are_sixteen_hex_digits() {
        assert!(super::is_file_id("0123456789abcdef"));
        for bad in [
            "",
            "0123456789ABCDEF",
            "0123456789abcde",
            "0123456789abcdeff",
            "../../etc/passwd",
            "0123456789abcde\0",
        ] {
            assert!(!super::is_file_id(bad), "{bad}");
        }
    }
}
