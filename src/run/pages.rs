//! `plyr import-pages`: what the pages of other servers show, as their operators tell.

use std::path::Path;

use anyhow::Context;
use indexer::apply::Door;
use indexer::link::names::{self, Imported, Told};
use indexer::link::page::Shown;
use indexer::record::Registry;
use indexer::syntax::AtUri;
use serde::Deserialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use url::Url;

use super::database::Database;
use super::progress::Progress;
use super::registry;
use crate::config::Config;

/// A longer line tells of no page.
const LINE_MAX: u64 = 64 * 1024;
/// Lines in one transaction.
const STEP: usize = 5_000;
/// Bad lines that are printed; the others are counted.
const PRINTED_MAX: u64 = 20;

/// A line: `page` and `uri`, or what the HTTP API says of a track.
#[derive(Debug, Deserialize)]
struct Line {
    page: Option<String>,
    uri: Option<AtUri>,
    id: Option<u64>,
    atproto_record_uri: Option<AtUri>,
}

/// Reads a file of pages, one JSON object a line; `-` is the standard input. Tracks that are told by number are of `origin`.
pub async fn import_pages(config: Config, file: &Path, origin: Option<Url>) -> anyhow::Result<()> {
    let (config, database) = Database::open(config).await?;
    database.expect_migrated().await?;
    let door = Door::open(database.pool.clone(), registry(&config)).await?;
    let mut input: Box<dyn AsyncBufRead + Unpin> = if file == Path::new("-") {
        Box::new(BufReader::new(tokio::io::stdin()))
    } else {
        let opened = tokio::fs::File::open(file).await.with_context(|| file.display().to_string())?;
        Box::new(BufReader::new(opened))
    };
    let bar = Progress::new("pages");
    let (mut step, mut in_all, mut bad, mut number) = (Vec::new(), Imported::default(), 0, 0);
    loop {
        let mut line = Vec::new();
        let length = (&mut input).take(LINE_MAX + 1).read_until(b'\n', &mut line).await?;
        let is_end = length == 0;
        if !is_end && !line.trim_ascii().is_empty() {
            let told = if length as u64 > LINE_MAX {
                anyhow::bail!("line {}: more than {LINE_MAX} bytes", number + 1)
            } else {
                told(&door.registry, origin.as_ref(), &line)
            };
            match told {
                Ok(told) => step.push(told),
                Err(problem) => {
                    bad += 1;
                    if bad <= PRINTED_MAX {
                        eprintln!("line {}: {problem}", number + 1);
                    }
                }
            }
        }
        number += 1;
        if step.len() == STEP || is_end {
            let imported = names::import(&door.pool, &step).await?;
            step.clear();
            in_all.new += imported.new;
            in_all.replaced += imported.replaced;
            in_all.awaited.extend(imported.awaited);
            bar.at(number - 1, None, "");
        }
        if is_end {
            break;
        }
    }
    bar.end();
    let mut records = 0;
    for name in &in_all.awaited {
        records += names::tell(&door, name).await?;
    }
    let Imported { new, replaced, .. } = in_all;
    println!(
        "{new} pages are new, {replaced} show something else than before; {records} records that named one were read again"
    );
    if replaced > 0 {
        println!(
            "what named the {replaced} by now still means what they showed; `plyr rebuild` reads it again"
        );
    }
    database.close().await;
    anyhow::ensure!(bad == 0, "{bad} lines tell of no page");
    Ok(())
}

fn told(registry: &Registry, origin: Option<&Url>, line: &[u8]) -> Result<Told, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let page = match (line.page, line.id, origin) {
        (Some(page), ..) => page,
        (None, Some(id), Some(origin)) => {
            origin.join(&format!("track/{id}")).map_err(|error| error.to_string())?.into()
        }
        (None, Some(_), None) => return Err("id: of which server? Say --origin".into()),
        (None, None, _) => return Err("page: is missing".into()),
    };
    let uri = line.uri.or(line.atproto_record_uri).ok_or("uri: is missing")?;
    if !registry.is_ours(uri.collection()) {
        return Err(format!("uri: {} is none of our collections", uri.collection()));
    }
    match registry.page_hosts().page(&page) {
        Some(Shown::Unsaid(page)) => Ok(Told { page, uri }),
        Some(_) => Err(format!("page: {page} says itself what it shows")),
        None => Err(format!(
            "page: {page} is no page of PLYR_PUBLIC_URL or PLYR_PAGE_ORIGINS, of the form /track/NUMBER, /playlist/ID or \
             /u/HANDLE/album/NAME"
        )),
    }
}

#[cfg(test)]
mod tests {
    use indexer::link::reference::Name;

    use super::*;

    #[test]
    fn a_line_tells_of_one_page() {
        let url = |text: &str| text.parse::<Url>().expect("a URL");
        let other = url("https://other.example");
        let registry = Registry::new("fm.plyr", url("https://plyr.example")).with_page_hosts([&other]);
        let uri = "at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/fm.plyr.track/3jz";
        let tell = |line: String| told(&registry, Some(&other), line.as_bytes());
        let track =
            Told { page: Name::from_text("other.example/track/12"), uri: uri.parse().expect("a URI") };
        assert_eq!(
            tell(format!(r#"{{"page":"https://other.example/track/12","uri":"{uri}"}}"#)),
            Ok(track.clone())
        );
        assert_eq!(tell(format!(r#"{{"id":12,"atproto_record_uri":"{uri}","title":"x"}}"#)), Ok(track));
        for (line, problem) in [
            ("no JSON".to_owned(), "expected"),
            (format!(r#"{{"uri":"{uri}"}}"#), "page: is missing"),
            (r#"{"id":12}"#.to_owned(), "uri: is missing"),
            (r#"{"id":12,"atproto_record_uri":null}"#.to_owned(), "uri: is missing"),
            (format!(r#"{{"page":"https://elsewhere.example/track/12","uri":"{uri}"}}"#), "no page of"),
            (format!(r#"{{"page":"https://other.example/u/did:plc:x","uri":"{uri}"}}"#), "says itself"),
            (
                r#"{"id":12,"uri":"at://did:plc:x/app.bsky.feed.post/3jz"}"#.to_owned(),
                "none of our collections",
            ),
        ] {
            let told = tell(line.clone()).expect_err(&line);
            assert!(told.contains(problem), "{line}: {told}");
        }
    }
}
