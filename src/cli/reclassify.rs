//! `bridgeclip reclassify`: judges stored captures again after a change of the reference or the rule.

use std::borrow::Cow;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use serde::Serialize;

use super::device::{DeviceArgs, reader, with_journal};
use super::outcome::Outcome;
use super::{present, progress, stop};
use crate::assembly;
use crate::domain::Verdict;
use crate::journal::Superseded;
use crate::packages;
use crate::position::boot_id;
use crate::reclassify::{Rejudged, Tally, reclassify, store};

/// Judge all stored photos again with the package and the [classify] settings that the settings file names now.
///
/// Their embeddings are kept, so the photos are not needed. Where classes, urgency or doubts come out differently, an
/// event is queued that takes the place of the earlier result; the others stay as they are. Photos that another image
/// encoder has seen cannot be compared, and are counted. The daemon may be running; restart it, so that it uses the new
/// reference too.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// One JSON object for each changed photo and line, and one with the totals at the end.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.device.config()?;
    let package = packages::open_in_use(&assembly::package_source(&config.package))?;
    let identity = Arc::new(assembly::identity(&config, &package, &boot_id().context("cannot read the boot id")?));
    let reader = reader(&config)?;
    let answerer = assembly::answerer(&config, &package, &reader)?;
    let stop = stop::stop_flag()?;
    let bar = progress::bar(reader.captures()? as usize, "captures");
    let tally = with_journal(&config, |journal| {
        reclassify(reader.result_pages(), &answerer, package.embedding_space(), |looked_at, changed| {
            let made = if args.dry_run { Vec::new() } else { store(journal, &identity, &changed, true)? };
            let is_made = |rejudged: &&Rejudged| args.dry_run || event_of(rejudged, &made).is_some();
            let changed: Vec<_> = changed.iter().filter(is_made).collect();
            bar.suspend(|| changed.iter().try_for_each(|rejudged| print(args, rejudged, event_of(rejudged, &made))))?;
            bar.inc(looked_at);
            let go_on = if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            Ok((changed.len(), go_on))
        })
    })?;
    bar.finish_and_clear();
    summarise(args, &tally)?;
    Ok(if stop.load(Ordering::Relaxed) { Outcome::Stopped } else { Outcome::Good })
}

fn event_of<'a>(rejudged: &Rejudged, made: &'a [Superseded]) -> Option<&'a str> {
    made.iter().find(|made| made.capture == rejudged.capture).map(|made| made.event_id.as_str())
}

/// One line of `--json`: a changed photo.
#[derive(Serialize)]
struct RejudgedLine<'a> {
    capture: i64,
    path: Cow<'a, str>,
    before: &'a Verdict,
    after: &'a Verdict,
    /// Id of the event that reports the change. None in a dry run.
    event_id: Option<&'a str>,
}

fn print(args: &Args, rejudged: &Rejudged, event_id: Option<&str>) -> Result<()> {
    let Rejudged { capture, path, before, after } = rejudged;
    let mut out = std::io::stdout().lock();
    if args.json {
        let line = RejudgedLine { capture: *capture, path: path.to_string_lossy(), before, after, event_id };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
    } else {
        writeln!(out, "{}\n  was  {}\n  now  {}", path.display(), present::line(before), present::line(after))?;
    }
    Ok(())
}

fn summarise(args: &Args, tally: &Tally) -> Result<()> {
    let Tally { captures, changed, of_other_encoders, inspected } = tally;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(tally)?)?;
        return Ok(());
    }
    let verb = if args.dry_run { "would be" } else { "are" };
    writeln!(out, "{captures} captures looked at, {changed} {verb} judged otherwise")?;
    if *inspected > 0 {
        writeln!(out, "{inspected} were judged by an inspector; that stands")?;
    }
    if *of_other_encoders > 0 {
        writeln!(out, "{of_other_encoders} were seen by another image encoder; classify their photos again")?;
    }
    Ok(())
}
