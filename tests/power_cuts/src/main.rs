//! The power-cut bench.
//!
//! A device works on a drive that records every change, system call by system call. Promises that the device makes
//! meanwhile (an answer, an exit code, a message at the broker) are recorded between the calls. Then the recording is
//! cut at thousands of places, and at each place the drive is put into a state that a power cut may leave ([`models`]).
//! The real program is started on it, and must have kept its promises ([`check`]).
//!
//! Controls make such states as if no sync had ever been made, or as if the program had forgotten the syncs of one file
//! or folder ([`control`]). If a control finds nothing, the bench proves nothing, and fails.

mod bench;
mod central;
mod check;
mod control;
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
use device::{Device, Place};
use disk::Disk;
use kit::Kit;
use models::{Cut, Forgotten, Model, Syncs};
use recording::Recording;

/// Least number of states per chapter at which every chapter must be cut at least once.
const STATES_OF_A_CHAPTER: usize = 20;

/// Arguments of the command line.
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
    let replayed = args.text("--replay").map(Path::new);
    // A recording is in the same folder as its kit.
    let beside = match replayed {
        Some(file) => file.parent().unwrap_or(Path::new(".")).to_owned(),
        None => keep.join(format!("run-{}", recorder::now() / 1_000_000)),
    };
    let kit = Kit::new(&args.path("--program")?, &args.path("--demo")?, &beside.join("kit"), replayed.is_some())?;
    match replayed {
        Some(file) => replay(args, &kit, work, file),
        None => all(args, &kit, work, &beside),
    }
}

fn all(args: &Args, kit: &Kit, work: PathBuf, keep: &Path) -> Result<bool, String> {
    let begin = Instant::now();
    let recording = record(kit, &work)?;
    println!("recorded in {:.0?}:", begin.elapsed());
    recording.operations().iter().for_each(|(name, count)| println!("  {name:22} {count:6}"));
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = args.value("--workers", cores + 1)?;
    let (states, seed) = (args.value("--states", 500)?, args.value("--seed", 1)?);
    let plan = Plan { states, seed, syncs: syncs(args)?, workers, is_search: false };
    let control = Bench { kit, recording: &recording, work: work.clone(), keep: None, is_control: true };
    let is_proof = control::proves(&control, &Plan { states: args.value("--control", 100)?, ..plan });
    let bench = Bench { keep: Some(keep.to_owned()), is_control: false, work, ..control };
    let tally = run_plan("power cuts", &bench, &plan);
    let is_good = tally.violations() == 0 && tally.faults.is_empty() && is_covered(&recording, &tally);
    println!("\n{:.0?} in all", begin.elapsed());
    if is_good {
        fs::remove_dir_all(keep).map_err(|error| format!("{}: {error}", keep.display()))?;
    }
    Ok(is_proof && is_good)
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

/// Reports whether every chapter was cut, and prints how often each was.
fn is_covered(recording: &Recording, tally: &Tally) -> bool {
    println!("  cut in:");
    tally.chapters.iter().for_each(|(chapter, states)| println!("    {chapter:40} {states:6} states"));
    let chapters: Vec<_> = recording.chapters().into_iter().map(|chapter| chapter.1).collect();
    let missing: Vec<_> = chapters.iter().filter(|chapter| !tally.chapters.contains_key(*chapter)).collect();
    // With this many states per chapter, chance leaves none out.
    let are_expected = tally.states() >= chapters.len() * STATES_OF_A_CHAPTER;
    if !missing.is_empty() {
        println!("  never cut in {missing:?}");
    }
    missing.is_empty() || !are_expected
}

fn replay(args: &Args, kit: &Kit, work: PathBuf, file: &Path) -> Result<bool, String> {
    let recording = Recording::load(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let name = args.text("--model").unwrap_or_default();
    let model = Model::ALL.into_iter().find(|model| model.name() == name);
    let model = model.ok_or_else(|| format!("--model: none is called `{name}`"))?;
    let cut = Cut::draw(&recording, model, args.value("--state", 0)?, syncs(args)?);
    let bench = Bench { kit, recording: &recording, work, keep: None, is_control: false };
    let tally = bench.again(&cut)?;
    println!("{} violations", tally.violations());
    Ok(tally.violations() == 0)
}

fn syncs(args: &Args) -> Result<Syncs, String> {
    match args.text("--without-syncs-of") {
        Some(name) => Forgotten::named(name).map(Syncs::But).ok_or_else(|| format!("no syncs are called `{name}`")),
        None if args.has("--without-syncs") => Ok(Syncs::None),
        None => Ok(Syncs::All),
    }
}
