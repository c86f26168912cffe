//! The changes made to a drive, in order, and the promises made meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::{Disk, Effect, Ino, ROOT};
use crate::promises::Mark;

/// Drive, and everything that was done to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    pub start: Disk,
    /// Promises made before the recording.
    pub before: Vec<Mark>,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Entry {
    Change(Change),
    Sync(Sync),
    Mark(Mark),
}

/// Changes made by one system call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    /// Time in nanoseconds since 1970.
    pub at: u64,
    pub effects: Vec<Effect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sync {
    /// `fsync` of a file, or `fdatasync` if `data_only`.
    File {
        ino: Ino,
        data_only: bool,
    },
    Folder(Ino),
    /// The device was switched off properly, or long ago, so everything is on the drive.
    All,
}

impl Entry {
    fn operation(&self) -> &'static str {
        match self {
            Entry::Change(change) => match change.effects.first() {
                Some(Effect::Node { .. }) => "new files",
                Some(Effect::Name { .. }) if change.effects.len() > 1 => "renames",
                Some(Effect::Name { to: Some(_), .. }) => "links",
                Some(Effect::Name { to: None, .. }) => "removals",
                Some(Effect::Bytes { .. }) => "writes",
                Some(Effect::Size { .. }) => "sizes",
                Some(Effect::Attributes { .. }) | None => "attributes",
            },
            Entry::Sync(Sync::Folder(_)) => "syncs of folders",
            Entry::Sync(_) => "syncs of files",
            Entry::Mark(Mark::Holds(_) | Mark::Kept(_)) => "promises",
            Entry::Mark(Mark::Event { .. }) => "events at the broker",
            Entry::Mark(_) => "other marks",
        }
    }
}

impl Recording {
    /// Returns all marks before the entry `cut`, including those before the recording.
    pub fn marks(&self, cut: usize) -> impl Iterator<Item = &Mark> {
        let marks = self.entries[..cut].iter().filter_map(|entry| match entry {
            Entry::Mark(mark) => Some(mark),
            _ => None,
        });
        self.before.iter().chain(marks)
    }

    /// Returns the first entry and the name of each chapter.
    pub fn chapters(&self) -> Vec<(usize, String)> {
        let first = if self.before.is_empty() { "an empty drive" } else { "recovery from a cut" };
        let mut chapters = vec![(0, first.to_owned())];
        for (index, entry) in self.entries.iter().enumerate() {
            if let Entry::Mark(Mark::Chapter(name)) = entry {
                chapters.push((index, name.clone()));
            }
        }
        chapters
    }

    /// Counts the entries of each kind.
    pub fn operations(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for entry in &self.entries {
            *counts.entry(entry.operation()).or_default() += 1;
        }
        counts
    }

    /// Returns the last known path of each node, for people to read.
    pub fn paths(&self) -> BTreeMap<Ino, String> {
        let named = |effect: &Effect| match effect {
            Effect::Name { folder, name, to: Some(ino) } => Some((*folder, name.clone(), *ino)),
            _ => None,
        };
        let changes = self.entries.iter().filter_map(|entry| match entry {
            Entry::Change(change) => Some(&change.effects),
            _ => None,
        });
        let mut paths = BTreeMap::from([(ROOT, String::new())]);
        for (folder, name, ino) in self.start.names().into_iter().chain(changes.flatten().filter_map(named)) {
            let above = paths.get(&folder).cloned().unwrap_or_default();
            paths.insert(ino, format!("{above}/{name}"));
        }
        paths
    }

    /// Writes the recording to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        fs::write(path, postcard::to_stdvec(self).map_err(io::Error::other)?)
    }

    /// Reads a recording from a file.
    ///
    /// # Errors
    /// If the file cannot be read, or was not written by this version of the bench.
    pub fn load(path: &Path) -> io::Result<Self> {
        postcard::from_bytes(&fs::read(path)?).map_err(io::Error::other)
    }
}
