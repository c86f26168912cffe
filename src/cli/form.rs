//! `bridgeclip form`: an office's own Excel forms: what can be filled, whether a form is marked right, and what the
//! inspection before said.

mod import;
mod sample;
pub mod work;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::new_file::NewFile;
use super::outcome::Outcome;
use crate::forms::{SHIPPED, Template, check, marks};
use crate::texts::Lang;

const EXAMPLES: &str = "Examples:
  Begin with a form that ships, or mark the office's own in Excel:
    bridgeclip form write damage-photos-ja --out form.xlsx
  See whether all marks are known, and the form with sample values:
    bridgeclip form check form.xlsx --sample sample.xlsx
  Fill it for a bridge:
    bridgeclip export --format xlsx --template form.xlsx --bridge B-12 --out B-12.xlsx
  Read what the inspection before said:
    bridgeclip form import B-12-2021.xlsx --bridge B-12";

/// Fill an office's own Excel forms: see what a form can ask for, check a form, and read the forms of the inspection
/// before.
///
/// A form is a workbook with marks in its cells, such as {{bridge.name}} and {{photo.picture}}. Everything else of the
/// workbook stays as it is. `bridgeclip export --format xlsx` fills one form, `bridgeclip deliver` all of a bridge.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    List(ListArgs),
    Marks(MarksArgs),
    Write(WriteArgs),
    Check(CheckArgs),
    Import(import::ImportArgs),
    Last(import::LastArgs),
    Forget(import::ForgetArgs),
}

/// Language of what is shown or filled.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FormLang {
    En,
    Ja,
}

impl From<FormLang> for Lang {
    fn from(lang: FormLang) -> Self {
        match lang {
            FormLang::En => Lang::En,
            FormLang::Ja => Lang::Ja,
        }
    }
}

/// List the forms that ship with the program. They are not the official forms of any office.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// One JSON object for each form and line.
    #[arg(long)]
    json: bool,
}

/// List every mark that a form may have, with its meaning.
#[derive(Debug, clap::Args)]
pub struct MarksArgs {
    /// Language of the meanings.
    #[arg(long, value_enum, default_value = "en")]
    lang: FormLang,
    /// One JSON object for each mark and line, with both languages.
    #[arg(long)]
    json: bool,
}

/// Write a form that ships into a file, to be changed in Excel.
#[derive(Debug, clap::Args)]
pub struct WriteArgs {
    /// Name of the form, as `bridgeclip form list` shows it.
    #[arg(value_name = "NAME")]
    name: String,
    /// The file to write; NAME.xlsx in this folder if not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
}

/// Check a form: which marks are known, which cells they fill, and what is wrong. Exit code 1 if a mark cannot be
/// filled.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The workbook (.xlsx or .xlsm), or the name of a form that ships.
    #[arg(value_name = "FILE")]
    form: String,
    /// Write the form filled with sample values into this file.
    #[arg(long, value_name = "SAMPLE")]
    sample: Option<PathBuf>,
    /// Replace the sample if it is there.
    #[arg(long, requires = "sample")]
    force: bool,
    /// Language of the sample values; that of the form unless given.
    #[arg(long, value_enum)]
    lang: Option<FormLang>,
    /// One JSON object for each mark and line.
    #[arg(long)]
    json: bool,
}

pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::List(args) => list(args),
        Command::Marks(args) => list_marks(args),
        Command::Write(args) => write(args),
        Command::Check(args) => check_form(args),
        Command::Import(args) => import::run(args),
        Command::Last(args) => import::last(args),
        Command::Forget(args) => import::forget(args),
    }
}

fn list(args: &ListArgs) -> Result<Outcome> {
    #[derive(Serialize)]
    struct Line {
        name: &'static str,
        language: &'static str,
        meaning: &'static str,
    }
    let mut out = io::stdout().lock();
    for form in SHIPPED {
        let line = Line { name: form.name, language: form.lang.tag(), meaning: form.meaning[0] };
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string(&line)?)?,
            false => writeln!(out, "{:<20} {}", line.name, line.meaning)?,
        }
    }
    Ok(Outcome::Good)
}

fn list_marks(args: &MarksArgs) -> Result<Outcome> {
    let mut out = io::stdout().lock();
    for line in marks::lines() {
        let [en, ja] = line.meaning;
        match (args.json, args.lang) {
            (true, _) => writeln!(out, "{}", serde_json::json!({"mark": line.name, "en": en, "ja": ja}))?,
            (false, FormLang::En) => writeln!(out, "{:<28} {en}", format!("{{{{{}}}}}", line.name))?,
            (false, FormLang::Ja) => writeln!(out, "{:<28} {ja}", format!("{{{{{}}}}}", line.name))?,
        }
    }
    Ok(Outcome::Good)
}

fn write(args: &WriteArgs) -> Result<Outcome> {
    let shipped = SHIPPED.iter().find(|shipped| shipped.name == args.name);
    let shipped = shipped.with_context(|| format!("{}: no such form; `bridgeclip form list` names them", args.name))?;
    let path = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.xlsx", shipped.name)));
    let mut file = NewFile::create(&path, args.force).with_context(|| work::hint(args.force))?;
    file.file().write_all(shipped.bytes)?;
    file.keep()?;
    writeln!(io::stdout(), "{}", path.display())?;
    Ok(Outcome::Good)
}

fn check_form(args: &CheckArgs) -> Result<Outcome> {
    let template = Template::open(&args.form)?.in_language(args.lang.map(Lang::from));
    let checked = check(&template).with_context(|| args.form.clone())?;
    let mut out = io::stdout().lock();
    for mark in &checked.marks {
        let place = format!("{}!{}", mark.sheet, mark.cell);
        match (args.json, &mark.note) {
            (true, _) => writeln!(out, "{}", serde_json::to_string(mark)?)?,
            (false, None) => writeln!(out, "{place:<24} {}", mark.mark)?,
            (false, Some(note)) => writeln!(out, "{place:<24} {}  WRONG: {note}", mark.mark)?,
        }
    }
    let wrong = checked.wrong().count();
    if let Some(path) = &args.sample {
        sample::write(&template, path, args.force)?;
    }
    if !args.json {
        let hint = if args.sample.is_none() { "; add --sample FILE to see them filled" } else { "" };
        writeln!(out, "{} marks, {wrong} of them wrong{hint}", checked.marks.len())?;
    }
    if checked.marks.is_empty() {
        eprintln!("bridgeclip: {}: the workbook has no marks; `bridgeclip form marks` lists them", args.form);
        return Ok(Outcome::SomeFailed);
    }
    Ok(Outcome::from_failures(wrong))
}
