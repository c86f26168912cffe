//! Random choice of where a recording is cut, and how much is lost.

use std::collections::BTreeMap;

use super::{Cut, Model, Mood, Syncs};
use crate::disk::{Effect, Ino};
use crate::promises::Mark;
use crate::recording::{Entry, Recording};
use crate::support::Random;

/// Maximum number of entries between the entry that was chosen and the cut.
const SHORTLY: u64 = 4;
/// Number of entries within which the program completes a step, such as a salvage.
const SOON: u64 = 40;

/// Numbers below this one identify promises: the cut follows the promise directly, and loses everything that it may.
/// Other numbers are seeds.
pub const PROMISES_MAX: u64 = 1 << 32;

pub fn cut(recording: &Recording, model: Model, number: u64, syncs: Syncs) -> Cut {
    let mut random = Random::new(number);
    let cut = |entry: usize, mood: Mood| Cut { entry, model, mood, seed: number, syncs };
    if number < PROMISES_MAX
        && let Some(&place) = promises(recording).get(number as usize)
    {
        return cut(place + 1, Mood::Everything);
    }
    let entry = match syncs {
        Syncs::But(_) => after_a_forgotten_sync(recording, syncs, &mut random),
        Syncs::All | Syncs::None => entry(recording, &mut random),
    };
    let all = cut(entry, Mood::Everything);
    cut(entry, mood(recording, &all, &mut random))
}

/// Chooses a cut after a forgotten sync: soon after it, or after the next promise, because the loss may show at either.
fn after_a_forgotten_sync(recording: &Recording, syncs: Syncs, random: &mut Random) -> usize {
    let (forgotten, entries) = (syncs.forgotten(recording), &recording.entries);
    let is_one = |index: &usize| matches!(&entries[*index], Entry::Sync(sync) if forgotten(sync));
    let places: Vec<usize> = (0..entries.len()).filter(is_one).collect();
    let Some(&place) = pick(&places, random) else { return entries.len() };
    let next_promise = entries[place..].iter().position(|entry| promise(entry).is_some());
    let after = match random.below(2) {
        0 => next_promise.unwrap_or(0) + 1,
        _ => 1 + random.below(SOON) as usize,
    };
    (place + after).min(entries.len())
}

/// Returns the entries of promises: first the first one of each kind, then the second ones, and so on.
pub fn promises(recording: &Recording) -> Vec<usize> {
    let mut counts = BTreeMap::new();
    let mut found = Vec::new();
    for (index, entry) in recording.entries.iter().enumerate() {
        let Some(kind) = promise(entry) else { continue };
        let count = counts.entry(kind).or_insert(0);
        *count += 1;
        found.push((*count, index));
    }
    found.sort_unstable();
    found.into_iter().map(|(_, index)| index).collect()
}

/// Returns the kind of a promise; `None` if the entry is none.
fn promise(entry: &Entry) -> Option<String> {
    let kind = match entry {
        Entry::Mark(Mark::Holds(standing)) => format!("{standing:?}"),
        Entry::Mark(Mark::Kept(lasting)) => format!("{lasting:?}"),
        _ => return None,
    };
    kind.split(['(', ' ']).next().map(str::to_owned)
}

/// Chooses an entry. All chapters are equally likely; within a chapter, the entry follows a promise, a change of names,
/// or anything.
fn entry(recording: &Recording, random: &mut Random) -> usize {
    let chapters = recording.chapters();
    let chapter = random.below(chapters.len() as u64) as usize;
    let begin = chapters[chapter].0;
    let end = chapters.get(chapter + 1).map_or(recording.entries.len(), |next| next.0);
    let is_wanted: fn(&Entry) -> bool = match random.below(5) {
        0 | 1 => |entry| promise(entry).is_some(),
        2 | 3 => names_something,
        _ => |_| true,
    };
    let places: Vec<usize> = (begin..end).filter(|&index| is_wanted(&recording.entries[index])).collect();
    let Some(&place) = pick(&places, random) else { return end };
    (place + 1 + random.below(SHORTLY) as usize).min(recording.entries.len())
}

fn pick<'a, T>(from: &'a [T], random: &mut Random) -> Option<&'a T> {
    from.get(random.below(from.len() as u64) as usize)
}

fn names_something(entry: &Entry) -> bool {
    let is_name = |effect: &Effect| matches!(effect, Effect::Name { .. });
    matches!(entry, Entry::Change(change) if change.effects.iter().any(is_name))
}

fn mood(recording: &Recording, cut: &Cut, random: &mut Random) -> Mood {
    match random.below(8) {
        0 => Mood::Everything,
        1 => Mood::Nothing,
        2 | 3 => Mood::Each([10, 50, 90][random.below(3) as usize]),
        kind => match pick(&uncovered(recording, cut), random) {
            Some(&ino) if kind < 7 => Mood::Just(ino),
            Some(&ino) => Mood::AllBut(ino),
            None => Mood::Everything,
        },
    }
}

/// Returns the files and folders that may lose something.
fn uncovered(recording: &Recording, cut: &Cut) -> Vec<Ino> {
    let coverage = cut.coverage(recording);
    let mut found = Vec::new();
    for (index, entry) in recording.entries[..cut.entry].iter().enumerate() {
        let Entry::Change(change) = entry else { continue };
        found.extend(change.effects.iter().filter(|effect| !coverage.covers(index, effect)).map(object));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Returns the file or folder that a change belongs to.
pub fn object(effect: &Effect) -> Ino {
    match effect {
        Effect::Name { folder, .. } => *folder,
        Effect::Node { ino, .. }
        | Effect::Bytes { ino, .. }
        | Effect::Size { ino, .. }
        | Effect::Attributes { ino, .. } => *ino,
    }
}
