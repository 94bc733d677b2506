//! The real binary over a simulated network: whatever the network does and whoever dies meanwhile, what plyr holds in the
//! end is what the oracle says.
//!
//! `PLYR_SIM_SEEDS` names other seeds (`1-500`, `7,9`), `PLYR_SIM_AT_ONCE` how many run side by side, and `PLYR_SABOTAGE`
//! a planted bug. With `PLYR_SIM_FIRST=1` the first that ends wrong ends all.

pub mod found;
pub mod scene;
mod stage;
pub mod sums;

use std::time::Instant;

use futures_util::{StreamExt, stream};

use scene::Scene;

/// Those of every test run: each kind of upstream with each kind of trouble, over the network's usual malice.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=20;

#[test]
fn every_world_ends_in_the_truth() {
    let seeds = wanted();
    let at_once = number("PLYR_SIM_AT_ONCE").unwrap_or(4) as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let started = Instant::now();
        let mut scenes = stream::iter(seeds.iter().copied().map(play)).buffer_unordered(at_once);
        let (mut right, mut wrong) = (0, Vec::new());
        while let Some((seed, ended)) = scenes.next().await {
            match ended {
                Ok(()) => right += 1,
                Err(why) => wrong.push((seed, why)),
            }
            if !wrong.is_empty() && number("PLYR_SIM_FIRST") == Some(1) {
                break;
            }
        }
        println!("{right} of {} worlds ended in the truth after {:?}", seeds.len(), started.elapsed());
        wrong.sort();
        let shown: Vec<String> =
            wrong.iter().take(10).map(|(seed, why)| format!("seed {seed}: {why}")).collect();
        let seeds: Vec<u64> = wrong.iter().map(|(seed, _)| *seed).collect();
        assert!(
            wrong.is_empty(),
            "{} worlds ended wrong, seeds {seeds:?}:\n{}",
            seeds.len(),
            shown.join("\n")
        );
    });
}

/// Each in a task of its own: one that panics costs no other its result.
async fn play(seed: u64) -> (u64, Result<(), String>) {
    let scene = Scene::of(seed);
    let started = Instant::now();
    let played = tokio::spawn(stage::play(scene)).await.unwrap_or_else(|panic| Err(format!("{panic}")));
    let took = started.elapsed().as_secs_f32();
    let (word, note) = match &played {
        Ok(note) => ("right", note.as_str()),
        Err(_) => ("WRONG", ""),
    };
    println!("{scene}: {word} after {took:.1} s; {note}");
    (seed, played.map(drop).map_err(|why| format!("{scene}: {why}")))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is no number")))
}

/// `1-20`, `3`, `4,9-11`.
fn wanted() -> Vec<u64> {
    let Ok(text) = std::env::var("PLYR_SIM_SEEDS") else { return SEEDS.collect() };
    let seed = |text: &str| -> u64 { text.parse().unwrap_or_else(|_| panic!("PLYR_SIM_SEEDS: {text:?}")) };
    let ranges = text.split(',').map(|part| part.split_once('-').unwrap_or((part, part)));
    ranges.flat_map(|(from, to)| seed(from)..=seed(to)).collect()
}
