//! People: how one is named beside their work, and their page.

pub(crate) mod analytics;
pub(crate) mod http;

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did, Handle};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::error::{Error, stored};
use crate::label::{self, Label};
use crate::{App, Options, hydrate};

/// `fm.plyr.actor.defs#profileViewBasic`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileViewBasic {
    /// Who it is.
    pub did: Did,
    /// Verified both ways, else `handle.invalid`.
    pub handle: String,
    /// From their Bluesky profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Our copy of the picture in their Bluesky profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
}

impl ProfileViewBasic {
    /// Of what is stored of a person and their profile.
    pub(crate) fn of(
        options: &Options,
        did: Did,
        handle: Option<String>,
        display_name: Option<String>,
        avatar_cid: Option<String>,
    ) -> Self {
        ProfileViewBasic {
            did,
            handle: handle.unwrap_or_else(|| "handle.invalid".to_owned()),
            display_name: display_name.filter(|name| !name.is_empty()),
            avatar: avatar_cid.map(|cid| options.image_url(&cid)),
        }
    }

    /// What somebody is called: by the name they chose, or else by their handle.
    pub(crate) fn name(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.handle)
    }
}

/// `fm.plyr.actor.defs#profileView`. What is optional comes from their `fm.plyr.actor.profile` record.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileView {
    /// Name and face.
    #[serde(flatten)]
    pub basic: ProfileViewBasic,
    /// What they say of themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bio: Option<String>,
    /// The record's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<AtUri>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
    /// The commit that brought this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
    /// What they say of their account, in their Bluesky profile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// Tracks they have published.
    pub track_count: i64,
    /// When this version of the record was indexed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indexed_at: Option<DateTime<Utc>>,
}

/// A DID or a handle.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum AtIdentifier {
    Did(Did),
    Handle(Handle),
}

impl TryFrom<String> for AtIdentifier {
    type Error = indexer::syntax::SyntaxError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.starts_with("did:") {
            text.parse().map(AtIdentifier::Did)
        } else {
            Handle::normalized(&text).map(AtIdentifier::Handle)
        }
    }
}

impl AtIdentifier {
    fn handle(&self) -> Option<String> {
        if let AtIdentifier::Handle(handle) = self { Some(handle.to_string()) } else { None }
    }

    /// The DID, or else the handle.
    pub(crate) fn either(&self) -> (Option<&str>, Option<&str>) {
        match self {
            AtIdentifier::Did(did) => (Some(did.as_str()), None),
            AtIdentifier::Handle(handle) => (None, Some(handle.as_str())),
        }
    }

    /// Who is meant; none when nobody has that handle.
    pub(crate) async fn did(self, db: &mut PgConnection) -> Result<Option<Did>, Error> {
        match self {
            AtIdentifier::Did(did) => Ok(Some(did)),
            AtIdentifier::Handle(handle) => by_handle(db, &handle).await,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetProfile {
    actor: AtIdentifier,
}

/// `fm.plyr.actor.getProfile`.
pub(crate) async fn get_profile(
    State(app): State<App>,
    params: crate::xrpc::Params<GetProfile>,
) -> Result<Json<ProfileView>, Error> {
    let mut db = app.pool.acquire().await?;
    let did = visible(&mut db, params.0.actor).await?;
    let mut views = profiles(&app, &mut db, std::slice::from_ref(&did)).await?;
    views.remove(&did).map(Json).ok_or_else(|| Error::declared("NotFound", "no such person"))
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetProfiles {
    actors: Vec<AtIdentifier>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Profiles {
    profiles: Vec<ProfileView>,
}

/// `fm.plyr.actor.getProfiles`: each once, in the order asked for.
pub(crate) async fn get_profiles(
    State(app): State<App>,
    params: crate::xrpc::Params<GetProfiles>,
) -> Result<Json<Profiles>, Error> {
    let mut db = app.pool.acquire().await?;
    let handles: Vec<String> = params.0.actors.iter().filter_map(AtIdentifier::handle).collect();
    let mut holders = by_handles(&mut db, &handles).await?;
    let dids: Vec<Did> = params
        .0
        .actors
        .into_iter()
        .filter_map(|actor| match actor {
            AtIdentifier::Did(did) => Some(did),
            AtIdentifier::Handle(handle) => holders.remove(handle.as_str()),
        })
        .collect();
    let mut views = profiles(&app, &mut db, &dids).await?;
    Ok(Json(Profiles { profiles: dids.iter().filter_map(|did| views.remove(did)).collect() }))
}

/// The visible ones of these people, on a page of their own.
async fn profiles(
    app: &App,
    db: &mut PgConnection,
    dids: &[Did],
) -> Result<HashMap<Did, ProfileView>, Error> {
    let people = hydrate::people(&app.options, db, dids).await?;
    let names: Vec<&str> = people.keys().map(Did::as_str).collect();
    let rows = sqlx::query!(
        r#"select a.did as "did!", profile.uri as "uri?", bio, record.cid, record.rev as "rev?", record.indexed_at as "indexed_at?",
                  said.uri as "said_uri?", said.cid as "said_cid?", said.value as "said?", said.indexed_at as "said_at?",
                  (select count(*) from track where track.did = a.did) as "tracks!"
             from actor a
             left join (profile join record on record.uri = profile.uri and record.cid is not null) on profile.did = a.did
             left join (bsky_profile b join record said on said.uri = b.uri and position($2::bytea in said.value) > 0) on b.did = a.did
            where a.did = any($1)"#,
        &names as &[&str],
        label::SELF_LABELS.as_bytes()
    )
    .fetch_all(db)
    .await?;
    let mut views = HashMap::with_capacity(rows.len());
    for row in rows {
        let did: Did = stored(&row.did)?;
        let Some(basic) = people.get(&did).cloned() else { continue };
        let labels = match (row.said_uri, row.said_cid, row.said, row.said_at) {
            (Some(uri), Some(cid), Some(value), Some(at)) => own_labels(&uri, &cid, &value, at)?,
            _ => Vec::new(),
        };
        let view = ProfileView {
            basic,
            labels,
            bio: row.bio,
            uri: row.uri.as_deref().map(stored).transpose()?,
            cid: row.cid,
            rev: row.rev,
            track_count: row.tracks,
            indexed_at: row.indexed_at,
        };
        views.insert(did, view);
    }
    Ok(views)
}

/// What a Bluesky profile says of its account: since it was made, if it tells, or else since we know of it.
fn own_labels(uri: &str, cid: &str, value: &[u8], indexed_at: DateTime<Utc>) -> Result<Vec<Label>, Error> {
    let Some(record) = hydrate::record_json(uri, value) else { return Ok(Vec::new()) };
    let made: Made = serde_json::from_str(record.get()).unwrap_or_default();
    let created_at = made.created_at.and_then(|at| at.as_str()?.parse().ok()).unwrap_or(indexed_at);
    Ok(label::own(&stored(uri)?, cid, created_at, &record))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Made {
    created_at: Option<serde_json::Value>,
}

/// Who is meant; none where nobody is, or they are not to be seen.
pub(crate) async fn find(db: &mut PgConnection, actor: AtIdentifier) -> Result<Option<Did>, Error> {
    let did = match actor {
        AtIdentifier::Did(did) => did,
        AtIdentifier::Handle(handle) => return by_handle(db, &handle).await,
    };
    let seen = sqlx::query_scalar!(r#"select active as "active!" from actor where did = $1"#, did.as_str())
        .fetch_optional(db)
        .await?;
    Ok(Some(did).filter(|_| seen == Some(true)))
}

/// The same; an error where there is none.
pub(crate) async fn visible(db: &mut PgConnection, actor: AtIdentifier) -> Result<Did, Error> {
    find(db, actor).await?.ok_or_else(|| Error::declared("NotFound", "no such person"))
}

/// Two rows may claim a handle for a moment after it moved: the one looked at last is right.
async fn by_handle(db: &mut PgConnection, handle: &Handle) -> Result<Option<Did>, Error> {
    let did = sqlx::query_scalar!(
        "select did
           from actor
          where handle = $1 and active
          order by resolved_at desc nulls last, did
          limit 1",
        handle.as_str()
    )
    .fetch_optional(db)
    .await?;
    did.as_deref().map(stored).transpose()
}

/// The same for many at once.
async fn by_handles(db: &mut PgConnection, handles: &[String]) -> Result<HashMap<String, Did>, Error> {
    let rows = sqlx::query!(
        r#"select distinct on (handle) handle as "handle!", did from actor where handle = any($1) and active
            order by handle, resolved_at desc nulls last, did"#,
        handles
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok((row.handle, stored(&row.did)?))).collect()
}
