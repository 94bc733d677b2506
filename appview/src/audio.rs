//! `/audio/{file_id}`: what a track sounds like.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;

use crate::App;
use crate::error::Error;
use crate::media::{self, Held, Kind};

/// Answers the bytes, in part if asked, of a blob that a visible track names as its audio; 307 when a media
/// host is set.
pub(crate) async fn audio(
    State(app): State<App>,
    file_id: Result<Path<String>, PathRejection>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let missing = || Error::not_found("no such audio");
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
    .fetch_optional(&app.pool)
    .await?;
    let held = held.filter(|held| media::kind(&held.mime) == Some(Kind::Audio)).ok_or_else(missing)?;
    if let Some(elsewhere) = media::elsewhere(&app, &headers, &format!("audio/{file_id}")) {
        return Ok(elsewhere);
    }
    media::deliver(&app, &method, &headers, &held).await
}

/// The first 16 hex digits of a SHA-256.
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
