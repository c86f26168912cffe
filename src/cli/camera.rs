//! `bridgeclip camera`: what is known about the clocks of cameras.

use std::fmt;
use std::io::Write;
use std::ops::ControlFlow;

use anyhow::{Result, bail, ensure};
use jiff::Timestamp;
use serde::Serialize;

use super::device::{DeviceArgs, reader, with_journal};
use super::outcome::Outcome;
use super::place::{place, summarise};
use crate::config::Config;
use crate::journal::{CameraNote, Reader};
use crate::places;
use crate::position::{CameraClock, CameraName, Lead, LeadSource, zone_of};

/// See and set the clocks of cameras.
///
/// A camera's clock is set by hand, may be in another zone, and drifts. The device learns how far it is off from photos
/// that it sees arrive, and from satellite time in photos. Photos of a card are then found on the device's track.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the cameras that the device has met, with what is known about their clocks.
    List(ListArgs),
    /// Set how a camera's clock is, when you know better. The time and place of its stored photos are found again.
    Set(SetArgs),
    /// Forget what is known about a camera's clock. It is learned anew.
    Forget(ForgetArgs),
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// One JSON object per camera and line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct SetArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// The camera, as the list names it, or a part of its name that no other camera has.
    #[arg(value_name = "NAME")]
    camera: String,
    /// Zone of the time that the camera shows, such as Asia/Tokyo or +09:00, unless its photos state one.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Seconds by which the camera is ahead of that time; negative if it is slow.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, allow_negative_numbers = true)]
    ahead: f64,
    /// Seconds within which you know this.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    within: f64,
    /// One JSON object with the totals.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct ForgetArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// The camera, as for `camera set`.
    #[arg(value_name = "NAME")]
    camera: String,
}

/// A camera with what is known about its clock.
#[derive(Debug, Serialize)]
pub struct Known {
    camera: CameraName,
    #[serde(flatten)]
    clock: CameraClock,
}

pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::List(args) => list(args),
        Command::Set(args) => set(args),
        Command::Forget(args) => forget(args),
    }
}

fn list(args: &ListArgs) -> Result<Outcome> {
    let known = known(&reader(&args.device.config()?)?)?;
    let mut out = std::io::stdout().lock();
    if known.is_empty() && !args.json {
        writeln!(out, "no camera that states its model has taken a photo here yet")?;
    }
    for camera in &known {
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string(camera)?)?,
            false => writeln!(out, "{camera}")?,
        }
    }
    Ok(Outcome::Good)
}

fn set(args: &SetArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    if let Some(zone) = &args.zone {
        ensure!(
            zone_of(zone).is_some(),
            "--zone {zone}: no such time zone; use a name such as Asia/Tokyo (package tzdata) or an offset such as +09:00"
        );
    }
    ensure!(args.ahead.is_finite(), "--ahead: not a number of seconds");
    ensure!((0.0..=86_400.0).contains(&args.within), "--within: use 0 to 86400 seconds");
    let name = named(&config, &args.camera)?;
    let clock = CameraClock::set(args.zone.clone(), args.ahead, args.within, Timestamp::now());
    store(&config, places::note(&name, &clock))?;
    let tally = place(&config, Some(&name), false, |_, _, _| Ok(ControlFlow::Continue(())))?;
    if !args.json {
        writeln!(std::io::stdout(), "{}  {}", name.as_str(), words(&clock))?;
    }
    summarise(args.json, false, &tally)?;
    Ok(Outcome::Good)
}

fn forget(args: &ForgetArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    let name = named(&config, &args.camera)?.as_str().to_owned();
    writeln!(std::io::stdout(), "{name}  forgotten")?;
    store(&config, CameraNote { name, clock: String::new() })?;
    Ok(Outcome::Good)
}

fn store(config: &Config, note: CameraNote) -> Result<()> {
    with_journal(config, |journal| Ok(journal.keep_cameras(vec![note])?))
}

/// Reads what is known about the clocks of cameras.
pub fn known(reader: &Reader) -> Result<Vec<Known>> {
    Ok(places::clocks(reader)?.into_iter().map(|(camera, clock)| Known { camera, clock }).collect())
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.camera.as_str(), words(&self.clock))
    }
}

/// Finds the camera that has this name or, alone, this part of its name.
fn named(config: &Config, wanted: &str) -> Result<CameraName> {
    let known = known(&reader(config)?)?;
    let names: Vec<&str> = known.iter().map(|known| known.camera.as_str()).collect();
    if names.contains(&wanted) {
        return Ok(CameraName::from(wanted.to_owned()));
    }
    let lower = wanted.to_lowercase();
    let matching: Vec<&&str> = names.iter().filter(|name| name.to_lowercase().contains(&lower)).collect();
    match matching.as_slice() {
        [one] => Ok(CameraName::from((**one).to_owned())),
        [] => bail!("{wanted}: no such camera; `bridgeclip camera list` names those that have taken photos here"),
        several => {
            let names: Vec<&str> = several.iter().map(|name| **name).collect();
            bail!("{wanted}: several cameras have this in their name: {}", names.join("; "))
        }
    }
}

/// Describes what is known about a clock: `12.0 s ahead of Asia/Tokyo within 2.0 s, set by hand`.
fn words(clock: &CameraClock) -> String {
    let Some(Lead { lead_s, error_s, seen, source, .. }) = clock.leads.last() else {
        return "clock not known yet".to_owned();
    };
    let of = clock.zone.as_deref().unwrap_or("UTC, or the zone that its photos state");
    let way = if *lead_s < 0.0 { "behind" } else { "ahead of" };
    let how = match source {
        LeadSource::Arrivals => format!("learned from photos that arrived, last at {seen:.0}"),
        LeadSource::Satellites => format!("learned from satellite time in photos, last at {seen:.0}"),
        LeadSource::Person => format!("set by hand at {seen:.0}"),
    };
    format!("{} {way} {of} within {error_s:.1} s, {how}", span(lead_s.abs()))
}

/// Writes seconds as a person says them: `9 h 0 min 2.5 s`.
fn span(seconds: f64) -> String {
    let (hours, rest) = ((seconds / 3_600.0).floor(), seconds % 3_600.0);
    let (minutes, rest) = ((rest / 60.0).floor(), rest % 60.0);
    match (hours, minutes) {
        (0.0, 0.0) => format!("{rest:.1} s"),
        (0.0, minutes) => format!("{minutes} min {rest:.1} s"),
        (hours, minutes) => format!("{hours} h {minutes} min {rest:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_described_as_people_say_it() {
        let at = "2026-11-25T00:00:00Z".parse().expect("a moment");
        let clock = CameraClock::set(Some("Asia/Tokyo".into()), -12.0, 2.0, at);
        assert_eq!(words(&clock), "12.0 s behind Asia/Tokyo within 2.0 s, set by hand at 2026-11-25T00:00:00Z");
        assert_eq!(words(&CameraClock::default()), "clock not known yet");
        assert_eq!([span(32_402.5), span(75.0)], ["9 h 0 min 2.5 s", "1 min 15.0 s"]);
    }
}
