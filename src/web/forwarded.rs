//! Origin of a request, as the proxies in front of the device report it.
//!
//! Anyone can write anything into a request's headers. So only proxies that the settings name are trusted, and only the
//! end of a chain of addresses: each proxy appends its own entry.

use std::net::IpAddr;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName, header};
use serde::Deserialize;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Headers that show that a request came through a proxy.
const SIGNS: [HeaderName; 6] = [
    header::FORWARDED,
    header::VIA,
    FOR,
    PROTO,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// Number of bits of an address. IPv4 addresses use the most significant ones.
const BITS: u32 = 128;

/// Network such as `10.0.0.0/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    /// Number of leading bits that all its addresses have in common.
    common: u32,
}

impl Network {
    /// Reports whether the address belongs to the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let differ = bits(self.address) ^ bits(address);
        self.address.is_ipv4() == address.is_ipv4() && differ.checked_shr(BITS - self.common).unwrap_or(0) == 0
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an address or a network, as in \"127.0.0.1\" or \"10.0.0.0/8\"");
        let (address, common) = text.split_once('/').map_or((text, None), |(address, common)| (address, Some(common)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let all = if address.is_ipv4() { 32 } else { BITS };
        let common = common.map_or(Ok(all), str::parse).map_err(|_| wrong())?;
        (common <= all).then_some(Network { address, common }).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Reports whether the headers claim that a proxy has forwarded the request.
pub fn came_through_a_proxy(headers: &HeaderMap) -> bool {
    SIGNS.iter().any(|sign| headers.contains_key(sign))
}

/// Returns the address from which the outermost trusted proxy received the request. `peer` must be a trusted proxy.
pub fn origin(headers: &HeaderMap, peer: IpAddr, trusted: &[Network]) -> IpAddr {
    let mut nearest = peer;
    for element in chain(headers).into_iter().rev() {
        let Some(address) = address(element) else { break };
        nearest = address;
        if !is_trusted(address, trusted) {
            break;
        }
    }
    nearest
}

/// Reports whether the address is that of a trusted proxy.
pub fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// Reports whether the client used TLS to reach the last proxy.
pub fn is_secure(headers: &HeaderMap) -> bool {
    let last = elements(headers, &PROTO).into_iter().next_back().or_else(|| pairs(headers, "proto").pop());
    last.is_some_and(|protocol| unquoted(protocol).eq_ignore_ascii_case("https"))
}

/// Returns the addresses of `X-Forwarded-For`, or those of `Forwarded` (RFC 7239) if that header is missing.
fn chain(headers: &HeaderMap) -> Vec<&str> {
    match elements(headers, &FOR) {
        none if none.is_empty() => pairs(headers, "for"),
        elements => elements,
    }
}

fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(str::trim).collect()
}

/// Returns the values of a name in `Forwarded`, one for each proxy, and an empty one where a proxy gives none.
fn pairs<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let value = |element: &'a str| {
        let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    };
    elements(headers, &header::FORWARDED).into_iter().map(value).collect()
}

fn unquoted(text: &str) -> &str {
    text.trim_matches('"')
}

/// Parses an address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = unquoted(text);
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None if text.matches(':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value")))
            .collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn networks_hold_their_addresses_alone() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::7", true),
            ("fd00::/8", "fe80::7", false),
            ("::/0", "fe80::7", true),
        ];
        for (network, address, expected) in cases {
            let network: Network = network.parse().expect("a network");
            assert_eq!(network.contains(ip(address)), expected, "{network:?} {address}");
        }
        for wrong in ["", "localhost", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_last_address_that_a_trusted_proxy_wrote_counts() {
        let trusted: Vec<Network> = ["127.0.0.1", "10.0.0.0/8"].map(|text| text.parse().expect("a network")).into();
        let cases: [(&[(&str, &str)], &str); 10] = [
            (&[], "127.0.0.1"),
            (&[("x-forwarded-for", "192.0.2.7")], "192.0.2.7"),
            (&[("x-forwarded-for", "1.1.1.1, 192.0.2.7, 10.0.0.3")], "192.0.2.7"),
            (&[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "192.0.2.7")], "192.0.2.7"),
            (&[("x-forwarded-for", "192.0.2.7, nonsense")], "127.0.0.1"),
            (&[("x-forwarded-for", "10.0.0.9, 10.0.0.3")], "10.0.0.9"),
            (&[("x-forwarded-for", "[2001:db8::1]:4711")], "2001:db8::1"),
            (&[("forwarded", "for=1.1.1.1, for=\"[2001:db8::2]\";proto=https")], "2001:db8::2"),
            (&[("forwarded", "For=192.0.2.7:80, proto=https")], "127.0.0.1"),
            (&[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "192.0.2.7")], "192.0.2.7"),
        ];
        for (lines, expected) in cases {
            assert_eq!(origin(&headers(lines), ip("127.0.0.1"), &trusted), ip(expected), "{lines:?}");
        }
    }

    #[test]
    fn the_last_proxy_tells_the_protocol() {
        let cases: [(&[(&str, &str)], bool); 6] = [
            (&[], false),
            (&[("x-forwarded-proto", "https")], true),
            (&[("x-forwarded-proto", "https, http")], false),
            (&[("x-forwarded-proto", "http"), ("forwarded", "proto=https")], false),
            (&[("forwarded", "for=1.1.1.1;proto=http, for=2.2.2.2;Proto=\"HTTPS\"")], true),
            (&[("forwarded", "for=1.1.1.1")], false),
        ];
        for (lines, expected) in cases {
            assert_eq!(is_secure(&headers(lines)), expected, "{lines:?}");
        }
    }
}
