//! What somebody should look at. An alarm ends when what it is about is made good, never because it grew old.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::status::{JobCount, Source};

/// Events later than this are an alarm.
const LAG_MAX: TimeDelta = TimeDelta::seconds(60);
/// A source whose reader leaves no word for so long is read by nobody.
const WORD_EVERY: TimeDelta = TimeDelta::seconds(60);
/// A proof is fetched after half a minute; a report that waits this long is stuck.
const UNPROVEN_MAX: TimeDelta = TimeDelta::minutes(15);
/// So is a comparison.
const COMPARE_MAX: TimeDelta = TimeDelta::minutes(15);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Alarm {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<DateTime<Utc>>,
    message: String,
}

/// What alarms are derived from.
pub(super) struct Facts<'a> {
    pub now: DateTime<Utc>,
    pub sources: &'a [Source],
    pub jobs: &'a [JobCount],
    pub oldest_unproven_at: Option<DateTime<Utc>>,
}

/// Everything that is wrong now.
pub(super) fn alarms(facts: &Facts) -> Vec<Alarm> {
    let mut alarms: Vec<Alarm> =
        facts.sources.iter().flat_map(|source| of_source(source, facts.now)).collect();
    if let Some(since) = facts.oldest_unproven_at.filter(|since| facts.now - since > UNPROVEN_MAX) {
        let message = "a change that was only reported waits for its proof".into();
        alarms.push(Alarm { name: "unproven", source: None, since: Some(since), message });
    }
    for job in facts.jobs.iter().filter(|job| job.dead > 0) {
        let message = format!("{} jobs of kind {} were given up", job.dead, job.kind);
        alarms.push(Alarm { name: "deadJobs", source: None, since: job.dead_since, message });
    }
    alarms
}

fn of_source(source: &Source, now: DateTime<Utc>) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    let mut raise = |name, since: Option<DateTime<Utc>>, message: String| {
        alarms.push(Alarm { name, source: Some(source.key.clone()), since, message });
    };
    if now - source.updated_at > WORD_EVERY {
        raise("disconnected", Some(source.updated_at), "no process reads it".into());
    } else if !source.connected {
        raise("disconnected", source.heard_at, "there is no connection to it".into());
    }
    if let Some(lag_ms) = source.lag_ms.filter(|lag_ms| *lag_ms > LAG_MAX.num_milliseconds()) {
        raise("lag", source.heard_at, format!("its last event was {} s late", lag_ms / 1000));
    }
    // A gap is made good once our repos have been compared with the network's.
    if let Some(gap_at) = source.gap_at.filter(|gap_at| source.compared_at.is_none_or(|at| at < *gap_at)) {
        raise("gap", Some(gap_at), "some of its events are missing; the repos are yet to be compared".into());
    }
    if let Some(since) = source.blind_since {
        raise("blind", Some(since), "it brings nothing of the collections that other sources bring".into());
    }
    // A Jetstream lists no repos: there is nothing that could be read.
    if source.kind == "repos" && source.backfilled_at.is_none() {
        raise("backfillOwed", Some(source.owed_at), "its repos are yet to be read as a whole".into());
    }
    let owed_at = source.compare_owed_at;
    if source.compared_at.is_none_or(|at| at < owed_at) && now - owed_at > COMPARE_MAX {
        raise("compareOwed", Some(owed_at), "the repos are yet to be compared with the network's".into());
    }
    alarms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minute)
    }

    fn well() -> Source {
        Source {
            key: "repos+wss://relay.example".into(),
            kind: "repos".into(),
            connected: true,
            heard_at: Some(at(60)),
            lag_ms: Some(200),
            gap_at: Some(at(1)),
            compared_at: Some(at(2)),
            compare_owed_at: at(1),
            backfilled_at: Some(at(0)),
            updated_at: at(60),
            ..Source::default()
        }
    }

    fn names(change: impl FnOnce(&mut Source)) -> Vec<&'static str> {
        let mut source = well();
        change(&mut source);
        let facts = Facts { now: at(60), sources: &[source], jobs: &[], oldest_unproven_at: None };
        let alarms = alarms(&facts);
        assert!(alarms.iter().all(|alarm| alarm.source.is_some() && alarm.since.is_some()), "{alarms:?}");
        alarms.iter().map(|alarm| alarm.name).collect()
    }

    #[test]
    fn each_trouble_of_a_source_has_its_alarm() {
        assert!(names(|_| {}).is_empty());
        assert_eq!(names(|source| source.connected = false), ["disconnected"]);
        assert_eq!(names(|source| source.updated_at = at(58)), ["disconnected"]);
        assert_eq!(names(|source| source.lag_ms = Some(60_001)), ["lag"]);
        assert!(names(|source| source.lag_ms = Some(-60_001)).is_empty());
        assert_eq!(names(|source| source.gap_at = Some(at(3))), ["gap"]);
        assert_eq!(names(|source| source.blind_since = Some(at(3))), ["blind"]);
        assert_eq!(names(|source| source.backfilled_at = None), ["backfillOwed"]);
        assert!(names(|source| (source.backfilled_at, source.kind) = (None, "jetstream2".into())).is_empty());
        assert_eq!(names(|source| source.compare_owed_at = at(44)), ["compareOwed"]);
        assert!(names(|source| source.compare_owed_at = at(46)).is_empty());
        assert_eq!(names(|source| source.compared_at = None), ["gap", "compareOwed"]);
    }

    #[test]
    fn what_is_stuck_has_its_alarm() {
        let job =
            |dead| JobCount { kind: "resync".into(), queued: 1, running: 0, dead, dead_since: Some(at(5)) };
        let find = |dead, unproven| {
            let facts = Facts { now: at(60), sources: &[], jobs: &[job(dead)], oldest_unproven_at: unproven };
            alarms(&facts).iter().map(|alarm| alarm.name).collect::<Vec<_>>()
        };
        assert!(find(0, None).is_empty());
        assert!(find(0, Some(at(50))).is_empty());
        assert_eq!(find(0, Some(at(40))), ["unproven"]);
        assert_eq!(find(2, None), ["deadJobs"]);
    }
}
