//! The parts of a daemon that its threads share.

use std::sync::Arc;

use super::event::Observer;
use super::health::Vitals;
use super::settings::LiveSettings;
use crate::config::Config;
use crate::journal::{DeviceIdentity, Journal};
use crate::package::Package;
use crate::position::Locator;
use crate::uplink::Link;

/// Parts of a daemon while it starts: each thread clones what it needs.
pub struct Parts<'a> {
    pub config: &'a Config,
    pub identity: &'a Arc<DeviceIdentity>,
    pub package: &'a Package,
    pub link: &'a Link,
    pub journal: &'a Journal,
    pub locator: &'a Arc<Locator>,
    pub vitals: &'a Vitals,
    pub settings: &'a LiveSettings,
    pub observer: &'a Observer,
}
