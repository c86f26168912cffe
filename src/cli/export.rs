//! `bridgeclip export`: the device's photos and their verdicts, as files for other programs.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use clap::ValueEnum;
use clap::error::ErrorKind;
use indicatif::{ProgressBar, ProgressDrawTarget};
use jiff::tz::Offset;

use super::device::{DeviceArgs, reader};
use super::form::FormLang;
use super::form::work::{fill_form, hint, refuse_data_dir};
use super::new_file::NewFile;
use super::outcome::Outcome;
use super::{progress, stop};
use crate::assembly;
use crate::config::Config;
use crate::export::{ExportError, FIELDS, Filter, Job, Moment, Progress, Stream, TagFilter, Tally};
use crate::forms::Template;
use crate::journal::Reader;
use crate::photo::MemoryBudget;
use crate::search::{self, Condition};
use crate::texts::Lang;

const EXAMPLES: &str = "Examples:
  A sheet to print for the inspector of a bridge:
    bridgeclip export --format html --lang ja --bridge B-12 --out sheet.html
  The photos of a day as a layer for QGIS:
    bridgeclip export --format gpkg --since 2026-05-09 --until 2026-05-09 --out photos.gpkg
  Corroded members with rating III, for a spreadsheet:
    bridgeclip export --format csv --bom --where soundness=III --where damage_type=corrosion --out photos.csv
  Positions of the photos for a 3D model in OpenDroneMap, to be put beside them:
    bridgeclip export --format odm --bridge B-12 --out geo.txt
  A form of the office for one bridge, or one that ships (`bridgeclip form list`):
    bridgeclip export --format xlsx --template damage-photos-ja --bridge B-12 --out B-12.xlsx
  File names of what an engineer should see first:
    bridgeclip export --format jsonl --urgent | jq -r .image.file";

/// Write the photos that this device has classified, with what they show, into a file for a map, a spreadsheet, another
/// program or paper.
///
/// The daemon may be running. Each photo comes with its position, if it is known, and with the source and the quality
/// of that position. Photos without a position are included.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// What to write.
    #[arg(long, value_enum, value_name = "FORMAT", required_unless_present = "columns")]
    format: Option<Format>,
    #[command(flatten)]
    filter: FilterArgs,
    /// The file to write, which appears complete or not at all; standard output if not given.
    #[arg(long, value_name = "FILE", required_if_eq_any([("format", "gpkg"), ("format", "xlsx")]))]
    out: Option<PathBuf>,
    /// For xlsx: the form to fill, a workbook with marks or the name of one that ships; see `bridgeclip form`.
    #[arg(long, value_name = "FORM", required_if_eq("format", "xlsx"))]
    template: Option<String>,
    /// Replace the file if it is there.
    #[arg(long, requires = "out")]
    force: bool,
    /// For csv: begin with the byte order mark by which spreadsheets recognise UTF-8.
    #[arg(long)]
    bom: bool,
    /// For html: the language of the sheet, English unless given. For xlsx: that of what fills the form, the form's own
    /// unless given. The other formats have both.
    #[arg(long, value_enum, value_name = "LANG")]
    lang: Option<FormLang>,
    /// Explain the columns of csv, geojson and gpkg, and write nothing.
    #[arg(long, conflicts_with_all = ["format", "out"])]
    columns: bool,
}

/// Which photos; all conditions must hold.
#[derive(Debug, clap::Args)]
struct FilterArgs {
    /// Only photos taken at this time or later: 2026-05-09T08:30:00+09:00, or a day by the zone in the settings.
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only photos taken up to this time, or on this day and before.
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Only photos with this label in their verdict, as in damage_type=cracking or soundness=Ⅲ; can be given several
    /// times.
    #[arg(long = "where", value_name = "CATEGORY=LABEL")]
    conditions: Vec<Condition>,
    /// Only photos whose tag names this bridge.
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
    /// Only photos whose tag names this span.
    #[arg(long, value_name = "SPAN")]
    span: Option<String>,
    /// Only photos whose tag names this member.
    #[arg(long, value_name = "MEMBER")]
    member: Option<String>,
    /// Only photos that an engineer should see first.
    #[arg(long)]
    urgent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Points on a map (RFC 7946).
    Geojson,
    /// A table, one row a photo (UTF-8, commas).
    Csv,
    /// An OGC GeoPackage, for QGIS and other GIS.
    Gpkg,
    /// One JSON object a photo and line, in the form of the events.
    Jsonl,
    /// Waypoints (GPX 1.1), for receivers and maps; only photos with a position.
    Gpx,
    /// Placemarks (KML 2.2), for Google Earth and other globes.
    Kml,
    /// The image geolocation file of OpenDroneMap, geo.txt; only photos with a position of the camera.
    Odm,
    /// An inspection sheet to print on A4: pictures, suggested ratings, room for the inspector's remarks.
    Html,
    /// An Excel form of the office, filled for one bridge: see `bridgeclip form`.
    Xlsx,
}

impl FilterArgs {
    fn filter(&self, zone: Offset) -> Filter {
        Filter {
            since: self.since.map(|moment| moment.first(zone)),
            until: self.until.map(|moment| moment.end(zone)),
            labels: search::Filter(self.conditions.clone()),
            place: TagFilter { bridge: self.bridge.clone(), span: self.span.clone(), member: self.member.clone() },
            urgent: self.urgent,
        }
    }
}

pub fn run(args: &Args) -> Result<Outcome> {
    let Some(format) = args.format else { return explain_columns() };
    refuse_misplaced(args, format)?;
    let config = args.device.config()?;
    if let (Format::Xlsx, Some(path), Some(template)) = (format, &args.out, &args.template) {
        let template = Template::open(template)?.in_language(args.lang.map(Lang::from));
        let filter = args.filter.filter(config.intake.camera_utc_offset.0);
        return fill_form(&config, filter, &template, path, args.force);
    }
    let reader = reader(&config)?;
    let export = Export::new(args, format, &config, &reader)?;
    let written = match &args.out {
        Some(path) => export.to_file(path, args.force),
        None => export.to_stdout(),
    };
    export.bar.finish_and_clear();
    match written {
        Err(error) if matches!(error.downcast_ref(), Some(ExportError::Stopped)) => Ok(Outcome::Stopped),
        written => report(args, written?),
    }
}

fn explain_columns() -> Result<Outcome> {
    let mut out = io::stdout().lock();
    for field in FIELDS {
        writeln!(out, "{:<26} {:<8} {}", field.name, field.kind.name(), field.meaning)?;
    }
    Ok(Outcome::Good)
}

/// Fails if an option belongs to another format and would have no effect.
fn refuse_misplaced(args: &Args, format: Format) -> Result<(), clap::Error> {
    let misplaced = match format {
        Format::Xlsx => args.bom.then_some("--bom is for --format csv"),
        _ if args.template.is_some() => Some("--template is for --format xlsx"),
        Format::Csv => args.lang.map(|_| "--lang is for --format html; a csv file has both languages"),
        Format::Html => args.bom.then_some("--bom is for --format csv"),
        _ if args.bom => Some("--bom is for --format csv"),
        Format::Geojson | Format::Gpkg => {
            args.lang.map(|_| "--lang is for --format html; this format has both languages")
        }
        _ => args.lang.map(|_| "--lang is for --format html; this format is in English"),
    };
    match misplaced {
        Some(message) => Err(clap::Error::raw(ErrorKind::ArgumentConflict, message)),
        None => Ok(()),
    }
}

fn report(args: &Args, tally: Tally) -> Result<Outcome> {
    if let Some(path) = &args.out {
        println!("{} photos in {}", tally.wanted - tally.unplaced, path.display());
    }
    if tally.wanted == 0 {
        eprintln!("bridgeclip: no photo fulfils the conditions");
    }
    if tally.unplaced > 0 {
        eprintln!("bridgeclip: {} photos left out that have no position which the format can hold", tally.unplaced);
    }
    if tally.undated > 0 {
        eprintln!("bridgeclip: {} photos left out whose time is not known: no clock was set", tally.undated);
    }
    if tally.damaged > 0 {
        eprintln!("bridgeclip: {} damaged captures left out; the daemon salvages what is whole", tally.damaged);
    }
    Ok(Outcome::from_failures(tally.damaged as usize))
}

/// One export while it runs.
struct Export<'a> {
    args: &'a Args,
    format: Format,
    config: &'a Config,
    reader: &'a Reader,
    stop: Arc<AtomicBool>,
    bar: ProgressBar,
    memory: MemoryBudget,
}

impl<'a> Export<'a> {
    fn new(args: &'a Args, format: Format, config: &'a Config, reader: &'a Reader) -> Result<Self> {
        let bar = progress::bar(reader.captures()? as usize, "photos");
        if args.out.is_none() && io::stdout().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let memory = MemoryBudget::new(assembly::limits(config).photo.memory_bytes_max);
        Ok(Export { args, format, config, reader, stop: stop::stop_flag()?, bar, memory })
    }

    fn to_stdout(&self) -> Result<Tally> {
        let written = self.write(io::stdout().lock()).map_err(|error| match error {
            // `main` recognises by this error that the reader of the output has gone away.
            ExportError::Write(error) => anyhow::Error::from(error),
            error => error.into(),
        });
        written.context("standard output")
    }

    fn to_file(&self, path: &Path, replace: bool) -> Result<Tally> {
        refuse_data_dir(self.config, path)?;
        let mut file = NewFile::create(path, replace).with_context(|| hint(replace))?;
        let written = match self.format {
            Format::Gpkg => self.job(&self.watch()).write_geopackage(file.path()),
            _ => self.write(file.file()),
        };
        let tally = written.with_context(|| path.display().to_string())?;
        file.keep()?;
        Ok(tally)
    }

    fn write(&self, out: impl Write) -> Result<Tally, ExportError> {
        let form = match self.format {
            Format::Csv => Stream::Csv { bom: self.args.bom },
            Format::Geojson => Stream::Geojson,
            Format::Jsonl => Stream::Jsonl,
            Format::Gpx => Stream::Gpx,
            Format::Kml => Stream::Kml,
            Format::Odm => Stream::Odm,
            Format::Html => Stream::Html(self.args.lang.map(Lang::from).unwrap_or_default()),
            Format::Gpkg | Format::Xlsx => unreachable!("clap asks for a file"),
        };
        self.job(&self.watch()).write(form, out)
    }

    fn job<'b>(&'b self, progress: &'b dyn Fn(Progress) -> Result<(), ExportError>) -> Job<'b> {
        let (config, zone) = (self.config, self.config.intake.camera_utc_offset.0);
        Job {
            reader: self.reader,
            filter: self.args.filter.filter(zone),
            zone,
            limits: assembly::limits(config),
            memory: &self.memory,
            device: config.device.name(),
            members: config.inspection.members.as_deref(),
            progress,
        }
    }

    fn watch(&self) -> impl Fn(Progress) -> Result<(), ExportError> {
        |progress| {
            match progress {
                Progress::LookedAt(count) => self.bar.set_position(count),
                Progress::Pictures(count) => {
                    self.bar.reset();
                    self.bar.set_length(count);
                }
                Progress::Picture => self.bar.inc(1),
            }
            if self.stop.load(Ordering::Relaxed) { Err(ExportError::Stopped) } else { Ok(()) }
        }
    }
}
