//! What one seed plays: where the network is read from, and what befalls plyr meanwhile.

use std::fmt;

/// Where plyr reads from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// Every host by itself.
    Hosts,
    Relay,
    Jetstream1,
    Jetstream2,
    /// Two that say the same things in two ways.
    Both,
}

/// What befalls plyr in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// It dies as by SIGKILL when it comes through a named point for the nth time, and is started again.
    Death(&'static str, u64),
    /// SIGKILL from outside, at moments of no meaning.
    Kills(u32),
    /// Its Postgres is stopped and started, and crashes.
    Postgres,
    /// It is told to read from elsewhere, and told again.
    Switch(Upstream),
    /// The first of its upstreams never answers.
    DeadFirst,
}

/// One world and what happens in it.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    pub seed: u64,
    pub upstream: Upstream,
    pub trouble: Trouble,
}

const UPSTREAMS: [Upstream; 5] =
    [Upstream::Relay, Upstream::Hosts, Upstream::Jetstream2, Upstream::Both, Upstream::Jetstream1];

const TROUBLES: [Trouble; 13] = [
    Trouble::None,
    Trouble::Death("apply-before-commit", 7),
    Trouble::Postgres,
    Trouble::Death("backfill-listed", 1),
    Trouble::Switch(Upstream::Relay),
    Trouble::Death("stretch-applied", 2),
    Trouble::Kills(3),
    Trouble::DeadFirst,
    Trouble::Death("apply-after-commit", 11),
    Trouble::Death("job-claimed", 5),
    Trouble::Switch(Upstream::Jetstream2),
    Trouble::Death("cursor-saved", 3),
    Trouble::Switch(Upstream::Hosts),
];

impl Scene {
    /// The same seed plays the same scene. Five kinds of upstream and thirteen troubles meet in every pair within 65 seeds.
    pub fn of(seed: u64) -> Scene {
        let at = seed.wrapping_sub(1) as usize;
        let upstream = UPSTREAMS[at % UPSTREAMS.len()];
        let trouble = match TROUBLES[at % TROUBLES.len()] {
            Trouble::Switch(to) if to == upstream => Trouble::Switch(Upstream::Both),
            other => other,
        };
        Scene { seed, upstream, trouble }
    }

    /// What goes wrong with the network itself. Where revs are not compared, nothing is lost without a word; whatever else
    /// is lost then is plyr's.
    pub fn faults(&self) -> sim::Faults {
        if let Ok(list) = std::env::var("PLYR_SIM_FAULTS") {
            return sim::Faults::parse(&list).unwrap_or_else(|why| panic!("PLYR_SIM_FAULTS: {why}"));
        }
        let all = sim::Faults::all();
        if self.seed % 4 == 2 {
            // Whoever we do not follow, of them we know what was told, and no more.
            return sim::Faults {
                duplicates: all.duplicates,
                reordering: all.reordering,
                account_lies: all.account_lies,
                silent_identities: all.silent_identities,
                handle_swaps: all.handle_swaps,
                slow_hosts: all.slow_hosts,
                server_errors: all.server_errors,
                rate_limits: all.rate_limits,
                resets: all.resets,
                ..sim::Faults::none()
            };
        }
        if self.is_compared() {
            all
        } else {
            sim::Faults { drops: 0.0, blind_sources: 0.0, restores: 0.0, ..all }
        }
    }

    /// Whether the network loses nothing without a word.
    pub fn loses_nothing(&self) -> bool {
        let faults = self.faults();
        (faults.drops, faults.blind_sources) == (0.0, 0.0)
    }

    /// Whether everything that is told is true, and whole.
    pub fn tells_the_truth(&self) -> bool {
        let faults = self.faults();
        let false_or_lost = [
            faults.drops,
            faults.truncated_cars,
            faults.wrong_prev_data,
            faults.missing_ops,
            faults.wrong_bytes,
            faults.forged_signatures,
            faults.high_s,
            faults.future_revs,
            faults.stale_hosts,
            faults.restores,
            faults.blind_sources,
            faults.lying_jetstreams,
            faults.garbage,
        ];
        false_or_lost.iter().all(|rate| *rate == 0.0)
    }

    /// Whether hosts are read each by itself, at least for a while.
    pub fn reads_hosts(&self) -> bool {
        self.upstream == Upstream::Hosts || self.trouble == Trouble::Switch(Upstream::Hosts)
    }

    /// Repos come in stretches of a few records, so that small ones have several.
    pub fn has_short_stretches(&self) -> bool {
        self.seed.is_multiple_of(3) || matches!(self.trouble, Trouble::Death("stretch-applied", _))
    }

    fn is_compared(&self) -> bool {
        // A Jetstream tells nothing of commits to other collections: only a comparison shows the head.
        let tells_heads = !matches!(self.upstream, Upstream::Jetstream1 | Upstream::Jetstream2);
        !(self.seed.is_multiple_of(4) && tells_heads)
    }

    /// `PLYR_COMPARE_EVERY`.
    pub fn compare_every(&self) -> &'static str {
        if self.is_compared() { "3s" } else { "1h" }
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {:3} {:?}, {:?}", self.seed, self.upstream, self.trouble)
    }
}
