//! `make bench`: each claim of speed as a number, held against a limit that the same run measured.

mod apply;
mod backfill;
mod caller;
mod charts;
mod decode;
mod directory;
mod filter;
mod ground;
mod host;
mod latency;
mod memory;
mod process;
mod reads;
mod report;
mod server;

use report::Report;

fn main() -> anyhow::Result<()> {
    let only: Vec<String> = std::env::args().skip(1).collect();
    if let [command, path] = only.as_slice()
        && command == "bare"
    {
        return reads::serve(path);
    }
    let mut report = Report::new(only);
    decode::run(&mut report)?;
    filter::run(&mut report)?;
    run(&mut report, "apply", apply::measure)?;
    run(&mut report, "backfill", backfill::measure)?;
    run(&mut report, "latency", latency::measure)?;
    run(&mut report, "charts", charts::measure)?;
    run(&mut report, "reads", reads::measure)?;
    run(&mut report, "memory", memory::measure)?;
    report.print();
    Ok(())
}

/// Measures on as many threads as the claims speak of cores, where it is asked for.
fn run(
    report: &mut Report,
    name: &str,
    measure: impl AsyncFnOnce(&mut Report) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !report.wants(name) {
        return Ok(());
    }
    // What the measurement before has left to the disk is no part of this one.
    std::process::Command::new("sync").status()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(report))
}
