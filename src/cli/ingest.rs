//! `bridgeclip ingest`: imports photos from a card, on command.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use indicatif::ProgressBar;
use serde::Serialize;

use super::device::{DeviceArgs, reader};
use super::outcome::Outcome;
use super::stop::stop_on_signal;
use super::{present, progress};
use crate::daemon::{self, Daemon, DaemonEvent};
use crate::domain::Verdict;

/// Import photos by hand, a card for instance, with everything below the given folders.
///
/// The results join those of the daemon, which delivers them when it runs next. Photos that are known already are not
/// processed again, and those that failed before are tried again. No photo is moved, changed or deleted. Ctrl-C stops
/// after the current photo; the same command resumes from there.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// One JSON object per photo and line.
    #[arg(long)]
    json: bool,
    /// Photos, and folders to look through.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.device.config()?;
    for path in &args.paths {
        ensure!(path.exists(), "{}: no such file or folder", path.display());
    }
    let data_dir = &config.device.data_dir;
    ensure!(
        !daemon::is_running(data_dir),
        "{}: a daemon works on this data folder; mount the card or copy the photos below a folder that it watches, \
         or stop it and repeat this",
        data_dir.display(),
    );
    let report = Arc::new(Mutex::new(Report::new(args.json)));
    let shared = Arc::clone(&report);
    let note = move |notice| shared.lock().unwrap_or_else(PoisonError::into_inner).note(notice);
    let import = Daemon::import(&config, args.paths.clone(), note)?;
    stop_on_signal(import.stopper())?;
    let waiting = import.run();
    let queue = reader(&config)?.outbox_depth()?.total();
    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
    report.finish(waiting, queue)
}

/// Reports each file, and counts.
struct Report {
    bar: ProgressBar,
    json: bool,
    captured: usize,
    known: usize,
    failed: usize,
    /// Outcome of printing: the first error, if there was one.
    written: io::Result<()>,
}

/// One line of `--json`.
#[derive(Serialize)]
struct ImportedLine<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'a Verdict>,
    /// Whether the photo was classified before.
    known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Report {
    fn new(json: bool) -> Self {
        let bar = progress::bar(0, "photos");
        Report { bar, json, captured: 0, known: 0, failed: 0, written: Ok(()) }
    }

    fn note(&mut self, notice: DaemonEvent) {
        match notice {
            DaemonEvent::Started { path, waiting } => self.start(&path, waiting),
            DaemonEvent::Captured { path, sequence, verdict, .. } => {
                self.captured += 1;
                self.tell(&path, |line| ImportedLine { sequence: Some(sequence), verdict: Some(&verdict), ..line });
            }
            DaemonEvent::Known { path } => {
                self.known += 1;
                self.tell(&path, |line| ImportedLine { known: true, ..line });
            }
            DaemonEvent::Failed { path, reason } => {
                self.failed += 1;
                self.bar.suspend(|| eprintln!("bridgeclip: {}: {reason}", path.display()));
                self.tell(&path, |line| ImportedLine { error: Some(&reason), ..line });
            }
            DaemonEvent::Changed { .. } | DaemonEvent::QueueChanged | DaemonEvent::Link(_) => (),
        }
    }

    fn start(&self, path: &Path, waiting: usize) {
        self.bar.set_length((self.captured + self.known + self.failed + 1 + waiting) as u64);
        self.bar.set_message(present::file_name(path).into_owned());
    }

    fn tell<'a>(&mut self, path: &Path, fill: impl FnOnce(ImportedLine<'a>) -> ImportedLine<'a>) {
        self.bar.inc(1);
        if !self.json || self.written.is_err() {
            return;
        }
        let line = fill(ImportedLine { file: "", sequence: None, verdict: None, known: false, error: None });
        let line = ImportedLine { file: &path.to_string_lossy(), ..line };
        let text = serde_json::to_string(&line).expect("string keys and finite numbers");
        self.written = self.bar.suspend(|| writeln!(io::stdout(), "{text}"));
    }

    fn finish(&mut self, waiting: usize, queue: u64) -> Result<Outcome> {
        self.bar.finish_and_clear();
        std::mem::replace(&mut self.written, Ok(()))?;
        if !self.json {
            let Report { captured, known, failed, .. } = self;
            let mut out = io::stdout();
            writeln!(
                out,
                "{captured} classified, {known} known already, {failed} failed; {queue} events in the queue"
            )?;
        }
        if waiting > 0 {
            eprintln!("bridgeclip: stopped; {waiting} files are left, the same command goes on with them");
            return Ok(Outcome::Stopped);
        }
        Ok(Outcome::from_failures(self.failed))
    }
}
