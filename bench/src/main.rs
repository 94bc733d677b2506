//! `make bench`: each claim of speed as a number, held against a limit that the same run measured.

mod apply;
mod backfill;
mod decode;
mod filter;
mod report;

use report::Report;

fn main() -> anyhow::Result<()> {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let mut report = Report::new(only);
    decode::run(&mut report)?;
    filter::run(&mut report)?;
    apply::run(&mut report)?;
    backfill::run(&mut report)?;
    report.print();
    Ok(())
}
