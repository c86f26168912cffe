//! Trusted keys, and the devices whose events the owner of each key may carry.

use std::fmt;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use bridgeclip_domain::is_name;

use crate::key::PublicKey;

/// Start of every device's topics, before site and id.
pub const DEVICE_ROOT: &str = "bridge/v1/";

/// A public key, and the devices for which it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// Public key of the signer.
    pub key: PublicKey,
    /// Devices for which the key speaks; at least one when read from the settings.
    pub devices: Vec<Devices>,
}

/// An entry of `[[bundle.trusted]]` before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedTrusted {
    key: PublicKey,
    devices: Vec<Devices>,
}

/// A single device, written `site/id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device(String);

/// A single device, written `site/id`, or all devices of a site, written `site/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices {
    site: String,
    /// Id of the device; `None` means all devices of the site.
    id: Option<String>,
}

/// A text that names no devices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no device: write site/id, as in \"kita/unit-1\", or \"kita/*\" for all of a site")]
pub struct NotDevices(String);

/// The keys that may bring events to this device, and the devices for which they speak.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Trusted keys. The same key may appear more than once; its devices add up.
    pub trusted: Vec<Trusted>,
    /// Topic prefix of this device. No key may bring events for it.
    pub own: String,
}

/// The devices for which one key speaks, as one importer sees it.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Key that has this authority.
    pub key: PublicKey,
    devices: Vec<Devices>,
    own: String,
}

/// The reason why a key does not speak for a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The device is the importer itself.
    Own,
    /// No entry of the key names the device.
    Unnamed,
}

impl Trust {
    /// Returns the authority of a key, or `None` for an unknown key.
    pub fn authority(&self, key: PublicKey) -> Option<Authority> {
        let entries: Vec<_> = self.trusted.iter().filter(|trusted| trusted.key == key).collect();
        let devices = entries.iter().flat_map(|trusted| trusted.devices.clone()).collect();
        (!entries.is_empty()).then(|| Authority { key, devices, own: self.own.clone() })
    }
}

impl Authority {
    /// Checks that the key speaks for the device whose topics begin with `prefix`.
    pub fn check(&self, prefix: &str) -> Result<(), Denial> {
        if prefix == self.own {
            return Err(Denial::Own);
        }
        let is_named = self.devices.iter().any(|devices| devices.cover(prefix));
        if is_named { Ok(()) } else { Err(Denial::Unnamed) }
    }

    /// Returns the devices for which the key speaks, separated by commas.
    pub fn words(&self) -> String {
        self.devices.iter().map(Devices::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl Devices {
    fn cover(&self, prefix: &str) -> bool {
        let device = prefix.strip_prefix(DEVICE_ROOT).and_then(|device| device.split_once('/'));
        device.is_some_and(|(site, id)| site == self.site && self.id.as_deref().is_none_or(|own| own == id))
    }
}

impl Device {
    /// Returns the prefix of the device's topics, `bridge/v1/{site}/{id}`.
    pub fn prefix(&self) -> String {
        format!("{DEVICE_ROOT}{}", self.0)
    }
}

impl FromStr for Device {
    type Err = NotDevices;

    fn from_str(text: &str) -> Result<Self, NotDevices> {
        let devices: Devices = text.parse()?;
        devices.id.map(|id| Device(format!("{}/{id}", devices.site))).ok_or_else(|| NotDevices(text.to_owned()))
    }
}

impl FromStr for Devices {
    type Err = NotDevices;

    fn from_str(text: &str) -> Result<Self, NotDevices> {
        let wrong = || NotDevices(text.chars().take(200).collect());
        let (site, id) = text.split_once('/').ok_or_else(wrong)?;
        if !is_name(site) || !(id == "*" || is_name(id)) {
            return Err(wrong());
        }
        Ok(Devices { site: site.to_owned(), id: (id != "*").then(|| id.to_owned()) })
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.site, self.id.as_deref().unwrap_or("*"))
    }
}

impl<'de> Deserialize<'de> for Devices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Trusted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TrustedVisitor)
    }
}

/// Visitor for an entry of the settings. It answers a bare key without devices with what to write instead.
struct TrustedVisitor;

const REMEDY: &str = "a key speaks only for the devices that are named: write [[bundle.trusted]], key = \"...\" and devices = \
                      [\"kita/unit-1\"]";

impl<'de> Visitor<'de> for TrustedVisitor {
    type Value = Trusted;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key with its devices")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Trusted, E> {
        Err(E::custom(REMEDY))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Trusted, A::Error> {
        let UncheckedTrusted { key, devices } = UncheckedTrusted::deserialize(MapAccessDeserializer::new(map))?;
        if devices.is_empty() { Err(A::Error::custom(REMEDY)) } else { Ok(Trusted { key, devices }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceKey;

    #[test]
    fn a_key_speaks_for_the_devices_that_are_named_and_nobody_for_the_importer() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let key = DeviceKey::open(dir.path()).expect("made").public();
        let trusted = |names: &[&str]| Trusted {
            key,
            devices: names.iter().map(|name| name.parse().expect("devices")).collect(),
        };
        let trusted = vec![trusted(&["kita/unit-1"]), trusted(&["minami/*"])];
        let trust = Trust { trusted, own: "bridge/v1/minami/office".to_owned() };
        let authority = trust.authority(key).expect("known");
        assert_eq!(authority.words(), "kita/unit-1, minami/*");
        for device in ["kita/unit-1", "minami/unit-1", "minami/unit-2"] {
            assert_eq!(authority.check(&format!("bridge/v1/{device}")), Ok(()), "{device}");
        }
        for device in ["kita/unit-2", "kita/unit-11", "kita/*", "nishi/unit-1", "minami"] {
            assert_eq!(authority.check(&format!("bridge/v1/{device}")), Err(Denial::Unnamed), "{device}");
        }
        assert_eq!(authority.check("kita/unit-1"), Err(Denial::Unnamed), "no topic of a device");
        assert_eq!(authority.check("bridge/v1/minami/office"), Err(Denial::Own));
        let other = DeviceKey::open(tempfile::tempdir().expect("a temporary folder").path()).expect("made").public();
        assert!(trust.authority(other).is_none());
    }

    #[test]
    fn devices_are_named_one_by_one_or_by_their_site() {
        for wrong in
            ["", "kita", "kita/", "/unit-1", "*/unit-1", "*/*", "kita/u*", "kita/unit/1", "bridge/v1/kita/unit-1"]
        {
            assert!(wrong.parse::<Devices>().is_err(), "{wrong}");
        }
        for right in ["kita/unit-1", "kita/*"] {
            assert_eq!(right.parse::<Devices>().expect("devices").to_string(), right);
        }
    }
}
