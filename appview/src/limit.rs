//! How often somebody may do something: a bucket per person, or per address where nobody is signed in yet.
//!
//! The buckets are this process's own. A second process doubles what a person may do, and a limiter that is lost limits
//! nobody: neither is worth a database that every request waits for.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::App;
use crate::detail::Detail;

/// After so many checks the buckets that are full again, which say nothing, are thrown away.
const TIDY_EVERY: usize = 50_000;

/// So many in so long: `100/minute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    unit: &'static str,
    unit_s: u32,
}

const UNITS: [(&str, u32); 4] = [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)];

impl Rate {
    /// So many a minute.
    pub const fn per_minute(count: NonZeroU32) -> Self {
        Rate { count, unit: "minute", unit_s: 60 }
    }

    fn quota(self) -> Quota {
        let every = Duration::from_secs(self.unit_s.into()) / self.count.get();
        Quota::with_period(every).unwrap_or(Quota::per_minute(self.count)).allow_burst(self.count)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "not a rate; write for example 100/minute (second, minute, hour or day)".to_owned();
        let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
        let (unit, unit_s) = *UNITS.iter().find(|known| known.0 == unit.trim()).ok_or_else(wrong)?;
        Ok(Rate { count: count.trim().parse().map_err(|_| wrong())?, unit, unit_s })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per 1 {}", self.count, self.unit)
    }
}

/// The limits that an operator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Signing in: per address.
    pub auth: Rate,
    /// Likes, comments, edits, deletions: per person.
    pub write: Rate,
    /// Uploads: per person.
    pub upload: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        let per_minute = |count| Rate::per_minute(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        Rates { auth: per_minute(10), write: per_minute(100), upload: per_minute(20) }
    }
}

/// A limit with the buckets that it has filled.
#[derive(Debug)]
pub(crate) struct Limit {
    rate: Rate,
    buckets: DefaultKeyedRateLimiter<String>,
    /// Checks since full buckets were last thrown away.
    checks: AtomicUsize,
}

impl Limit {
    fn new(rate: Rate) -> Self {
        Limit { rate, buckets: RateLimiter::keyed(rate.quota()), checks: AtomicUsize::new(0) }
    }

    /// Takes one from the bucket of `key`; 429 when it is empty.
    pub(crate) fn check(&self, key: impl Into<String>) -> Result<(), Detail> {
        // Looking through all of them is paid for by as many checks.
        if self.checks.fetch_add(1, Ordering::Relaxed) >= TIDY_EVERY {
            self.checks.store(0, Ordering::Relaxed);
            self.buckets.retain_recent();
        }
        self.buckets.check_key(&key.into()).map_err(|refused| {
            metrics::counter!("plyr_rate_limited_total").increment(1);
            let wait = refused.wait_time_from(DefaultClock::default().now());
            Detail::too_many(format!("Rate limit exceeded: {}", self.rate), wait.as_secs() + 1)
        })
    }
}

/// All limits of a process.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) auth: Limit,
    pub(crate) write: Limit,
    pub(crate) upload: Limit,
    pub(crate) now_playing: Limit,
    pub(crate) play: Limit,
}

/// A player tells what it plays every ten seconds at least, and at each touch.
const NOW_PLAYING_PER_MINUTE: NonZeroU32 = NonZeroU32::new(120).unwrap();

/// Of one person; of one address, behind which a household or an office may be.
const PLAYS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();

impl Limits {
    pub(crate) fn new(rates: Rates) -> Self {
        Limits {
            auth: Limit::new(rates.auth),
            write: Limit::new(rates.write),
            upload: Limit::new(rates.upload),
            now_playing: Limit::new(Rate::per_minute(NOW_PLAYING_PER_MINUTE)),
            play: Limit::new(Rate::per_minute(PLAYS_PER_MINUTE)),
        }
    }
}

/// Where a request comes from, as a key: an address, or the network of one where a customer has 2^64 of them.
///
/// Behind a proxy every connection is the proxy's: there the header counts that the operator named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller(pub String);

impl FromRequestParts<App> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        // A list grows to the right, and its lines downwards, one entry a proxy; only the last was written by ours.
        let named = app.options.client_address_header.as_ref();
        let told = named.and_then(|name| parts.headers.get_all(name).iter().next_back());
        let told = told.and_then(|value| value.to_str().ok()).and_then(|text| text.rsplit(',').next());
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let address = told.and_then(|text| text.trim().parse().ok()).or(peer);
        Ok(Caller(address.map_or_else(|| "unknown".to_owned(), key_of)))
    }
}

fn key_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & (u128::MAX << 64);
            format!("{}/64", Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_for_one_and_not_for_another() {
        let limit = Limit::new("3/hour".parse().expect("a rate"));
        for _ in 0..3 {
            limit.check("did:plc:a").expect("within");
        }
        let refused = limit.check("did:plc:a").expect_err("empty");
        assert_eq!(refused.status().as_u16(), 429);
        limit.check("did:plc:b").expect("another's is full");
    }

    #[test]
    fn rates_are_written_as_people_say_them() {
        assert_eq!("100/minute".parse::<Rate>().expect("a rate").to_string(), "100 per 1 minute");
        for bad in ["", "100", "0/minute", "-1/minute", "5/fortnight", "/minute"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_customer_is_one_network() {
        let key = |text: &str| key_of(text.parse().expect("an address"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:0:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
