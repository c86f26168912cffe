//! Starts the uplink as the settings describe it.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::event::DaemonEvent;
use super::operator::Operator;
use super::parts::Parts;
use crate::assembly;
use crate::config::{Commands, Mqtt};
use crate::domain::{Time, TimeQuality};
use crate::position::Locator;
use crate::uplink::{Desk, DeskParams, DeviceSide, UplinkThread};

/// Starts the uplink.
///
/// # Errors
/// If a certificate, key or password is unusable, or the thread cannot be started.
pub fn start(parts: &Parts, mqtt: &Mqtt) -> Result<UplinkThread> {
    let Parts { config, link, vitals, .. } = *parts;
    let (observer, vitals) = (parts.observer.clone(), vitals.clone());
    let device_side = DeviceSide {
        link: link.clone(),
        reader: parts.journal.reader()?,
        journal: parts.journal.clone(),
        desk: config.commands.as_ref().map(|commands| desk(parts, commands)).transpose()?,
        health: Box::new(move || vitals.now()),
        report: Box::new(move |event| observer(DaemonEvent::Link(event))),
    };
    UplinkThread::start(assembly::uplink(parts.config, mqtt, parts.identity)?, device_side)
        .context("cannot start the uplink")
}

fn desk(parts: &Parts, commands: &Commands) -> Result<Desk> {
    let (locator, trusted) = (Arc::clone(parts.locator), commands.trust_clock);
    let params = DeskParams {
        device: parts.identity.source.clone(),
        boot_id: parts.identity.boot_id.clone(),
        key: assembly::command_key(commands)?,
        journal: parts.journal.clone(),
        clock: Box::new(move || clock(&locator, trusted)),
    };
    let operator = Operator::new(parts)?;
    let wake = parts.link.clone();
    Desk::start(params, Box::new(operator), move || wake.wake()).context("cannot start the thread for commands")
}

fn clock(locator: &Locator, trusted: bool) -> Time {
    match locator.time() {
        Time { at, quality: TimeQuality::Unsynced, .. } if trusted => Time::new(at, TimeQuality::Ntp),
        time => time,
    }
}
