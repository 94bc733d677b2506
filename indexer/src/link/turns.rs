//! Who may move the numbers of a thing at the same time.
//!
//! A repo's lock keeps others from a person's own likes. But when a share comes or goes, the likes of its post begin or cease
//! to count for what it shares, and those are other people's. So whoever likes takes a turn at what they like beside others,
//! and whoever shares takes it alone: first at all posts, then at all that they share. All in one statement each, in one
//! order, and before anything is projected, so that no two transactions wait for each other.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use sqlx::PgConnection;

use super::is_post;
use crate::record::{Kind, Row};
use crate::sabotage;

/// Turns are taken at stripes: one for each of millions of likes would not fit into the lock table.
const STRIPES: u64 = 256;
/// The first half of the advisory locks' keys.
const AT_POSTS: i32 = 0x706c_7901;
const AT_SUBJECTS: i32 = 0x706c_7902;

/// Turns that are wanted, true for those that others must wait for.
#[derive(Debug, Default)]
struct Wanted(BTreeMap<i32, bool>);

impl Wanted {
    fn add(&mut self, uri: &str, alone: bool) {
        let stripe = (FixedState::with_seed(0).hash_one(uri) % STRIPES) as i32;
        *self.0.entry(stripe).or_default() |= alone;
    }

    async fn take(self, db: &mut PgConnection, class: i32) -> sqlx::Result<()> {
        if self.0.is_empty() || sabotage::is_on("no-turns") {
            return Ok(());
        }
        let (stripes, alone): (Vec<i32>, Vec<bool>) = self.0.into_iter().unzip();
        sqlx::query!(
            "select case when alone then pg_advisory_xact_lock($1, stripe)::text
                         else pg_advisory_xact_lock_shared($1, stripe)::text end
             from (select * from unnest($2::integer[], $3::boolean[]) as w (stripe, alone) order by stripe) as wanted",
            class,
            &stripes,
            &alone
        )
        .fetch_all(db)
        .await?;
        Ok(())
    }
}

/// Collects what a transaction is about to move.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Likes and reposts that go.
    gone: Vec<String>,
    /// What is liked.
    liked: BTreeSet<String>,
    /// Posts whose sharing may change, and what they share from now on.
    posts: BTreeSet<String>,
    shared: BTreeSet<String>,
}

impl Turns {
    /// What [`project`](crate::record::project) is about to be given.
    pub fn add(&mut self, kind: Kind, gone: &[String], rows: &[Row]) {
        match kind {
            Kind::Like => self.gone.extend_from_slice(gone),
            Kind::Post => self.posts.extend(gone.iter().cloned()),
            _ => return,
        }
        for row in rows {
            match row {
                Row::Like(like) => drop(self.liked.insert(like.subject.clone())),
                Row::Post(post) => {
                    self.posts.insert(post.uri.clone());
                    self.shared.extend(post.shared().map(str::to_owned));
                }
                _ => {}
            }
        }
    }

    /// Likes of these posts may be noted, or found to be of no concern.
    pub fn await_posts<'a>(&mut self, uris: impl Iterator<Item = &'a str>) {
        self.liked.extend(uris.map(str::to_owned));
    }

    /// Waits for them all.
    pub async fn take(mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        if !self.gone.is_empty() {
            let targets =
                sqlx::query_scalar!("select distinct target from link where uri = any($1)", &self.gone)
                    .fetch_all(&mut *db)
                    .await?;
            self.liked.extend(targets);
        }
        let (liked_posts, mut liked): (Vec<String>, Vec<String>) =
            self.liked.into_iter().partition(|uri| is_post(uri));
        let mut at_posts = Wanted::default();
        liked_posts.iter().for_each(|uri| at_posts.add(uri, false));
        self.posts.iter().for_each(|uri| at_posts.add(uri, true));
        at_posts.take(db, AT_POSTS).await?;
        // From here on nobody else changes what these posts share.
        if !liked_posts.is_empty() {
            liked.extend(shared_by(db, &liked_posts).await?);
        }
        if !self.posts.is_empty() {
            let posts: Vec<String> = self.posts.into_iter().collect();
            self.shared.extend(shared_by(db, &posts).await?);
        }
        let mut at_subjects = Wanted::default();
        liked.iter().for_each(|uri| at_subjects.add(uri, false));
        self.shared.iter().for_each(|uri| at_subjects.add(uri, true));
        at_subjects.take(db, AT_SUBJECTS).await
    }
}

async fn shared_by(db: &mut PgConnection, posts: &[String]) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!("select distinct subject_uri from shared_post where post_uri = any($1)", posts)
        .fetch_all(db)
        .await
}
