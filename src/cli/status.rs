//! `bridgeclip status`: what a technician asks first.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;

use super::{Outcome, present};
use crate::config::Config;
use crate::daemon;
use crate::domain::Failure;
use crate::journal::{self, Reader, StoredCapture};

/// Captures that are shown.
const CAPTURES: usize = 5;

/// Show what was captured, what waits for delivery and what failed; the daemon need not run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The settings file of the daemon.
    #[arg(long, value_name = "FILE", default_value = "/etc/bridgeclip/config.toml")]
    config: PathBuf,
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
    captures: u64,
    /// The newest first.
    last_captures: Vec<LastCapture>,
    /// Events that the broker has not acknowledged.
    queue_depth: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_oldest: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_oldest_age_s: Option<i64>,
    failed: usize,
    disk_free_bytes: u64,
    disk_bytes: u64,
}

#[derive(Serialize)]
struct LastCapture {
    file: String,
    stored_at: Timestamp,
    verdict: String,
}

#[derive(Serialize)]
struct FailedFile {
    file: String,
    reason: String,
    noted_at: Timestamp,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let data_dir = Config::read(&args.config)?.device.data_dir;
    let path = data_dir.join(journal::FILE_NAME);
    let reader = Reader::open(&path).with_context(|| {
        format!("{}: the daemon has not run with these settings yet, or this user may not read it", path.display())
    })?;
    match args.failed {
        true => print_failed(&reader.failures()?, args.json)?,
        false => print(&Status::read(&reader, &data_dir, Timestamp::now())?, args.json)?,
    }
    Ok(Outcome::Good)
}

impl Status {
    fn read(reader: &Reader, data_dir: &Path, now: Timestamp) -> Result<Self> {
        let disk = rustix::fs::statvfs(data_dir).with_context(|| format!("{}: cannot read", data_dir.display()))?;
        let queue_oldest = reader.outbox_oldest()?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            daemon_running: daemon::is_running(data_dir),
            captures: reader.captures()?,
            last_captures: reader.last_captures(CAPTURES)?.into_iter().map(LastCapture::from).collect(),
            queue_depth: reader.outbox_depth()?,
            queue_oldest,
            queue_oldest_age_s: queue_oldest.map(|oldest| now.duration_since(oldest).as_secs()),
            failed: reader.failures()?.len(),
            disk_free_bytes: disk.f_bavail * disk.f_frsize,
            disk_bytes: disk.f_blocks * disk.f_frsize,
        })
    }
}

impl From<StoredCapture> for LastCapture {
    fn from(capture: StoredCapture) -> Self {
        LastCapture {
            file: capture.path.to_string_lossy().into_owned(),
            stored_at: capture.stored_at,
            verdict: present::stored_line(&capture.verdict),
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
            false => writeln!(out, "{:.0}  {}: {}", file.noted_at, file.file, file.reason)?,
        }
    }
    Ok(())
}

fn print(status: &Status, json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(status)?)?;
        return Ok(());
    }
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    writeln!(out, "version   {}", status.version)?;
    writeln!(out, "daemon    {}", if status.daemon_running { "running" } else { "not running" })?;
    writeln!(out, "captures  {}", status.captures)?;
    match status.queue_oldest.zip(status.queue_oldest_age_s) {
        Some((oldest, age_s)) => {
            writeln!(out, "queue     {} events, the oldest from {oldest:.0} ({age_s} s ago)", status.queue_depth)?;
        }
        None => writeln!(out, "queue     empty")?,
    }
    writeln!(out, "failed    {} files (--failed lists them)", status.failed)?;
    let (free, size) = (gigabytes(status.disk_free_bytes), gigabytes(status.disk_bytes));
    writeln!(out, "disk      {free:.1} GB free of {size:.1} GB")?;
    for LastCapture { file, stored_at, verdict } in &status.last_captures {
        writeln!(out, "{stored_at:.0}  {file}  {verdict}")?;
    }
    Ok(())
}
