//! What a change moves beside its own rows: numbers, jobs, and one small notification, all in the same transaction.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::chart::{self, due::Due};
use crate::job;
use crate::{sabotage, search};

/// Channel on which a transaction announces the generation of its `live_change` rows, or, by an empty payload, only that jobs
/// wait or that something changed which open pages do not follow.
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
    /// Distinct people who like it by `fm.plyr.like`.
    PlyrLikes,
    /// Distinct people who like it by `app.bsky.feed.like`.
    BlueskyLikes,
    /// Distinct people who like a post that shares it.
    ShareLikes,
    /// Posts that share it.
    Shares,
    /// Distinct people who reposted it, or a post that shares it.
    Reposts,
    /// Plays that we were told of.
    PlyrPlays,
    /// Distinct plays by records.
    TealPlays,
}

/// Something that clients may follow, as `live_event` has it.
#[derive(Debug, Clone)]
pub struct Happening {
    /// `like`, `comment`, `play`, `status`, `track`.
    pub kind: &'static str,
    /// The record, where there is one.
    pub uri: Option<String>,
    /// Who, where that is anybody's to know.
    pub did: Option<String>,
    /// The track that it is about.
    pub subject: Option<String>,
}

/// What is older than this is history, and nothing that happens.
const NEWS: TimeDelta = TimeDelta::minutes(15);

/// How many numbers there are.
const COUNTS: usize = 10;
/// Target, collection and path of links.
type Linked = [String; 3];

/// Collects the effects of a transaction, to be carried out once, in one order: two transactions that lock the same
/// counters in different orders would wait for each other.
#[derive(Debug, Default)]
pub struct Effects {
    inactive: HashSet<String>,
    quiet: bool,
    counts: BTreeMap<String, [i64; COUNTS]>,
    links: BTreeMap<Linked, [i64; 2]>,
    tags: BTreeMap<String, i64>,
    touched: BTreeMap<String, bool>,
    due: BTreeSet<Due>,
    sought: BTreeSet<search::due::Due>,
    happenings: Vec<Happening>,
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

    /// Moves the numbers of links, of records and of people, by what `did` did.
    pub fn count_links(&mut self, did: &str, linked: Linked, [records, people]: [i64; 2]) {
        if !self.inactive.contains(did) || sabotage::is_on("counts-ignore-status") {
            self.move_links(linked, [records, people]);
        }
    }

    /// The same, whoever caused it.
    pub fn move_links(&mut self, linked: Linked, [records, people]: [i64; 2]) {
        let numbers = self.links.entry(linked).or_default();
        *numbers = [numbers[0] + records, numbers[1] + people];
    }

    /// Moves how many tracks have a tag, by what became of one of `did`'s.
    pub fn count_tag(&mut self, did: &str, tag: &str, delta: i64) {
        if !self.inactive.contains(did) || sabotage::is_on("counts-ignore-status") {
            self.move_tag(tag, delta);
        }
    }

    /// The same, whoever caused it.
    pub fn move_tag(&mut self, tag: &str, delta: i64) {
        self.seek(search::due::Due::Tag(tag.to_owned()));
        *self.tags.entry(tag.to_owned()).or_default() += delta;
    }

    /// Open pages that show this track shall look again; `reorders` if the latest feed gained or lost it.
    pub fn touch(&mut self, uri: &str, reorders: bool) {
        *self.touched.entry(uri.to_owned()).or_default() |= reorders;
    }

    /// Tells those who follow what happens, unless it is long ago or its author is hidden.
    pub fn happen(
        &mut self,
        kind: &'static str,
        uri: &str,
        did: &str,
        subject: Option<&str>,
        at: DateTime<Utc>,
    ) {
        if self.quiet || self.inactive.contains(did) || at < Utc::now() - NEWS {
            return;
        }
        let (uri, did) = (Some(uri.to_owned()), Some(did.to_owned()));
        self.happenings.push(Happening { kind, uri, did, subject: subject.map(str::to_owned) });
    }

    /// The same of a play that a player told of: who heard it is between them and us.
    pub fn hear(&mut self, subject: &str) {
        let subject = Some(subject.to_owned());
        self.happenings.push(Happening { kind: "play", uri: None, did: None, subject });
    }

    /// Tells that what somebody hears changed: by their player, or by a record that is gone. What it is now, whoever tells it looks up.
    pub fn hears(&mut self, uri: Option<&str>, did: &str, subject: Option<&str>) {
        if self.quiet || self.inactive.contains(did) {
            return;
        }
        let (uri, subject) = (uri.map(str::to_owned), subject.map(str::to_owned));
        self.happenings.push(Happening { kind: "status", uri, did: Some(did.to_owned()), subject });
    }

    /// What somebody heard around that time is to be counted anew.
    pub fn heard(&mut self, did: &str, played_at: DateTime<Utc>) {
        self.due.insert(Due::Heard(did.to_owned(), chart::hour_of(played_at)));
    }

    /// Whether and since when somebody likes this track is to be counted anew.
    pub fn liked(&mut self, did: &str, subject: &str) {
        self.due.insert(Due::Liked(did.to_owned(), subject.to_owned()));
    }

    /// Everything that somebody heard and liked is to be counted anew.
    pub fn reweigh(&mut self, did: &str) {
        self.due.insert(Due::Person(did.to_owned()));
    }

    /// What a track counts for is to be looked at anew.
    pub fn retold(&mut self, track: &str) {
        self.due.insert(Due::Track(track.to_owned()));
    }

    /// What something is called is to be read anew for search.
    pub fn seek(&mut self, due: search::due::Due) {
        self.sought.insert(due);
    }

    /// The same of all that others noted, who say nothing themselves.
    pub fn seek_what(&mut self, silent: Effects) {
        self.sought.extend(silent.sought);
    }

    /// A person's name or face changed: so do their tracks on open pages.
    pub fn repaint(&mut self, did: &str) {
        self.seek(search::due::Due::Artist(did.to_owned()));
        self.seek(search::due::Due::Works(did.to_owned()));
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
            chart::due::write(db, &self.due).await?;
            search::due::write(db, &self.sought).await?;
            self.tell(db).await?;
        }
        // Many people like one thing, and whoever moves its number keeps others from it until the end: so it is moved last.
        move_counts(db, &self.counts).await?;
        move_tags(db, &self.tags).await?;
        move_links(db, &self.links).await
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
        // Whoever keeps answers hears of every change, though it be of nothing that open pages follow.
        let moves =
            [self.counts.is_empty(), self.links.is_empty(), self.tags.is_empty(), self.sought.is_empty()];
        let has_news = !self.touched.is_empty() || !self.happenings.is_empty() || moves.contains(&false);
        if has_news || self.jobs.values().any(Duration::is_zero) || !self.hints.is_empty() {
            announce(db, &self.touched, &self.happenings).await?;
        }
        Ok(())
    }
}

async fn move_counts(db: &mut PgConnection, counts: &BTreeMap<String, [i64; COUNTS]>) -> sqlx::Result<()> {
    let moved: Vec<(&String, &[i64; COUNTS])> =
        counts.iter().filter(|(_, deltas)| **deltas != [0; COUNTS]).collect();
    if moved.is_empty() {
        return Ok(());
    }
    let column = |count: Count| moved.iter().map(|(_, deltas)| deltas[count as usize]).collect::<Vec<i64>>();
    sqlx::query!(
        r#"insert into subject_count as c (uri, like_count, comment_count, play_count, plyr_like_count,
                                           bluesky_like_count, share_like_count, share_count, repost_count,
                                           plyr_play_count, teal_play_count)
           select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                                $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
                      as d (uri, likes, comments, plays, plyr, bluesky, by_shares, shares, reposts, told, recorded)
           order by d.uri collate "C"
           on conflict (uri) do update set
             like_count = c.like_count + excluded.like_count,
             comment_count = c.comment_count + excluded.comment_count,
             play_count = c.play_count + excluded.play_count,
             plyr_like_count = c.plyr_like_count + excluded.plyr_like_count,
             bluesky_like_count = c.bluesky_like_count + excluded.bluesky_like_count,
             share_like_count = c.share_like_count + excluded.share_like_count,
             share_count = c.share_count + excluded.share_count,
             repost_count = c.repost_count + excluded.repost_count,
             plyr_play_count = c.plyr_play_count + excluded.plyr_play_count,
             teal_play_count = c.teal_play_count + excluded.teal_play_count"#,
        &moved.iter().map(|(uri, _)| uri.as_str()).collect::<Vec<_>>() as &[&str],
        &column(Count::Likes),
        &column(Count::Comments),
        &column(Count::Plays),
        &column(Count::PlyrLikes),
        &column(Count::BlueskyLikes),
        &column(Count::ShareLikes),
        &column(Count::Shares),
        &column(Count::Reposts),
        &column(Count::PlyrPlays),
        &column(Count::TealPlays)
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn move_tags(db: &mut PgConnection, tags: &BTreeMap<String, i64>) -> sqlx::Result<()> {
    let (tags, deltas): (Vec<&str>, Vec<i64>) =
        tags.iter().filter(|(_, delta)| **delta != 0).map(|(tag, delta)| (tag.as_str(), *delta)).unzip();
    if tags.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"insert into tag_count as c (tag, tracks)
           select * from unnest($1::text[], $2::bigint[]) as d (tag, tracks) order by d.tag collate "C"
           on conflict (tag) do update set tracks = c.tracks + excluded.tracks"#,
        &tags as &[&str],
        &deltas
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn move_links(db: &mut PgConnection, links: &BTreeMap<Linked, [i64; 2]>) -> sqlx::Result<()> {
    let moved: Vec<(&Linked, &[i64; 2])> = links.iter().filter(|(_, deltas)| **deltas != [0; 2]).collect();
    if moved.is_empty() {
        return Ok(());
    }
    let text = |at: usize| moved.iter().map(|(linked, _)| linked[at].as_str()).collect::<Vec<&str>>();
    let number = |at: usize| moved.iter().map(|(_, deltas)| deltas[at]).collect::<Vec<i64>>();
    sqlx::query!(
        r#"insert into link_count as c (target, collection, path, records, people)
           select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
                      as d (target, collection, path, records, people)
           order by d.target collate "C", d.collection collate "C", d.path collate "C"
           on conflict (target, collection, path) do update set
             records = c.records + excluded.records, people = c.people + excluded.people"#,
        &text(0) as &[&str],
        &text(1) as &[&str],
        &text(2) as &[&str],
        &number(0),
        &number(1)
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn announce(
    db: &mut PgConnection,
    touched: &BTreeMap<String, bool>,
    happenings: &[Happening],
) -> sqlx::Result<()> {
    if touched.is_empty() && happenings.is_empty() {
        // No open page needs to hear of it.
        sqlx::query!("select pg_notify($1, '')", CHANNEL).execute(db).await?;
        return Ok(());
    }
    let uris: Vec<&str> = touched.keys().map(String::as_str).collect();
    let reorders: Vec<bool> = touched.values().copied().collect();
    let kinds: Vec<&str> = happenings.iter().map(|happening| happening.kind).collect();
    let text = |of: fn(&Happening) -> &Option<String>| {
        happenings.iter().map(|happening| of(happening).as_deref()).collect::<Vec<Option<&str>>>()
    };
    sqlx::query!(
        r#"with generation as materialized (select nextval('live_generation') as number),
                written as (insert into live_change (generation, uri, reorders)
                            select number, changed.* from generation, unnest($1::text[], $2::boolean[]) as changed),
                happened as (insert into live_event (generation, kind, uri, did, subject_uri)
                             select number, h.* from generation,
                                    unnest($4::text[], $5::text[], $6::text[], $7::text[]) as h)
           select pg_notify($3, number::text) from generation"#,
        &uris as &[&str],
        &reorders,
        CHANNEL,
        &kinds as &[&str],
        &text(|happening| &happening.uri) as &[Option<&str>],
        &text(|happening| &happening.did) as &[Option<&str>],
        &text(|happening| &happening.subject) as &[Option<&str>]
    )
    .execute(db)
    .await?;
    Ok(())
}
