//! The way out to the network, and its guard.
//!
//! DID documents, records and handles name hosts, and anybody can write those. [`Net`] lets a name from the network lead
//! to the public internet over TLS and nowhere else: every address is checked after it was resolved, at each redirect,
//! and the connection goes to the address that was checked. Exempt are the `host:port` pairs that the operator listed
//! and the addresses that the operator configured; those may be private and speak plain http.
//!
//! Time and size are bounded for every request. Bodies arrive as they were sent: no compression is offered, so none can
//! unfold beyond its limit.

mod address;
mod body;
mod error;
mod request;
mod resolve;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hickory_resolver::TokioResolver;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, Response};
use rustls::ClientConfig;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::Instant;
use url::{Host, Url};

pub use self::address::{Authority, AuthorityError, is_public};
pub use self::body::Body;
pub use self::error::{NetError, Status};
pub use self::request::{Answer, Payload, Request, SendError};
pub use self::turns::{Crowd, REST_MAX, Turn};

/// Redirects followed before giving up; each target is checked like the first URL.
const MAX_REDIRECTS: usize = 3;
/// Bytes read of an unsuccessful answer, for its error name and message.
const ERROR_BODY_BYTES: u64 = 16 * 1024;

/// What a [`Net`] is built from.
#[derive(Debug, Clone, Default)]
pub struct NetOptions {
    /// `host:port` pairs that may be reached although private, over http or https, whoever names them.
    pub private_hosts: HashSet<Authority>,
    /// URLs from the configuration; their `host:port` is exempt too.
    pub operator_urls: Vec<Url>,
    /// Time limits.
    pub limits: Limits,
    /// A DNS server to ask instead of the system's.
    pub name_server: Option<SocketAddr>,
    /// How many may ask for whole repos at once.
    pub crowd: Crowd,
    /// Where answers are put down that are too large for memory; the system's folder for such things, if none is named.
    pub spool_dir: Option<PathBuf>,
}

/// Time limits of a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// DNS, TCP and TLS together.
    pub connect: Duration,
    /// Without a byte from the host.
    pub idle: Duration,
    /// From the first redirect to the last byte, for answers read as a whole.
    pub total: Duration,
    /// The same for streamed bodies.
    pub stream_total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(15),
            total: Duration::from_secs(20),
            stream_total: Duration::from_secs(15 * 60),
        }
    }
}

/// The guarded HTTP client and dialler. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Net {
    shared: Arc<Shared>,
    is_hurried: bool,
}

#[derive(Debug)]
struct Shared {
    /// Resolve through the guard.
    guarded: Clients,
    /// Resolve as the system does; only for exempt authorities.
    exempt: Clients,
    exempt_authorities: HashSet<Authority>,
    resolver: TokioResolver,
    tls: Arc<ClientConfig>,
    limits: Limits,
    turns: turns::Turns,
    spool_dir: PathBuf,
}

#[derive(Debug)]
struct Clients {
    /// Gives up when nothing comes for a while.
    get: Client,
    /// Does not: nothing comes while a long body goes out.
    send: Client,
}

impl Net {
    /// Builds the client; fails only where the TLS or DNS set-up of the machine cannot be read.
    pub fn new(options: NetOptions) -> Result<Self, NetError> {
        let resolver = resolve::resolver(options.name_server)?;
        let tls = tls_config()?;
        let client = || {
            let mut tls = tls.clone();
            tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            Client::builder()
                .tls_backend_preconfigured(tls)
                .user_agent(concat!("plyr/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .connect_timeout(options.limits.connect)
                .pool_max_idle_per_host(8)
        };
        let guard = || client().dns_resolver(resolve::Guard(resolver.clone()));
        let idle = options.limits.idle;
        let guarded = Clients { get: guard().read_timeout(idle).build()?, send: guard().build()? };
        let exempt = Clients { get: client().read_timeout(idle).build()?, send: client().build()? };
        let configured = options.operator_urls.iter().filter_map(Authority::of);
        let exempt_authorities = options.private_hosts.into_iter().chain(configured).collect();
        let limits = options.limits;
        let turns = turns::Turns::new(options.crowd);
        let spool_dir = options.spool_dir.unwrap_or_else(std::env::temp_dir);
        let tls = Arc::new(tls);
        let shared = Shared { guarded, exempt, exempt_authorities, resolver, tls, limits, turns, spool_dir };
        Ok(Net { shared: Arc::new(shared), is_hurried: false })
    }

    /// Where answers are put down that are too large for memory.
    pub fn spool_dir(&self) -> &Path {
        &self.shared.spool_dir
    }

    /// Whether the operator exempted the URL's `host:port` from the guard.
    pub fn is_exempt(&self, url: &Url) -> bool {
        Authority::of(url).is_some_and(|authority| self.shared.exempt_authorities.contains(&authority))
    }

    /// GETs JSON of at most `cap_bytes`.
    pub async fn get_json<T: DeserializeOwned>(&self, url: &Url, cap_bytes: u64) -> Result<T, NetError> {
        let bytes = self.get_bytes(url, cap_bytes).await?;
        serde_json::from_slice(&bytes).map_err(NetError::malformed)
    }

    /// GETs a body of at most `cap_bytes` as a whole.
    pub async fn get_bytes(&self, url: &Url, cap_bytes: u64) -> Result<Bytes, NetError> {
        self.get(url, cap_bytes, self.shared.limits.total).await?.1.collect().await
    }

    /// GETs a body of at most `cap_bytes` piece by piece, for what is too large to hold.
    pub async fn get_stream(&self, url: &Url, cap_bytes: u64) -> Result<(HeaderMap, Body), NetError> {
        self.get(url, cap_bytes, self.shared.limits.stream_total).await
    }

    /// The checked addresses behind a host and port, for a client that connects by hand. `host` may be a name or a
    /// literal address (IPv6 with or without brackets).
    pub async fn check_host(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, NetError> {
        let host =
            if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
        let authority = format!("{host}:{port}").parse::<Authority>().map_err(NetError::malformed)?;
        let host = Host::parse(&host).map_err(NetError::malformed)?;
        let exempt = self.shared.exempt_authorities.contains(&authority);
        let addresses = match host {
            Host::Ipv4(literal) => vec![literal.into()],
            Host::Ipv6(literal) => vec![literal.into()],
            Host::Domain(name) if exempt => {
                resolve::system_addresses(&name, self.shared.limits.connect).await?
            }
            Host::Domain(name) => resolve::public_addresses(&self.shared.resolver, &name).await?,
        };
        match addresses.iter().find(|&&address| !exempt && !is_public(address)) {
            Some(private) => {
                Err(NetError::refused(format!("{authority}: {private} is not a public address")))
            }
            None => Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()),
        }
    }

    /// A TCP connection to a host through the guard: the first of its checked addresses that answers.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, NetError> {
        let mut error = NetError::Timeout;
        for address in self.check_host(host, port).await? {
            match tokio::time::timeout(self.shared.limits.connect, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(cause)) => error = NetError::Io(format!("{address}: {cause}").into()),
                Err(_) => error = NetError::Timeout,
            }
        }
        Err(error)
    }

    /// The TLS settings of every connection (roots, provider), without a preference for an application protocol.
    pub fn tls_config(&self) -> Arc<ClientConfig> {
        self.shared.tls.clone()
    }

    /// The DNS resolver, for records other than addresses.
    pub(crate) fn resolver(&self) -> &TokioResolver {
        &self.shared.resolver
    }

    async fn get(&self, url: &Url, cap_bytes: u64, total: Duration) -> Result<(HeaderMap, Body), NetError> {
        let followed = self.follow(url, Instant::now() + total).await;
        if let (Some(host), turns) = (Authority::of(url), &self.shared.turns) {
            match &followed {
                Ok(_) => turns.answered(&host),
                Err(NetError::Io(_) | NetError::Timeout) => turns.failed(&host),
                Err(_) => {}
            }
        }
        let (response, url) = followed?;
        let code = response.status().as_u16();
        if response.status().is_success() {
            let headers = response.headers().clone();
            return Ok((headers, Body::new(response, cap_bytes)?));
        }
        let headers = response.headers().clone();
        // Whatever the body is, or if it never comes, the status is the answer.
        let body = match Body::new(response, ERROR_BODY_BYTES) {
            Ok(body) => body.collect().await.unwrap_or_default(),
            Err(_) => Bytes::new(),
        };
        let status = Status::read(code, &headers, &body);
        if let Some(host) = Authority::of(&url) {
            self.shared.turns.heed(&host, &status);
        }
        Err(NetError::Status(Box::new(status)))
    }

    /// Sends the request and follows redirects, each through the guard. Answers with where they led, too.
    async fn follow(&self, url: &Url, deadline: Instant) -> Result<(Response, Url), NetError> {
        let mut url = url.clone();
        let mut was_guarded = false;
        for _ in 0..=MAX_REDIRECTS {
            // Nobody out there is to lead us to what the operator has within; what is public anybody may name.
            was_guarded |= !self.is_exempt(&url);
            let client = if was_guarded { &self.guarded(&url)?.get } else { &self.clients_for(&url)?.get };
            if let Some(rest) = self.rest_of(&url) {
                return Err(NetError::Resting(rest));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let response = client.get(url.clone()).timeout(left).send().await?;
            let target = match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION),
                _ => return Ok((response, url)),
            };
            let target = target.and_then(|target| target.to_str().ok());
            let target = target.ok_or_else(|| NetError::malformed("a redirect without a readable target"))?;
            url = url.join(target).map_err(NetError::malformed)?;
        }
        Err(NetError::malformed(format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// The clients that may fetch a URL. Literal addresses are checked here, as they never reach a resolver.
    fn clients_for(&self, url: &Url) -> Result<&Clients, NetError> {
        if self.is_exempt(url) { fetchable(url).map(|()| &self.shared.exempt) } else { self.guarded(url) }
    }

    /// The clients for everybody's URLs, exempt or not.
    fn guarded(&self, url: &Url) -> Result<&Clients, NetError> {
        fetchable(url)?;
        let refused = |why: &str| Err(NetError::refused(format!("{}: {why}", short(url))));
        let literal = match url.host() {
            Some(Host::Ipv4(literal)) => Some(literal.into()),
            Some(Host::Ipv6(literal)) => Some(literal.into()),
            Some(Host::Domain(_)) => None,
            None => return refused("no host"),
        };
        if literal.is_some_and(|literal| !is_public(literal)) {
            return refused("not a public address");
        }
        if url.scheme() != "https" {
            return refused("plain http");
        }
        Ok(&self.shared.guarded)
    }
}

fn fetchable(url: &Url) -> Result<(), NetError> {
    let refused = |why: &str| Err(NetError::refused(format!("{}: {why}", short(url))));
    if !matches!(url.scheme(), "http" | "https") {
        return refused("only http and https are fetched");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refused("a URL with credentials");
    }
    Ok(())
}

/// A URL for an error message: scheme, host and port.
fn short(url: &Url) -> String {
    format!("{}://{}", url.scheme(), Authority::of(url).map_or_else(String::new, |a| a.to_string()))
}

/// TLS 1.2 and 1.3 by ring, trusting Mozilla's roots as compiled in: the same on every machine, with or without a
/// certificate package.
fn tls_config() -> Result<ClientConfig, NetError> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| NetError::Io(format!("TLS: {error}").into()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
