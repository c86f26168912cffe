//! Changes that are certainly on the drive, because a sync followed them.

use std::collections::BTreeMap;

use super::{Names, Syncs};
use crate::disk::{Effect, Ino};
use crate::recording::{Change, Entry, Recording, Sync};

/// Entries before which changes are on the drive, by kind of change.
#[derive(Default)]
pub struct Coverage {
    everything: usize,
    bytes: BTreeMap<Ino, usize>,
    attributes: BTreeMap<Ino, usize>,
    folders: BTreeMap<Ino, usize>,
    /// Entry before which all changes of names and attributes are on the drive, which the journal keeps in one order.
    pub journal: usize,
}

/// Entries of the last changes to each file or folder that the journal keeps.
#[derive(Default)]
struct Touched {
    /// Last change that a file's data depend on, such as its creation.
    needed: BTreeMap<Ino, usize>,
    any: BTreeMap<Ino, usize>,
}

impl Coverage {
    /// Returns the coverage of those syncs before the entry `end` that take effect.
    pub fn of(recording: &Recording, end: usize, names: Names, syncs: Syncs) -> Self {
        let (mut coverage, mut touched) = (Coverage::default(), Touched::default());
        let forgotten = syncs.forgotten(recording);
        for (index, entry) in recording.entries[..end].iter().enumerate() {
            match entry {
                Entry::Change(change) => touched.note(change, index),
                Entry::Sync(sync) if !forgotten(sync) => coverage.cover(*sync, index, &touched, names),
                Entry::Sync(_) | Entry::Mark(_) => (),
            }
        }
        coverage
    }

    fn cover(&mut self, sync: Sync, index: usize, touched: &Touched, names: Names) {
        let journalled = match sync {
            Sync::All => {
                self.everything = index;
                Some(&index)
            }
            Sync::File { ino, data_only } => {
                self.bytes.insert(ino, index);
                if !data_only {
                    self.attributes.insert(ino, index);
                }
                let of = if data_only { &touched.needed } else { &touched.any };
                of.get(&ino)
            }
            Sync::Folder(ino) => {
                self.folders.insert(ino, index);
                self.attributes.insert(ino, index);
                touched.any.get(&ino)
            }
        };
        if let (Names::Journal, Some(&last)) = (names, journalled) {
            self.journal = self.journal.max(last + 1);
        }
    }

    /// Reports whether a change made at this entry is certainly on the drive.
    pub fn covers(&self, index: usize, effect: &Effect) -> bool {
        let before = |place: Option<&usize>| place.is_some_and(|&place| index < place);
        let by_itself = match effect {
            Effect::Node { .. } => true,
            Effect::Bytes { ino, .. } | Effect::Size { ino, .. } => before(self.bytes.get(ino)),
            Effect::Attributes { ino, .. } => before(self.attributes.get(ino)),
            Effect::Name { folder, .. } => before(self.folders.get(folder)),
        };
        by_itself || index < self.everything || is_journalled(effect) && index < self.journal
    }
}

impl Touched {
    fn note(&mut self, change: &Change, index: usize) {
        let is_new = change.effects.iter().any(|effect| matches!(effect, Effect::Node { .. }));
        for effect in change.effects.iter().filter(|effect| is_journalled(effect)) {
            for ino in concerned(effect) {
                self.any.insert(ino, index);
                if is_new || matches!(effect, Effect::Size { .. }) {
                    self.needed.insert(ino, index);
                }
            }
        }
    }
}

/// Reports whether the journal keeps a change in its order.
pub fn is_journalled(effect: &Effect) -> bool {
    !matches!(effect, Effect::Bytes { .. } | Effect::Node { .. })
}

fn concerned(effect: &Effect) -> Vec<Ino> {
    match effect {
        Effect::Name { folder, to, .. } => to.iter().copied().chain([*folder]).collect(),
        Effect::Node { ino, .. }
        | Effect::Bytes { ino, .. }
        | Effect::Size { ino, .. }
        | Effect::Attributes { ino, .. } => vec![*ino],
    }
}
