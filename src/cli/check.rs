//! `bridgeclip check`: reports what this machine and this installation have, what is missing, and how to fix it.

mod broker;
mod device;
mod finding;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Result;
use jiff::Timestamp;

use self::finding::{Finding, State};
use super::outcome::{Outcome, with_causes};
use super::package_args::PackageArgs;
use crate::assembly;
use crate::config::{Config, PackageConfig};
use crate::kernels::{self, Kernel};
use crate::package::{Manifest, Package};
use crate::position::Ntp;
use crate::reference::Reference;

/// Look over this machine and this installation: each line says ok, warning or error, and what to do.
///
/// Code 1 if there is an error.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    package: PackageArgs,
    /// The settings of the daemon: look over everything that they name, too.
    #[arg(long, value_name = "FILE", conflicts_with = "package")]
    config: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.config.as_deref().map(Config::read).transpose()?;
    let mut findings = vec![machine(), kernel(), clock(Timestamp::now(), Ntp::default().is_synchronised(0))];
    match &config {
        Some(config) => findings.extend(installed(&config.package)),
        None => findings.extend(package(args.package.open())),
    }
    findings.extend(config.iter().flat_map(device::findings));
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

fn machine() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (version, arch) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    Finding::new("program", State::Ok, format!("bridgeclip {version} on {arch}, {cores} cores"))
}

fn clock(now: Timestamp, by_ntp: bool) -> Finding {
    let finding = |state, text: &str| Finding::new("clock", state, format!("{now:.0}, {text}"));
    let year = now.to_zoned(jiff::tz::TimeZone::UTC).year();
    match (2025..=2099).contains(&year) {
        false => finding(State::Error, "which cannot be").remedy("connect to the network, or set the clock".to_owned()),
        true if by_ntp => finding(State::Ok, "kept by NTP"),
        true => finding(State::Warning, "not kept by NTP")
            .remedy("times come from satellites or cameras, or are marked as unsynced".to_owned()),
    }
}

/// Checks the package that the daemon would start with, and the keys that it trusts.
fn installed(config: &PackageConfig) -> Vec<Finding> {
    let source = assembly::package_source(config);
    let dir = source.in_use();
    let mut findings = package(Package::open(&dir).map_err(Into::into));
    let finding = |state, text| Finding::new("trust", state, text);
    findings.push(match config.trusted_keys.verify_folder(&dir) {
        Err(error) => finding(State::Error, error.to_string()).remedy("install a signed package".to_owned()),
        Ok(()) if config.trusted_keys.is_empty() => {
            finding(State::Warning, "packages are accepted without a signature".to_owned())
                .remedy("set [package] trusted_keys (bridgeclip package keygen)".to_owned())
        }
        Ok(()) => finding(State::Ok, "signed with a trusted key".to_owned()),
    });
    findings.extend(source.store.and_then(|store| store.given_up()).map(|given_up| {
        finding(State::Warning, format!("{} was given up at {}: {}", given_up.package, given_up.at, given_up.reason))
            .remedy("the last good package is in use; install a mended one".to_owned())
    }));
    findings
}

fn package(opened: Result<Package>) -> Vec<Finding> {
    let package = match opened {
        Ok(package) => package,
        Err(error) => {
            let remedy = "install the package again, or name another with --package DIR".to_owned();
            return vec![Finding::new("package", State::Error, with_causes(&error)).remedy(remedy)];
        }
    };
    let Manifest { name, version, architecture, precision, .. } = package.manifest();
    let text = format!("{name} {version}, {architecture}, {precision}");
    vec![Finding::new("package", State::Ok, text), reference(&package)]
}

fn reference(package: &Package) -> Finding {
    let finding = |state, text| Finding::new("reference", state, text);
    let opened = package.reference().map_err(anyhow::Error::from);
    match opened.and_then(|path| Ok(Reference::open(&path, package)?.len())) {
        Ok(photos) => finding(State::Ok, format!("{photos} labelled photos")),
        Err(error) => finding(State::Error, with_causes(&error)),
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
        writeln!(out, "{colour}{word:<8}{end} {name:<9} {text}")?;
        if let Some(remedy) = remedy {
            writeln!(out, "                   {remedy}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_right_doubtful_or_wrong() {
        let state = |text: &str, by_ntp| clock(text.parse().expect("a time"), by_ntp).state;
        assert_eq!(state("2026-05-01T00:00:00Z", true), State::Ok);
        assert_eq!(state("2026-05-01T00:00:00Z", false), State::Warning);
        assert_eq!(state("1970-01-01T00:10:00Z", true), State::Error);
    }
}
