//! The one binary: what to do, from the command line and the environment.

use plyr::config::{Command, Invocation};
use plyr::{run, telemetry};

fn main() -> std::process::ExitCode {
    let Invocation { command, config } = Invocation::from_process();
    let done = telemetry::log(&config.log, config.log_format).and_then(|()| {
        run::block_on(async {
            match command {
                Command::Up => run::up(config).await,
                Command::Index => run::index(config).await,
                Command::Serve { work } => run::serve(config, work).await,
                Command::Work => run::work(config).await,
                Command::Migrate => run::migrate(config).await,
                Command::Rebuild => run::rebuild(config).await,
                Command::ImportPages { file, origin } => run::import_pages(config, &file, origin).await,
                Command::Backfill { from, dids, anew, failures } => {
                    run::backfill(config, from, dids, anew, failures).await
                }
                Command::AuditCounts => run::audit_counts(config).await,
                Command::Audit { sample, repair } => run::audit(config, sample, repair).await,
                Command::Sim(simulation) => run::sim::simulate(*simulation).await,
                Command::Problems(ask) => run::problems(config, ask).await,
                Command::Lexicons(ask) => run::lexicons(config, ask).await,
            }
        })
    });
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("plyr: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
