//! A world, served: PLC directory, hosts, relays, web servers of did:web accounts, all on loopback in this process.

mod feed;
mod server;
#[cfg(test)]
mod tests;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use axum::Router;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::jetstream::{self, Jetstream};
use crate::options::Options;
use crate::serve::{self, Mishaps, Source};
use crate::truth::Truth;
use crate::world::{Addresses, World};
use server::{Server, listen, start_again};

/// Steps done before others may look at the world again.
const STEPS_AT_ONCE: usize = 16;

/// What all servers share.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    /// Changes whenever something was told.
    pub(crate) told: watch::Sender<u64>,
    pub(crate) mishaps: Mishaps,
    pub(crate) addresses: Addresses,
}

impl Shared {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody who listens looks again.
    fn tell(&self) {
        self.told.send_modify(|times| *times += 1);
    }
}

/// A running network. It ends when this is dropped.
#[derive(Debug)]
pub struct Network {
    shared: Arc<Shared>,
    plc: Server,
    hosts: Vec<Server>,
    relays: Vec<Server>,
    webs: Vec<Server>,
    jetstreams: Arc<Vec<Jetstream>>,
}

impl Network {
    /// Makes a world and serves it.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let mut next = options.port;
        let mut listeners = Vec::new();
        let [hosts, relays] = [options.hosts.max(1), options.relays];
        let webs = options.web_accounts.min(options.accounts);
        for _ in 0..1 + hosts + relays + webs {
            listeners.push(listen(&mut next).await?);
        }
        let of = |from: usize, count: usize| listeners[from..from + count].iter().map(|(port, _)| port);
        let addresses = Addresses {
            hosts: of(1, hosts).map(|port| format!("http://127.0.0.1:{port}")).collect(),
            web: of(1 + hosts + relays, webs).map(|port| format!("localhost:{port}")).collect(),
        };
        let mishaps = Mishaps::new(options.seed, options.faults.clone());
        let world = {
            let addresses = addresses.clone();
            tokio::task::spawn_blocking(move || World::new(options, addresses)).await?
        };
        let (told, _) = watch::channel(0);
        let mut jetstreams = Vec::new();
        for _ in 0..world.options().jetstreams {
            let listen = ([127, 0, 0, 1], next.unwrap_or(0)).into();
            next = next.map(|port| port + 1);
            jetstreams.push(Jetstream::start(jetstream::Options { listen, ..Default::default() }).await?);
        }
        let shared = Arc::new(Shared { world: Mutex::new(world), told, mishaps, addresses });

        let mut listeners = listeners.into_iter();
        let mut start = |router: Router| {
            let (port, listener) = listeners.next().context("a listener for each server")?;
            anyhow::Ok(Server::start(port, listener, CancellationToken::new(), router))
        };
        let network = Network {
            plc: start(serve::directory(shared.clone()))?,
            hosts: (0..hosts)
                .map(|host| start(serve::source(shared.clone(), Source::Host(host))))
                .collect::<anyhow::Result<_>>()?,
            relays: (0..relays)
                .map(|relay| start(serve::source(shared.clone(), Source::Relay(relay))))
                .collect::<anyhow::Result<_>>()?,
            webs: (0..webs)
                .map(|web| start(serve::web(shared.clone(), web)))
                .collect::<anyhow::Result<_>>()?,
            shared,
            jetstreams: Arc::new(jetstreams),
        };
        network.change(|_| {}).await;
        Ok(network)
    }

    /// Lets so many things happen.
    pub async fn advance(&self, steps: usize) {
        self.shared.mishaps.is_calm.store(false, Ordering::Relaxed);
        let mut left = steps;
        while left > 0 {
            let now = left.min(STEPS_AT_ONCE);
            left -= now;
            self.change(move |world| (0..now).for_each(|_| world.step())).await;
        }
    }

    /// Ends all that goes wrong for a time, until the world advances again: answers are prompt and whole, all are heard
    /// that were on their way, belated announcements are made. What was lost stays lost.
    pub async fn settle(&self) {
        self.shared.mishaps.is_calm.store(true, Ordering::Relaxed);
        self.change(World::settle).await;
    }

    async fn change(&self, change: impl FnOnce(&mut World) + Send + 'static) {
        let (shared, jetstreams) = (self.shared.clone(), self.jetstreams.clone());
        let done = tokio::task::spawn_blocking(move || {
            let mut world = shared.world();
            change(&mut world);
            for (number, jetstream) in jetstreams.iter().enumerate() {
                let now_us = chrono::Utc::now().timestamp_micros();
                world.take_heard(number).iter().for_each(|event| feed::feed(jetstream, event, now_us));
            }
        });
        if let Err(error) = done.await {
            tracing::error!(%error, "the simulated world broke");
        }
        self.shared.tell();
    }

    /// Lets time pass there until this moment, in microseconds since 1970.
    pub fn catch_up(&self, now_us: i64) {
        self.shared.world().catch_up(now_us);
    }

    /// What is true now.
    pub fn truth(&self) -> Truth {
        self.shared.world().truth()
    }

    /// A look at the world between two steps.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.shared.world())
    }

    /// `PLYR_PLC_URL`.
    pub fn plc_url(&self) -> String {
        self.plc.origin()
    }

    /// `PLYR_HANDLE_RESOLVER_URL`.
    pub fn handle_resolver_url(&self) -> String {
        self.plc.origin()
    }

    /// Each host as an upstream.
    pub fn host_upstreams(&self) -> Vec<String> {
        self.hosts.iter().map(|server| format!("repos+ws://127.0.0.1:{}", server.port)).collect()
    }

    /// Each relay as an upstream.
    pub fn relay_upstreams(&self) -> Vec<String> {
        self.relays.iter().map(|server| format!("repos+ws://127.0.0.1:{}", server.port)).collect()
    }

    /// Each Jetstream as an upstream, in the older dialect (1) or the newer (2).
    pub fn jetstream_upstreams(&self, dialect: u8) -> Vec<String> {
        let upstream = |jetstream: &Jetstream| format!("jetstream{dialect}+ws://{}", jetstream.authority());
        self.jetstreams.iter().map(upstream).collect()
    }

    /// The nth Jetstream, to be treated badly.
    pub fn jetstream(&self, number: usize) -> Option<&Jetstream> {
        self.jetstreams.get(number)
    }

    /// `PLYR_PRIVATE_HOSTS`: everything that the network names.
    pub fn private_hosts(&self) -> Vec<String> {
        let named = |name: &'static str, server: &Server| format!("{name}:{}", server.port);
        let servers = std::iter::once(&self.plc).chain(&self.hosts).chain(&self.relays);
        servers
            .map(|server| named("127.0.0.1", server))
            .chain(self.jetstreams.iter().map(Jetstream::authority))
            .chain(self.webs.iter().map(|web| named("localhost", web)))
            .collect()
    }

    /// The settings with which plyr reads this network, all of its relays (or, without any, its hosts) as upstreams.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let upstreams = match self.relays.is_empty() {
            true => self.host_upstreams(),
            false => self.relay_upstreams(),
        };
        vec![
            ("PLYR_PLC_URL", self.plc_url()),
            ("PLYR_HANDLE_RESOLVER_URL", self.handle_resolver_url()),
            ("PLYR_UPSTREAMS", upstreams.join(",")),
            ("PLYR_BACKLINKS_URL", self.plc_url()),
            ("PLYR_PRIVATE_HOSTS", self.private_hosts().join(",")),
        ]
    }

    /// A host goes down: connections end, none is accepted.
    pub async fn stop_host(&mut self, host: usize) {
        if let Some(server) = self.hosts.get_mut(host) {
            server.stop().await;
        }
    }

    /// A host that was down comes up again, at the same address.
    pub async fn start_host(&mut self, host: usize) -> anyhow::Result<()> {
        start_again(self.hosts.get_mut(host)).await
    }

    /// A relay goes down.
    pub async fn stop_relay(&mut self, relay: usize) {
        if let Some(server) = self.relays.get_mut(relay) {
            server.stop().await;
        }
    }

    /// A relay that was down comes up again.
    pub async fn start_relay(&mut self, relay: usize) -> anyhow::Result<()> {
        start_again(self.relays.get_mut(relay)).await
    }

    /// The PLC directory and handle resolver goes down.
    pub async fn stop_plc(&mut self) {
        self.plc.stop().await;
    }

    /// The PLC directory comes up again.
    pub async fn start_plc(&mut self) -> anyhow::Result<()> {
        start_again(Some(&mut self.plc)).await
    }
}
