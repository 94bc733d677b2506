//! What a change moves beside its own rows: numbers, jobs, and one small notification, all in the same transaction.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use sqlx::PgConnection;

use crate::job;
use crate::sabotage;

/// Channel on which a transaction announces the generation of its `live_change` rows, or, by an empty payload, only that jobs
/// wait.
pub const CHANNEL: &str = "plyr";

/// Which number.
#[derive(Debug, Clone, Copy)]
pub enum Count {
    /// Distinct people who like it.
    Likes,
    /// Comments on it.
    Comments,
    /// Distinct plays of it.
    Plays,
}

/// Collects the effects of a transaction, to be carried out once, in one order: two transactions that lock the same
/// counters in different orders would wait for each other.
#[derive(Debug, Default)]
pub struct Effects {
    inactive: HashSet<String>,
    quiet: bool,
    counts: BTreeMap<String, [i64; 3]>,
    touched: BTreeMap<String, bool>,
    repainted: BTreeSet<String>,
    jobs: BTreeMap<(&'static str, String), Duration>,
    hints: BTreeSet<(&'static str, String)>,
    withdrawn: BTreeSet<(&'static str, String)>,
}

impl Effects {
    /// For changes of people, of whom `inactive` are hidden: what they write counts for nothing until they return.
    pub fn new(inactive: HashSet<String>) -> Self {
        Effects { inactive, ..Effects::default() }
    }

    /// For a rebuild: numbers move, but nobody is told and no bytes are fetched.
    pub fn quiet(inactive: HashSet<String>) -> Self {
        Effects { inactive, quiet: true, ..Effects::default() }
    }

    /// Moves a number of `subject` by what `did` did.
    pub fn count(&mut self, did: &str, subject: &str, count: Count, delta: i64) {
        if !self.inactive.contains(did) || sabotage::is_on("counts-ignore-status") {
            self.move_count(subject, count, delta);
        }
    }

    /// Moves a number whoever caused it.
    pub fn move_count(&mut self, subject: &str, count: Count, delta: i64) {
        self.counts.entry(subject.to_owned()).or_default()[count as usize] += delta;
    }

    /// Open pages that show this track shall look again; `reorders` if the latest feed gained or lost it.
    pub fn touch(&mut self, uri: &str, reorders: bool) {
        *self.touched.entry(uri.to_owned()).or_default() |= reorders;
    }

    /// A person's name or face changed: so do their tracks on open pages.
    pub fn repaint(&mut self, did: &str) {
        self.repainted.insert(did.to_owned());
    }

    /// Asks for a job; see [`job`].
    pub fn job(&mut self, kind: &'static str, key: impl Into<String>) {
        self.jobs.insert((kind, key.into()), Duration::ZERO);
    }

    /// Asks for a job that is not due before `pause` is over.
    pub fn job_after(&mut self, pause: Duration, kind: &'static str, key: impl Into<String>) {
        let due = self.jobs.entry((kind, key.into())).or_insert(pause);
        *due = pause.min(*due);
    }

    /// Asks for a job, unless one waits or is taken up just now.
    pub fn hint(&mut self, kind: &'static str, key: impl Into<String>) {
        self.hints.insert((kind, key.into()));
    }

    /// What a job was asked for has come about without it.
    pub fn withdraw(&mut self, kind: &'static str, key: impl Into<String>) {
        let job = (kind, key.into());
        self.jobs.remove(&job);
        self.withdrawn.insert(job);
    }

    /// A record names this blob.
    pub fn fetch_blob(&mut self, cid: &str) {
        self.job(job::BLOB, cid);
    }

    /// A record names this person, of whom we may know nothing.
    pub fn meet(&mut self, did: String) {
        self.job(job::MEET, did);
    }

    /// Carries all out. To be called last before commit.
    pub async fn carry_out(mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        if !self.quiet {
            self.tell(db).await?;
        }
        // Many people like one thing, and whoever moves its number keeps others from it until the end: so it is moved last.
        move_counts(db, &self.counts).await
    }

    async fn tell(&mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        job::withdraw(db, &self.withdrawn).await?;
        job::enqueue_each(db, &self.jobs).await?;
        job::enqueue_missing(db, &self.hints).await?;
        if !self.repainted.is_empty() {
            let dids: Vec<String> = self.repainted.iter().cloned().collect();
            let uris = sqlx::query_scalar!("select uri from track where did = any($1) limit 1000", &dids)
                .fetch_all(&mut *db)
                .await?;
            for uri in uris {
                self.touch(&uri, false);
            }
        }
        if !self.touched.is_empty() || self.jobs.values().any(Duration::is_zero) || !self.hints.is_empty() {
            announce(db, &self.touched).await?;
        }
        Ok(())
    }
}

async fn move_counts(db: &mut PgConnection, counts: &BTreeMap<String, [i64; 3]>) -> sqlx::Result<()> {
    let moved: Vec<(&String, &[i64; 3])> = counts.iter().filter(|(_, deltas)| **deltas != [0; 3]).collect();
    if moved.is_empty() {
        return Ok(());
    }
    let column = |index: usize| moved.iter().map(|(_, deltas)| deltas[index]).collect::<Vec<i64>>();
    sqlx::query!(
        r#"insert into subject_count as c (uri, like_count, comment_count, play_count)
           select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) as d (uri, l, m, p)
           order by d.uri collate "C"
           on conflict (uri) do update set
             like_count = c.like_count + excluded.like_count,
             comment_count = c.comment_count + excluded.comment_count,
             play_count = c.play_count + excluded.play_count"#,
        &moved.iter().map(|(uri, _)| uri.as_str()).collect::<Vec<_>>() as &[&str],
        &column(0),
        &column(1),
        &column(2)
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn announce(db: &mut PgConnection, touched: &BTreeMap<String, bool>) -> sqlx::Result<()> {
    if touched.is_empty() {
        // Only the workers need to hear of it.
        sqlx::query!("select pg_notify($1, '')", CHANNEL).execute(db).await?;
        return Ok(());
    }
    let uris: Vec<&str> = touched.keys().map(String::as_str).collect();
    let reorders: Vec<bool> = touched.values().copied().collect();
    sqlx::query!(
        r#"with generation as materialized (select nextval('live_generation') as number),
                written as (insert into live_change (generation, uri, reorders)
                            select number, changed.* from generation, unnest($1::text[], $2::boolean[]) as changed)
           select pg_notify($3, number::text) from generation"#,
        &uris as &[&str],
        &reorders,
        CHANNEL
    )
    .execute(db)
    .await?;
    Ok(())
}
