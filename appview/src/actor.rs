//! People: how one is named beside their work, and their page.

pub(crate) mod http;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did, Handle};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::error::{Error, stored};
use crate::{App, hydrate};

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
    let missing = || Error::declared("NotFound", "no such person");
    let mut db = app.pool.acquire().await?;
    let did = params.0.actor.did(&mut db).await?.ok_or_else(missing)?;
    let mut people = hydrate::people(&app.options, &mut db, std::slice::from_ref(&did)).await?;
    let basic = people.remove(&did).ok_or_else(missing)?;
    let track_count =
        sqlx::query_scalar!(r#"select count(*) as "count!" from track where did = $1"#, did.as_str())
            .fetch_one(&mut *db)
            .await?;
    let record = sqlx::query!(
        r#"select profile.uri, bio, cid as "cid!", rev, indexed_at
             from profile
             join record on record.uri = profile.uri and cid is not null
            where profile.did = $1"#,
        did.as_str()
    )
    .fetch_optional(&mut *db)
    .await?;
    let Some(record) = record else {
        let view =
            ProfileView { basic, bio: None, uri: None, cid: None, rev: None, track_count, indexed_at: None };
        return Ok(Json(view));
    };
    Ok(Json(ProfileView {
        basic,
        bio: record.bio,
        uri: Some(stored(&record.uri)?),
        cid: Some(record.cid),
        rev: Some(record.rev),
        track_count,
        indexed_at: Some(record.indexed_at),
    }))
}

/// Who is meant; none where nobody is, or they are not to be seen.
pub(crate) async fn find(db: &mut PgConnection, actor: AtIdentifier) -> Result<Option<Did>, Error> {
    let Some(did) = actor.did(db).await? else { return Ok(None) };
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
