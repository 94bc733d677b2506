//! `make bench`: each claim of speed as a number, held against a limit that the same run measured.

mod apply;
mod backfill;
mod caller;
mod decode;
mod directory;
mod filter;
mod ground;
mod host;
mod latency;
mod memory;
mod process;
mod report;
mod server;

use report::Report;

fn main() -> anyhow::Result<()> {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let mut report = Report::new(only);
    decode::run(&mut report)?;
    filter::run(&mut report)?;
    apply::run(&mut report)?;
    backfill::run(&mut report)?;
    latency::run(&mut report)?;
    memory::run(&mut report)?;
    report.print();
    Ok(())
}
