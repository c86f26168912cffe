//! `bridgeclip place`: finds time and place of stored captures again.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::device::{DeviceArgs, reader, with_journal};
use super::outcome::Outcome;
use super::{progress, stop};
use crate::assembly;
use crate::config::Config;
use crate::domain::{Position, Time};
use crate::packages;
use crate::places::{self, Tally, load_cameras, weigh_again};
use crate::position::{CameraName, Correction, Locator, Stored};

/// Find time and place of all stored captures again, by what is known now: the track, also from imported files, and the
/// clocks of cameras.
///
/// Each capture keeps the evidence for its moment and place. Where the result is worth it, an event is queued that takes
/// the place of the earlier one. The daemon may be running.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Only the photos of this camera, as `bridgeclip camera list` names it.
    #[arg(long, value_name = "NAME")]
    camera: Option<String>,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// One JSON object for each changed capture and line, and one with the totals at the end.
    #[arg(long)]
    json: bool,
}

/// One line of `--json`: a capture whose time or place changes.
#[derive(Serialize)]
struct PlacedLine<'a> {
    capture: i64,
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<&'a Time>,
    /// New position; `null` if the earlier one was wrong and no other is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Option<&'a Position>>,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.device.config()?;
    let stop = stop::stop_flag()?;
    let camera = args.camera.clone().map(CameraName::from);
    let bar = progress::bar(reader(&config)?.captures()? as usize, "captures");
    let tally = place(&config, camera.as_ref(), args.dry_run, |looked_at, known, corrections| {
        bar.suspend(|| corrections.iter().try_for_each(|correction| print(args.json, known, correction)))?;
        bar.inc(looked_at);
        Ok(if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    bar.finish_and_clear();
    summarise(args.json, args.dry_run, &tally)?;
    Ok(if stop.load(Ordering::Relaxed) { Outcome::Stopped } else { Outcome::Good })
}

/// Weighs stored captures again and stores what changes, unless it is a dry run. `note` hears of each page.
pub fn place(
    config: &Config,
    camera: Option<&CameraName>,
    dry_run: bool,
    mut note: impl FnMut(u64, &[Stored], &[Correction]) -> Result<ControlFlow<()>>,
) -> Result<Tally> {
    let package = packages::open_in_use(&assembly::package_source(&config.package))?;
    let locator = Locator::new(assembly::locator(config)).context("cannot read the boot id")?;
    let identity = Arc::new(assembly::identity(config, &package, locator.boot_id()));
    let reader = reader(config)?;
    load_cameras(&locator, &reader)?;
    with_journal(config, |journal| {
        weigh_again(&reader, &locator, camera, |looked_at, known, corrections| {
            if !dry_run {
                places::store(journal, &identity, corrections, true, Timestamp::now())?;
            }
            note(looked_at, known, corrections)
        })
    })
}

fn print(json: bool, known: &[Stored], correction: &Correction) -> Result<()> {
    let Correction { capture, taken, position } = correction;
    let stored = known.iter().find(|stored| stored.capture == *capture);
    let file = stored.and_then(|stored| stored.photo.file_name.as_deref());
    let mut out = std::io::stdout().lock();
    if json {
        let position = position.as_ref().map(Option::as_ref);
        let line = PlacedLine { capture: *capture, file, taken: taken.as_ref(), position };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
        return Ok(());
    }
    write!(out, "{}", file.unwrap_or("?"))?;
    if let Some(taken) = taken {
        write!(out, "  taken {:.1}", taken.at)?;
    }
    match position {
        Some(Some(position)) => write!(
            out,
            "  at {:.6}, {:.6} within {:.1} m",
            position.latitude_deg,
            position.longitude_deg,
            position.error_m.unwrap_or(f64::NAN)
        )?,
        Some(None) => write!(out, "  place unknown")?,
        None => (),
    }
    Ok(writeln!(out)?)
}

/// Prints the totals.
pub fn summarise(json: bool, dry_run: bool, tally: &Tally) -> Result<()> {
    let Tally { captures, changed, without_evidence } = tally;
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(tally)?)?;
        return Ok(());
    }
    let verb = if dry_run { "would get" } else { "get" };
    writeln!(out, "{captures} captures looked at, {changed} {verb} another time or place")?;
    if *without_evidence > 0 {
        writeln!(out, "{without_evidence} were stored by an older version, without evidence, and stay as they are")?;
    }
    Ok(())
}
