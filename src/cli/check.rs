//! `bridgeclip check`: what this machine and this installation have, and what to do about what is missing.

use std::io::{IsTerminal, Write};

use anyhow::Result;
use serde::Serialize;

use super::{Outcome, demo};
use crate::encoder::Manifest;
use crate::kernels::{self, Kernel};

/// Look over this machine and this installation: each line says ok, warning or error, and what to do.
///
/// Code 1 if there is an error.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    package: demo::PackageArgs,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Finding {
    name: &'static str,
    state: State,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Error,
}

impl State {
    /// The word, and its colour for a terminal.
    fn word(self) -> (&'static str, &'static str) {
        match self {
            State::Ok => ("ok", "\x1b[32m"),
            State::Warning => ("warning", "\x1b[33m"),
            State::Error => ("error", "\x1b[31m"),
        }
    }
}

impl Finding {
    fn new(name: &'static str, state: State, text: String) -> Self {
        Finding { name, state, text, remedy: None }
    }

    fn remedy(self, text: String) -> Self {
        Finding { remedy: Some(text), ..self }
    }
}

pub fn run(args: &Args) -> Result<Outcome> {
    let findings = [kernel(), package(args)];
    let errors = findings.iter().filter(|finding| finding.state == State::Error).count();
    print(args, &findings)?;
    Ok(Outcome::from_failures(errors))
}

fn kernel() -> Finding {
    let finding = |state, text| Finding::new("kernel", state, text);
    let names: Vec<_> = Kernel::available().iter().map(|kernel| kernel.name).collect();
    let (fastest, all) = (names[0], names.join(", "));
    let variable = Kernel::VARIABLE;
    match kernels::selected() {
        Err(error) => finding(State::Error, error.to_string()).remedy(format!("unset {variable}")),
        Ok(Kernel { name, .. }) if name != fastest => {
            finding(State::Warning, format!("{name}, forced by {variable}; this processor has {all}"))
                .remedy(format!("unset {variable} for the fastest, {fastest}"))
        }
        Ok(Kernel { name, .. }) if name == Kernel::SCALAR.name => finding(
            State::Warning,
            format!("{name}: slow; there is no kernel for this processor's vector instructions"),
        ),
        Ok(Kernel { name, .. }) => finding(State::Ok, format!("{name}; this processor has {all}")),
    }
}

fn package(args: &Args) -> Finding {
    match args.package.open() {
        Err(error) => Finding::new("package", State::Error, super::describe(&error))
            .remedy("install the package again, or name another with --package DIR".to_owned()),
        Ok(package) => {
            let Manifest { name, version, architecture, precision, .. } = package.manifest();
            Finding::new("package", State::Ok, format!("{name} {version}, {architecture}, {precision}"))
        }
    }
}

fn print(args: &Args, findings: &[Finding]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if args.json {
        let ok = findings.iter().all(|finding| finding.state != State::Error);
        writeln!(out, "{}", serde_json::json!({ "ok": ok, "findings": findings }))?;
        return Ok(());
    }
    let colours = out.is_terminal();
    for Finding { name, state, text, remedy } in findings {
        let (word, colour) = state.word();
        let (colour, end) = if colours { (colour, "\x1b[0m") } else { ("", "") };
        writeln!(out, "{colour}{word:<8}{end} {name:<8} {text}")?;
        if let Some(remedy) = remedy {
            writeln!(out, "                  {remedy}")?;
        }
    }
    Ok(())
}
