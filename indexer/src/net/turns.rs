//! Whose turn it is: how many may ask one host at once, and when a host that asked to be left alone may be asked again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Queue, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use url::Url;

use super::{Authority, Net, NetError, Status};

/// The longest that a host's wish to be left alone is heeded; it may then repeat it.
pub const REST_MAX: Duration = Duration::from_secs(10 * 60);
/// For a host that says too much and not until when.
const REST_DEFAULT: Duration = Duration::from_secs(5);
/// A rest up to this long is waited for in the queue; a longer one is told, so that nobody waits behind it.
const REST_WAITED: Duration = Duration::from_secs(10);
/// Whoever is wanted elsewhere waits no longer for a place at one host, and comes again after the other.
const QUEUE_WAITED: Duration = Duration::from_secs(2);
const QUEUE_REST: Duration = Duration::from_secs(5);
/// A host that could not be reached so often in a row is taken to be away for a while, which grows.
const FAILURES_MAX: u32 = 3;
const AWAY_MIN: Duration = Duration::from_secs(4);
const AWAY_MAX: Duration = Duration::from_secs(60);
/// Hosts remembered. The network names hosts, and could name any number of them.
const HOSTS_MAX: usize = 10_000;

/// How many may be asked for whole repos and the like at once.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// Requests to one host.
    pub per_host: usize,
    /// Requests to all of them.
    pub at_once: usize,
}

impl Default for Crowd {
    fn default() -> Self {
        Crowd { per_host: 4, at_once: 16 }
    }
}

#[derive(Debug)]
pub(super) struct Turns {
    crowd: Crowd,
    all: Arc<Semaphore>,
    hosts: Mutex<HashMap<Authority, Host>>,
}

#[derive(Debug)]
struct Host {
    turns: Arc<Semaphore>,
    /// Those in no hurry wait here for one another, and one of them at a time for a place: whoever is in a hurry waits
    /// behind that one and not behind a whole backfill.
    patient: Arc<Queue<()>>,
    rests_until: Option<Instant>,
    /// Failures to reach it since it last answered.
    failures: u32,
    away_until: Option<Instant>,
}

/// The right to ask a host, until dropped.
#[derive(Debug)]
pub struct Turn {
    _host: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Turns {
    pub fn new(crowd: Crowd) -> Self {
        let all = Arc::new(Semaphore::new(crowd.at_once.max(1)));
        Turns { crowd, all, hosts: Mutex::default() }
    }

    fn hosts(&self) -> MutexGuard<'_, HashMap<Authority, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_host<T>(&self, host: &Authority, act: impl FnOnce(&mut Host) -> T) -> T {
        let mut hosts = self.hosts();
        if hosts.len() >= HOSTS_MAX && !hosts.contains_key(host) {
            let now = Instant::now();
            let is_needed = |host: &Host| {
                host.turns.available_permits() < self.crowd.per_host
                    || host.rests_until.max(host.away_until).is_some_and(|at| at > now)
            };
            hosts.retain(|_, host| is_needed(host));
        }
        let new = || {
            let turns = Arc::new(Semaphore::new(self.crowd.per_host.max(1)));
            Host { turns, patient: Arc::default(), rests_until: None, failures: 0, away_until: None }
        };
        act(hosts.entry(host.clone()).or_insert_with(new))
    }

    /// How long a host wants to be left alone from now on.
    pub fn rest_of(&self, host: &Authority) -> Option<Duration> {
        let until = self.hosts().get(host)?.rests_until?;
        Some(until.saturating_duration_since(Instant::now())).filter(|rest| !rest.is_zero())
    }

    /// A host answered, whatever it said.
    pub fn answered(&self, host: &Authority) {
        if let Some(host) = self.hosts().get_mut(host) {
            (host.failures, host.away_until) = (0, None);
        }
    }

    /// A host could not be reached.
    pub fn failed(&self, host: &Authority) {
        self.with_host(host, |host| {
            host.failures = host.failures.saturating_add(1);
            if let Some(excess) = host.failures.checked_sub(FAILURES_MAX) {
                host.away_until = Some(Instant::now() + (AWAY_MIN * (1 << excess.min(10))).min(AWAY_MAX));
            }
        });
    }

    fn is_away(&self, host: &Authority) -> bool {
        let until = self.hosts().get(host).and_then(|host| host.away_until);
        until.is_some_and(|until| until > Instant::now())
    }

    /// Heeds what a host answered.
    pub fn heed(&self, host: &Authority, status: &Status) {
        let rest = match (status.code, status.retry_after) {
            (429 | 503, Some(rest)) => rest.min(REST_MAX),
            (429, None) => REST_DEFAULT,
            _ => return,
        };
        metrics::counter!("plyr_host_rests_total").increment(1);
        tracing::info!(%host, seconds = rest.as_secs_f64(), code = status.code, "a host wants to be left alone");
        let until = Instant::now() + rest;
        self.with_host(host, |host| host.rests_until = host.rests_until.max(Some(until)));
    }
}

impl Net {
    /// Waits until it is our turn to ask the host of this URL for something large, and keeps the place until dropped.
    ///
    /// Nobody waits behind a host that wants a long rest ([`NetError::Resting`] says how long) or that could not be reached
    /// a few times in a row (which is told as if it had been tried again).
    pub async fn turn(&self, url: &Url) -> Result<Turn, NetError> {
        let turns = &self.shared.turns;
        let host = Authority::of(url).ok_or_else(|| NetError::refused(format!("{url}: no host")))?;
        // First the host's, so that whoever waits for a slow host keeps no place from others.
        let (queue, patient) = turns.with_host(&host, |host| (host.turns.clone(), host.patient.clone()));
        let closed = |_| NetError::Timeout;
        let own = if self.is_hurried {
            let own = tokio::time::timeout(QUEUE_WAITED, queue.acquire_owned()).await;
            own.map_err(|_| NetError::Resting(QUEUE_REST))?
        } else {
            let _first = patient.lock().await;
            queue.acquire_owned().await
        };
        let own = own.map_err(closed)?;
        loop {
            if turns.is_away(&host) {
                return Err(NetError::Io(format!("{host} could not be reached a moment ago").into()));
            }
            match turns.rest_of(&host) {
                Some(rest) if rest <= REST_WAITED => tokio::time::sleep(rest).await,
                Some(rest) => return Err(NetError::Resting(rest)),
                None => break,
            }
        }
        let all = turns.all.clone().acquire_owned().await.map_err(closed)?;
        Ok(Turn { _host: own, _all: all })
    }

    /// The same way out, for whoever is wanted elsewhere: who does not get their turn at a host soon, because others have
    /// it, is sent away with [`NetError::Resting`].
    pub fn hurried(&self) -> Net {
        Net { is_hurried: true, ..self.clone() }
    }

    /// Whether this is the way out of somebody who is wanted elsewhere.
    pub fn is_hurried(&self) -> bool {
        self.is_hurried
    }

    /// How long a host wants to be left alone from now on; none = it may be asked.
    pub fn rest_of(&self, url: &Url) -> Option<Duration> {
        self.shared.turns.rest_of(&Authority::of(url)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::{Answer, Http, net};
    use crate::net::{Limits, NetOptions};

    fn crowded(http: &[&Http], crowd: Crowd) -> Net {
        let private_hosts = http.iter().map(|http| http.authority()).collect();
        let limits = Limits::default();
        Net::new(NetOptions { private_hosts, limits, crowd, ..NetOptions::default() }).expect("a client")
    }

    #[tokio::test]
    async fn a_host_that_wants_to_be_left_alone_is() {
        let busy = Http::serve(|path, _| match path {
            "/busy" => Answer::Reply(429, "retry-after: 1\r\n".into(), Vec::new()),
            "/full" => Answer::Reply(503, "retry-after: 99999\r\n".into(), Vec::new()),
            "/broken" => Answer::Reply(503, String::new(), Vec::new()),
            _ => Answer::json("1"),
        })
        .await;
        let other = Http::serve(|_, _| Answer::json("1")).await;
        let net = net(&[&busy, &other]);
        // Without a time a 503 is an accident and no wish.
        net.get_bytes(&busy.url("/broken"), 10).await.expect_err("broken");
        net.get_bytes(&busy.url("/"), 10).await.expect("an answer");
        net.get_bytes(&busy.url("/busy"), 10).await.expect_err("busy");
        let rest = net.rest_of(&busy.url("/")).expect("it rests");
        assert!(rest <= Duration::from_secs(1));
        let error = net.get_bytes(&busy.url("/"), 10).await.expect_err("not asked");
        assert!(matches!(error, NetError::Resting(_)) && error.is_transient(), "{error}");
        net.get_bytes(&other.url("/"), 10).await.expect("nobody else rests");
        let before = Instant::now();
        net.turn(&busy.url("/")).await.expect("a turn, after a short wait");
        assert!(before.elapsed() > rest / 2 && net.rest_of(&busy.url("/")).is_none());
        net.get_bytes(&busy.url("/full"), 10).await.expect_err("busy for long");
        let Err(NetError::Resting(rest)) = net.turn(&busy.url("/")).await else {
            panic!("nobody waits for it")
        };
        assert!(rest > REST_MAX / 2 && rest <= REST_MAX, "{rest:?}");
        assert_eq!(busy.paths(), ["/broken", "/", "/busy", "/full"]);
    }

    #[tokio::test]
    async fn nobody_waits_behind_a_host_that_is_away() {
        let gone: Url = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            format!("http://{}/", listener.local_addr().expect("bound")).parse().expect("a URL")
        };
        let private_hosts = [Authority::of(&gone).expect("a host")].into();
        let net = Net::new(NetOptions { private_hosts, ..NetOptions::default() }).expect("a client");
        for _ in 0..FAILURES_MAX {
            net.turn(&gone).await.expect("it may have come back");
            net.get_bytes(&gone, 10).await.expect_err("gone");
        }
        assert!(matches!(net.turn(&gone).await, Err(NetError::Io(_))));
        // Any answer ends it.
        net.shared.turns.answered(&Authority::of(&gone).expect("a host"));
        net.turn(&gone).await.expect("a turn");
    }

    #[tokio::test]
    async fn who_is_in_a_hurry_does_not_queue_for_long() {
        let slow = Http::serve(|_, _| Answer::Hang).await;
        let net = crowded(&[&slow], Crowd { per_host: 1, at_once: 3 });
        let only = net.turn(&slow.url("/")).await.expect("a turn");
        let before = Instant::now();
        let sent_away = net.hurried().turn(&slow.url("/")).await;
        assert!(matches!(sent_away, Err(NetError::Resting(_))) && before.elapsed() >= QUEUE_WAITED);
        drop(only);
        net.hurried().turn(&slow.url("/")).await.expect("a turn");
    }

    #[tokio::test]
    async fn who_is_in_a_hurry_does_not_wait_behind_a_crowd() {
        let slow = Http::serve(|_, _| Answer::Hang).await;
        let net = crowded(&[&slow], Crowd { per_host: 1, at_once: 3 });
        let only = net.turn(&slow.url("/")).await.expect("a turn");
        let turns_had = Arc::new(Mutex::new(Vec::new()));
        let mut crowd = tokio::task::JoinSet::new();
        for number in 0..20 {
            let (net, url, turns_had) = (net.clone(), slow.url("/"), turns_had.clone());
            crowd.spawn(async move {
                let _turn = net.turn(&url).await.expect("a turn");
                turns_had.lock().expect("not poisoned").push(number);
            });
            // On this one thread each runs up to where it waits.
            tokio::task::yield_now().await;
        }
        let hurried = tokio::spawn({
            let (net, url, turns_had) = (net.hurried(), slow.url("/"), turns_had.clone());
            async move { net.turn(&url).await.map(|_turn| turns_had.lock().expect("not poisoned").len()) }
        });
        tokio::task::yield_now().await;
        drop(only);
        let before = hurried.await.expect("it ends").expect("a turn");
        assert!(before <= 1, "{before} of the crowd went first");
        while crowd.join_next().await.is_some() {}
        assert_eq!(turns_had.lock().expect("not poisoned").len(), 20);
    }

    #[tokio::test]
    async fn so_many_ask_one_host_and_so_many_all() {
        let (one, two) = (Http::serve(|_, _| Answer::Hang).await, Http::serve(|_, _| Answer::Hang).await);
        let net = crowded(&[&one, &two], Crowd { per_host: 2, at_once: 3 });
        let moment = Duration::from_millis(20);
        let (a, b) =
            (net.turn(&one.url("/")).await.expect("first"), net.turn(&one.url("/x")).await.expect("second"));
        assert!(tokio::time::timeout(moment, net.turn(&one.url("/"))).await.is_err(), "a third of one host");
        let c = net.turn(&two.url("/")).await.expect("of another host");
        assert!(tokio::time::timeout(moment, net.turn(&two.url("/"))).await.is_err(), "a fourth of all");
        drop(a);
        let d = net.turn(&one.url("/")).await.expect("whose place became free");
        drop((b, c, d));
    }
}
