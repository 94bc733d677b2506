//! The alarm for a source that lives and yet brings nothing of ours.
//!
//! A network as small as ours is silent for hours by nature, so that silence alone says nothing. It does where somebody
//! else has what a source does not bring: another source, or we ourselves, whose own writes must come back. That is held
//! by namespace: a source that still brings plays may have lost the tracks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::health::namespace;
use crate::source;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Two sources may differ so far on when the same event was.
const SKEW: TimeDelta = TimeDelta::seconds(2);
/// Our own writes are looked at so far back.
const OWN_WRITES: TimeDelta = TimeDelta::hours(24);

/// The newest event of ours in each namespace.
type Newest = BTreeMap<String, DateTime<Utc>>;

/// A source as it stands.
struct Seen {
    key: String,
    connected: bool,
    is_pds: bool,
    ours: Newest,
    blind_since: Option<DateTime<Utc>>,
    divergences: i64,
}

/// Looks after all sources until told to stop: who has not brought for `patience` what another has is called blind.
pub async fn watch(pool: PgPool, patience: Duration, stop: CancellationToken) -> anyhow::Result<()> {
    let mut suspects = Suspects::default();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stop.cancelled() => return Ok(()),
        }
        if let Err(error) = look(&pool, patience, &mut suspects).await {
            tracing::warn!(%error, "cannot look after the sources");
        }
    }
}

async fn look(pool: &PgPool, patience: Duration, suspects: &mut Suspects) -> sqlx::Result<()> {
    let sources = read(pool).await?;
    let own = own_writes(pool).await?;
    let now = Utc::now();
    for seen in &sources {
        let others = sources.iter().filter(|other| other.key != seen.key).map(|other| &other.ours);
        let lacking = lacking(seen, others.chain([&own]));
        let is_blind = suspects.judge(seen, &lacking, now, patience);
        let gauge = metrics::gauge!("plyr_source_blind", "source" => seen.key.clone());
        gauge.set(if is_blind { 1.0 } else { 0.0 });
        metrics::gauge!("plyr_source_divergences", "source" => seen.key.clone()).set(seen.divergences as f64);
        if is_blind != seen.blind_since.is_some() {
            source::set_blind(pool, &seen.key, is_blind).await?;
            if is_blind {
                tracing::warn!(
                    source = seen.key,
                    ?lacking,
                    "the source lives, but brings nothing of what others bring"
                );
            } else {
                tracing::info!(source = seen.key, "the source brings our collections again");
            }
        }
    }
    Ok(())
}

async fn read(pool: &PgPool) -> sqlx::Result<Vec<Seen>> {
    let rows = sqlx::query!(
        // One that nobody reads any more is nobody's alarm, but what it brought counts.
        "select key, connected and updated_at > now() - interval '1 minute' as \"connected!\", is_pds, ours, blind_since,
           divergences
         from source"
    )
    .fetch_all(pool)
    .await?;
    let seen = rows.into_iter().map(|row| Seen {
        key: row.key,
        connected: row.connected,
        is_pds: row.is_pds,
        ours: serde_json::from_value(row.ours).unwrap_or_default(),
        blind_since: row.blind_since,
        divergences: row.divergences,
    });
    Ok(seen.collect())
}

/// Our own newest writes, as if we were a source.
async fn own_writes(pool: &PgPool) -> sqlx::Result<Newest> {
    let rows = sqlx::query!(
        "select uri, wished_at from intent where outcome = 'written' and wished_at > $1 order by wished_at desc limit 50",
        Utc::now() - OWN_WRITES
    )
    .fetch_all(pool)
    .await?;
    let mut newest = Newest::new();
    for row in rows {
        if let Some(collection) = row.uri.split('/').nth(3) {
            newest.entry(namespace(collection).to_owned()).or_insert(row.wished_at);
        }
    }
    Ok(newest)
}

/// The namespaces in which others have what this one does not bring.
fn lacking<'a>(seen: &Seen, others: impl Iterator<Item = &'a Newest>) -> HashSet<String> {
    // A PDS has nobody's events but those of its own accounts, and a source that is away is no blind one.
    if seen.is_pds || !seen.connected {
        return HashSet::new();
    }
    let is_behind = |(namespace, newest): &(&String, &DateTime<Utc>)| {
        seen.ours.get(*namespace).is_none_or(|mine| *mine + SKEW < **newest)
    };
    others.flat_map(|other| other.iter().filter(is_behind)).map(|(namespace, _)| namespace.clone()).collect()
}

/// Who lacks what, and for how long already.
#[derive(Default)]
struct Suspects(HashMap<(String, String), Suspicion>);

struct Suspicion {
    since: DateTime<Utc>,
    /// What it had brought by then: once it brings more, it is not blind but late.
    mine: Option<DateTime<Utc>>,
}

impl Suspects {
    fn judge(
        &mut self,
        seen: &Seen,
        lacking: &HashSet<String>,
        now: DateTime<Utc>,
        patience: Duration,
    ) -> bool {
        self.0.retain(|(key, namespace), suspicion| {
            *key != seen.key
                || (lacking.contains(namespace) && suspicion.mine == seen.ours.get(namespace).copied())
        });
        let mut longest = TimeDelta::zero();
        for namespace in lacking {
            let mine = seen.ours.get(namespace).copied();
            let suspicion = self
                .0
                .entry((seen.key.clone(), namespace.clone()))
                // Known to be blind before this process began.
                .or_insert(Suspicion { since: seen.blind_since.unwrap_or(now), mine });
            longest = longest.max(now - suspicion.since);
        }
        let is_over = longest.to_std().is_ok_and(|longest| longest >= patience);
        !lacking.is_empty() && (is_over || seen.blind_since.is_some_and(|since| !self.has_seen(seen, since)))
    }

    /// Whether a blind source has brought something of what it lacked since then.
    fn has_seen(&self, seen: &Seen, since: DateTime<Utc>) -> bool {
        let mut suspected = self.0.keys().filter(|(key, _)| *key == seen.key);
        suspected.all(|(_, namespace)| seen.ours.get(namespace).is_some_and(|mine| *mine > since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(900);

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + minute * 60, 0).expect("in range")
    }

    fn newest(tracks: i64, plays: i64) -> Newest {
        [("fm.plyr".to_owned(), at(tracks)), ("fm.teal".to_owned(), at(plays))].into()
    }

    struct Case {
        suspects: Suspects,
        seen: Seen,
    }

    impl Case {
        fn new() -> Self {
            let (key, ours) = ("s".to_owned(), newest(0, 0));
            let seen = Seen { key, connected: true, is_pds: false, ours, blind_since: None, divergences: 0 };
            Case { suspects: Suspects::default(), seen }
        }

        /// Whether it is called blind at this minute, given what it and another have brought by then.
        fn is_blind(&mut self, minute: i64, mine: Newest, other: Newest) -> bool {
            self.seen.ours = mine;
            let lacking = lacking(&self.seen, [&other].into_iter());
            let is_blind = self.suspects.judge(&self.seen, &lacking, at(minute), PATIENCE);
            self.seen.blind_since = is_blind.then(|| self.seen.blind_since.unwrap_or(at(minute)));
            is_blind
        }
    }

    #[test]
    fn silence_of_all_is_no_blindness() {
        let mut case = Case::new();
        assert!(!case.is_blind(600, newest(0, 0), newest(0, 0)));
        // After a long silence the other is a moment earlier.
        assert!(!case.is_blind(1000, newest(0, 0), newest(1000, 0)));
        assert!(!case.is_blind(1001, newest(1000, 0), newest(1000, 0)));
        assert!(!case.is_blind(1030, newest(1000, 0), newest(1000, 0)));
    }

    #[test]
    fn what_only_others_bring_shows_blindness_until_it_is_brought_again() {
        let mut case = Case::new();
        assert!(!case.is_blind(10, newest(0, 10), newest(10, 10)));
        assert!(!case.is_blind(24, newest(0, 24), newest(20, 24)), "plays still come");
        assert!(case.is_blind(25, newest(0, 25), newest(20, 25)));
        assert!(case.is_blind(300, newest(0, 300), newest(20, 300)), "blind for as long as it lasts");
        assert!(!case.is_blind(301, newest(301, 300), newest(301, 300)));
        // Late is not blind.
        for minute in 310..400 {
            assert!(!case.is_blind(minute, newest(minute - 9, 300), newest(minute, 300)));
        }
    }

    #[test]
    fn neither_a_pds_nor_one_that_is_away_is_blind() {
        for (is_pds, connected) in [(true, true), (false, false)] {
            let mut case = Case::new();
            (case.seen.is_pds, case.seen.connected) = (is_pds, connected);
            assert!(!case.is_blind(10, newest(0, 0), newest(10, 10)));
            assert!(!case.is_blind(100, newest(0, 0), newest(100, 10)));
        }
    }

    #[test]
    fn a_new_process_remembers() {
        let mut case = Case::new();
        case.is_blind(10, newest(0, 0), newest(10, 0));
        assert!(case.is_blind(30, newest(0, 0), newest(10, 0)));
        case.suspects = Suspects::default();
        assert!(case.is_blind(31, newest(0, 0), newest(10, 0)));
        assert!(!case.is_blind(32, newest(32, 0), newest(32, 0)));
    }
}
