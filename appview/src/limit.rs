//! How often somebody may do something: a bucket per person, or per address where nobody is signed in yet.
//!
//! The buckets are this process's own. A second process doubles what a person may do, and a limiter that is lost limits
//! nobody: neither is worth a database that every request waits for.
//!
//! A bucket fills up evenly and not all at once: `RateLimit-Reset` says when it is full again, `Retry-After` when there is
//! one more.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use chrono::Utc;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use indexer::net::is_public;

use crate::detail::Detail;
use crate::error::Error;
use crate::{App, Options};

/// After so many checks the buckets that are full again, which say nothing, are thrown away.
const TIDY_EVERY: usize = 50_000;

/// So many in so long: `100/minute`, `3000/5 minutes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    units: NonZeroU32,
    unit: &'static str,
    unit_s: u32,
}

const UNITS: [(&str, u32); 4] = [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)];
/// A window is no longer.
const WINDOW_MAX_S: u32 = 30 * 86_400;

impl Rate {
    /// So many a minute.
    pub const fn per_minute(count: NonZeroU32) -> Self {
        Rate::per_minutes(count, NonZeroU32::MIN)
    }

    /// So many in so many minutes.
    pub const fn per_minutes(count: NonZeroU32, minutes: NonZeroU32) -> Self {
        Rate { count, units: minutes, unit: "minute", unit_s: 60 }
    }

    fn window_s(self) -> u32 {
        self.units.get().saturating_mul(self.unit_s)
    }

    fn quota(self) -> Quota {
        let every = Duration::from_secs(self.window_s().into()) / self.count.get();
        Quota::with_period(every).unwrap_or(Quota::per_minute(self.count)).allow_burst(self.count)
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "not a rate; write for example 100/minute or 3000/5 minutes (second, minute, hour or day)"
                .to_owned()
        };
        let (count, window) = text.split_once('/').ok_or_else(wrong)?;
        let window = window.trim();
        let digits = window.find(|c: char| !c.is_ascii_digit()).unwrap_or(window.len());
        let (units, word) = window.split_at(digits);
        let units = if units.is_empty() { NonZeroU32::MIN } else { units.parse().map_err(|_| wrong())? };
        let word = word.trim();
        let known =
            |unit: &str| word == unit || units > NonZeroU32::MIN && word.strip_suffix('s') == Some(unit);
        let (unit, unit_s) = *UNITS.iter().find(|(unit, _)| known(unit)).ok_or_else(wrong)?;
        let rate = Rate { count: count.trim().parse().map_err(|_| wrong())?, units, unit, unit_s };
        if rate.window_s() > WINDOW_MAX_S { Err(wrong()) } else { Ok(rate) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {} {}", self.count, self.units, self.unit)
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
    /// Everything that is read, and every XRPC call: per person, or per address where nobody is signed in.
    pub read: Rate,
}

/// A page of the player asks a handful of times, a program that copies everything many thousand.
const READS: (NonZeroU32, NonZeroU32) = (NonZeroU32::new(3000).unwrap(), NonZeroU32::new(5).unwrap());

impl Default for Rates {
    fn default() -> Self {
        let per_minute = |count| Rate::per_minute(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        Rates {
            auth: per_minute(10),
            write: per_minute(100),
            upload: per_minute(20),
            read: Rate::per_minutes(READS.0, READS.1),
        }
    }
}

/// Somebody has to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limited {
    rate: Rate,
    /// Until there is one more, in seconds.
    wait_s: u64,
}

impl From<Limited> for Detail {
    fn from(limited: Limited) -> Self {
        Detail::too_many(format!("Rate limit exceeded: {}", limited.rate), limited.wait_s)
    }
}

impl From<Limited> for Error {
    fn from(limited: Limited) -> Self {
        Error::rate_limited(format!("rate limit exceeded: {}", limited.rate), limited.wait_s)
    }
}

/// How a bucket stands after it was asked.
#[derive(Debug, Clone, Copy)]
struct Standing {
    rate: Rate,
    remaining: u32,
}

impl Standing {
    fn write(self, headers: &mut HeaderMap) {
        let (limit, window_s) = (self.rate.count.get(), self.rate.window_s());
        let missing = u64::from(limit.saturating_sub(self.remaining));
        let full_in_s = (missing * u64::from(window_s)).div_ceil(limit.into());
        let reset = Utc::now().timestamp().saturating_add_unsigned(full_in_s);
        headers.insert("ratelimit-limit", HeaderValue::from(limit));
        headers.insert("ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("ratelimit-reset", HeaderValue::from(reset));
        if let Ok(policy) = HeaderValue::try_from(format!("{limit};w={window_s}")) {
            headers.insert("ratelimit-policy", policy);
        }
    }
}

tokio::task_local! {
    /// The limit that a request was last held against: the one closest to what it does.
    static STANDING: Cell<Option<Standing>>;
}

/// Answers a request, and tells in the answer's headers how the limit stands that it was held against, if any.
pub(crate) async fn telling(answer: impl Future<Output = Response>) -> Response {
    STANDING
        .scope(Cell::new(None), async {
            let mut response = answer.await;
            if let Some(standing) = STANDING.with(Cell::get) {
                standing.write(response.headers_mut());
            }
            response
        })
        .await
}

/// A limit with the buckets that it has filled.
#[derive(Debug)]
pub(crate) struct Limit {
    rate: Rate,
    buckets: DefaultKeyedRateLimiter<String, StateInformationMiddleware>,
    /// Checks since full buckets were last thrown away.
    checks: AtomicUsize,
}

impl Limit {
    pub(crate) fn new(rate: Rate) -> Self {
        let buckets = RateLimiter::keyed(rate.quota()).with_middleware();
        Limit { rate, buckets, checks: AtomicUsize::new(0) }
    }

    /// Takes one from the bucket of `key`; refuses when it is empty. The answer of the request will tell.
    pub(crate) fn check(&self, key: impl Into<String>) -> Result<(), Limited> {
        let taken = self.take(key);
        let remaining = *taken.as_ref().unwrap_or(&0);
        // A test of a limit alone has no answer to tell it in.
        STANDING.try_with(|told| told.set(Some(Standing { rate: self.rate, remaining }))).ok();
        taken.map(|_| ())
    }

    /// The same for what no answer tells of. How many are left.
    pub(crate) fn take(&self, key: impl Into<String>) -> Result<u32, Limited> {
        // Looking through all of them is paid for by as many checks.
        if self.checks.fetch_add(1, Ordering::Relaxed) >= TIDY_EVERY {
            self.checks.store(0, Ordering::Relaxed);
            self.buckets.retain_recent();
        }
        let taken = self.buckets.check_key(&key.into());
        taken.map(|state| state.remaining_burst_capacity()).map_err(|refused| {
            metrics::counter!("plyr_rate_limited_total").increment(1);
            let wait = refused.wait_time_from(DefaultClock::default().now());
            Limited { rate: self.rate, wait_s: wait.as_secs() + 1 }
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
    /// People whom nobody knew until a token named them: by the address that it came from, and all.
    pub(crate) newcomers: Limit,
    pub(crate) newcomers_of_all: Limit,
    pub(crate) read: Limit,
}

/// A player tells what it plays every ten seconds at least, and at each touch.
const NOW_PLAYING_PER_MINUTE: NonZeroU32 = NonZeroU32::new(120).unwrap();

/// Of one person; of one address, behind which a household or an office may be; of one browser where no address is known.
const PLAYS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();

/// Whoever sends tokens chooses whom they name, and each newcomer is a question to a host and rows that stay. From one address a
/// whole PDS may call.
const NEWCOMERS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();
const NEWCOMERS_OF_ALL_PER_MINUTE: NonZeroU32 = NonZeroU32::new(300).unwrap();

impl Limits {
    pub(crate) fn new(rates: Rates) -> Self {
        Limits {
            auth: Limit::new(rates.auth),
            write: Limit::new(rates.write),
            upload: Limit::new(rates.upload),
            now_playing: Limit::new(Rate::per_minute(NOW_PLAYING_PER_MINUTE)),
            play: Limit::new(Rate::per_minute(PLAYS_PER_MINUTE)),
            newcomers: Limit::new(Rate::per_minute(NEWCOMERS_PER_MINUTE)),
            newcomers_of_all: Limit::new(Rate::per_minute(NEWCOMERS_OF_ALL_PER_MINUTE)),
            read: Limit::new(rates.read),
        }
    }
}

/// Whose requests are counted together where nobody is signed in: an address, or the network of one where a customer has 2^64
/// of them. None where that could be anybody: of a proxy that does not say for whom it asks, all the world has one address, and
/// nobody shall wait for what others do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller(pub Option<String>);

impl FromRequestParts<App> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        Ok(Caller(stranger(parts, &app.options)))
    }
}

/// See [`Caller`]. Behind a proxy every connection is the proxy's: there the header counts that the operator named.
pub(crate) fn stranger(parts: &Parts, options: &Options) -> Option<String> {
    let known = || peer(parts).map(|peer| peer.to_canonical()).filter(|peer| is_public(*peer));
    told(parts, options).or_else(known).map(key_of)
}

/// Whom a proxy of ours asks for. A list grows to the right, and its lines downwards, one entry a proxy; only the last was
/// written by ours.
fn told(parts: &Parts, options: &Options) -> Option<IpAddr> {
    let line = parts.headers.get_all(options.client_address_header.as_ref()?).iter().next_back()?;
    line.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip())
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
        assert_eq!(Detail::from(refused).status().as_u16(), 429);
        assert_eq!(Error::from(refused).status().as_u16(), 429);
        limit.check("did:plc:b").expect("another's is full");
    }

    #[test]
    fn rates_are_written_as_people_say_them() {
        for (text, said, window_s) in [
            ("100/minute", "100 per 1 minute", 60),
            ("3000/5 minutes", "3000 per 5 minute", 300),
            ("3000/5minute", "3000 per 5 minute", 300),
            (" 7 / 2 hours ", "7 per 2 hour", 7200),
        ] {
            let rate: Rate = text.parse().expect(text);
            assert_eq!((rate.to_string().as_str(), rate.window_s()), (said, window_s), "{text}");
        }
        for bad in [
            "",
            "100",
            "0/minute",
            "-1/minute",
            "5/fortnight",
            "/minute",
            "5/0 minutes",
            "5/minutes",
            "5/31 days",
            "5/99999999999 days",
            "5/5",
            "5/5 5 minutes",
        ] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_answer_tells_of_the_limit_that_it_was_held_against_last() {
        let (wide, narrow) = (
            Limit::new("3000/5 minutes".parse().expect("a rate")),
            Limit::new("10/minute".parse().expect("a rate")),
        );
        let answer = telling(async {
            wide.check("a").expect("within");
            narrow.take("b").expect("within");
            narrow.check("a").expect("within");
            Response::default()
        });
        let answer = answer.await;
        let told =
            |name: &str| answer.headers().get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
        assert_eq!((told("ratelimit-limit"), told("ratelimit-remaining")), ("10", "9"));
        assert_eq!(told("ratelimit-policy"), "10;w=60");
        let wait_s = told("ratelimit-reset").parse::<i64>().expect("a number") - Utc::now().timestamp();
        assert!((5..=6).contains(&wait_s), "one of ten a minute is back in six seconds, not {wait_s}");
        assert!(telling(async { Response::default() }).await.headers().is_empty());
    }

    #[test]
    fn many_behind_one_address_are_not_one() {
        let mut options = Options::new("https://plyr.example".parse().expect("a URL"));
        let parts = |peer: &str, told: Option<&str>| {
            let mut request = axum::http::Request::builder();
            if let Some(told) = told {
                request = request.header("x-caller", told);
            }
            let mut parts = request.body(()).expect("a request").into_parts().0;
            parts.extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().expect("an address"), 1)));
            parts
        };
        for private in ["127.0.0.1", "::1", "10.1.2.3", "::ffff:192.168.1.1", "fd00::1", "100.64.0.1"] {
            assert_eq!(stranger(&parts(private, None), &options), None, "{private}");
        }
        assert_eq!(stranger(&parts("9.9.9.9", None), &options).as_deref(), Some("9.9.9.9"));
        // Nobody may choose their address.
        assert_eq!(stranger(&parts("9.9.9.9", Some("8.8.8.8")), &options).as_deref(), Some("9.9.9.9"));
        options.client_address_header = Some(axum::http::HeaderName::from_static("x-caller"));
        let told = Some("7.7.7.7, 8.8.8.8");
        assert_eq!(stranger(&parts("127.0.0.1", told), &options).as_deref(), Some("8.8.8.8"));
        assert_eq!(stranger(&parts("127.0.0.1", Some("nonsense")), &options), None);
    }

    #[test]
    fn a_customer_is_one_network() {
        let key = |text: &str| key_of(text.parse().expect("an address"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:0:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
