//! `bridgeclip ingest`: imports photos from a card, on command.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use indicatif::ProgressBar;
use serde::Serialize;

use super::device::{DeviceArgs, reader};
use super::outcome::Outcome;
use super::stop::StopSignals;
use super::{present, progress};
use crate::daemon::{Daemon, DaemonEvent};
use crate::domain::{PassedOver, SideKind, Verdict};
use crate::intake::SideFile;

/// Import photos by hand, a card for instance, with everything below the given folders.
///
/// In folders, what lies beside photos is passed over and counted: thumbnails, videos and their low-resolution copies,
/// sound recordings, flight logs and satellite data, sidecar files, files of cameras, systems and file servers, raw
/// files beside a JPEG or HEIC of the same name, and HEIC files beside a JPEG. `--json` names each of them. A file that
/// is given by name is always tried.
///
/// The daemon may be running: the results join its own, and it delivers them. Photos without a position get one from the
/// device's track, by what is known about their camera's clock (`bridgeclip camera`). Photos that are known already are not
/// processed again, and those that failed before are tried again. No photo is moved, changed or deleted. Ctrl-C stops
/// after the current photo; the same command resumes from there.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// One JSON object per line, for each photo and each file that is passed over.
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
    let report = Arc::new(Mutex::new(Report::new(args.json)));
    let shared = Arc::clone(&report);
    let note = move |notice| shared.lock().unwrap_or_else(PoisonError::into_inner).note(notice);
    let signals = StopSignals::catch()?;
    let import = Daemon::import(&config, args.paths.clone(), note)?;
    signals.stop_daemon(import.stopper());
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
    passed_over: PassedOver,
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
    /// What the file is, if it is no photo of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    passed_over: Option<PassedOverPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct PassedOverPart<'a> {
    kind: SideKind,
    reason: &'a str,
}

impl Report {
    fn new(json: bool) -> Self {
        let bar = progress::bar(0, "photos");
        let passed_over = PassedOver::default();
        Report { bar, json, captured: 0, known: 0, failed: 0, passed_over, written: Ok(()) }
    }

    fn note(&mut self, notice: DaemonEvent) {
        match notice {
            DaemonEvent::Started { path, waiting } => self.start(&path, waiting),
            DaemonEvent::Captured { path, sequence, verdict, .. } => {
                self.captured += 1;
                self.bar.inc(1);
                self.tell(&path, |line| ImportedLine { sequence: Some(sequence), verdict: Some(&verdict), ..line });
            }
            DaemonEvent::Known { path } => {
                self.known += 1;
                self.bar.inc(1);
                self.tell(&path, |line| ImportedLine { known: true, ..line });
            }
            DaemonEvent::PassedOver { path, side: SideFile { kind, reason } } => {
                self.passed_over.add(kind);
                let part = PassedOverPart { kind, reason: &reason };
                self.tell(&path, |line| ImportedLine { passed_over: Some(part), ..line });
            }
            DaemonEvent::Failed { path, reason } => {
                self.failed += 1;
                self.bar.inc(1);
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
        if !self.json || self.written.is_err() {
            return;
        }
        let bare =
            ImportedLine { file: "", sequence: None, verdict: None, known: false, passed_over: None, error: None };
        let line = ImportedLine { file: &path.to_string_lossy(), ..fill(bare) };
        let text = serde_json::to_string(&line).expect("string keys and finite numbers");
        self.written = self.bar.suspend(|| writeln!(io::stdout(), "{text}"));
    }

    fn finish(&mut self, waiting: usize, queue: u64) -> Result<Outcome> {
        self.bar.finish_and_clear();
        std::mem::replace(&mut self.written, Ok(()))?;
        if !self.json {
            write!(io::stdout(), "{}", self.summary(waiting, queue))?;
        }
        if waiting > 0 {
            eprintln!("bridgeclip: stopped; {waiting} files are left, the same command goes on with them");
            return Ok(Outcome::Stopped);
        }
        Ok(Outcome::from_failures(self.failed))
    }

    /// Returns the result in words: one line about photos, and one about the files that were passed over.
    fn summary(&self, waiting: usize, queue: u64) -> String {
        let Report { captured, known, failed, passed_over, .. } = self;
        if captured + known + failed + waiting == 0 {
            return match passed_over.total() {
                0 => "no photos found\n".to_owned(),
                total => format!("no photos found, {total} passed over: {passed_over}\n"),
            };
        }
        let photos =
            format!("{captured} classified, {known} known already, {failed} failed; {queue} events in the queue\n");
        let beside = if passed_over.is_empty() { String::new() } else { format!("passed over: {passed_over}\n") };
        photos + &beside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_photos_and_what_was_passed_over() {
        let mut report = Report::new(false);
        assert_eq!(report.summary(0, 5), "no photos found\n");
        for kind in [SideKind::Video, SideKind::Thumbnail, SideKind::Video] {
            report.passed_over.add(kind);
        }
        assert_eq!(report.summary(0, 5), "no photos found, 3 passed over: 1 thumbnail, 2 videos\n");
        let stopped = "0 classified, 0 known already, 0 failed; 5 events in the queue\n";
        assert!(report.summary(1, 5).starts_with(stopped), "photos are left");
        (report.captured, report.failed) = (2, 1);
        let expected = "2 classified, 0 known already, 1 failed; 5 events in the queue\n\
                        passed over: 1 thumbnail, 2 videos\n";
        assert_eq!(report.summary(0, 5), expected);
        report.passed_over = PassedOver::default();
        assert_eq!(report.summary(0, 5).lines().count(), 1);
    }
}
