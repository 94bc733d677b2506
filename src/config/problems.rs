//! What `plyr problems` is asked for.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use indexer::problem::list::{Filter, Id};
use indexer::problem::retry::Wanted;

use super::cli::Settings;
use super::{Command, read};

/// What to do with what was kept aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problems {
    /// List the newest.
    List {
        /// Which.
        filter: Filter,
        /// How many at most.
        limit: i64,
        /// One JSON object a line.
        json: bool,
    },
    /// Count them by kind.
    Summary {
        /// One JSON object a line.
        json: bool,
    },
    /// Show one in full.
    Show {
        /// Which.
        id: Id,
        /// Where to write its bytes.
        save: Option<PathBuf>,
        /// As a JSON object.
        json: bool,
    },
    /// Try to settle them.
    Retry(Wanted),
}

/// Which of them, as text.
#[derive(Debug, Default, Args)]
pub(super) struct FilterText {
    /// Only those of this kind, e.g. `BadSignature`.
    #[arg(long, value_name = "NAME")]
    kind: Option<String>,
    /// Only those of this account.
    #[arg(long, value_name = "DID")]
    did: Option<String>,
    /// Only those from this upstream, as it stands in PLYR_UPSTREAMS; records come from none.
    #[arg(long, value_name = "UPSTREAM")]
    source: Option<String>,
    /// Only those kept aside since then: a time such as `2026-01-31T12:00:00Z`, or an age such as `90m`, `12h` or `7d`.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

#[derive(Debug, Default, Args)]
pub(super) struct ListText {
    #[command(flatten)]
    filter: FilterText,
    /// How many to list.
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
    /// Count them by kind instead.
    #[arg(long, conflicts_with_all = ["kind", "did", "source", "since", "show"])]
    summary: bool,
    /// Show one in full instead: its number, or the at:// URI of a record.
    #[arg(long, value_name = "ID", conflicts_with_all = ["kind", "did", "source", "since"])]
    show: Option<String>,
    /// With --show: write its bytes to this file.
    #[arg(long, value_name = "FILE", requires = "show")]
    save: Option<PathBuf>,
    /// One JSON object a line, for programs.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ProblemsText {
    /// Try to settle what was kept aside, after its cause was mended, then exit.
    ///
    /// Events are read, verified and applied like new ones; where their bytes are gone (30 days) or the repo has moved on,
    /// it is read as a whole. Records without a projection are read anew. What is settled leaves the list, what fails
    /// again stays, and makes this fail.
    #[command(after_help = "\
Examples:
  All:
    plyr problems retry
  What could not be verified while the directory was away:
    plyr problems retry --kind IdentityUnknown
  Two of them:
    plyr problems retry 17 at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/fm.plyr.track/3jzfcijpj2z2a")]
    Retry {
        #[command(flatten)]
        filter: FilterText,
        /// Numbers of events or URIs of records. [default: all]
        #[arg(value_name = "ID", conflicts_with_all = ["kind", "did", "source", "since"])]
        ids: Vec<String>,
        #[command(flatten)]
        settings: Settings,
    },
}

pub(super) fn list(text: ListText, errors: &mut Vec<String>) -> Command {
    let ListText { filter, limit, summary, show, save, json } = text;
    let problems = match show {
        _ if summary => Problems::Summary { json },
        Some(id) => match id.parse() {
            Ok(id) => Problems::Show { id, save, json },
            Err(error) => {
                errors.push(format!("--show: `{id}`: {error}"));
                Problems::Summary { json }
            }
        },
        None => Problems::List { filter: self::filter(&filter, errors), limit, json },
    };
    Command::Problems(problems)
}

pub(super) fn retry(text: &FilterText, ids: &[String], errors: &mut Vec<String>) -> Command {
    let wanted = if ids.is_empty() {
        Wanted::Filter(filter(text, errors))
    } else {
        let id =
            |text: &String| text.parse::<Id>().map_err(|error| errors.push(format!("ID: `{text}`: {error}")));
        Wanted::Ids(ids.iter().map(id).filter_map(Result::ok).collect())
    };
    Command::Problems(Problems::Retry(wanted))
}

fn filter(text: &FilterText, errors: &mut Vec<String>) -> Filter {
    Filter {
        kind: text.kind.clone(),
        did: read::did(text.did.as_ref(), errors),
        source: text.source.clone(),
        since: text.since.as_deref().and_then(|since| {
            let read = moment(since, Utc::now());
            if read.is_none() {
                errors.push(format!(
                    "--since: `{since}`: neither a time like 2026-01-31T12:00:00Z nor an age like 90m, 12h or 7d"
                ));
            }
            read
        }),
    }
}

fn moment(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: i64 = number.parse().ok().filter(|number| *number >= 0)?;
    let age = match unit {
        "s" => TimeDelta::try_seconds(number),
        "m" => TimeDelta::try_minutes(number),
        "h" => TimeDelta::try_hours(number),
        "d" => TimeDelta::try_days(number),
        _ => None,
    };
    now.checked_sub_signed(age?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_or_ages() {
        let now: DateTime<Utc> = "2026-02-01T00:00:00Z".parse().expect("a time");
        let day = "2026-01-31T00:00:00Z".parse().ok();
        for text in ["1d", "24h", "1440m", "86400s", "2026-01-31T00:00:00Z", "2026-01-31T01:00:00+01:00"] {
            assert_eq!(moment(text, now), day, "{text}");
        }
        for bad in ["", "d", "-1d", "1", "1w", "yesterday", "9999999999999999999d", "99999999999999d", "1é"]
        {
            assert_eq!(moment(bad, now), None, "{bad}");
        }
    }
}
