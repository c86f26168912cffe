//! The section `[web]`: the doors of the field page, and the proxies that are trusted there.

use std::net::SocketAddr;

use serde::Deserialize;

use super::Section;
use crate::web::Network;

/// Settings of the field page. At least one of the two doors is given.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// Address of the door for the network. Everyone who uses it needs a code, even programs of this machine.
    pub listen: Option<SocketAddr>,
    /// Address of the door for people and programs at the device itself, a loopback address. No one needs a code there.
    pub listen_here: Option<SocketAddr>,
    /// Names by which browsers may call the device, besides its addresses and `localhost`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Proxies that are trusted to name the address and the protocol of a request.
    #[serde(default)]
    pub trusted_proxies: Vec<Network>,
    /// Whether viewers may export files. Inspectors always may.
    #[serde(default)]
    pub viewers_export: bool,
}

impl Section for Web {
    fn check(&self) -> Result<(), &'static str> {
        let Web { listen, listen_here, trusted_proxies, .. } = self;
        let wrong = [
            (
                listen.is_none() && listen_here.is_none(),
                "give listen_here = \"127.0.0.1:8421\" for people at the device, listen = \"0.0.0.0:8420\" for the network, or \
                 both",
            ),
            (
                listen_here.is_some_and(|address| !address.ip().is_loopback()),
                "listen_here is for this machine alone, as in \"127.0.0.1:8421\": nobody needs a code there",
            ),
            (
                listen.is_some_and(|address| address.port() > 0 && Some(address) == *listen_here),
                "listen and listen_here cannot be the same: one of them needs a code",
            ),
            (
                listen.is_none() && !trusted_proxies.is_empty(),
                "trusted_proxies come through listen: give it an address that the proxy reaches, as in \"127.0.0.1:8420\"",
            ),
        ];
        wrong.into_iter().find(|(is_wrong, _)| *is_wrong).map_or(Ok(()), |(_, reason)| Err(reason))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const SHIPPED: &str = include_str!("../../deploy/config.toml");

    #[test]
    fn doors_must_fit_each_other() {
        let (head, tail) = SHIPPED.split_once("[web]\n").expect("the section");
        let tail = tail.split_once("\n\n").expect("its end").1;
        let parse = |web: &str| Config::parse(&format!("{head}[web]\n{web}\n\n{tail}"));
        let good = [
            "listen = \"0.0.0.0:8420\"",
            "listen_here = \"[::1]:8421\"",
            "listen = \"127.0.0.1:8420\"\nlisten_here = \"127.0.0.1:8421\"\ntrusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]",
        ];
        for web in good {
            assert!(parse(web).is_ok(), "{web}: {:?}", parse(web).err());
        }
        let bad = [
            ("", "listen_here ="),
            ("listen_here = \"0.0.0.0:8421\"", "this machine alone"),
            ("listen = \"127.0.0.1:1\"\nlisten_here = \"127.0.0.1:1\"", "cannot be the same"),
            ("listen_here = \"127.0.0.1:1\"\ntrusted_proxies = [\"::1\"]", "come through listen"),
            ("listen = \"0.0.0.0:1\"\ntrusted_proxies = [\"proxy\"]", "an address or a network"),
            ("listen = \"0.0.0.0:1\"\ntrusted_proxies = [\"10.0.0.0/33\"]", "an address or a network"),
        ];
        for (web, expected) in bad {
            let error = parse(web).expect_err(web).to_string();
            assert!(error.contains(expected) && error.contains("line "), "{web}: {error}");
        }
    }
}
