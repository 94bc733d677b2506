//! How Postgres answers every read path at the size of a network: its own word of each plan, by `auto_explain`.
//!
//! A count that is taken by counting, or a table that is walked, shows here as rows that are read and not shown.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor, PgPool};

use crate::caller::Caller;
use crate::host::Host;
use crate::process::Process;
use crate::report::{Line, Report};
use crate::server::Server;

/// So many rows one step of a plan may read: a page is a hundred, and steps over a hundred hidden people.
const ROWS_MAX: u64 = 2_000;
/// Characters of a query that are shown.
const QUERY_CHARS: usize = 160;

/// One query of a path, as it was answered.
struct Plan {
    query: String,
    lines: Vec<String>,
    /// By the step that read most.
    rows: u64,
    /// How often the last step was done.
    loops: u64,
}

/// Asks every read path once and looks at what Postgres says of it; writes it to the file that `BENCH_PLANS` names.
pub async fn measure(
    report: &mut Report,
    server: &Server,
    database: &str,
    host: &Host,
) -> anyhow::Result<()> {
    let Some(log) = server.log() else {
        eprintln!("charts: no plans are looked at: the Postgres is not ours, and its log neither");
        return Ok(());
    };
    let pool = PgPool::connect_with(server.options(database)).await?;
    for (name, value) in [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_timing", "off"),
    ] {
        pool.execute(AssertSqlSafe(format!("alter database {database} set {name} = '{value}'"))).await?;
    }
    let paths = paths(&pool).await?;
    let plyr = Process::over(server, database, host).await?;
    let mut caller = Caller::connect(plyr.address).await?;
    let mut found = Vec::new();
    for path in paths {
        // What a connection asks first, of types, is no part of it.
        caller.get(&path).await?;
        // Until the answer is not kept any more.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let from = log.metadata()?.len();
        caller.get(&path).await?;
        let readers: Vec<i32> =
            sqlx::query_scalar("select pid from pg_stat_activity where application_name = 'plyr serve'")
                .fetch_all(&pool)
                .await?;
        found.push((path, plans(&since(&log, from)?, &readers)));
    }
    drop(plyr);
    pool.execute(AssertSqlSafe(format!("alter database {database} reset all"))).await?;
    pool.close().await;
    let (mut queries, mut rows, mut hungriest) = (0, 0, "");
    for (path, plans) in &found {
        queries += plans.len();
        let most = plans.iter().map(|plan| plan.rows).max().unwrap_or_default();
        if most > rows && !is_of_one_person(path) {
            (rows, hungriest) = (most, path);
        }
    }
    anyhow::ensure!(queries >= found.len(), "Postgres told of {queries} queries of {} paths", found.len());
    if let Some(file) = std::env::var_os("BENCH_PLANS") {
        std::fs::write(file, page(&found))?;
    }
    report.add(Line {
        what: format!("rows that one step of any of {queries} queries of {} read paths reads", found.len()),
        measured: format!("{rows} at most"),
        against: hungriest.chars().take(60).collect(),
        goal: format!("≤ {ROWS_MAX}, whatever there is"),
        is_met: rows <= ROWS_MAX,
    });
    Ok(())
}

/// Whether it sums what one person heard in a time: that grows with them, and not with the network.
fn is_of_one_person(path: &str) -> bool {
    ["stats.getUserTop", "stats.getRepoTop"].iter().any(|method| path.contains(method))
}

/// Every path that reads, asked about what there is most of.
async fn paths(pool: &PgPool) -> anyhow::Result<Vec<String>> {
    pool.execute(
        "insert into public_id (kind, uri) values ('track', bench_track(1)) on conflict do nothing; analyze public_id",
    )
    .await?;
    let text = |sql: &'static str| sqlx::query_scalar::<_, String>(sql).fetch_one(pool);
    let track = text("select bench_track(1)").await?;
    let number = text("select id::text from public_id where kind = 'track' and uri = bench_track(1)").await?;
    let (artist, listener) = (text("select bench_did(1000001)").await?, text("select bench_did(1)").await?);
    let page = track.trim_start_matches("at://").replace("/fm.plyr.track/", "/");
    let escaped = |text: &str| text.replace(':', "%3A").replace('/', "%2F");
    let (uri, subject) = (escaped(&track), escaped(&track));
    let older = format!("target={subject}&collection=fm.plyr.like&path=.subject.uri");
    let newer = format!("subject={subject}&source=fm.plyr.like:subject.uri");
    let mut paths: Vec<String> = [
        "fm.plyr.feed.getActivity?limit=100".to_owned(),
        "fm.plyr.feed.getLatest?limit=100".to_owned(),
        format!("fm.plyr.feed.getTracks?uris={uri}"),
        format!("fm.plyr.feed.getTrack?uri={uri}"),
        format!("fm.plyr.feed.getActorTracks?actor={artist}&limit=100"),
        format!("fm.plyr.feed.getActorLikes?actor={listener}&limit=100"),
        "fm.plyr.feed.getTagTracks?tag=tag+1&limit=100".to_owned(),
        "fm.plyr.feed.getTags?limit=100".to_owned(),
        "fm.plyr.feed.getTags?q=tag+1&limit=100".to_owned(),
        format!("fm.plyr.list.getAlbum?actor={artist}&slug=album-1&limit=100"),
        format!("fm.plyr.list.getLists?actor={artist}&limit=100"),
        format!("fm.plyr.feed.getLikes?uri={uri}&limit=100"),
        format!("fm.plyr.feed.getComments?uri={uri}&limit=100"),
        format!("fm.plyr.actor.getProfile?actor={artist}"),
        "fm.plyr.actor.getProfile?actor=p1.example".to_owned(),
        format!("fm.plyr.actor.getNowPlaying?actor={listener}"),
        format!("fm.plyr.sync.getRepoStatus?did={listener}"),
        "fm.plyr.sync.getStatus".to_owned(),
        format!("fm.teal.feed.getActorFeed?authorDID={listener}&limit=50"),
        format!("fm.teal.actor.getStatus?actor={listener}"),
        "fm.teal.stats.getLatest?limit=50".to_owned(),
        "fm.teal.stats.getTopArtists?period=all".to_owned(),
        "fm.teal.stats.getTopReleases?period=30days".to_owned(),
        format!("fm.teal.stats.getUserTopArtists?actor={listener}"),
        format!("fm.teal.stats.getUserTopRecordings?actor={listener}&period=all"),
        format!("fm.teal.stats.getUserTopReleases?actor={listener}&period=365days"),
        format!("fm.teal.stats.getRepoTopReleases?actor={listener}"),
        "fm.teal.actor.searchActors?q=p12".to_owned(),
        format!("blue.microcosm.links.getBacklinks?{newer}&limit=100"),
        format!("blue.microcosm.links.getBacklinks?{newer}&reverse=true&limit=100"),
        format!("blue.microcosm.links.getBacklinksCount?{newer}"),
        format!("blue.microcosm.links.getBacklinkDids?{newer}&limit=100"),
    ]
    .into_iter()
    .map(|method| format!("/xrpc/{method}"))
    .collect();
    for of in ["tracks", "artists", "tags"] {
        for by in ["plays", "listeners", "likes"] {
            paths.push(format!("/xrpc/fm.plyr.feed.getTop?of={of}&by={by}&period=week&cursor=40.7fffffff"));
        }
    }
    paths.extend([
        format!("/links?{older}"),
        format!("/links/count?{older}"),
        format!("/links/count/distinct-dids?{older}"),
        format!("/links/distinct-dids?{older}"),
        format!("/links/all?target={subject}"),
        format!("/links/all/count?target={subject}"),
        "/tracks/".to_owned(),
        "/tracks/?tags=tag+1&tags=tag+2".to_owned(),
        format!("/tracks/?artist_did={artist}"),
        format!("/tracks/{number}"),
        format!("/tracks/by-uri?uri={uri}"),
        "/tracks/top".to_owned(),
        "/tracks/tags".to_owned(),
        "/tracks/tags/tag%201".to_owned(),
        format!("/albums/{artist}"),
        format!("/albums/{artist}/album-1"),
        "/albums/".to_owned(),
        "/activity/?limit=100".to_owned(),
        format!("/u/{artist}"),
        format!("/u/{artist}/album/album-1"),
        "/tag/tag%201".to_owned(),
        format!("/embed/track/{number}"),
        "/sitemap/tracks/1.xml".to_owned(),
        format!("/artists/{artist}"),
        format!("/artists/{artist}/analytics"),
        format!("/users/{listener}/likes"),
        format!("/tracks/{number}/likes"),
        format!("/tracks/{number}/comments"),
        format!("/track/{page}"),
        "/links/count?target=at://p1.example/fm.plyr.track/3x&collection=fm.plyr.like&path=.subject.uri"
            .to_owned(),
    ]);
    Ok(paths)
}

/// What the log has grown by.
fn since(log: &Path, from: u64) -> anyhow::Result<String> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(from))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// The plans of readers' queries: other parts of the process ask, too.
fn plans(log: &str, readers: &[i32]) -> Vec<Plan> {
    let is_readers = |line: &str| readers.iter().any(|pid| line.contains(&format!(" [{pid}] LOG:")));
    let mut plans: Vec<Plan> = Vec::new();
    let (mut is_ours, mut is_query) = (false, false);
    for line in log.lines() {
        if !line.starts_with('\t') {
            is_ours = line.ends_with("plan:") && is_readers(line);
            continue;
        }
        let line = line.trim_start_matches('\t');
        if !is_ours {
            continue;
        }
        if let Some(query) = line.strip_prefix("Query Text: ") {
            plans.push(Plan { query: query.trim().to_owned(), lines: Vec::new(), rows: 0, loops: 1 });
            is_query = true;
            continue;
        }
        let Some(plan) = plans.last_mut() else { continue };
        if is_query && !line.contains("(cost=") {
            plan.query.push(' ');
            plan.query.push_str(line.trim());
            continue;
        }
        is_query = false;
        plan.add(line);
    }
    plans
}

impl Plan {
    fn add(&mut self, line: &str) {
        let told = |before: &str, text: &str| -> Option<u64> {
            let rest = text.split_once(before)?.1;
            rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
        };
        if let Some((node, actual)) = line.split_once("(cost=") {
            let actual = actual.split_once("(actual ").map_or("(never executed)", |(_, actual)| actual);
            let (rows, loops) =
                (told("rows=", actual).unwrap_or_default(), told("loops=", actual).unwrap_or_default());
            self.loops = loops;
            if node.contains("Scan") {
                // A look that finds nothing is a look.
                self.rows = self.rows.max(rows.max(1) * loops);
            }
            self.lines.push(format!(
                "{}({actual}",
                node.replace("  (", " ("),
                actual = actual.trim_start_matches('(')
            ));
        } else if ["Index Cond", "Filter", "Rows Removed", "Recheck Cond", "Sort Key", "Heap Fetches"]
            .iter()
            .any(|name| line.trim_start().starts_with(name))
        {
            if line.trim_start().starts_with("Rows Removed") {
                self.rows = self.rows.max(told(": ", line).unwrap_or_default() * self.loops);
            }
            self.lines.push(line.chars().take(QUERY_CHARS).collect());
        }
    }
}

fn page(found: &[(String, Vec<Plan>)]) -> String {
    let mut page = String::from(
        "# Plans\n\nHow Postgres answered each read path over ten million plays, a million likes and one track that a hundred thousand people\n\
         like: `make bench BENCH=charts` asks each and writes this where `BENCH_PLANS` says. `rows` is what the step that read most\n\
         read; nothing grows with what there is, but the sums of what one person heard (`fm.teal.stats.getUserTop…`, `getRepoTop…`) with\n\
         what they heard.\n\n| path | queries | rows |\n|---|---|---|\n",
    );
    for (path, plans) in found {
        let rows = plans.iter().map(|plan| plan.rows).max().unwrap_or_default();
        let _ = writeln!(page, "| `{}` | {} | {rows} |", shown(path), plans.len());
    }
    for (path, plans) in found {
        let _ = write!(page, "\n## `{}`\n", shown(path));
        for plan in plans {
            let query: String = plan.query.chars().take(QUERY_CHARS).collect();
            let cut = if query.len() < plan.query.len() { " …" } else { "" };
            let _ = write!(page, "\n```\n{query}{cut}\n\n{}\n```\n", plan.lines.join("\n"));
        }
    }
    page
}

/// A path for people.
fn shown(path: &str) -> String {
    path.replace("%3A", ":").replace("%2F", "/")
}

/// The log of an embedded Postgres, somewhere below its folder.
pub fn log_below(dir: &Path) -> Option<PathBuf> {
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.file_name().is_some_and(|name| name == "postgres.log") {
                return Some(path);
            }
            if path.is_dir() && !path.join("PG_VERSION").exists() {
                folders.push(path);
            }
        }
    }
    None
}
