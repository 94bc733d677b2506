//! `plyr problems`: what was kept aside, and another try.

use std::path::Path;

use anyhow::Context;
use indexer::problem::count;
use indexer::problem::list::{Entry, Filter, Id, find, list};
use indexer::problem::retry::{Summary, Wanted, retry};
use serde_json::json;
use sqlx::PgPool;

use super::database::Database;
use super::indexer;
use super::progress::Progress;
use crate::config::{Config, Problems};

/// Bytes shown of one; `--save` writes all.
const SHOWN_BYTES: usize = 4096;
/// Characters of a reason in a list.
const DETAIL_CHARS: usize = 100;

/// Lists, counts, shows or tries again.
pub async fn problems(config: Config, ask: Problems) -> anyhow::Result<()> {
    let (config, database) = Database::open(config).await?;
    database.expect_migrated().await?;
    let pool = &database.pool;
    let done = match ask {
        Problems::List { filter, limit, json } => print_list(pool, &filter, limit, json).await,
        Problems::Summary { json } => print_counts(pool, json).await,
        Problems::Show { id, save, json } => show(pool, &id, save.as_deref(), json).await,
        Problems::Retry(wanted) => try_again(&config, &database, &wanted).await,
    };
    database.close().await;
    done
}

async fn print_list(pool: &PgPool, filter: &Filter, limit: i64, json: bool) -> anyhow::Result<()> {
    let entries = list(pool, filter, limit).await?;
    for entry in &entries {
        if json {
            println!("{}", as_json(entry));
            continue;
        }
        let about = entry.uri.as_deref().or(entry.did.as_deref()).unwrap_or("-");
        let what = format!("{}  {}  {}  {about}", entry.id, entry.at.format("%Y-%m-%d %H:%M:%S"), entry.kind);
        println!("{}", printable(&what));
        let short: String = entry.detail.chars().take(DETAIL_CHARS).collect();
        let cut = if short.len() < entry.detail.len() { "…" } else { "" };
        let tries =
            if entry.attempts > 0 { format!(" (tried {} times)", entry.attempts) } else { String::new() };
        println!("    {}{cut}{tries}", printable(&short));
    }
    if !json {
        match entries.len() {
            0 => println!("nothing was kept aside"),
            all if all as i64 == limit => println!("the newest {all}; --limit lists more, --summary counts"),
            all => println!("{all} in all"),
        }
    }
    Ok(())
}

async fn print_counts(pool: &PgPool, json: bool) -> anyhow::Result<()> {
    let mut db = pool.acquire().await?;
    let events = count::events(&mut db).await?;
    let records = count::records(&mut db).await?;
    let many =
        |count: i64| if count < count::COUNT_MAX { count.to_string() } else { format!("{count} or more") };
    for (what, counts) in [("events", events), ("records", records)] {
        if !json && counts.is_empty() {
            println!("no {what} were kept aside");
        }
        for count in counts {
            if json {
                let newest_at = count.newest_at;
                println!(
                    "{}",
                    json!({"of": what, "kind": count.kind, "count": count.count, "newestAt": newest_at})
                );
            } else {
                let newest = count.newest_at.map_or(String::new(), |at| format!(", the last at {at:.0}"));
                println!("{what}  {}  {}{newest}", printable(&count.kind), many(count.count));
            }
        }
    }
    Ok(())
}

async fn show(pool: &PgPool, id: &Id, save: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let (entry, bytes) =
        find(pool, id).await?.with_context(|| format!("{id}: nothing of that name was kept aside"))?;
    if let Some(path) = save {
        std::fs::write(path, &bytes).with_context(|| path.display().to_string())?;
    }
    if json {
        println!("{}", as_json(&entry));
        return Ok(());
    }
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            println!("{name:9} {}", printable(&value));
        }
    };
    line("id", Some(entry.id.to_string()));
    line("kind", Some(entry.kind));
    line("detail", Some(entry.detail));
    line("at", Some(entry.at.to_rfc3339()));
    line("source", entry.source);
    line("seq", entry.seq.map(|seq| seq.to_string()));
    line("did", entry.did);
    line("uri", entry.uri);
    line("attempts", (entry.attempts > 0).then(|| entry.attempts.to_string()));
    line("tried at", entry.tried_at.map(|at| at.to_rfc3339()));
    match save {
        Some(path) => println!("{} bytes written to {}", bytes.len(), path.display()),
        None if bytes.is_empty() => println!("no bytes of it are kept"),
        None => print!("{}", hexdump(&bytes)),
    }
    Ok(())
}

async fn try_again(config: &Config, database: &Database, wanted: &Wanted) -> anyhow::Result<()> {
    let indexer = indexer(config, database).await?;
    let progress = Progress::new("problems");
    let report = |state: &Summary| {
        let note = format!("{} settled, {} failed again", state.settled, state.failed);
        progress.at(state.done(), Some(state.all), &note);
    };
    let summary = retry(&indexer, wanted, report).await?;
    progress.end();
    let Summary { all, settled, resynced, queued, failed, failures } = summary;
    println!(
        "{all} tried: {settled} settled ({resynced} by reading the whole repo), {queued} left to jobs, {failed} failed again"
    );
    for (id, why) in &failures {
        println!("  {}", printable(&format!("{id}: {why}")));
    }
    anyhow::ensure!(failed == 0, "{failed} of {all} failed again and are kept");
    Ok(())
}

fn as_json(entry: &Entry) -> serde_json::Value {
    json!({
        "id": entry.id.to_string(), "kind": entry.kind, "source": entry.source, "seq": entry.seq, "did": entry.did,
        "uri": entry.uri, "detail": entry.detail, "sizeBytes": entry.size_bytes, "at": entry.at,
        "attempts": entry.attempts, "triedAt": entry.tried_at,
    })
}

/// What strangers wrote must not command the operator's terminal.
pub(super) fn printable(text: &str) -> String {
    let is_harmless = |char: char| {
        !char.is_control()
            && !matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|char| if is_harmless(char) { char } else { '\u{fffd}' }).collect()
}

fn hexdump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (number, line) in bytes[..bytes.len().min(SHOWN_BYTES)].chunks(16).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text: String = line
            .iter()
            .map(|&byte| if matches!(byte, 0x20..=0x7e) { char::from(byte) } else { '.' })
            .collect();
        dump.push_str(&format!("{:08x}  {:47}  {text}\n", number * 16, hex.join(" ")));
    }
    if bytes.len() > SHOWN_BYTES {
        dump.push_str(&format!("… {} bytes in all; --save writes them\n", bytes.len()));
    }
    dump
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_and_terminals_spared() {
        assert_eq!(printable("a\x1b[31mb\nc\u{202e}d é"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d é");
        let dump = hexdump(b"\x00plyr\xffand some more of it");
        let lines: Vec<&str> = dump.lines().collect();
        assert_eq!(lines[0], "00000000  00 70 6c 79 72 ff 61 6e 64 20 73 6f 6d 65 20 6d  .plyr.and some m");
        assert!(lines[1].starts_with("00000010  6f 72 65") && lines[1].ends_with("  ore of it"), "{dump}");
        assert!(hexdump(&[0; 5000]).ends_with("… 5000 bytes in all; --save writes them\n"));
    }
}
