//! Many power cuts of one recording, several at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::central::Central;
use crate::check::{Finding, Kind, check};
use crate::device::Place;
use crate::kit::Kit;
use crate::models::{Cut, Model, PROMISES_MAX, Syncs, left, promises};
use crate::promises::Mark;
use crate::recording::Recording;
use crate::support::Random;

/// One in this many devices loses power a second time, while it recovers from the first cut.
const AGAIN_EVERY: usize = 5;
/// Number of states after which a long run reports its progress.
const TOLD_EVERY: usize = 1000;
/// Maximum number of lost pieces that a report shows.
const LOST_SHOWN: usize = 12;

/// Number of states to make, and how to make them.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub states: usize,
    pub seed: u64,
    /// Syncs that take effect. Unless all of them do, the run is a control.
    pub syncs: Syncs,
    pub workers: usize,
    /// Whether one violation is enough.
    pub is_search: bool,
}

/// Results of a plan.
#[derive(Default)]
pub struct Tally {
    /// Number of states, and of states with findings, by model.
    pub models: BTreeMap<&'static str, (usize, usize)>,
    /// Number of states from a second cut.
    pub again: usize,
    pub kinds: BTreeMap<Kind, usize>,
    /// Number of cuts by chapter.
    pub chapters: BTreeMap<String, usize>,
    /// Errors of the bench itself.
    pub faults: Vec<String>,
}

impl Tally {
    pub fn states(&self) -> usize {
        self.models.values().map(|model| model.0).sum()
    }

    pub fn violations(&self) -> usize {
        self.models.values().map(|model| model.1).sum()
    }

    fn is_enough(&self, plan: &Plan) -> bool {
        self.states() >= plan.states || plan.is_search && self.violations() > 0
    }

    fn add(&mut self, cut: &Cut, chapter: &str, findings: &[Finding]) {
        let (states, violations) = self.models.entry(cut.model.name()).or_default();
        *states += 1;
        *violations += usize::from(!findings.is_empty());
        if self.states().is_multiple_of(TOLD_EVERY) {
            println!("{} states, {} with violations so far", self.states(), self.violations());
        }
        *self.chapters.entry(chapter.to_owned()).or_default() += 1;
        let kinds: BTreeSet<Kind> = findings.iter().map(|finding| finding.kind).collect();
        kinds.into_iter().for_each(|kind| *self.kinds.entry(kind).or_default() += 1);
    }
}

/// Recording, with all that is needed to check its states.
pub struct Bench<'a> {
    pub kit: &'a Kit,
    pub recording: &'a Recording,
    /// Folder for drives and the files beside them.
    pub work: PathBuf,
    /// Folder for recordings whose states have violations; without it nothing is kept.
    pub keep: Option<PathBuf>,
    /// Whether violations are expected, and not reported.
    pub is_control: bool,
}

/// Place where states are checked one after another.
struct Worker {
    place: Place,
    central: Central,
}

impl Bench<'_> {
    /// Makes and checks the states of a plan. Reports each violation at once, unless the run is a control.
    pub fn run(&self, plan: &Plan) -> Tally {
        let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
        thread::scope(|scope| {
            for number in 0..plan.workers {
                let (next, tally) = (&next, &tally);
                scope.spawn(move || {
                    if let Err(fault) = self.work(plan, number, next, tally) {
                        tally.lock().expect("no panic").faults.push(fault);
                    }
                });
            }
        });
        tally.into_inner().expect("no panic")
    }

    fn worker(&self, number: usize) -> Result<Worker, String> {
        let place = Place::new(&self.work.join(format!("worker-{number}")));
        Ok(Worker { place: place.map_err(|error| error.to_string())?, central: Central::start() })
    }

    fn work(&self, plan: &Plan, number: usize, next: &AtomicUsize, tally: &Mutex<Tally>) -> Result<(), String> {
        let (worker, promises) = (self.worker(number)?, promises(self.recording).len());
        loop {
            if tally.lock().expect("no panic").is_enough(plan) {
                return Ok(());
            }
            let index = next.fetch_add(1, Ordering::Relaxed);
            let cut = self.cut(plan, index, promises);
            let seed = cut.seed;
            let second = self.state(&worker, self.recording, &cut, "recording", tally)?;
            if let (Some(recording), true) = (second, index % AGAIN_EVERY == AGAIN_EVERY - 1) {
                let cut = Cut::draw(&recording, cut.model, seed | PROMISES_MAX, plan.syncs);
                self.state(&worker, &recording, &cut, &format!("again-{seed}"), tally)?;
                tally.lock().expect("no panic").again += 1;
            }
        }
    }

    /// Chooses a cut. Every other cut follows a promise directly, once with each model, until all promises are used. If
    /// some syncs are forgotten, all cuts come soon after one of these syncs.
    fn cut(&self, plan: &Plan, index: usize, promises: usize) -> Cut {
        let (number, model) = (index / 2 / Model::ALL.len(), Model::ALL[index / 2 % Model::ALL.len()]);
        let mut random = Random::new(plan.seed.wrapping_mul(1 << 32) + index as u64);
        let seed = match plan.syncs {
            Syncs::All | Syncs::None if index.is_multiple_of(2) && number < promises => number as u64,
            _ => random.below(u64::MAX).max(PROMISES_MAX),
        };
        Cut::draw(self.recording, model, seed, plan.syncs)
    }

    /// Checks one state. Returns what was recorded during the check, or `None` if there are findings.
    fn state(
        &self,
        worker: &Worker,
        recording: &Recording,
        cut: &Cut,
        name: &str,
        tally: &Mutex<Tally>,
    ) -> Result<Option<Recording>, String> {
        let left = left(recording, cut);
        let before: Vec<Mark> = recording.marks(cut.entry).cloned().collect();
        let checked = check(self.kit, &worker.place, &worker.central, left.disk, before);
        let checked = checked.map_err(|error| format!("the bench cannot go on: {error}"))?;
        let chapters = recording.chapters();
        let chapter = chapters.iter().rev().find(|chapter| chapter.0 < cut.entry).unwrap_or(&chapters[0]);
        tally.lock().expect("no panic").add(cut, &chapter.1, &checked.findings);
        if checked.findings.is_empty() {
            return Ok(Some(checked.recording));
        }
        if !self.is_control {
            let file = self.save(recording, name);
            print!("{}", report(cut, &chapter.1, &left.lost, &checked.findings, &file));
        }
        Ok(None)
    }

    /// Saves a recording once, however many of its states have violations.
    fn save(&self, recording: &Recording, name: &str) -> String {
        let Some(folder) = &self.keep else { return name.to_owned() };
        let path = folder.join(name);
        let saved = match path.exists() {
            true => Ok(()),
            false => fs::create_dir_all(folder).and_then(|()| recording.save(&path)),
        };
        saved.map_or_else(|error| format!("(not kept: {error})"), |()| path.display().to_string())
    }

    /// Checks one state again.
    ///
    /// # Errors
    /// If the bench itself fails.
    pub fn again(&self, cut: &Cut) -> Result<Tally, String> {
        let tally = Mutex::new(Tally::default());
        self.state(&self.worker(0)?, self.recording, cut, "it", &tally)?;
        Ok(tally.into_inner().expect("no panic"))
    }
}

/// Describes a violation, and how to reproduce it.
fn report(cut: &Cut, chapter: &str, lost: &[String], findings: &[Finding], file: &str) -> String {
    let Cut { entry, model, mood, seed, syncs } = cut;
    let mut text = format!(
        "\nVIOLATION: model {}, seed {seed}, cut before entry {entry} ({chapter}), {mood:?}, {} pieces lost\n",
        model.name(),
        lost.len()
    );
    findings.iter().for_each(|finding| text += &format!("  {finding}\n"));
    // The last losses are nearest to the cut.
    lost.iter().rev().take(LOST_SHOWN).for_each(|lost| text += &format!("  lost {lost}\n"));
    text + &format!("  again: tests/power_cuts/run --replay {file} --model {} --state {seed}{syncs}\n", model.name())
}
