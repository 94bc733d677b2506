//! From a name to addresses, past the guard.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{NetError, is_public};

/// Our own resolver rather than the C library's: its queries can be cancelled, so slow name servers that a stranger
/// chose cannot fill the thread pool that file and name lookups share.
pub(super) fn resolver(name_server: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match name_server {
        Some(address) => {
            let mut connection = ConnectionConfig::udp();
            connection.port = address.port();
            let server = NameServerConfig::new(address.ip(), true, vec![connection]);
            let config = ResolverConfig::from_parts(None, vec![], vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
        None => TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "the machine's DNS settings cannot be read: names resolve by its hosts file alone");
            let config = ResolverConfig::from_parts(None, vec![], vec![]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }),
    };
    let options = builder.options_mut();
    options.timeout = Duration::from_secs(2);
    options.attempts = 1;
    options.cache_size = 4096;
    options.positive_max_ttl = Some(Duration::from_secs(10 * 60));
    options.negative_max_ttl = Some(Duration::from_secs(60));
    builder.build().map_err(|error| NetError::Io(format!("DNS: {error}").into()))
}

/// The public addresses of a name; refused where it has only others.
pub(super) async fn public_addresses(resolver: &TokioResolver, name: &str) -> Result<Vec<IpAddr>, NetError> {
    // Fully qualified, so that a name from the network is never completed by the machine's search domains.
    let name = format!("{}.", name.trim_end_matches('.'));
    let found = resolver.lookup_ip(&*name).await.map_err(|error| match error {
        error if error.is_no_records_found() => NetError::NoSuchName(name.as_str().into()),
        error => NetError::Io(format!("DNS: {name}: {error}").into()),
    })?;
    let (public, private): (Vec<IpAddr>, Vec<IpAddr>) = found.iter().partition(|&address| is_public(address));
    match private.first() {
        Some(private) if public.is_empty() => {
            Err(NetError::refused(format!("{name} {private} is not a public address")))
        }
        _ => Ok(public),
    }
}

/// The addresses of a name the operator vouches for, as the system resolves it.
pub(super) async fn system_addresses(name: &str, limit: Duration) -> Result<Vec<IpAddr>, NetError> {
    let found = tokio::time::timeout(limit, tokio::net::lookup_host((name, 0))).await;
    let found = found.map_err(|_| NetError::Timeout)?;
    let found = found.map_err(|error| NetError::Io(format!("DNS: {name}: {error}").into()))?;
    Ok(found.map(|address| address.ip()).collect())
}

/// The guard as the HTTP client's resolver: it connects to what this returns and to nothing else.
pub(super) struct Guard(pub TokioResolver);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            let addresses = public_addresses(&resolver, name.as_str()).await?;
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
