//! `bridgeclip status`: what a technician asks first. `bridgeclip queue status` shows the queue in detail.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::camera;
use super::device::{DeviceArgs, reader};
use super::outcome::Outcome;
use super::{api, present};
use crate::config::Config;
use crate::daemon;
use crate::domain::{Category, Failure, PassedOver, Time, TimeQuality};
use crate::drive::Drive;
use crate::journal::{JournalError, Reader, StoredResult};
use crate::members;

/// Number of captures that are shown.
const CAPTURES: usize = 5;

/// Show what was captured, what waits for delivery and what failed, and, while the daemon runs, link, position,
/// temperature and losses.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// List the files that gave no result, with the reason and when it was noted. `bridgeclip retry` tries them again.
    #[arg(long)]
    failed: bool,
    /// One JSON object; with --failed one per file and line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    daemon_running: bool,
    /// Status that the running daemon reports; see /api/v1/status in its OpenAPI document.
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<Value>,
    captures: u64,
    /// The latest captures, newest first.
    last_captures: Vec<LastCapture>,
    /// Number of events that the broker has not acknowledged.
    queue_depth: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_oldest_stored_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_oldest_age_s: Option<i64>,
    failed: usize,
    members: Members,
    /// Clocks of the cameras that the device has met.
    cameras: Vec<camera::Known>,
    /// State of the drive with the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<Drive>,
}

/// Answers about members.
#[derive(Serialize)]
struct Members {
    /// Number of members with an answer that is up to date.
    answered: usize,
    /// Number of members whose photos have changed since their answer, or that have none yet.
    waiting: usize,
    /// Number of answered members by soundness rating.
    ratings: BTreeMap<&'static str, u64>,
}

impl Members {
    fn read(reader: &Reader) -> Result<Self, JournalError> {
        let standing = members::standing(reader)?;
        let mut ratings = BTreeMap::new();
        for rating in standing.answers.values().filter_map(|answer| answer.rating()) {
            *ratings.entry(Category::Soundness.class(rating).en).or_default() += 1;
        }
        Ok(Members { answered: standing.answers.len(), waiting: standing.stale.len(), ratings })
    }

    fn line(&self) -> String {
        let ratings: Vec<String> = self.ratings.iter().map(|(rating, count)| format!("{count} x {rating}")).collect();
        let ratings = if ratings.is_empty() { String::new() } else { format!(" ({})", ratings.join(", ")) };
        format!("{} answered{ratings}, {} waiting", self.answered, self.waiting)
    }
}

#[derive(Serialize)]
struct LastCapture {
    file: String,
    taken: Time,
    verdict: String,
}

#[derive(Serialize)]
struct FailedFile {
    file: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    noted_at: Option<Timestamp>,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.device.config()?;
    let reader = reader(&config)?;
    match args.failed {
        true => print_failed(&reader.failures()?, args.json)?,
        false => print(&Status::read(&reader, &config, Timestamp::now())?, args.json)?,
    }
    Ok(Outcome::Good)
}

impl Status {
    fn read(reader: &Reader, config: &Config, now: Timestamp) -> Result<Self> {
        let queue = reader.outbox_depth()?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            daemon_running: daemon::is_running(&config.device.data_dir),
            daemon: api::get(&config.device.data_dir, "/api/v1/status").unwrap_or_default(),
            captures: reader.captures()?,
            last_captures: reader.last_results(CAPTURES)?.into_iter().map(LastCapture::from).collect(),
            queue_depth: queue.total(),
            queue_oldest_stored_at: queue.oldest_stored_at,
            queue_oldest_age_s: queue.oldest_stored_at.map(|oldest| now.duration_since(oldest).as_secs()),
            failed: reader.failures()?.len(),
            members: Members::read(reader)?,
            cameras: camera::known(reader)?,
            disk: Drive::of(&config.device.data_dir).ok(),
        })
    }
}

impl From<StoredResult> for LastCapture {
    fn from(capture: StoredResult) -> Self {
        LastCapture {
            file: capture.path.to_string_lossy().into_owned(),
            taken: capture.taken,
            verdict: present::line(&capture.verdict),
        }
    }
}

impl From<&Failure> for FailedFile {
    fn from(failure: &Failure) -> Self {
        FailedFile {
            file: failure.path.to_string_lossy().into_owned(),
            reason: failure.reason.clone(),
            noted_at: failure.noted_at,
        }
    }
}

fn print_failed(failures: &[Failure], json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for file in failures.iter().map(FailedFile::from) {
        match json {
            true => writeln!(out, "{}", serde_json::to_string(&file)?)?,
            false => writeln!(out, "{}  {}: {}", noted(&file), file.file, file.reason)?,
        }
    }
    Ok(())
}

fn noted(file: &FailedFile) -> String {
    file.noted_at.map_or_else(|| "at an unknown time".to_owned(), |at| format!("{at:.0}"))
}

fn print(status: &Status, json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(status)?)?;
        return Ok(());
    }
    writeln!(out, "version   {}", status.version)?;
    writeln!(out, "daemon    {}", if status.daemon_running { "running" } else { "not running" })?;
    if let Some(daemon) = &status.daemon {
        print_daemon(&mut out, daemon)?;
    }
    writeln!(out, "captures  {}", status.captures)?;
    match status.queue_oldest_stored_at {
        Some(oldest) => {
            writeln!(out, "queue     {} events, the oldest {} old", status.queue_depth, present::age(oldest))?;
        }
        None => writeln!(out, "queue     empty")?,
    }
    if status.members.answered + status.members.waiting > 0 {
        writeln!(out, "members   {} (bridgeclip members)", status.members.line())?;
    }
    writeln!(out, "failed    {} files (--failed lists them)", status.failed)?;
    if let Some(Drive { free_bytes, bytes }) = status.disk {
        writeln!(out, "disk      {:.1} GB free of {:.1} GB", free_bytes as f64 / 1e9, bytes as f64 / 1e9)?;
    }
    for camera in &status.cameras {
        writeln!(out, "camera    {camera}")?;
    }
    for LastCapture { file, taken, verdict } in &status.last_captures {
        let doubt = if taken.quality == TimeQuality::Unsynced { " (clock not set)" } else { "" };
        writeln!(out, "{:.0}{doubt}  {file}  {verdict}", taken.at)?;
    }
    Ok(())
}

/// Prints what only the running daemon knows.
fn print_daemon(out: &mut impl Write, daemon: &Value) -> Result<()> {
    let text = |key: &str| daemon[key].as_str().unwrap_or("unknown");
    writeln!(out, "package   {}", text("package"))?;
    writeln!(out, "link      {}", text("link"))?;
    match &daemon["position"] {
        Value::Null => writeln!(out, "position  none")?,
        position => writeln!(out, "position  {}", place(position))?,
    }
    if let Some(receiver) = daemon["receiver"].as_object() {
        writeln!(out, "receiver  {}", present::receiver(receiver))?;
        for missing in receiver.get("missing").and_then(Value::as_array).into_iter().flatten() {
            writeln!(out, "MISSING   {}", missing.as_str().unwrap_or_default())?;
        }
    }
    if let Some(celsius) = daemon["temperature_celsius"].as_f64() {
        writeln!(out, "heat      {celsius:.0} degrees Celsius")?;
    }
    if let Some(unreadable) = daemon["unreadable"].as_object() {
        let (files, reason) = (&unreadable["files"], unreadable["reason"].as_str().unwrap_or_default());
        writeln!(
            out,
            "UNREAD    {files} files cannot be read at the moment and are tried again, the last one: {reason}"
        )?;
    }
    if let Ok(passed_over) = PassedOver::deserialize(&daemon["passed_over"]) {
        writeln!(out, "beside    {passed_over} (passed over)")?;
    }
    for door in daemon["closed_doors"].as_array().into_iter().flatten() {
        let text = |key: &str| door[key].as_str().unwrap_or_default();
        writeln!(out, "CLOSED    the page cannot be reached at {} for now: {}", text("listen"), text("reason"))?;
    }
    if let Some(reason) = daemon["link_trouble"].as_str() {
        writeln!(out, "NO LINK   {reason}")?;
    }
    for part in present::held(daemon) {
        writeln!(out, "HELD      {part}")?;
    }
    if let Some(reason) = daemon["full"].as_str() {
        writeln!(out, "FULL      photos are refused: {reason}")?;
    }
    let lost = daemon["losses"].as_object().into_iter().flatten();
    for (what, count) in lost.filter(|(_, count)| count.as_u64() > Some(0)) {
        writeln!(out, "losses    {}: {count}", what.replace('_', " "))?;
    }
    Ok(())
}

/// Returns a line about a position: `35.50000, 139.25000 (serial_gps, differential, HDOP 0.8, 2 s old)`.
fn place(position: &Value) -> String {
    let degrees = |key: &str| position[key].as_f64().unwrap_or(f64::NAN);
    let mut notes: Vec<String> =
        ["source", "quality"].iter().filter_map(|key| Some(position[key].as_str()?.into())).collect();
    notes.extend(position["hdop"].as_f64().map(|hdop| format!("HDOP {hdop:.1}")));
    notes.extend(position["age_s"].as_f64().map(|age| format!("{age:.0} s old")));
    format!("{:.5}, {:.5} ({})", degrees("latitude_deg"), degrees("longitude_deg"), notes.join(", "))
}
