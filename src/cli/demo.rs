//! `bridgeclip demo`: the real daemon on the demo package and its sample photos.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::outcome::Outcome;
use super::package_args::DemoFiles;
use super::present;
use super::stop::StopSignals;
use crate::config::{Broker, Config};
use crate::daemon::{Daemon, DaemonEvent, Stopper};
use crate::journal::{self, Reader};
use crate::uplink::LinkEvent;

/// Show the daemon at work: sample photos arrive one by one, are classified, and their events wait in the queue.
///
/// The demo model knows synthetic pictures only. It shows that everything runs; it says nothing about real bridges.
/// Without --broker the events stay in the queue; with it they are delivered, as soon as the broker is there.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End when every photo has its result (and, with --broker, is delivered); code 0 only if all were classified.
    #[arg(long)]
    exit: bool,
    /// Deliver to this MQTT 5 broker.
    #[arg(long, value_name = "HOST:PORT")]
    broker: Option<Broker>,
    /// Keep the data in this folder; a temporary one if not given.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Time between two photos.
    #[arg(long, value_name = "MS", default_value_t = 300)]
    pause_ms: u64,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let signals = StopSignals::catch()?;
    play(args, |stopper| signals.stop_daemon(stopper))
}

/// Runs the demo, and hands what stops its daemon to `started`.
fn play(args: &Args, started: impl FnOnce(Stopper)) -> Result<Outcome> {
    let files = DemoFiles::find()?;
    let photos = files.photos()?;
    let temporary = tempfile::tempdir().context("cannot create a temporary folder")?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().to_owned());
    let camera = data.join("camera");
    fs::create_dir_all(&camera).with_context(|| format!("{}: cannot create", camera.display()))?;
    let config = Config::parse(&settings(&files.package, &data, &camera, args.broker.as_ref()))?;
    introduce(&files, photos.len(), &camera, args)?;
    let (sender, notices) = mpsc::channel();
    let daemon = Daemon::start(&config, move |notice| drop(sender.send(notice)))?;
    started(daemon.stopper());
    let watch = Watch {
        expected: photos.len(),
        deliver: args.broker.is_some(),
        exit: args.exit,
        reader: Reader::open(&data.join(journal::FILE_NAME))?,
        stopper: daemon.stopper(),
    };
    let watching = thread::spawn(move || watch.follow(&notices));
    let pause = Duration::from_millis(args.pause_ms);
    thread::spawn(move || shoot(&photos, &camera, pause));
    daemon.run();
    watching.join().map_err(|_| anyhow::anyhow!("the demo's printing thread panicked"))?
}

fn introduce(files: &DemoFiles, photos: usize, camera: &Path, args: &Args) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "The demo model knows synthetic pictures only; its answers say nothing about real bridges.")?;
    writeln!(out, "package  {}", files.package.display())?;
    writeln!(out, "camera   {} ({photos} photos will arrive here)", camera.display())?;
    match &args.broker {
        Some(broker) => writeln!(out, "broker   {}:{}", broker.host, broker.port)?,
        None => writeln!(out, "broker   none: events wait in the queue (--broker HOST:PORT delivers them)")?,
    }
    Ok(())
}

/// Returns the settings of the demo, in the form of a user's settings file.
fn settings(package: &Path, data: &Path, camera: &Path, broker: Option<&Broker>) -> String {
    let quoted = |path: &Path| toml::Value::from(path.to_string_lossy().into_owned()).to_string();
    let mut text = format!(
        "[device]\nsite = \"demo\"\nid = \"demo\"\ndata_dir = {}\n\
         [package]\ndir = {}\n\
         [intake]\nfolders = [{}]\nsettle_ms = 100\nrescan_s = 2\nincomplete_s = 5\n",
        quoted(data),
        quoted(package),
        quoted(camera),
    );
    if let Some(Broker { host, port }) = broker {
        // The demo has no subscriber to wait for.
        text += &format!(
            "[mqtt]\nbroker = \"{host}:{port}\"\nplain_text = true\nretry_s_max = 2\nhold_without_subscriber = false\n"
        );
    }
    text
}

/// Copies the photos into the watched folder as a camera does: one by one, each under a temporary name until it is
/// complete.
fn shoot(photos: &[PathBuf], camera: &Path, pause: Duration) {
    for photo in photos {
        let Some(name) = photo.file_name() else { continue };
        let growing = camera.join(format!("{}.part", name.to_string_lossy()));
        if let Err(error) = fs::copy(photo, &growing).and_then(|_| fs::rename(&growing, camera.join(name))) {
            eprintln!("bridgeclip: {}: {error}", photo.display());
        }
        thread::sleep(pause);
    }
}

/// Prints the daemon's notices and decides when the demo is over.
struct Watch {
    expected: usize,
    deliver: bool,
    exit: bool,
    reader: Reader,
    stopper: Stopper,
}

impl Watch {
    fn follow(self, notices: &Receiver<DaemonEvent>) -> Result<Outcome> {
        let (mut seen, mut failed) = (HashSet::new(), 0);
        for notice in notices {
            match &notice {
                DaemonEvent::Captured { path, .. } | DaemonEvent::Known { path } => drop(seen.insert(path.clone())),
                DaemonEvent::Failed { path, .. } => {
                    failed += usize::from(seen.insert(path.clone()));
                }
                DaemonEvent::Started { .. }
                | DaemonEvent::PassedOver { .. }
                | DaemonEvent::Changed { .. }
                | DaemonEvent::QueueChanged => continue,
                DaemonEvent::Link(_) => (),
            }
            let depth = self.reader.outbox_depth()?.total();
            print(&notice, depth)?;
            let delivered = !self.deliver || depth == 0;
            if self.exit && seen.len() >= self.expected && delivered {
                self.stopper.stop();
            }
        }
        let mut out = std::io::stdout().lock();
        let waiting = self.reader.outbox_depth()?.total();
        writeln!(
            out,
            "{} of {} photos classified, {failed} failed, {waiting} events in the queue",
            seen.len() - failed,
            self.expected
        )?;
        let missing = self.expected.saturating_sub(seen.len());
        Ok(Outcome::from_failures(failed + if self.exit { missing } else { 0 }))
    }
}

fn print(notice: &DaemonEvent, depth: u64) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match notice {
        DaemonEvent::Started { .. }
        | DaemonEvent::PassedOver { .. }
        | DaemonEvent::Changed { .. }
        | DaemonEvent::QueueChanged => (),
        DaemonEvent::Captured { path, verdict, .. } => {
            writeln!(out, "{:<16} {}  [queue {depth}]", present::file_name(path), present::line(verdict))?;
        }
        DaemonEvent::Known { path } => writeln!(out, "{:<16} known already", present::file_name(path))?,
        DaemonEvent::Failed { path, reason } => writeln!(out, "{:<16} no result: {reason}", present::file_name(path))?,
        DaemonEvent::Link(LinkEvent::Online) => writeln!(out, "link up  [queue {depth}]")?,
        DaemonEvent::Link(LinkEvent::Offline(reason)) => writeln!(out, "link down: {reason}  [queue {depth}]")?,
        DaemonEvent::Link(LinkEvent::Refused(reason)) => writeln!(out, "link refused: {reason}  [queue {depth}]")?,
        DaemonEvent::Link(LinkEvent::SetAside(event, reason)) => writeln!(out, "event {event} set aside: {reason}")?,
        DaemonEvent::Link(LinkEvent::Held { what, reason }) => writeln!(out, "{what} held: {reason}  [queue {depth}]")?,
        DaemonEvent::Link(LinkEvent::Lifted(what)) => writeln!(out, "{what} taken again  [queue {depth}]")?,
        DaemonEvent::Link(LinkEvent::Delivered(count)) => writeln!(out, "delivered {count}  [queue {depth}]")?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the whole daemon in this process, which an emulator of another processor can do too.
    #[test]
    fn every_photo_of_the_demo_is_classified() {
        let args = Args { exit: true, broker: None, data: None, pause_ms: 0 };
        assert_eq!(play(&args, drop).expect("the demo runs"), Outcome::Good);
    }
}
