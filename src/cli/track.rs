//! `bridgeclip track`: tracks of receivers and flight controllers, by which captures get their place.

use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::device::{DeviceArgs, reader, with_journal};
use super::outcome::{Outcome, with_causes};
use crate::config::Config;
use crate::journal::{TrackPiece, TrackSource};
use crate::plain_file;
use crate::position::{Fix, stored};
use crate::tracks::{ReadParams, TrackFile, TrackFix, read};

/// See the device's track, and add tracks from files.
///
/// The daemon keeps the track of its own receiver. Logs of other receivers, of flight controllers and of ground stations
/// help when photos were taken without one. After an import, `bridgeclip place` finds the places of stored captures.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Read track files of receivers and flight controllers, so that photos find their place by them.
    ///
    /// GPX, NMEA logs, MAVLink telemetry logs (.tlog), ArduPilot logs (.bin, .log) and PX4 logs (.ulg) are recognised by
    /// their content. Moments are satellite time; the clock of a ground station counts only if the log has none, and the
    /// report says so. A file that was imported before under the same name is replaced. The daemon may be running.
    /// `bridgeclip place` then finds the places of photos that are stored already.
    Import(ImportArgs),
    /// List the sources of the track, with the times that they cover.
    List(ListArgs),
    /// Remove the track of a source, as the list names it.
    Remove(RemoveArgs),
}

#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// One JSON object per file and line.
    #[arg(long)]
    json: bool,
    /// Track files, of any size; more than 250,000 fixes are thinned.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// One JSON object per source and line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Source of the track.
    #[arg(value_name = "SOURCE")]
    source: String,
}

/// Number of fixes in a piece of an imported track, about 70 KB.
const PIECE: usize = 2_048;

/// One line of `--json`: a file, or the reason why it gave nothing.
#[derive(Serialize)]
struct ImportLine<'a> {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<Imported>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// What a file gave.
#[derive(Serialize)]
struct Imported {
    format: String,
    from: Timestamp,
    to: Timestamp,
    fixes: usize,
    gaps: usize,
    /// Records that were left out, with the reason.
    skipped: Vec<String>,
    /// Pictures that the flight controller knows of.
    images: usize,
    notes: Vec<String>,
}

/// One line of the list.
#[derive(Serialize)]
struct SourceLine {
    source: String,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    pieces: u64,
}

pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::Import(args) => import(args),
        Command::List(args) => list(args),
        Command::Remove(args) => remove(args),
    }
}

fn import(args: &ImportArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    let mut outcome = Outcome::Good;
    for file in &args.files {
        let imported = import_file(&config, file);
        if let Err(error) = &imported {
            outcome = Outcome::SomeFailed;
            if !args.json {
                eprintln!("bridgeclip: {}", with_causes(error));
            }
        }
        print(args.json, file, imported)?;
    }
    Ok(outcome)
}

fn import_file(config: &Config, path: &Path) -> Result<Imported> {
    let named = || path.display().to_string();
    let file = plain_file::open(path).with_context(named)?;
    let latest = Timestamp::now().saturating_add(SignedDuration::from_hours(24)).with_context(named)?;
    let track = read(BufReader::new(file), &ReadParams::until(latest)).with_context(named)?;
    let source = path.file_name().map_or_else(named, |name| name.to_string_lossy().into_owned());
    let pieces = pieces(&track.fixes, &source);
    with_journal(config, |journal| {
        journal.remove_track(&source)?;
        Ok(journal.keep_track(pieces)?)
    })?;
    imported(&track).with_context(named)
}

/// Packs fixes into pieces. No piece reaches over a gap.
fn pieces(fixes: &[TrackFix], source: &str) -> Vec<TrackPiece> {
    let segments = fixes.chunk_by(|_, next| !next.gap_before);
    let pieces = segments.flat_map(|segment| segment.chunks(PIECE)).filter_map(|piece| {
        let fixes: Vec<Fix> = piece.iter().map(fix).collect();
        let (first_ms, last_ms, fixes) = stored::pack(&fixes)?;
        Some(TrackPiece { first_ms, last_ms, source: source.to_owned(), fixes })
    });
    pieces.collect()
}

fn fix(TrackFix { utc, position, speed_mps, .. }: &TrackFix) -> Fix {
    Fix { speed_mps: *speed_mps, ..Fix::new(position.clone(), Some(*utc), 0) }
}

fn imported(track: &TrackFile) -> Result<Imported> {
    let (from, to) = track.span().context("no fix")?;
    Ok(Imported {
        format: track.format.to_string(),
        from,
        to,
        fixes: track.fixes.len(),
        gaps: track.gaps(),
        images: track.images.len(),
        skipped: track.skipped.iter().map(|(reason, count)| format!("{count} {reason}")).collect(),
        notes: track.notes.iter().map(ToString::to_string).collect(),
    })
}

fn print(json: bool, path: &Path, imported: Result<Imported>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let file = path.display().to_string();
    if json {
        let error = imported.as_ref().err().map(with_causes);
        let line = ImportLine { file, track: imported.ok(), error: error.as_deref() };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
        return Ok(());
    }
    let Ok(Imported { format, from, to, fixes, gaps, images, skipped, notes }) = imported else { return Ok(()) };
    writeln!(out, "{file}: {format}, {from:.0} to {to:.0}")?;
    writeln!(out, "  {fixes} fixes, {gaps} interruptions, {images} pictures")?;
    skipped.iter().try_for_each(|reason| writeln!(out, "  left out: {reason}"))?;
    notes.iter().try_for_each(|note| writeln!(out, "  note: {note}"))?;
    Ok(())
}

fn list(args: &ListArgs) -> Result<Outcome> {
    let sources = reader(&args.device.config()?)?.track_sources()?;
    let mut out = std::io::stdout().lock();
    if sources.is_empty() && !args.json {
        writeln!(out, "no track yet: there is no receiver, or it has had no fix, and no file was imported")?;
    }
    for TrackSource { source, pieces, first_ms, last_ms } in sources {
        let [from, to] = [first_ms, last_ms].map(|ms| Timestamp::from_millisecond(ms).ok());
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&SourceLine { source, from, to, pieces })?)?;
        } else {
            let at = |at: Option<Timestamp>| at.map_or_else(|| "?".to_owned(), |at| format!("{at:.0}"));
            writeln!(out, "{source}  {} to {}", at(from), at(to))?;
        }
    }
    Ok(Outcome::Good)
}

fn remove(args: &RemoveArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    let removed = with_journal(&config, |journal| Ok(journal.remove_track(&args.source)?))?;
    if removed == 0 {
        eprintln!("bridgeclip: {}: no such source; `bridgeclip track list` names them", args.source);
        return Ok(Outcome::SomeFailed);
    }
    Ok(Outcome::Good)
}
