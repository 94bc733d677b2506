//! `plyr sim`: a simulated network to try plyr on.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use serde_json::json;
use sim::Network;
use tokio::time::MissedTickBehavior;

use crate::config::Simulation;

/// The world moves so often, by as many steps as are due.
const TICK: Duration = Duration::from_millis(20);
/// Steps in one go: who cannot keep up falls behind rather than stand still.
const STEPS_MAX: usize = 2000;

/// Serves a network and lets things happen in it, until told to stop.
pub async fn simulate(simulation: Simulation) -> anyhow::Result<()> {
    let Simulation { mut options, rate, history, steps, is_live } = simulation;
    if is_live {
        // Slower than the world's own time, so that catching up with ours never overtakes it.
        options.step_us = (200_000.0 / rate.max(1.0)) as i64;
        options.start_us = chrono::Utc::now().timestamp_micros() - 3_600_000_000;
    }
    let public_url = options.public_url.clone();
    let network = Network::start(options).await?;
    if is_live {
        network.catch_up(chrono::Utc::now().timestamp_micros());
    }
    network.advance(history).await;
    println!("{}", ready(&network, &public_url));
    let settings: Vec<String> =
        network.env().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    eprintln!("plyr on it:\n  {} plyr up --data-dir /tmp/simulated", settings.join(" "));
    let mut stop = Box::pin(super::signalled());
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (began, mut done, mut said) = (Instant::now(), 0, Instant::now());
    let end = steps.unwrap_or(usize::MAX);
    while done < end {
        tokio::select! {
            signal = &mut stop => return ended(signal?, &network),
            _ = ticks.tick() => {}
        }
        let due = (began.elapsed().as_secs_f64() * rate) as usize;
        let now = due.saturating_sub(done).min(STEPS_MAX).min(end - done);
        if is_live {
            network.catch_up(chrono::Utc::now().timestamp_micros());
        }
        network.advance(now).await;
        done += now;
        say(&network, &mut said, Duration::ZERO);
    }
    network.settle().await;
    say(&network, &mut said, Duration::MAX);
    eprintln!("\nat rest: nothing more happens; Ctrl-C ends it");
    ended(stop.await?, &network)
}

fn ended(signal: &'static str, network: &Network) -> anyhow::Result<()> {
    eprintln!("\n{}; {signal}", summary(network));
    Ok(())
}

/// The line that whoever started us waits for.
fn ready(network: &Network, public_url: &str) -> serde_json::Value {
    let mut env: Vec<String> =
        network.env().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    env.sort();
    let jetstreams = [network.jetstream_upstreams(1), network.jetstream_upstreams(2)].concat();
    json!({
        "ready": true,
        "plc": network.plc_url(),
        "handleResolver": network.handle_resolver_url(),
        "hosts": network.host_upstreams(),
        "relays": network.relay_upstreams(),
        "jetstreams": jetstreams,
        "privateHosts": network.private_hosts(),
        "trackPages": public_url,
        "env": env,
    })
}

fn summary(network: &Network) -> String {
    network.look(|world| {
        let told: i64 = world.hosts().iter().map(|host| host.log.last()).sum();
        format!(
            "{} things happened to {} accounts; {told} events told",
            world.steps(),
            world.accounts().len()
        )
    })
}

/// Says how far it is: each second on a terminal, each ten seconds elsewhere.
fn say(network: &Network, said: &mut Instant, at_once: Duration) {
    let is_terminal = std::io::stderr().is_terminal();
    let every = Duration::from_secs(if is_terminal { 1 } else { 10 });
    if said.elapsed() < every.saturating_sub(at_once) {
        return;
    }
    *said = Instant::now();
    match is_terminal {
        true => eprint!("\r{}  ", summary(network)),
        false => eprintln!("{}", summary(network)),
    }
}
