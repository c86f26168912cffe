//! `bridgeclip collect`: the receiving side, for a central system.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use log::info;

use super::outcome::Outcome;
use super::stop;
use crate::assembly::{self, endpoint};
use crate::collect::{Bounds, CollectError, Collector, Database, DeviceReport, Limits, Params, Report, StoreError};
use crate::config::{CollectConfig, ConfigError};
use crate::uplink::read_secret;

/// Time limit for the report, whose sums take long over a large database.
const REPORT_MAX: Duration = Duration::from_secs(3_600);

/// Receive the events of many devices into a database, each one once, and see what is missing.
///
/// Start as many collectors as the load needs, each with a name of its own: they share the events of their group.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Run(RunArgs),
    Report(ReportArgs),
}

/// Store what arrives, until Ctrl-C or SIGTERM.
///
/// An event is acknowledged when it is in the database, so neither a crash nor a broken link loses one; what the broker
/// sends twice is stored once. While a collector is away the broker keeps its events for a week: before it is taken out
/// of service for good, run it once with --leave.
///
/// What is no event of a device, or cannot be stored in any database, is set aside in the table `refused` with the
/// reason, and holds up nothing. An event that fails because of the database is tried again until it is stored.
/// [collect.limits] bounds the waiting: 10 s for a connection (connect_s), 30 s for a statement (statement_s), 20 s for
/// a lock (lock_s), 60 s for an idle transaction (idle_s), 30 s for a silent network (silence_s). SIGTERM ends it
/// within five seconds in every state.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Take no new events; store those that the broker holds for this collector, end its session, and exit.
    #[arg(long)]
    leave: bool,
}

/// Show for each device how many events are here and which sequence numbers are missing.
///
/// Exits with 1 if some are missing. Those of a device that still delivers may be on their way.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct SettingsArgs {
    /// The settings file; deploy/collect.toml is a commented example.
    #[arg(long, value_name = "FILE", default_value = "/etc/bridgeclip/collect.toml")]
    config: PathBuf,
}

pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::Run(args) => collect(args),
        Command::Report(args) => report(args),
    }
}

fn collect(args: &RunArgs) -> Result<Outcome> {
    let config = CollectConfig::read(&args.settings.config)?;
    let name = config.collect.name.as_str();
    let params = Params {
        endpoint: endpoint(&config.mqtt, format!("bridgeclip-collect-{name}"))?,
        database: database(&config, &args.settings)?,
        limits: assembly::database_limits(config.collect.limits),
        prefix: config.collect.prefix.clone(),
        group: config.collect.group.as_str().to_owned(),
        in_flight: config.mqtt.in_flight.get() as u16,
        leave: args.leave,
    };
    let collector = match Collector::open(params, stop::stop_flag()?) {
        Err(CollectError::Store(StoreError::Stopped(_))) => return Ok(Outcome::Good),
        opened => opened?,
    };
    let collected = collector.run()?;
    info!("{} events and thumbnails, {} known already, {} refused", collected.new, collected.known, collected.refused);
    Ok(Outcome::Good)
}

fn database(config: &CollectConfig, settings: &SettingsArgs) -> Result<Database> {
    let address = match (&config.collect.database, &config.collect.database_file) {
        (Some(address), None) => address.clone(),
        (None, Some(path)) => read_secret(path)?.expose().to_owned(),
        _ => {
            let reason = "[collect]: give either database or database_file".to_owned();
            return Err(ConfigError::Value { path: settings.config.clone(), reason }.into());
        }
    };
    address.parse().context("[collect] database")
}

fn report(args: &ReportArgs) -> Result<Outcome> {
    let config = CollectConfig::read(&args.settings.config)?;
    // The sums over all events take longer than storing a few. Ctrl-C ends the report like any other command.
    let limits = Limits { statement: REPORT_MAX, ..assembly::database_limits(config.collect.limits) };
    let bounds = Bounds { limits, stop: Arc::default() };
    let report = database(&config, &args.settings)?.open(&bounds)?.report()?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(out, "{}", table(&report))?;
    }
    Ok(if report.is_complete() { Outcome::Good } else { Outcome::SomeFailed })
}

fn table(report: &Report) -> String {
    let width = report.devices.iter().map(|device| device.source.len()).max().unwrap_or(0).max(6);
    let mut text =
        format!("{:<width$}  {:>10}  {:>10}  {:>8}  last event\n", "device", "events", "last no.", "missing");
    for DeviceReport { source, events, last_sequence, missing, last_received, gaps } in &report.devices {
        text += &format!("{source:<width$}  {events:>10}  {last_sequence:>10}  {missing:>8}  {last_received:.0}\n");
        for gap in gaps {
            text += &match gap.first == gap.last {
                true => format!("{:width$}  missing {}\n", "", gap.first),
                false => format!("{:width$}  missing {} to {}\n", "", gap.first, gap.last),
            };
        }
    }
    if report.refused > 0 {
        text += &format!("{} messages were refused; the table `refused` says why\n", report.refused);
    }
    text
}
