//! The form of an upload: read as it streams in, its files straight into the store's staging area, and checked.

use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::Stream;
use indexer::record::normalize_tags;

use super::budget;
use super::multipart::{FormError, Multipart, Part};
use crate::detail::Detail;
use crate::mirror::{Role, head_of, sniff};
use crate::probe::{self, Format};
use crate::store::{BlobStore, StagingFile};

/// Of a picture.
pub(crate) const IMAGE_MAX_MB: u64 = 20;
/// Of a field that is no file.
const TEXT_MAX_BYTES: usize = 64 * 1024;
/// Of all fields.
const FIELDS_MAX: usize = 64;
/// As `fm.plyr.track` has it: in bytes, not in characters.
const TITLE_MAX_BYTES: usize = 256;
const DESCRIPTION_MAX_BYTES: usize = 5000;
const TAGS_MAX: usize = 10;
const TAG_MAX_CHARS: usize = 50;
const FEATURES_MAX: usize = 10;
/// The disk is asked for its room as often as so much was written.
const LOOK_EVERY_BYTES: u64 = 64 << 20;

/// What was given, checked.
#[derive(Debug)]
pub(crate) struct Form {
    pub title: String,
    pub album: Option<String>,
    pub description: Option<String>,
    pub tags: Vec<String>,
    /// Handles or DIDs, not looked up yet.
    pub features: Vec<String>,
    pub audio: Given,
    pub image: Option<Given>,
}

/// A file, with the type that its bytes have. It lies on the disk.
#[derive(Debug)]
pub(crate) struct Given {
    pub file: StagingFile,
    pub mime: &'static str,
}

#[derive(Default)]
struct Fields {
    title: Option<String>,
    album: Option<String>,
    description: Option<String>,
    visibility: Option<String>,
    tags: Vec<String>,
    features: Vec<String>,
    audio: Option<StagingFile>,
    image: Option<StagingFile>,
}

/// What there is room for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Of the audio.
    pub audio_max_mb: u64,
    /// What stays free on the disk.
    pub free_min_mb: u64,
}

/// Reads a form. What is refused is gone from the disk.
pub(crate) async fn read<S, E>(mut form: Multipart<S>, store: &BlobStore, room: Room) -> Result<Form, Detail>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    check(fields(&mut form, store, room).await?).await
}

async fn fields<S, E>(form: &mut Multipart<S>, store: &BlobStore, room: Room) -> Result<Fields, Detail>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut fields = Fields::default();
    let mut number = 0;
    while let Some(Part { name, is_file }) = form.next().await? {
        number += 1;
        if number > FIELDS_MAX {
            return Err(Detail::bad_request("too many fields"));
        }
        match name.as_str() {
            "file" if is_file => {
                keep(&mut fields.audio, file(form, store, &name, room.audio_max_mb, room).await?)?;
            }
            "image" if is_file => {
                keep(&mut fields.image, file(form, store, &name, IMAGE_MAX_MB, room).await?)?;
            }
            "title" => fields.title = Some(text(form, &name).await?),
            "album" => fields.album = Some(text(form, &name).await?),
            "description" => fields.description = Some(text(form, &name).await?),
            "visibility" => fields.visibility = Some(text(form, &name).await?),
            "tags" => fields.tags.push(text(form, &name).await?),
            "features" => fields.features.push(text(form, &name).await?),
            // Newer clients send more than this server knows.
            _ => {}
        }
    }
    Ok(fields)
}

/// An empty file is what a browser sends where none was chosen.
fn keep(place: &mut Option<StagingFile>, file: StagingFile) -> Result<(), Detail> {
    if place.is_some() {
        return Err(Detail::bad_request("two files in one field"));
    }
    *place = (file.size_bytes() > 0).then_some(file);
    Ok(())
}

async fn file<S, E>(
    form: &mut Multipart<S>,
    store: &BlobStore,
    name: &str,
    max_mb: u64,
    room: Room,
) -> Result<StagingFile, Detail>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut file = store.staging().await.map_err(budget::disk)?;
    let mut looked_at_bytes = 0;
    while let Some(chunk) = form.chunk().await? {
        if file.size_bytes() + chunk.len() as u64 > max_mb << 20 {
            return Err(too_large(name, max_mb));
        }
        if file.size_bytes() - looked_at_bytes >= LOOK_EVERY_BYTES {
            looked_at_bytes = file.size_bytes();
            budget::require_room(store, 0, room.free_min_mb).await?;
        }
        file.write(&chunk).await.map_err(budget::disk)?;
    }
    file.sync().await.map_err(budget::disk)?;
    Ok(file)
}

async fn text<S, E>(form: &mut Multipart<S>, name: &str) -> Result<String, Detail>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    let mut bytes = Vec::new();
    while let Some(chunk) = form.chunk().await? {
        if bytes.len() + chunk.len() > TEXT_MAX_BYTES {
            return Err(Detail::invalid("body", name, "too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(bytes).map_err(|_| Detail::invalid("body", name, "not UTF-8"))?;
    if text.contains('\0') {
        return Err(Detail::invalid("body", name, "holds a character that no record may hold"));
    }
    Ok(text.trim().to_owned())
}

/// What may be told only once everything is there.
async fn check(fields: Fields) -> Result<Form, Detail> {
    let limited = |field: &'static str, text: Option<String>, max_bytes: usize| match text {
        Some(text) if text.len() > max_bytes => {
            Err(Detail::invalid("body", field, format!("at most {max_bytes} bytes of UTF-8")))
        }
        text => Ok(text.filter(|text| !text.is_empty())),
    };
    let title = limited("title", fields.title, TITLE_MAX_BYTES)?;
    let title = title.ok_or_else(|| Detail::invalid("body", "title", "Field required"))?;
    if fields.visibility.is_some_and(|visibility| !visibility.is_empty() && visibility != "public") {
        return Err(Detail::bad_request("visibility: every track is public here"));
    }
    let audio = fields.audio.ok_or_else(|| Detail::invalid("body", "file", "Field required"))?;
    let audio = given(audio, Role::Sound).await?.filter(|audio| Format::of_mime(audio.mime).is_some());
    let audio = audio.ok_or_else(|| {
        Detail::bad_request(format!("unsupported file type; supported: {}", probe::ACCEPTED))
    })?;
    let image = match fields.image {
        None => None,
        Some(image) => {
            let image = given(image, Role::Picture).await?.filter(|image| image.mime != "image/avif");
            let refused =
                || Detail::bad_request("unsupported image type; supported: jpg, jpeg, png, webp, gif");
            Some(image.ok_or_else(refused)?)
        }
    };
    Ok(Form {
        title,
        album: limited("album", fields.album, TITLE_MAX_BYTES)?,
        description: limited("description", fields.description, DESCRIPTION_MAX_BYTES)?,
        tags: tags(&fields.tags)?,
        features: list(&fields.features, "features")?.into_iter().take(FEATURES_MAX).collect(),
        audio,
        image,
    })
}

async fn given(file: StagingFile, role: Role) -> Result<Option<Given>, Detail> {
    let path = file.path().ok_or_else(|| Detail::internal(anyhow::anyhow!("the staging file is gone")))?;
    let head = head_of(path).await.map_err(Detail::internal)?;
    let mime = sniff(&head).filter(|(_, found)| *found == role).map(|(mime, _)| mime);
    Ok(mime.map(|mime| Given { file, mime }))
}

/// Tags as records hold them.
fn tags(given: &[String]) -> Result<Vec<String>, Detail> {
    let tags = normalize_tags(list(given, "tags")?);
    if tags.len() > TAGS_MAX {
        return Err(Detail::bad_request(format!("at most {TAGS_MAX} tags")));
    }
    if tags.iter().any(|tag| tag.chars().count() > TAG_MAX_CHARS) {
        return Err(Detail::bad_request(format!("a tag has at most {TAG_MAX_CHARS} characters")));
    }
    Ok(tags)
}

/// A JSON array of strings, or several fields, or one with commas: clients do all three.
fn list(given: &[String], field: &str) -> Result<Vec<String>, Detail> {
    let mut items = Vec::new();
    for text in given {
        if text.starts_with('[') {
            let parsed: Vec<String> = serde_json::from_str(text)
                .map_err(|_| Detail::bad_request(format!("{field}: not a JSON array of strings")))?;
            items.extend(parsed);
        } else {
            items.extend(text.split(',').map(str::to_owned));
        }
    }
    if items.iter().any(|item| item.contains('\0')) {
        return Err(Detail::bad_request(format!("{field}: holds a character that no record may hold")));
    }
    items.retain_mut(|item| {
        *item = item.trim().to_owned();
        !item.is_empty()
    });
    Ok(items)
}

/// 413, naming the limit.
pub(super) fn too_large(name: &str, max_mb: u64) -> Detail {
    Detail::new(StatusCode::PAYLOAD_TOO_LARGE, format!("{name} too large: at most {max_mb} MB"))
}

impl From<FormError> for Detail {
    fn from(error: FormError) -> Self {
        match error {
            FormError::Malformed(text) => Detail::bad_request(text),
            FormError::TooLarge => Detail::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            FormError::Gone(_) => Detail::new(StatusCode::REQUEST_TIMEOUT, error.to_string()),
        }
    }
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
