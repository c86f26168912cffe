//! Syncs that a control removes.

use std::fmt;

use crate::disk::Ino;
use crate::recording::{Recording, Sync};

/// Choice of the syncs that take effect.
#[derive(Clone, Copy, Debug)]
pub enum Syncs {
    All,
    /// No sync takes effect: everything may be lost that was not on the drive at the start.
    None,
    /// All syncs but some take effect, as if the program had forgotten those.
    But(Forgotten),
}

/// Files and folders whose syncs are forgotten. The bench must detect a program that does so.
#[derive(Clone, Copy, Debug)]
pub struct Forgotten {
    pub name: &'static str,
    /// Reports whether a file or folder is one of them, by its last known path.
    is: fn(&str) -> bool,
}

impl Forgotten {
    pub const ALL: [Forgotten; 9] = [
        Forgotten { name: "log-of-the-database", is: |path| path == "/data/device.db-wal" },
        Forgotten { name: "new-database-of-a-salvage", is: |path| path == "/data/device.db" },
        Forgotten { name: "quarantine", is: |path| path == "/data/quarantine" },
        Forgotten { name: "data-folder", is: |path| path == "/data" },
        Forgotten { name: "state-files", is: |path| path.starts_with("/data/") && path.ends_with(".json") },
        Forgotten { name: "key", is: |path| path == "/data/device.key" },
        Forgotten { name: "uploads", is: |path| path.starts_with("/data/uploads/") && path.ends_with(".JPG") },
        Forgotten {
            name: "folders-of-uploads",
            is: |path| path.starts_with("/data/uploads") && !path.ends_with(".JPG"),
        },
        Forgotten { name: "packages", is: |path| path.starts_with("/packages") },
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|forgotten| forgotten.name == name)
    }
}

/// Writes the choice as an option of the command line.
impl fmt::Display for Syncs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Syncs::All => Ok(()),
            Syncs::None => f.write_str(" --without-syncs"),
            Syncs::But(forgotten) => write!(f, " --without-syncs-of {}", forgotten.name),
        }
    }
}

impl Syncs {
    /// Returns a function that reports whether a sync takes no effect.
    pub fn forgotten(self, recording: &Recording) -> impl Fn(&Sync) -> bool + use<> {
        let paths = recording.paths();
        let path = move |ino: &Ino| paths.get(ino).cloned().unwrap_or_default();
        move |sync| match (self, sync) {
            (Syncs::All, _) | (Syncs::But(_), Sync::All) => false,
            (Syncs::None, _) => true,
            (Syncs::But(forgotten), Sync::File { ino, .. } | Sync::Folder(ino)) => (forgotten.is)(&path(ino)),
        }
    }
}
