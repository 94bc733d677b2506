//! The arguments of `plyr sim`.

use clap::Args;

use super::Command;
use super::cli::Settings;

/// How to simulate a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// The world.
    pub options: sim::Options,
    /// Things that happen in a second.
    pub rate: f64,
    /// Things that have happened before anybody can look.
    pub history: usize,
    /// Things that happen before it comes to rest; none goes on until told to stop.
    pub steps: Option<usize>,
    /// Time there is what time is here.
    pub is_live: bool,
}

#[derive(Debug, Args)]
pub(super) struct SimArguments {
    /// Decides all that happens: the same arguments make the same network, byte for byte.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Accounts in the beginning; more join.
    #[arg(long, default_value_t = 2000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    accounts: u32,
    /// PDSes that the accounts live on.
    #[arg(long, default_value_t = 5, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100))]
    hosts: u32,
    /// Relays that listen to all hosts.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=10))]
    relays: u32,
    /// Jetstreams, each in both dialects.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(0..=10))]
    jetstreams: u32,
    /// Things that happen in a second: commits, and now and then a turn in the life of an account.
    #[arg(long, default_value_t = 20.0, value_name = "NUMBER")]
    rate: f64,
    /// Things that have happened before anybody can look.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    history: usize,
    /// Come to rest after so many things, faults healed and all delivered. [default: go on until told to stop]
    #[arg(long, value_name = "NUMBER")]
    steps: Option<usize>,
    /// What goes wrong: `none`, `all`, or names separated by commas, each with a rate of its own after `=` if you like:
    /// `drops,forged-signatures=0.1`. The names are listed below.
    #[arg(long, default_value = "none", value_name = "LIST")]
    faults: String,
    /// The first port to listen on; the servers take it and those that follow. 0 takes any that are free.
    #[arg(long, default_value_t = 4000, value_name = "PORT")]
    port: u16,
    /// Let the network's clock show the time that it is, rather than begin with 2026. Two runs are no longer the same.
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    pub(super) settings: Settings,
}

/// The end of the help: an example, and all faults.
pub(super) fn after_help() -> String {
    let faults: String = sim::Faults::ALL
        .iter()
        .map(|(name, what, rate)| format!("  {:18} {what} [{rate}]\n", name.replace('_', "-")))
        .collect();
    format!(
        "\
Example:
  A network with everything that can go wrong, in one terminal:
    plyr sim --faults all --rate 50
  plyr on it, in another: copy the line that the first one writes at its beginning, which is like
    PLYR_PLC_URL=http://127.0.0.1:4000 PLYR_UPSTREAMS=repos+ws://127.0.0.1:4006 … plyr up --data-dir /tmp/simulated

Faults, with their usual rates:
{faults}"
    )
}

/// The command that the arguments mean.
pub(super) fn read(arguments: &SimArguments, errors: &mut Vec<String>) -> Command {
    let faults = sim::Faults::parse(&arguments.faults).unwrap_or_else(|error| {
        errors.push(format!("--faults: {error}; `plyr sim --help` lists them"));
        sim::Faults::none()
    });
    if !(0.0..=100_000.0).contains(&arguments.rate) {
        errors.push(format!("--rate: `{}`: a number from 0 to 100000", arguments.rate));
    }
    let count = |number: u32| number as usize;
    Command::Sim(Box::new(Simulation {
        options: sim::Options {
            seed: arguments.seed,
            accounts: count(arguments.accounts),
            hosts: count(arguments.hosts),
            relays: count(arguments.relays),
            jetstreams: count(arguments.jetstreams),
            faults,
            port: Some(arguments.port).filter(|port| *port > 0),
            ..sim::Options::default()
        },
        rate: arguments.rate,
        history: arguments.history,
        steps: arguments.steps,
        is_live: arguments.live,
    }))
}
