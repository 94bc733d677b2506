//! Logs and metrics: what an operator sees of a running plyr.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Begins logging to standard error. `filter` is in the language of `tracing_subscriber::EnvFilter`.
pub fn log(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("PLYR_LOG: {filter:?} is no log filter"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Durations from a tenth of a millisecond to half a minute, in seconds.
const SECONDS: [f64; 12] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Begins counting.
pub fn metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full("plyr_batch_inputs".into()), &[1.0, 4.0, 16.0, 64.0, 256.0])?
        .install_recorder()?;
    appview::describe_metrics();
    describe();
    Ok(handle)
}

fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};
    describe_counter!("plyr_events_total", "Events received, by source and kind");
    describe_gauge!("plyr_source_connected", "Whether the source's stream is open");
    describe_gauge!("plyr_source_lag_seconds", "Age of the source's newest event, growing while none comes");
    describe_counter!("plyr_source_gaps_total", "Times something of the source's stream was missing");
    describe_gauge!(
        "plyr_source_blind",
        "Whether the source lives and brings nothing of ours that others bring"
    );
    describe_gauge!("plyr_source_divergences", "What the source said of records and a proof refuted");
    describe_counter!("plyr_source_reconnects_total", "Times a source's stream ended");
    describe_counter!(
        "plyr_source_refusals_total",
        "Times a source refused what we ask for, as it will again"
    );
    describe_counter!("plyr_changes_total", "Record changes, by what the door decided");
    describe_counter!("plyr_chain_broken_total", "Commit chains found broken, by what showed it");
    describe_counter!("plyr_problems_total", "Events kept aside since the start, by kind");
    describe_counter!("plyr_record_problems_total", "Records without projection since the start, by problem");
    describe_counter!(
        "plyr_repo_collapses_total",
        "Whole reads of a repo that found most of its records gone"
    );
    describe_gauge!("plyr_problems", "Events kept aside in the database");
    describe_gauge!("plyr_repos_desynchronized", "Repos that wait to be read as a whole");
    describe_gauge!("plyr_jobs", "Jobs, by kind and state");
    describe_gauge!("plyr_job_oldest_seconds", "How long the oldest due job has been waiting");
    describe_gauge!("plyr_pool_connections", "Connections to the database, by pool and state");
    describe_histogram!("plyr_apply_seconds", "Transactions of the door");
    describe_histogram!("plyr_batch_inputs", "Inputs of a transaction");
    describe_histogram!("plyr_job_seconds", "Jobs, by kind and outcome");
}

/// What the metrics port answers from.
#[derive(Clone)]
struct Gauges {
    handle: PrometheusHandle,
    pools: Vec<(&'static str, PgPool)>,
}

/// Serves `/metrics`, `/health/live` and `/health/ready` until told to stop.
pub async fn serve(
    listen: SocketAddr,
    handle: PrometheusHandle,
    pools: Vec<(&'static str, PgPool)>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("PLYR_METRICS_LISTEN: cannot listen on {listen}; choose another, or `off`")
    })?;
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/health/live", get(|| async { "ok" }))
        .route("/health/ready", get(ready))
        .with_state(Gauges { handle: handle.clone(), pools });
    tracing::info!(%listen, "metrics");
    let upkeep = tokio::spawn(keep_up(handle.clone()));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
    upkeep.abort();
    Ok(())
}

/// Histograms collect samples until somebody drains them, and nobody may ever scrape.
async fn keep_up(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        handle.run_upkeep();
    }
}

async fn render(State(gauges): State<Gauges>) -> ([(header::HeaderName, &'static str); 1], String) {
    for (name, pool) in &gauges.pools {
        let set = |state: &'static str, value: f64| {
            metrics::gauge!("plyr_pool_connections", "pool" => *name, "state" => state).set(value);
        };
        set("open", f64::from(pool.size()));
        set("idle", pool.num_idle() as f64);
    }
    if let Some((_, pool)) = gauges.pools.first() {
        // A scrape must not wait for a database in trouble: the other numbers tell of it.
        let look = tokio::time::timeout(Duration::from_secs(2), look(pool)).await;
        if let Ok(Err(error)) = look {
            tracing::warn!(%error, "cannot count what is in the database");
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], gauges.handle.render())
}

/// Numbers that live in the database and not in this process.
async fn look(pool: &PgPool) -> sqlx::Result<()> {
    let problems = sqlx::query_scalar!(r#"select count(*) as "count!" from problem"#).fetch_one(pool).await?;
    metrics::gauge!("plyr_problems").set(problems as f64);
    let behind =
        sqlx::query_scalar!(r#"select count(*) as "count!" from repo where state = 'desynchronized'"#)
            .fetch_one(pool)
            .await?;
    metrics::gauge!("plyr_repos_desynchronized").set(behind as f64);
    for state in ["queued", "running", "dead"] {
        for kind in indexer::job::KINDS {
            metrics::gauge!("plyr_jobs", "kind" => kind, "state" => state).set(0.0);
        }
    }
    let jobs = sqlx::query!(r#"select kind, state, count(*) as "count!" from job group by kind, state"#)
        .fetch_all(pool)
        .await?;
    for row in jobs {
        metrics::gauge!("plyr_jobs", "kind" => row.kind, "state" => row.state).set(row.count as f64);
    }
    let oldest = sqlx::query_scalar!(
        r#"select coalesce(extract(epoch from now() - min(run_at)), 0)::float8 as "age!" from job
           where state = 'queued' and run_at <= now()"#
    )
    .fetch_one(pool)
    .await?;
    metrics::gauge!("plyr_job_oldest_seconds").set(oldest);
    Ok(())
}

async fn ready(State(gauges): State<Gauges>) -> (StatusCode, &'static str) {
    let Some((_, pool)) = gauges.pools.first() else { return (StatusCode::OK, "ok") };
    match tokio::time::timeout(Duration::from_secs(1), sqlx::query!("select 1 as one").fetch_one(pool)).await
    {
        Ok(Ok(_)) => (StatusCode::OK, "ok"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer"),
    }
}
