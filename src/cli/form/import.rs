//! `bridgeclip form import`, `last` and `forget`: what the inspection before said.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::assembly;
use crate::cli::device::{DeviceArgs, reader, with_journal};
use crate::cli::outcome::Outcome;
use crate::config::Config;
use crate::domain::TagText;
use crate::forms::{
    Entry, Facts, LastCycle, LastMember, LastPhoto, Template, completed, open_workbook, read_bounded, read_members_csv,
    read_register, read_workbook, shrink,
};
use crate::journal::{LastEntry, PICTURE_BYTES_MAX};
use crate::photo::MemoryBudget;

/// Maximum size of a list or a register in bytes.
const TEXT_BYTES_MAX: u64 = 64 << 20;
/// Number of notes that are shown; JSON has all.
const NOTES_SHOWN: usize = 40;

/// Read what the inspection before said, so that forms show the last degrees and grades, and coverage knows the members.
///
/// Workbooks give members, photos and pictures: those that this program filled, those with the marks of --template, and
/// others by the labels in their cells. A .csv file is a list of members with their ratings, a .json file the facts of a
/// register such as xROAD. Several files are read as one inspection. What was not understood is listed with sheet and
/// cell. The new reading replaces the last one of that bridge.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Workbooks (.xlsx, .xlsm), lists (.csv) and registers (.json).
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The bridge, as tags name it; lists can name their own.
    #[arg(long, value_name = "ID")]
    bridge: Option<TagText>,
    /// The form by whose marks the workbooks were filled: a workbook or the name of one that ships.
    #[arg(long, value_name = "FORM")]
    template: Option<String>,
    /// Show what would be read, and store nothing.
    #[arg(long)]
    dry_run: bool,
    /// One JSON object for each bridge and line, with everything that was read.
    #[arg(long)]
    json: bool,
}

/// Show what is kept about the inspection before.
#[derive(Debug, clap::Args)]
pub struct LastArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Only this bridge, as tags name it.
    #[arg(long, value_name = "ID")]
    bridge: Option<String>,
    /// One JSON object for each bridge and line.
    #[arg(long)]
    json: bool,
}

/// Forget what is kept about the inspection of a bridge before this one. Photo numbers stay.
#[derive(Debug, clap::Args)]
pub struct ForgetArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// The bridge, as tags name it.
    #[arg(long, value_name = "ID")]
    bridge: String,
}

/// What was read about one bridge.
#[derive(Default, Serialize)]
struct OfBridge {
    bridge: String,
    facts: Facts,
    members: Vec<LastMember>,
    photos: Vec<LastPhoto>,
    /// Number of photos with a picture.
    pictures: usize,
    notes: Vec<String>,
    #[serde(skip)]
    entries: Vec<LastEntry>,
}

pub fn run(args: &ImportArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    let template = args.template.as_deref().map(Template::open).transpose()?;
    let mut read: BTreeMap<String, OfBridge> = BTreeMap::new();
    for path in &args.files {
        read_file(args, &config, path, template.as_ref(), &mut read).with_context(|| path.display().to_string())?;
    }
    if !args.dry_run {
        store(&config, &mut read)?;
    }
    let mut notes = 0;
    for of_bridge in read.values() {
        notes += of_bridge.notes.len();
        tell(args, of_bridge)?;
    }
    ensure!(!read.is_empty(), "the files say nothing about a bridge");
    let is_empty = read.values().all(|read| read.entries.is_empty() && read.facts.is_empty());
    ensure!(!is_empty || notes == 0, "nothing was understood; mark the form and give it with --template");
    Ok(Outcome::Good)
}

fn read_file(
    args: &ImportArgs,
    config: &Config,
    path: &Path,
    template: Option<&Template>,
    read: &mut BTreeMap<String, OfBridge>,
) -> Result<()> {
    let bridge = args.bridge.as_ref().map(TagText::as_str);
    let named = || bridge.context("which bridge? give its name in the tags with --bridge");
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
    match end.as_str() {
        "xlsx" | "xlsm" => {
            let of_bridge = entry(read, named()?);
            let workbook = open_workbook(path)?;
            let found = read_workbook(&workbook, template)?;
            let memory = MemoryBudget::new(assembly::limits(config).photo.memory_bytes_max);
            of_bridge.add_members(found.members);
            of_bridge.facts = completed(std::mem::take(&mut of_bridge.facts), &found.facts);
            of_bridge.notes.extend(found.notes);
            for (photo, part) in found.photos {
                let picture = part.map(|part| {
                    let bytes = workbook.part(&part)?;
                    let made = shrink(&bytes, &assembly::limits(config).photo, &memory);
                    let made = made.filter(|picture| picture.len() <= PICTURE_BYTES_MAX);
                    anyhow::Ok((part, made))
                });
                let picture = match picture.transpose()? {
                    Some((part, None)) => {
                        of_bridge.notes.push(format!("the picture {part} is no photo that can be read"));
                        None
                    }
                    picture => picture.and_then(|(_, made)| made),
                };
                of_bridge.add_photo(photo, picture);
            }
        }
        "csv" => {
            let (members, notes) = read_members_csv(&bytes_of(path)?, bridge)?;
            if let Some(first) = members.keys().next() {
                entry(read, first).notes.extend(notes);
            }
            for (bridge, members) in members {
                let _: TagText = bridge.parse().with_context(|| format!("the bridge {bridge:?}"))?;
                entry(read, &bridge).add_members(members);
            }
        }
        "json" => {
            let bridge = named()?;
            let (facts, notes) = read_register(&bytes_of(path)?, bridge)?;
            let of_bridge = entry(read, bridge);
            of_bridge.facts = completed(std::mem::take(&mut of_bridge.facts), &facts);
            of_bridge.notes.extend(notes);
        }
        _ => bail!("neither a workbook (.xlsx, .xlsm), a list (.csv) nor a register (.json)"),
    }
    Ok(())
}

fn entry<'a>(read: &'a mut BTreeMap<String, OfBridge>, bridge: &str) -> &'a mut OfBridge {
    read.entry(bridge.to_owned()).or_insert_with(|| OfBridge { bridge: bridge.to_owned(), ..OfBridge::default() })
}

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_bounded(path, TEXT_BYTES_MAX)?;
    ensure!(bytes.len() as u64 <= TEXT_BYTES_MAX, "larger than {} MB", TEXT_BYTES_MAX >> 20);
    Ok(bytes)
}

impl OfBridge {
    fn add_members(&mut self, members: Vec<LastMember>) {
        for member in members {
            self.entries.push(kept(&Entry::Member(member.clone()), None));
            self.members.push(member);
        }
    }

    fn add_photo(&mut self, photo: LastPhoto, picture: Option<Vec<u8>>) {
        self.pictures += usize::from(picture.is_some());
        self.entries.push(kept(&Entry::Photo(photo.clone()), picture));
        self.photos.push(photo);
    }
}

fn kept(entry: &Entry, picture: Option<Vec<u8>>) -> LastEntry {
    LastEntry { entry: serde_json::to_string(entry).expect("texts"), picture }
}

/// Stores what was read, each bridge as a whole. Facts that were known before stay unless a file says otherwise.
fn store(config: &Config, read: &mut BTreeMap<String, OfBridge>) -> Result<()> {
    with_journal(config, |journal| {
        let reader = journal.reader()?;
        for (bridge, read) in read.iter_mut() {
            let before = reader.bridge_facts(bridge)?.and_then(|text| serde_json::from_str(&text).ok());
            let facts = completed(read.facts.clone(), &before.unwrap_or_default());
            let facts = (!facts.is_empty()).then(|| serde_json::to_string(&facts)).transpose()?;
            match read.entries.is_empty() {
                true => journal.keep_bridge(bridge, facts)?,
                false => journal.keep_last_cycle(bridge, facts, read.entries.clone())?,
            }
        }
        Ok(())
    })
}

fn tell(args: &ImportArgs, read: &OfBridge) -> Result<()> {
    let mut out = io::stdout().lock();
    if args.json {
        return Ok(writeln!(out, "{}", serde_json::to_string(read)?)?);
    }
    let OfBridge { bridge, facts, members, photos, pictures, notes, .. } = read;
    let verb = if args.dry_run { "would keep" } else { "kept" };
    writeln!(
        out,
        "bridge {bridge}: {verb} {} members, {} photos ({pictures} with pictures), {} facts",
        members.len(),
        photos.len(),
        facts.len()
    )?;
    for note in notes.iter().take(NOTES_SHOWN) {
        writeln!(out, "  {note}")?;
    }
    if notes.len() > NOTES_SHOWN {
        writeln!(out, "  and {} more; --json has all", notes.len() - NOTES_SHOWN)?;
    }
    Ok(())
}

pub fn last(args: &LastArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    let reader = reader(&config)?;
    let mut out = io::stdout().lock();
    for note in reader.bridges()? {
        if args.bridge.as_ref().is_some_and(|bridge| *bridge != note.name) {
            continue;
        }
        let cycle = LastCycle::read(&reader, &note.name)?;
        let facts: Facts = note.facts.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let pictures = cycle.photos.iter().filter(|(_, picture)| picture.is_some()).count();
        if args.json {
            let photos: Vec<&LastPhoto> = cycle.photos.iter().map(|(photo, _)| photo).collect();
            let line = serde_json::json!({"bridge": note.name, "facts": facts, "members": cycle.members,
                "photos": photos, "pictures": pictures, "last_number": note.last_number});
            writeln!(out, "{line}")?;
            continue;
        }
        let name = if note.name.is_empty() { "no bridge" } else { &note.name };
        writeln!(
            out,
            "{name}: {} members, {} photos ({pictures} with pictures), {} facts; last photo number now {}",
            cycle.members.len(),
            cycle.photos.len(),
            facts.len(),
            note.last_number
        )?;
        for (name, fact) in &facts {
            writeln!(out, "  {name:<24} {}", fact.text())?;
        }
    }
    Ok(Outcome::Good)
}

pub fn forget(args: &ForgetArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    let known = reader(&config)?.bridges()?;
    ensure!(
        known.iter().any(|note| note.name == args.bridge),
        "{}: nothing is kept about this bridge; `bridgeclip form last` shows what is",
        args.bridge
    );
    with_journal(&config, |journal| Ok(journal.keep_last_cycle(&args.bridge, None, Vec::new())?))?;
    Ok(Outcome::Good)
}
