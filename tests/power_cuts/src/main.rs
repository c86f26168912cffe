//! The power-cut bench.
//!
//! A device works on a drive that records everything that is done to it, system call by system call. What the device
//! promised meanwhile to those around it (an answer, an exit code, a message at the broker) is noted between the calls. Then
//! the recording is cut at thousands of places, and for each the drive is put into a state that a power cut may leave
//! ([`models`]). The real program is started on it and has to keep what was promised ([`check`]).
//!
//! The control makes the same states as if no sync had ever been made. If it does not find violations of every kind,
//! the bench proves nothing, and fails.

mod bench;
mod central;
mod check;
mod device;
mod disk;
mod kit;
mod models;
mod mount;
mod promises;
mod recorder;
mod recording;
mod support;
mod workload;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;

use bench::{Bench, Plan, Tally};
use central::Central;
use check::WANTED_OF_CONTROL;
use device::{Device, Place};
use disk::Disk;
use kit::Kit;
use models::{Cut, Model};
use recording::Recording;

/// What was asked for on the command line.
struct Args(Vec<String>);

impl Args {
    fn text(&self, name: &str) -> Option<&str> {
        let place = self.0.iter().position(|arg| arg == name)?;
        self.0.get(place + 1).map(String::as_str)
    }

    fn value<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        self.text(name).map_or(Ok(default), |text| text.parse().map_err(|_| format!("{name}: wrong value `{text}`")))
    }

    fn path(&self, name: &str) -> Result<PathBuf, String> {
        self.text(name).map(PathBuf::from).ok_or_else(|| format!("{name} is missing"))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|arg| arg == name)
    }
}

fn main() -> ExitCode {
    match run(&Args(std::env::args().skip(1).collect())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("power-cuts: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<bool, String> {
    let (work, keep) = (args.path("--work")?, args.path("--keep")?);
    fs::create_dir_all(&keep).map_err(|error| format!("{}: {error}", keep.display()))?;
    let replayed = args.text("--replay").map(Path::new);
    // A recording lies beside its kit.
    let kit = replayed.and_then(Path::parent).unwrap_or(&keep).join("kit");
    let kit = Kit::new(&args.path("--program")?, &args.path("--demo")?, &kit, replayed.is_some())?;
    match replayed {
        Some(file) => replay(args, &kit, work, file),
        None => all(args, &kit, work, keep),
    }
}

fn all(args: &Args, kit: &Kit, work: PathBuf, keep: PathBuf) -> Result<bool, String> {
    let begin = Instant::now();
    let recording = record(kit, &work)?;
    let (entries, chapters) = (recording.entries.len(), recording.chapters().len());
    println!("recorded {entries} changes, syncs and promises in {chapters} chapters, {:.0?}", begin.elapsed());
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = args.value("--workers", cores + 1)?;
    let plan = Plan { states: args.value("--states", 500)?, seed: args.value("--seed", 1)?, syncs: true, workers };
    let control = Plan { states: args.value("--control", 100)?, syncs: false, ..plan };
    let bench = Bench { kit, recording: &recording, work, keep: Some(keep) };
    let control = run_plan("control, without syncs", &bench, &control);
    let is_proof = proves(&control);
    let tally = run_plan("power cuts", &bench, &plan);
    println!("{:.0?} in all", begin.elapsed());
    Ok(is_proof && tally.violations() == 0 && tally.faults.is_empty())
}

fn record(kit: &Kit, work: &Path) -> Result<Recording, String> {
    let fault = |error: std::io::Error| format!("cannot mount a file system (as root, with /dev/fuse): {error}");
    let place = Place::new(&work.join("recorded")).map_err(fault)?;
    let central = Central::start();
    let device = Device::new(kit, &place, &central, Disk::new(recorder::now()), Vec::new()).map_err(fault)?;
    workload::record(device)
}

fn run_plan(name: &str, bench: &Bench, plan: &Plan) -> Tally {
    let begin = Instant::now();
    let tally = bench.run(plan);
    println!(
        "\n{name}: {} states, {} of them of a second cut, {} with violations, {:.0?}, seed {}",
        tally.states(),
        tally.again,
        tally.violations(),
        begin.elapsed(),
        plan.seed
    );
    for (model, (states, violations)) in &tally.models {
        println!("  {model:14} {states:6} states, {violations:5} with violations");
    }
    tally.kinds.iter().for_each(|(kind, count)| println!("  {:14} {count:6} states", format!("{kind:?}")));
    tally.faults.iter().for_each(|fault| println!("  the bench failed: {fault}"));
    tally
}

/// Whether the control has found everything that it must.
fn proves(control: &Tally) -> bool {
    let missing: Vec<_> = WANTED_OF_CONTROL.iter().filter(|kind| !control.kinds.contains_key(kind)).collect();
    if !missing.is_empty() {
        println!("  the control proves nothing: without syncs it found no violation of {missing:?}");
    }
    missing.is_empty() && control.faults.is_empty()
}

fn replay(args: &Args, kit: &Kit, work: PathBuf, file: &Path) -> Result<bool, String> {
    let recording = Recording::load(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let name = args.text("--model").unwrap_or_default();
    let model = Model::ALL.into_iter().find(|model| model.name() == name);
    let model = model.ok_or_else(|| format!("--model: none is called `{name}`"))?;
    let cut = Cut::draw(&recording, model, args.value("--state", 0)?, !args.has("--without-syncs"));
    let bench = Bench { kit, recording: &recording, work, keep: None };
    let tally = bench.again(&cut)?;
    println!("{} violations", tally.violations());
    Ok(tally.violations() == 0)
}
