//! `reaction`: who likes or reposts what, and the numbers of people who do.
//!
//! However many likes a person writes of a thing, and wherever, they are one person. The sources of their likes are counted
//! each by itself, too.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::apply::effects::{Count, Effects};
use crate::chart;
use crate::copy::{self, Rows, Target};
use crate::link::{LIKE, REPOST};
use crate::sabotage;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Like,
    Repost,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Verb::Like => "like",
            Verb::Repost => "repost",
        }
    }

    fn from_word(word: &str) -> Verb {
        if word == "repost" { Verb::Repost } else { Verb::Like }
    }

    /// The number of people.
    fn total(self) -> Count {
        match self {
            Verb::Like => Count::Likes,
            Verb::Repost => Count::Reposts,
        }
    }
}

/// By which kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// `fm.plyr.like`
    Plyr,
    /// A record of Bluesky's, of the thing itself.
    Bluesky,
    /// A record of Bluesky's, of a post that shares it.
    Share,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Plyr => "plyr",
            Source::Bluesky => "bluesky",
            Source::Share => "share",
        }
    }

    fn from_word(word: &str) -> Source {
        match word {
            "plyr" => Source::Plyr,
            "bluesky" => Source::Bluesky,
            _ => Source::Share,
        }
    }

    /// The number of people who like it so; reposts are not told apart.
    fn count(self, verb: Verb) -> Option<Count> {
        match (verb, self) {
            (Verb::Repost, _) => None,
            (Verb::Like, Source::Plyr) => Some(Count::PlyrLikes),
            (Verb::Like, Source::Bluesky) => Some(Count::BlueskyLikes),
            (Verb::Like, Source::Share) => Some(Count::ShareLikes),
        }
    }
}

/// A row of `reaction`.
#[derive(Debug, Clone)]
pub(crate) struct Reaction {
    pub uri: String,
    pub subject: String,
    pub did: String,
    pub verb: Verb,
    pub source: Source,
    pub via: Option<String>,
    pub created_at: DateTime<Utc>,
    pub sort_at: DateTime<Utc>,
}

/// (verb, subject, person)
pub(super) type Whose = (Verb, String, String);
/// By what they do it.
pub(super) type Held = BTreeMap<Whose, BTreeSet<Source>>;

/// The columns of `reaction`.
pub const REACTIONS: Target =
    copy::into!(reaction: uri, subject_uri, did, verb, source, via, created_at, sort_at);

/// Takes away the reactions of these records.
pub(super) async fn remove(db: &mut PgConnection, uris: &[String]) -> sqlx::Result<Held> {
    let mut lost = Held::new();
    if !uris.is_empty() {
        let rows = sqlx::query!(
            "delete from reaction where uri = any($1) returning verb, subject_uri, did, source",
            uris
        )
        .fetch_all(db)
        .await?;
        for row in rows {
            note(&mut lost, &row.verb, row.subject_uri, row.did, &row.source);
        }
    }
    Ok(lost)
}

/// Takes away what came by these posts.
pub(super) async fn remove_via(db: &mut PgConnection, posts: &[String]) -> sqlx::Result<Held> {
    let mut lost = Held::new();
    let rows = sqlx::query!(
        "delete from reaction where via = any($1) returning verb, subject_uri, did, source",
        posts
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        note(&mut lost, &row.verb, row.subject_uri, row.did, &row.source);
    }
    Ok(lost)
}

fn note(held: &mut Held, verb: &str, subject: String, did: String, source: &str) {
    let whose = (Verb::from_word(verb), subject, did);
    held.entry(whose).or_default().insert(Source::from_word(source));
}

/// Which reactions to shares are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum By<'a> {
    /// Those that are these records.
    Reactions(&'a [String]),
    /// Those of these posts.
    Posts(&'a [String]),
}

/// What follows from likes and reposts of posts, as far as their authors are to be seen.
pub(super) async fn shared(db: &mut PgConnection, by: By<'_>) -> sqlx::Result<Vec<Reaction>> {
    let (By::Reactions(wanted) | By::Posts(wanted)) = by;
    if wanted.is_empty() || sabotage::is_on("shares-bring-no-likes") {
        return Ok(Vec::new());
    }
    macro_rules! select {
        ($condition:literal) => {
            sqlx::query_as!(
                Shared,
                r#"select l.uri, s.subject_uri, l.did, l.collection, l.target as post, l.created_at, l.sort_at
                   from link l join shared_post s on s.post_uri = l.target
                               join actor a on a.did = s.did and a.active
                   where l.collection = any($2) and "#
                    + $condition,
                wanted,
                &[LIKE, REPOST] as &[&str]
            )
            .fetch_all(db)
            .await?
        };
    }
    let rows = match by {
        By::Reactions(_) => select!("l.uri = any($1)"),
        By::Posts(_) => select!("l.target = any($1)"),
    };
    let mut seen = HashSet::new();
    Ok(rows
        .into_iter()
        .filter(|row| seen.insert((row.uri.clone(), row.subject_uri.clone())))
        .map(|row| Reaction {
            verb: if row.collection == REPOST { Verb::Repost } else { Verb::Like },
            uri: row.uri,
            subject: row.subject_uri,
            did: row.did,
            source: Source::Share,
            via: Some(row.post),
            created_at: row.created_at,
            sort_at: row.sort_at,
        })
        .collect())
}

struct Shared {
    uri: String,
    subject_uri: String,
    did: String,
    collection: String,
    post: String,
    created_at: DateTime<Utc>,
    sort_at: DateTime<Utc>,
}

/// Whose reactions change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doers {
    /// Of those whose repos this transaction has locked: who of them is hidden, its effects know.
    Own,
    /// Of anybody.
    Anybodys,
}

/// What else people do it by, whose reactions were `lost` or are `won`, and some `more`.
pub(super) async fn held(
    db: &mut PgConnection,
    lost: &Held,
    won: &[Reaction],
    more: impl Iterator<Item = (Whose, Source)>,
) -> sqlx::Result<Held> {
    let mut wanted: BTreeSet<Whose> = more.map(|(whose, _)| whose).collect();
    wanted.extend(lost.keys().cloned());
    wanted.extend(won.iter().map(|row| (row.verb, row.subject.clone(), row.did.clone())));
    look_up(db, &wanted).await
}

/// Adds reactions, and moves the numbers by what they and those that were `lost` make of each person; what else they do it by
/// is `held`.
pub(super) async fn settle(
    db: &mut PgConnection,
    doers: Doers,
    (held, lost): (Held, Held),
    won: Vec<Reaction>,
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let mut gained = Held::new();
    for row in &won {
        let whose = (row.verb, row.subject.clone(), row.did.clone());
        gained.entry(whose).or_default().insert(row.source);
    }
    let concerned: BTreeSet<&Whose> = lost.keys().chain(gained.keys()).collect();
    if concerned.is_empty() {
        return Ok(());
    }
    let hidden = match doers {
        Doers::Own => HashSet::new(),
        Doers::Anybodys => hidden(db, &concerned).await?,
    };
    let none = BTreeSet::new();
    for whose in concerned {
        let (verb, subject, did) = whose;
        effects.touch(subject, false);
        if *verb == Verb::Like && chart::counts_likes_of(subject) {
            effects.liked(did, subject);
        }
        if hidden.contains(did) {
            continue;
        }
        let of = |sources: &Held| sources.get(whose).unwrap_or(&none).clone();
        let held = of(&held);
        let (before, after) = (&held | &of(&lost), &held | &of(&gained));
        let delta = |before: bool, after: bool| i64::from(after) - i64::from(before);
        let mut move_by = |count: Count, delta: i64| match doers {
            _ if delta == 0 => {}
            Doers::Own => effects.count(did, subject, count, delta),
            Doers::Anybodys => effects.move_count(subject, count, delta),
        };
        if sabotage::is_on("like-counted-per-record") {
            move_by(verb.total(), of(&gained).len() as i64 - of(&lost).len() as i64);
        } else {
            move_by(verb.total(), delta(!before.is_empty(), !after.is_empty()));
        }
        for source in [Source::Plyr, Source::Bluesky, Source::Share] {
            if let Some(count) = source.count(*verb) {
                move_by(count, delta(before.contains(&source), after.contains(&source)));
            }
        }
    }
    let mut rows = Rows::into(REACTIONS);
    for row in &won {
        if row.verb == Verb::Like && !hidden.contains(&row.did) {
            effects.happen("like", &row.uri, &row.did, Some(&row.subject), row.sort_at);
        }
        rows.row().field(&row.uri).field(&row.subject).field(&row.did).field(row.verb.as_str());
        rows.field(row.source.as_str()).field(&row.via).field(row.created_at).field(row.sort_at);
    }
    rows.write(db).await
}

/// By what each of them does it.
async fn look_up(db: &mut PgConnection, concerned: &BTreeSet<Whose>) -> sqlx::Result<Held> {
    if concerned.is_empty() {
        return Ok(Held::new());
    }
    let verbs: Vec<&str> = concerned.iter().map(|(verb, ..)| verb.as_str()).collect();
    let subjects: Vec<&str> = concerned.iter().map(|(_, subject, _)| subject.as_str()).collect();
    let dids: Vec<&str> = concerned.iter().map(|(.., did)| did.as_str()).collect();
    let rows = sqlx::query!(
        r#"select distinct r.verb, r.subject_uri, r.did, r.source
           from unnest($1::text[], $2::text[], $3::text[]) as w (verb, subject_uri, did)
           join reaction r on r.subject_uri = w.subject_uri collate "C" and r.verb = w.verb
                          and r.did = w.did collate "C""#,
        &verbs as &[&str],
        &subjects as &[&str],
        &dids as &[&str]
    )
    .fetch_all(db)
    .await?;
    let mut held = Held::new();
    for row in rows {
        note(&mut held, &row.verb, row.subject_uri, row.did, &row.source);
    }
    Ok(held)
}

/// Who of them does not count.
async fn hidden(db: &mut PgConnection, concerned: &BTreeSet<&Whose>) -> sqlx::Result<HashSet<String>> {
    let dids: BTreeSet<&str> = concerned.iter().map(|(.., did)| did.as_str()).collect();
    let dids: Vec<&str> = dids.into_iter().collect();
    let rows =
        sqlx::query_scalar!("select did from actor where did = any($1) and not active", &dids as &[&str])
            .fetch_all(db)
            .await?;
    Ok(rows.into_iter().collect())
}
