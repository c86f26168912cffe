//! `bridgeclip deliver`: everything about a bridge, for whoever ordered the inspection.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::device::DeviceArgs;
use super::form::FormLang;
use super::form::work::{refuse_wrong_marks, with_work};
use super::outcome::Outcome;
use crate::assembly;
use crate::durable;
use crate::export::{Filter, Moment, TagFilter};
use crate::forms::{Delivered, Delivery, Package, Template, deliver};
use crate::texts::Lang;

const EXAMPLES: &str = "Examples:
  All bridges of a day, a folder each, with the Japanese forms that ship:
    bridgeclip deliver --since 2026-05-09 --lang ja --out delivery
  One bridge as a zip archive, with the office's own forms:
    bridgeclip deliver --bridge B-12 --template record.xlsx --template members-ja --zip --out delivery";

/// Put everything about a bridge into one folder or archive: forms, photos by their numbers, a list with the hashes of the
/// originals, a GeoPackage for GIS and JSON lines for programs.
///
/// Each bridge appears complete or not at all. The same photos and facts give the same bytes. The daemon may be running.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// The folder for the deliveries; it is made if it is not there.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Only this bridge, as tags name it; all bridges with photos if not given.
    #[arg(long, value_name = "BRIDGE")]
    bridge: Option<String>,
    /// Only photos taken at this time or later: 2026-05-09T08:30:00+09:00, or a day by the zone in the settings.
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only photos taken up to this time, or on this day and before.
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// A form: a workbook or the name of one that ships; can be given several times. All four that ship unless given.
    #[arg(long = "template", value_name = "FORM")]
    templates: Vec<String>,
    /// Language of the forms that ship and of what fills a form.
    #[arg(long, value_enum, value_name = "LANG")]
    lang: Option<FormLang>,
    /// A zip archive for each bridge in place of a folder.
    #[arg(long)]
    zip: bool,
    /// Replace deliveries that are there.
    #[arg(long)]
    force: bool,
    /// One JSON object for each bridge and line.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.device.config()?;
    let templates = templates(args)?;
    let zone = config.intake.camera_utc_offset.0;
    let filter = Filter {
        since: args.since.map(|moment| moment.first(zone)),
        until: args.until.map(|moment| moment.end(zone)),
        place: TagFilter { bridge: args.bridge.clone(), ..TagFilter::default() },
        ..Filter::default()
    };
    with_work(&config, |work| {
        durable::create_folders(&args.out).with_context(|| format!("{}: cannot make it", args.out.display()))?;
        let is_data_dir = args.out.canonicalize()? == config.device.data_dir.canonicalize()?;
        ensure!(!is_data_dir, "{}: the daemon's data folder is no place for deliveries", args.out.display());
        let bridges = work.bridges(&filter)?;
        let mut failures = 0;
        for bridge in &bridges {
            let (progress, step) = (|count| work.looked_at(count), || work.step());
            let delivery = Delivery {
                gather: work.gather(filter.clone(), &progress),
                templates: &templates,
                lang: args.lang.map_or(templates[0].lang, Lang::from),
                limits: assembly::limits(&config),
                memory: &work.memory,
                step: &step,
            };
            let package = if args.zip { Package::Zip } else { Package::Folder };
            let delivered = deliver(&delivery, bridge, &args.out, package, args.force)?;
            failures += delivered.skipped.len() + delivered.damaged as usize;
            work.bar.suspend(|| tell(args, bridge, &delivered))?;
        }
        if bridges.is_empty() {
            eprintln!("bridgeclip: no photo fulfils the conditions");
        }
        Ok(Outcome::from_failures(failures))
    })
}

/// Opens the forms, and refuses those with wrong marks before any photo gets its number.
fn templates(args: &Args) -> Result<Vec<Template>> {
    let lang = args.lang.map(Lang::from);
    let shipped = ["bridge-summary", "members", "damage-photos", "photo-ledger"];
    let shipped = shipped.map(|name| format!("{name}-{}", lang.unwrap_or_default().tag()));
    let names = if args.templates.is_empty() { &shipped[..] } else { &args.templates[..] };
    let opened = names.iter().map(|name| anyhow::Ok(Template::open(name)?.in_language(lang)));
    let opened = opened.collect::<Result<Vec<_>>>()?;
    opened.iter().try_for_each(refuse_wrong_marks)?;
    let mut files: Vec<&str> = opened.iter().map(|template| template.name.as_str()).collect();
    files.sort_unstable();
    let twice = files.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    ensure!(twice.is_none(), "two forms have the name {}; rename one of them", twice.unwrap_or_default());
    Ok(opened)
}

fn tell(args: &Args, bridge: &str, delivered: &Delivered) -> Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        bridge: &'a str,
        path: &'a std::path::Path,
        photos: usize,
        forms: &'a [String],
        skipped: Vec<String>,
    }
    let reason = |skipped: &crate::forms::SkippedFile| {
        format!("photo {}: {}: {}", skipped.number, skipped.path.display(), skipped.reason)
    };
    let skipped: Vec<String> = delivered.skipped.iter().map(reason).collect();
    let mut out = std::io::stdout().lock();
    match args.json {
        true => {
            let Delivered { path, photos, forms, .. } = delivered;
            let line = Line { bridge, path, photos: *photos, forms, skipped };
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        }
        false => {
            let name = if bridge.is_empty() { "no bridge" } else { bridge };
            writeln!(
                out,
                "{name}: {} photos, {} forms in {}",
                delivered.photos,
                delivered.forms.len(),
                delivered.path.display()
            )?;
            for reason in skipped {
                eprintln!("bridgeclip: left out {reason}");
            }
        }
    }
    for mark in &delivered.unknown {
        eprintln!("bridgeclip: sheet \"{}\", cell {}: no fact is named {}", mark.sheet, mark.cell, mark.mark);
    }
    Ok(())
}
