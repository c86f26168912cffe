//! Models of what a power cut leaves on a drive.
//!
//! A recording is cut at some entry. Changes that a sync before the cut covers are on the drive. For all other changes,
//! a model defines which of them may be there. The approach is that of ALICE (Pillai et al., OSDI 2014) and CrashMonkey
//! (Mohan et al., OSDI 2018): it covers all states that the file system's promises allow, not only those that one
//! kernel happens to produce.
//!
//! There are four models, which combine two rules for names with two rules for bytes.
//!
//! **Names** (creating, renaming, linking, removing, permissions, sizes that are set):
//! - [`Names::Journal`], the rule of ext4 and XFS: names change on the drive in the order in which they were changed,
//!   and a cut undoes the last changes. `fsync` of a file or folder makes durable what was done to it, and everything
//!   before that. A rename is one step.
//! - [`Names::Free`], which is all that POSIX promises: each name in each folder is independent, and only `fsync` of
//!   the folder makes its names durable. After a rename without it, the new name, the old one, both or neither may be
//!   there. File systems without a journal of names (ext2, FAT, exFAT), those that log single files (btrfs, F2FS, ext4
//!   with fast commits), and network file systems resemble this in some respects.
//!
//! **Bytes** that were written and not synced:
//! - [`Bytes::Pages`]: each page of 4 KiB of each write is there or not, in any order. A file grows from its old end
//!   without gaps. This is how ext4 with `data=ordered` and XFS behave on drives that write 4 KiB at a time.
//! - [`Bytes::Sectors`]: each sector of 512 bytes is independent, so that pages are torn. A file may have its new size
//!   without all of its new bytes; in their place are zeros, or what was there before. This is how `data=writeback`,
//!   FAT and cheap flash behave.
//!
//! The extent of the loss is random for each state ([`Mood`]): nothing, everything, each piece by chance, only one file
//! or folder, or all but one. The last two find the one forgotten sync among many that were made.

mod coverage;
mod draw;
mod rebuild;
mod syncs;

use serde::{Deserialize, Serialize};

use coverage::Coverage;

use crate::disk::{Disk, Ino};
use crate::recording::Recording;
use crate::support::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Names {
    Journal,
    Free,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bytes {
    Pages,
    Sectors,
}

/// Promises of a file system and its drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    pub names: Names,
    pub bytes: Bytes,
}

impl Model {
    pub const ALL: [Model; 4] = [
        Model { names: Names::Journal, bytes: Bytes::Pages },
        Model { names: Names::Journal, bytes: Bytes::Sectors },
        Model { names: Names::Free, bytes: Bytes::Pages },
        Model { names: Names::Free, bytes: Bytes::Sectors },
    ];

    pub fn name(self) -> &'static str {
        match (self.names, self.bytes) {
            (Names::Journal, Bytes::Pages) => "journal",
            (Names::Journal, Bytes::Sectors) => "journal-torn",
            (Names::Free, Bytes::Pages) => "free",
            (Names::Free, Bytes::Sectors) => "free-torn",
        }
    }
}

/// Extent of the loss among changes that no sync covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    Nothing,
    Everything,
    /// Each piece is kept with this probability, in percent.
    Each(u64),
    /// Only changes to this file or folder are lost.
    Just(Ino),
    /// Only changes to this file or folder are kept.
    AllBut(Ino),
}

/// Power cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Number of the first entry that the cut prevents.
    pub entry: usize,
    pub model: Model,
    pub mood: Mood,
    /// Seed of the random choice of pieces that are kept.
    pub seed: u64,
    pub syncs: Syncs,
}

pub use draw::{PROMISES_MAX, promises};
pub use syncs::{Forgotten, Syncs};

impl Cut {
    /// Returns the cut of this number. Numbers below the number of [`promises`] give cuts directly after each of them;
    /// others are random.
    pub fn draw(recording: &Recording, model: Model, seed: u64, syncs: Syncs) -> Self {
        draw::cut(recording, model, seed, syncs)
    }

    fn coverage(&self, recording: &Recording) -> Coverage {
        Coverage::of(recording, self.entry, self.model.names, self.syncs)
    }
}

/// State of the drive after a cut, and descriptions of the losses.
pub struct Left {
    pub disk: Disk,
    pub lost: Vec<String>,
}

/// Returns what a cut leaves of the drive.
pub fn left(recording: &Recording, cut: &Cut) -> Left {
    rebuild::rebuild(recording, cut, &mut Random::new(cut.seed))
}

#[cfg(test)]
mod tests;
