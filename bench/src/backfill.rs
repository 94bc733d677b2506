//! Whole repos of hosts on this machine: listed, fetched, proven and applied.
//!
//! Hosts, relay, directory and Postgres run on the same cores, so their work is in the time as well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use indexer::Indexer;
use indexer::apply::Door;
use indexer::backfill::{self, Since};
use indexer::identity::{Identity, IdentityOptions};
use indexer::net::{Net, NetOptions};
use indexer::record::Registry;
use sim::truth::{Standing, Truth};
use sqlx::PgPool;
use url::Url;

use crate::report::{Line, Report, processor_time};
use crate::server::Server;

const REPOS: usize = 1_500;
const RECORDS: usize = 20_000;
const HOSTS: usize = 10;
const GOAL: Duration = Duration::from_secs(20);
const DATABASE: &str = "plyr_bench_backfill";

/// Measures.
pub async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let options = sim::Options {
        accounts: REPOS,
        web_accounts: 0,
        hosts: HOSTS,
        relays: 1,
        jetstreams: 0,
        life: 0.0,
        window: 1_000,
        ..sim::Options::default()
    };
    let network = sim::Network::start(options).await?;
    while records(&network.truth()) < RECORDS {
        network.advance(1_000).await;
    }
    network.settle().await;
    let truth = network.truth();
    let server = Server::start(&[]).await?;
    let pool =
        indexer::pool::options().max_connections(24).connect_with(server.database(DATABASE).await?).await?;
    indexer::MIGRATIONS.run(&pool).await?;
    let indexer = indexer(&network, pool.clone()).await?;
    let relay: Url = network.relay_upstreams()[0].replace("repos+ws", "http").parse()?;

    let (started, worked) = (Instant::now(), processor_time());
    let progress = backfill::host_since(&indexer, &relay, Since::Anew, |_| {}).await?;
    let (took, worked) = (started.elapsed(), processor_time() - worked);

    let held: i64 = sqlx::query_scalar(
        "select count(*) from record where cid is not null and proven and collection !~ '^app\\.bsky\\.feed\\.'",
    )
        .fetch_one(&pool)
        .await?;
    let whole: i64 =
        sqlx::query_scalar("select count(*) from repo where state = 'synchronized'").fetch_one(&pool).await?;
    anyhow::ensure!(
        progress.failed == 0 && held as usize == records(&truth),
        "{held} of {} records, {} failures",
        records(&truth),
        progress.failed
    );
    let again = Instant::now();
    let second = backfill::host_since(&indexer, &relay, Since::Anew, |_| {}).await?;
    anyhow::ensure!(second.read == 0, "{} repos were read again", second.read);
    report.add(Line {
        what: format!("verified backfill of {whole} repos with {held} records from local hosts"),
        measured: format!("{:.1} s, {:.0} records/s", took.as_secs_f64(), held as f64 / took.as_secs_f64()),
        against: format!(
            "{:.1} s of processor time in this process, the hosts' included; comparing all again {:.1} s",
            worked.as_secs_f64(),
            again.elapsed().as_secs_f64()
        ),
        goal: format!("≤ {} s", GOAL.as_secs()),
        is_met: took <= GOAL,
    });
    server.stop().await;
    Ok(())
}

/// The records of ours, of those who have any that makes us follow them. Of Bluesky's likes and posts only some are kept; which,
/// the worlds of the tests know.
fn records(truth: &Truth) -> usize {
    let registry = Registry::new("fm.plyr", "https://plyr.example/".parse().expect("a URL"));
    let ours = |path: &str| registry.get(path.split_once('/')?.0);
    let active = truth.accounts.values().filter(|account| account.standing == Standing::Active);
    active
        .filter_map(|account| account.repo.as_ref())
        .map(|repo| repo.records.keys().filter_map(|path| ours(path)).collect::<Vec<_>>())
        .filter(|found| found.iter().any(|collection| collection.tracks))
        .map(|found| found.iter().filter(|collection| !collection.refers).count())
        .sum()
}

async fn indexer(network: &sim::Network, pool: PgPool) -> anyhow::Result<Indexer> {
    let private_hosts = network.private_hosts().iter().map(|host| host.parse()).collect::<Result<_, _>>()?;
    let plc_url: Url = network.plc_url().parse()?;
    let net = Net::new(NetOptions { private_hosts, ..NetOptions::default() })?;
    let identity = Identity::new(net.clone(), IdentityOptions::new(plc_url));
    let registry = Registry::new("fm.plyr", "https://plyr.example".parse()?);
    Ok(Indexer::new(Arc::new(Door::open(pool, registry).await?), identity, net))
}
