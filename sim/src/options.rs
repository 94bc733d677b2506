//! How a world is to be.

use crate::clock::START_US;

/// What decides a world, wholly: the same options make the same world, byte for byte.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Decides everything that the rest leaves open.
    pub seed: u64,
    /// Accounts in the beginning.
    pub accounts: usize,
    /// How many of those are did:web, each with a web server of its own.
    pub web_accounts: usize,
    /// PDSes.
    pub hosts: usize,
    /// Relays.
    pub relays: usize,
    /// Jetstreams, each in both dialects.
    pub jetstreams: usize,
    /// What goes wrong.
    pub faults: Faults,
    /// How often, of all that happens, something happens to an account rather than to a record.
    pub life: f64,
    /// When it begins, in microseconds since 1970.
    pub start_us: i64,
    /// How long a step takes, in microseconds and on average.
    pub step_us: i64,
    /// Where plays say that track pages live.
    pub public_url: String,
    /// Events that each host, relay and Jetstream can still replay.
    pub window: usize,
    /// The first port to listen on, the others follow; none takes any that are free.
    pub port: Option<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 1,
            accounts: 40,
            web_accounts: 2,
            hosts: 3,
            relays: 1,
            jetstreams: 1,
            faults: Faults::none(),
            life: 0.08,
            start_us: START_US,
            step_us: 20_000,
            public_url: "https://plyr.example".into(),
            window: 1_000_000,
            port: None,
        }
    }
}

macro_rules! faults {
    ($($name:ident = $rate:literal, $text:literal;)*) => {
        /// What goes wrong, and how often: of the events or steps or answers that it can befall.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Faults {
            $(#[doc = $text] pub $name: f64,)*
        }

        impl Faults {
            /// Each fault as it is named on a command line, what it is, and its usual rate.
            pub const ALL: &'static [(&'static str, &'static str, f64)] = &[$((stringify!($name), $text, $rate),)*];

            /// Nothing goes wrong.
            pub fn none() -> Self {
                Faults { $($name: 0.0,)* }
            }

            /// Everything goes wrong, as often as it usually does.
            pub fn all() -> Self {
                Faults { $($name: $rate,)* }
            }

            /// The rate of a fault by name.
            fn rate(&mut self, name: &str) -> Option<&mut f64> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

faults! {
    duplicates = 0.02, "An event comes twice.";
    reordering = 0.3, "A relay hears of one host later than of another.";
    drops = 0.01, "An event is lost on its way.";
    truncated_cars = 0.006, "A CAR file ends too early, in an event or an answer.";
    wrong_prev_data = 0.006, "A commit event names another tree before it.";
    missing_ops = 0.006, "A commit event does not tell all of its changes.";
    wrong_bytes = 0.006, "A record's bytes are others than its CID names, in an event or an answer.";
    forged_signatures = 0.01, "Somebody else's key has signed a commit event.";
    high_s = 0.005, "A commit event is signed with the higher of the two S.";
    future_revs = 0.005, "A commit event's rev lies decades ahead.";
    account_lies = 0.01, "A host that is not an account's PDS tells its standing, falsely.";
    stale_hosts = 0.01, "A host goes on committing for an account that has left it.";
    restores = 0.004, "A host restores a repo from a backup, and goes on from there.";
    silent_identities = 0.5, "A new key or handle is not announced.";
    handle_swaps = 0.005, "Two accounts exchange their handles.";
    blind_sources = 0.004, "A relay or Jetstream passes nothing of fm.plyr on for a while.";
    lying_jetstreams = 0.01, "A Jetstream tells of a change that nobody made.";
    slow_hosts = 0.05, "An answer takes a second or so.";
    silent_hosts = 0.01, "An answer never comes.";
    server_errors = 0.06, "A server answers 500.";
    rate_limits = 0.03, "A server answers 429 and says when to come again.";
    resets = 0.03, "A connection is reset, of requests or of streams.";
    garbage = 0.001, "A stream says something that is no frame.";
}

impl Faults {
    /// Reads `all`, `none`, or names separated by commas, each with a rate of its own after `=` where it has one.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut faults = Faults::none();
        for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (name, rate) = match word.split_once('=') {
                Some((name, rate)) => {
                    let rate = rate.parse::<f64>().ok().filter(|rate| (0.0..=1.0).contains(rate));
                    (name, Some(rate.ok_or_else(|| format!("{word}: the rate is a number from 0 to 1"))?))
                }
                None => (word, None),
            };
            match name {
                "all" => faults = Faults::all(),
                "none" => faults = Faults::none(),
                _ => {
                    let name = name.replace('-', "_");
                    let usual = Faults::ALL.iter().find(|(known, _, _)| *known == name).map(|known| known.2);
                    let field = faults.rate(&name).zip(usual);
                    let (field, usual) = field.ok_or_else(|| format!("{word}: no such fault"))?;
                    *field = rate.unwrap_or(usual);
                }
            }
        }
        Ok(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_faults() {
        assert_eq!(Faults::parse("none"), Ok(Faults::none()));
        assert_eq!(Faults::parse("all"), Ok(Faults::all()));
        let some = Faults { drops: 0.5, high_s: 0.005, ..Faults::none() };
        assert_eq!(Faults::parse(" drops=0.5, high-s"), Ok(some));
        assert_eq!(Faults::parse("all,drops=0"), Ok(Faults { drops: 0.0, ..Faults::all() }));
        assert!(Faults::parse("drops=2").is_err() && Faults::parse("sleet").is_err());
    }
}
