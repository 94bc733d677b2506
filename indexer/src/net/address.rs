//! Which addresses are the public internet's, and how a host and port are named.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use url::Url;

/// `host:port` as it stands in a URL: lower case, the port always written, IPv6 in brackets.
///
/// Authorities compare by their text: `localhost:2583` is not `127.0.0.1:2583`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority(Box<str>);

/// Text that is not `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not `host:port`")]
pub struct AuthorityError;

impl Authority {
    /// The authority of a URL, its scheme's default port filled in. None for a URL without a host or known port.
    pub fn of(url: &Url) -> Option<Self> {
        Some(Authority(format!("{}:{}", url.host_str()?, url.port_or_known_default()?).into()))
    }

    /// The text, e.g. `localhost:2583`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Authority {
    type Err = AuthorityError;
    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        let port = text.rsplit_once(':').map(|(_, port)| port).ok_or(AuthorityError)?;
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AuthorityError);
        }
        // The URL parser decides what a host is, so that both sides of a comparison are normalised alike.
        let url = Url::parse(&format!("http://{text}/")).map_err(|_| AuthorityError)?;
        let bare = url.path() == "/"
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !bare || url.port_or_known_default() == Some(0) {
            return Err(AuthorityError);
        }
        Authority::of(&url).ok_or(AuthorityError)
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an address belongs to the public internet, by the IANA special-purpose address registries.
///
/// What is not known to be public is not: loopback, private, shared, link-local, multicast, documentation, benchmarking,
/// and IPv6 forms that carry an IPv4 address inside, but for NAT64 of a public one (hosts without IPv4 need it).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    const SPECIAL: [([u8; 4], u32); 15] = [
        ([0, 0, 0, 0], 8),       // this network
        ([10, 0, 0, 0], 8),      // private
        ([100, 64, 0, 0], 10),   // shared by carriers' NAT
        ([127, 0, 0, 0], 8),     // loopback
        ([169, 254, 0, 0], 16),  // link-local, cloud metadata
        ([172, 16, 0, 0], 12),   // private
        ([192, 0, 0, 0], 24),    // protocol assignments
        ([192, 0, 2, 0], 24),    // documentation
        ([192, 88, 99, 0], 24),  // 6to4 relays
        ([192, 168, 0, 0], 16),  // private
        ([198, 18, 0, 0], 15),   // benchmarking
        ([198, 51, 100, 0], 24), // documentation
        ([203, 0, 113, 0], 24),  // documentation
        ([224, 0, 0, 0], 4),     // multicast
        ([240, 0, 0, 0], 4),     // reserved, broadcast
    ];
    let bits = u32::from(address);
    !SPECIAL.iter().any(|&(prefix, length)| (bits ^ u32::from_be_bytes(prefix)) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    if [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(Ipv4Addr::from(u32::from(g) << 16 | u32::from(h)));
    }
    let global_unicast = a & 0xe000 == 0x2000;
    let special = match a {
        // Protocol assignments (Teredo, benchmarking, ORCHID) and documentation.
        0x2001 => b < 0x200 || b == 0xdb8,
        0x2002 => true,       // 6to4
        0x3fff => b < 0x1000, // documentation
        _ => false,
    };
    global_unicast && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a00:1",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fdaa::3",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            assert!(!is_public(private.parse().expect(private)), "{private}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.0.0.1",
            "128.0.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450::1",
            "3ffe::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(public.parse().expect(public)), "{public}");
        }
    }

    #[test]
    fn authorities_are_normalised_and_need_a_port() {
        let of = |text: &str| Authority::of(&Url::parse(text).expect(text)).map(|a| a.to_string());
        assert_eq!(of("https://Example.COM/x"), Some("example.com:443".into()));
        assert_eq!(of("http://0x7f.1:2583"), Some("127.0.0.1:2583".into()));
        assert_eq!(of("ws://[::0001]"), Some("[::1]:80".into()));
        assert_eq!("LOCALHOST:80".parse::<Authority>().expect("valid").as_str(), "localhost:80");
        assert_eq!("[::1]:2583".parse::<Authority>().expect("valid").as_str(), "[::1]:2583");
        for bad in
            ["localhost", "localhost:", ":80", "a:b", "a:70000", "a:0", "http://a:1", "u@a:1", "a/b:1", "::1"]
        {
            assert!(bad.parse::<Authority>().is_err(), "{bad}");
        }
    }
}
