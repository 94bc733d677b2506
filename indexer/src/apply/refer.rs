//! Which records of other people's collections a transaction keeps: those that name something of ours, whom those follow who have
//! signed in, and what it holds already.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;
use sqlx::PgConnection;

use super::world::World;
use crate::change::{Input, Op};
use crate::link::reference::Reference;
use crate::link::{self, POST, concern};
use crate::record::{FOLLOW, VALUE_MAX_BYTES};
use crate::syntax::{AtUri, Did, Tid};
use crate::{dag, job, sabotage};

/// Likes and quotes, and posts that may turn out to share something: (like, post), and whether that may take days to show.
pub(super) type Awaited = BTreeMap<(AtUri, AtUri), bool>;

/// A like of a post of which nothing is known.
struct Unknown {
    like: AtUri,
    rev: Tid,
    /// The repo is read as a whole: who wrote the post may be read later.
    is_of_whole: bool,
}

/// What a record of such a collection names.
enum Names {
    Ours,
    Post(AtUri),
    Nothing,
}

impl World<'_> {
    /// Whether only some of a collection's records are kept.
    pub(super) fn refers(&self, uri: &AtUri) -> bool {
        self.door.registry.get(uri.collection()).is_some_and(|collection| collection.refers)
    }

    /// Whether what is said of this record is to be applied.
    pub(super) fn keeps(&self, uri: &AtUri) -> bool {
        !self.refers(uri) || self.concerned.contains(uri) || self.rows.contains_key(uri)
    }

    /// Looks which of the records told of name something of ours, as far as that decides whether they are kept.
    pub(super) async fn refer(&mut self, db: &mut PgConnection, inputs: &[Input]) -> sqlx::Result<()> {
        let mut of_posts: BTreeMap<AtUri, Vec<Unknown>> = BTreeMap::new();
        let mut deleted = Vec::new();
        for input in inputs {
            let Some(rev) = input.rev() else {
                if let Input::Awaited { like, post } = input {
                    self.awaited.insert((like.clone(), post.clone()), false);
                }
                continue;
            };
            let is_of_whole = matches!(input, Input::Snapshot(_));
            for (uri, value) in told(input) {
                if !self.refers(uri) {
                    continue;
                }
                if uri.collection() == FOLLOW {
                    if value.is_some() && self.repos.get(&uri.did()).is_some_and(|held| held.is_member) {
                        self.concerned.insert(uri.clone());
                    }
                    continue;
                }
                match value.map(|value| self.names(uri, value)) {
                    None => deleted.push(uri.to_string()),
                    Some(Names::Ours) => drop(self.concerned.insert(uri.clone())),
                    Some(Names::Post(post)) => {
                        let unknown = Unknown { like: uri.clone(), rev: rev.clone(), is_of_whole };
                        of_posts.entry(post).or_default().push(unknown);
                    }
                    Some(Names::Nothing) => {}
                }
            }
        }
        if !of_posts.is_empty() {
            let posts: Vec<&str> = of_posts.keys().map(AtUri::as_str).collect();
            // Before what is shared: a name that comes to mean something just now is found in one of both.
            let unclear = sqlx::query_scalar!(
                "select distinct uri from record_name where uri = any($1) and meaning is null",
                &posts as &[&str]
            )
            .fetch_all(&mut *db)
            .await?;
            let shared = sqlx::query_scalar!(
                "select distinct post_uri from shared_post where post_uri = any($1)",
                &posts as &[&str]
            )
            .fetch_all(&mut *db)
            .await?;
            // A post that comes with its likes, as where a repo is read as a whole, is here though not in the database.
            let here = of_posts.keys().filter(|post| self.concerned.contains(*post)).map(AtUri::to_string);
            for post in shared.into_iter().chain(here.collect::<Vec<_>>()) {
                let likes = post.parse::<AtUri>().ok().and_then(|post| of_posts.remove(&post));
                self.concerned.extend(likes.into_iter().flatten().map(|unknown| unknown.like));
            }
            self.wait(&unclear, of_posts);
        }
        if !deleted.is_empty() {
            // Somebody may be asking for it just now: the answer shall find that it is gone.
            let asked = sqlx::query_scalar!("select uri from awaited_link where uri = any($1)", &deleted)
                .fetch_all(db)
                .await?;
            self.concerned.extend(asked.iter().filter_map(|uri| uri.parse().ok()));
        }
        Ok(())
    }

    /// Notes likes of posts that may turn out to share something: the post is young; it names something by what means nothing yet; or
    /// somebody wrote it whom we know, and of whom that may not have been read.
    fn wait(&mut self, unclear: &[String], of_posts: BTreeMap<AtUri, Vec<Unknown>>) {
        for (post, likes) in of_posts {
            let is_unclear = unclear.iter().any(|uri| uri == post.as_str());
            let is_known = self.door.concerns.knows(post.authority());
            for Unknown { like, rev, is_of_whole } in likes {
                let is_early = concern::is_early(post.rkey(), rev.timestamp_us());
                let is_old = is_unclear || is_of_whole && is_known;
                if is_early || is_old {
                    self.awaited.insert((like, post.clone()), is_old);
                }
            }
        }
    }

    fn names(&self, uri: &AtUri, value: &[u8]) -> Names {
        let registry = &self.door.registry;
        if value.len() > VALUE_MAX_BYTES {
            return Names::Nothing;
        }
        if uri.collection() == POST {
            // Nearly all posts are told by their bytes.
            let concerns = &self.door.concerns;
            if !concerns.mentions_ours(value) && !concern::quotes(value) {
                return Names::Nothing;
            }
            let Ok(Ipld::Map(post)) = dag::decode(value) else { return Names::Nothing };
            let facets = match post.get("facets") {
                Some(Ipld::List(facets)) => facets.as_slice(),
                _ => &[],
            };
            let mut quoted = None;
            for (path, text) in link::of_post(post.get("embed"), facets) {
                if registry.reference(text).is_some() {
                    return Names::Ours;
                }
                quoted = quoted.or_else(|| link::quoted(path, text));
            }
            return quoted.map_or(Names::Nothing, Names::Post);
        }
        let Ok(Ipld::Map(record)) = dag::decode(value) else { return Names::Nothing };
        let Some(Ipld::Map(subject)) = record.get("subject") else { return Names::Nothing };
        let Some(Ipld::String(named)) = subject.get("uri") else { return Names::Nothing };
        match Reference::at(named) {
            Some(named) if named.collection().is_some_and(|nsid| registry.is_ours(nsid)) => Names::Ours,
            Some(Reference::Record(named)) if named.collection() == POST => Names::Post(named),
            _ => Names::Nothing,
        }
    }

    /// Whether an input shows something of ours in the repo of somebody: some of their records are kept.
    pub(super) fn is_concerned(&self, input: &Input) -> bool {
        told(input).any(|(uri, _)| self.concerned.contains(uri))
    }

    /// Notes likes of posts that may turn out to be shares. To be called when the turns at the posts are taken.
    pub(super) async fn write_awaited(&mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        if self.awaited.is_empty() || sabotage::is_on("early-likes-forgotten") {
            return Ok(());
        }
        let (likes, posts): (Vec<&str>, Vec<&str>) =
            self.awaited.keys().map(|(like, post)| (like.as_str(), post.as_str())).unzip();
        let old: Vec<bool> = self.awaited.values().copied().collect();
        sqlx::query!(
            "insert into awaited_link (uri, target, is_old)
             select uri, target, is_old from unnest($1::text[], $2::text[], $3::boolean[]) as a (uri, target, is_old)
             order by target, uri
             on conflict (target, uri) do update set is_old = true where excluded.is_old and not awaited_link.is_old",
            &likes as &[&str],
            &posts as &[&str],
            &old
        )
        .execute(&mut *db)
        .await?;
        let shared = sqlx::query_scalar!(
            "select distinct post_uri from shared_post where post_uri = any($1)",
            &posts as &[&str]
        )
        .fetch_all(db)
        .await?;
        for post in shared {
            self.effects.job(job::LOOK_BACK, post);
        }
        Ok(())
    }

    /// What of these people was missed is asked for, record by record: their repos are not followed.
    pub(super) async fn write_doubts(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        if self.doubted.is_empty() {
            return Ok(());
        }
        let dids: Vec<&str> = self.doubted.iter().map(Did::as_str).collect();
        sqlx::query!(
            "update record set proven = false, reported_by = 'doubt' where did = any($1) and proven and cid is not null",
            &dids as &[&str]
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// The records that an input tells of; those that are gone have no value.
fn told(input: &Input) -> Box<dyn Iterator<Item = (&AtUri, Option<&[u8]>)> + '_> {
    fn value(op: &Op) -> Option<&[u8]> {
        if let Op::Put { value, .. } = op { Some(value) } else { None }
    }
    match input {
        Input::Commit(commit) => Box::new(commit.ops.iter().map(|(uri, op)| (uri, value(op)))),
        Input::Snapshot(snapshot) => {
            Box::new(snapshot.records.iter().map(|(uri, _, value)| (uri, Some(value.as_ref()))))
        }
        Input::Proof(proof) => Box::new(std::iter::once((&proof.uri, value(&proof.op)))),
        Input::Report(report) => Box::new(std::iter::once((&report.uri, value(&report.op)))),
        Input::Local(local) => Box::new(std::iter::once((&local.uri, value(&local.op)))),
        _ => Box::new(std::iter::empty()),
    }
}
