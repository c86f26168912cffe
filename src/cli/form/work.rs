//! What commands that fill forms share: the device, the photos of a bridge, and what is said about the result.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use indicatif::ProgressBar;

use crate::assembly;
use crate::cli::device::{reader, with_journal};
use crate::cli::new_file::NewFile;
use crate::cli::outcome::Outcome;
use crate::cli::{progress, stop};
use crate::config::Config;
use crate::durable;
use crate::export::{ExportError, Filter};
use crate::forms::{self, FormError, Gather, Gathered, Pictures, Settings, Template, check, marks};
use crate::journal::{Journal, Reader};
use crate::photo::MemoryBudget;
use crate::workbook::{FillReport, Value};

/// What to do about a file that cannot be written.
pub fn hint(replace: bool) -> &'static str {
    if replace { "cannot write" } else { "choose another name, or add --force" }
}

/// Fails if a path lies in the daemon's data folder itself.
pub fn refuse_data_dir(config: &Config, path: &Path) -> Result<()> {
    let data_dir = config.device.data_dir.canonicalize()?;
    let is_data_dir = durable::folder(path).canonicalize().is_ok_and(|dir| dir == data_dir);
    ensure!(!is_data_dir, "{}: the daemon's data folder is no place for exports", path.display());
    Ok(())
}

/// Work on the forms of a device.
pub struct Work<'a> {
    pub config: &'a Config,
    pub reader: &'a Reader,
    pub journal: &'a Journal,
    pub memory: MemoryBudget,
    pub settings: Settings,
    pub bar: ProgressBar,
    stop: Arc<AtomicBool>,
}

/// Calls `work` with the device's database opened for reading and writing. The daemon may be running.
pub fn with_work(config: &Config, work: impl FnOnce(&Work) -> Result<Outcome>) -> Result<Outcome> {
    // Fails before a database is made for a device that has never worked.
    reader(config)?;
    let stop = stop::stop_flag()?;
    let outcome = with_journal(config, |journal| {
        let reader = journal.reader()?;
        let work_of_device = Work {
            config,
            reader: &reader,
            journal,
            memory: MemoryBudget::new(assembly::limits(config).photo.memory_bytes_max),
            settings: assembly::forms(config),
            bar: progress::bar(reader.captures()? as usize, "photos"),
            stop,
        };
        let outcome = work(&work_of_device);
        work_of_device.bar.finish_and_clear();
        outcome
    });
    match outcome {
        Err(error) if matches!(error.downcast_ref(), Some(FormError::Stopped)) => Ok(Outcome::Stopped),
        outcome => outcome,
    }
}

impl Work<'_> {
    /// Returns an error once Ctrl-C was pressed.
    pub fn go_on(&self) -> Result<(), ExportError> {
        if self.stop.load(Ordering::Relaxed) { Err(ExportError::Stopped) } else { Ok(()) }
    }

    /// Counts a picture.
    pub fn step(&self) -> Result<(), ExportError> {
        self.bar.inc(1);
        self.go_on()
    }

    /// Counts captures that were looked at.
    pub fn looked_at(&self, count: u64) -> Result<(), ExportError> {
        self.bar.set_position(count);
        self.go_on()
    }

    /// Returns what gathers the photos that pass a filter.
    pub fn gather<'b>(&'b self, filter: Filter, progress: &'b dyn Fn(u64) -> Result<(), ExportError>) -> Gather<'b> {
        Gather {
            reader: self.reader,
            journal: self.journal,
            filter,
            zone: self.config.intake.camera_utc_offset.0,
            settings: &self.settings,
            members: self.config.inspection.members.as_deref(),
            device: self.config.device.name(),
            progress,
        }
    }

    /// Returns the bridges of the photos that pass a filter, by their names in the tags.
    pub fn bridges(&self, filter: &Filter) -> Result<Vec<String>> {
        let zone = self.config.intake.camera_utc_offset.0;
        let found = forms::bridges(self.reader, filter, zone, &|count| self.looked_at(count))?;
        Ok(found.into_iter().map(|(name, _)| name).collect())
    }
}

/// Fills a form with the photos of one bridge.
pub fn fill_form(config: &Config, filter: Filter, template: &Template, path: &Path, replace: bool) -> Result<Outcome> {
    refuse_wrong_marks(template)?;
    with_work(config, |work| {
        refuse_data_dir(config, path)?;
        let bridge = match &filter.place.bridge {
            Some(bridge) => bridge.clone(),
            None => only(&work.bridges(&filter)?)?,
        };
        let progress = |count| work.looked_at(count);
        let gathered = work.gather(filter, &progress).of(&bridge, template.lang)?;
        let mut file = NewFile::create(path, replace).with_context(|| hint(replace))?;
        work.bar.reset();
        work.bar.set_length(gathered.content.photos.len() as u64);
        let step = || work.step();
        let mut pictures = Pictures::new(work.reader, assembly::limits(config), &work.memory, &step);
        let written = forms::write(template, &gathered.content, &mut pictures, BufWriter::new(file.file()));
        let report = written.map_err(|error| match error {
            FormError::Stopped => error.into(),
            error => anyhow::Error::from(error).context(path.display().to_string()),
        })?;
        file.keep()?;
        work.bar.finish_and_clear();
        let name = if bridge.is_empty() { "photos without a bridge".to_owned() } else { format!("bridge {bridge}") };
        let pages: u32 = report.pages.values().sum();
        let pages = if pages > 0 { format!(", {pages} pages") } else { String::new() };
        writeln!(std::io::stdout(), "{} photos of {name} in {}{pages}", gathered.content.photos.len(), path.display())?;
        tell(template, &gathered, &report, &pictures)
    })
}

/// Fails if a mark of the template cannot be where it is, before any photo gets its number.
pub fn refuse_wrong_marks(template: &Template) -> Result<()> {
    let checked = check(template).with_context(|| template.name.clone())?;
    let misplaced = checked.marks.iter().find(|mark| matches!(mark.state, crate::workbook::MarkState::Misplaced(_)));
    if let Some(mark) = misplaced {
        bail!(
            "{}: sheet \"{}\", cell {}: {}: {}",
            template.name,
            mark.sheet,
            mark.cell,
            mark.mark,
            mark.note.as_deref().unwrap_or_default()
        );
    }
    Ok(())
}

/// Returns the only bridge of some.
fn only(bridges: &[String]) -> Result<String> {
    const SHOWN: usize = 8;
    match bridges {
        [bridge] => Ok(bridge.clone()),
        [] => bail!("no photo fulfils the conditions; give the bridge with --bridge for a form without photos"),
        bridges => {
            let named = |name: &String| if name.is_empty() { "none".to_owned() } else { name.clone() };
            let names: Vec<String> = bridges.iter().take(SHOWN).map(named).collect();
            let more = if bridges.len() > SHOWN { ", ..." } else { "" };
            bail!(
                "photos of {} bridges ({}{more}); a form is about one: add --bridge, or deliver all with `bridgeclip \
                 deliver`",
                bridges.len(),
                names.join(", ")
            )
        }
    }
}

/// Says what a form lacks.
fn tell(template: &Template, gathered: &Gathered, report: &FillReport, pictures: &Pictures) -> Result<Outcome> {
    let Pictures { thumbnails, missing, .. } = pictures;
    for mark in &report.unknown {
        eprintln!("bridgeclip: sheet \"{}\", cell {}: no fact is named {}", mark.sheet, mark.cell, mark.mark);
    }
    let counts = [
        (*thumbnails, "photos shown by their thumbnails: their files are gone"),
        (*missing, "photos without a picture: their files and thumbnails are gone"),
        (report.pictures_hidden, "pictures without room in the form: their cells are hidden"),
        (report.texts_cut, "texts cut to what a cell can hold"),
        (gathered.damaged as usize, "damaged captures left out; the daemon salvages what is whole"),
        (gathered.undated as usize, "photos left out whose time is not known: no clock was set"),
    ];
    for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
        eprintln!("bridgeclip: {count} {what}");
    }
    let lacking = lacking(template, gathered)?;
    if !lacking.is_empty() {
        eprintln!(
            "bridgeclip: not known: {}; give it once under [inspection] in the settings, or with `bridgeclip form \
             import`",
            lacking.join(", ")
        );
    }
    Ok(Outcome::from_failures(missing + gathered.damaged as usize))
}

/// Returns the facts that the template asks for and nobody has given.
fn lacking(template: &Template, gathered: &Gathered) -> Result<Vec<String>> {
    let filled = marks::fill(&gathered.content).single;
    let asked: BTreeSet<String> = check(template)?.marks.into_iter().map(|mark| mark.mark).collect();
    let is_given = |name: &str| forms::GIVEN.iter().any(|known| known.name == name);
    let is_asked = |name: &str| asked.iter().any(|mark| mark.trim_matches(['{', '}', ' ']) == name);
    let lacking = filled.into_iter().filter(|(name, value)| *value == Value::Empty && is_given(name) && is_asked(name));
    Ok(lacking.map(|(name, _)| name).collect())
}
