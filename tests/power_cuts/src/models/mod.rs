//! What a power cut leaves of a drive.
//!
//! A recording is cut at some entry. What a sync before the cut covers is on the drive; of everything else each model says
//! what may be there and what not. The approach is that of ALICE (Pillai et al., OSDI 2014) and CrashMonkey (Mohan et al.,
//! OSDI 2018): states that the file system's promises allow, not only those that one kernel happens to produce.
//!
//! Two questions, two answers each, make four models.
//!
//! **Names** (creating, renaming, linking, removing, permissions, sizes that are set):
//! - [`Names::Journal`], as ext4 and XFS keep them: in the order in which they were made. A cut undoes the last of them.
//!   `fsync` of a file or folder makes durable what was done to it, and everything before that. A rename is one step.
//! - [`Names::Free`], what POSIX promises and no more: each name in each folder for itself. Only `fsync` of the folder
//!   makes its names durable. Of a rename that is not, the new name, the old one, both or neither may be there. File
//!   systems without a journal of names (ext2, FAT, exFAT), those that log single files (btrfs, F2FS, ext4 with
//!   fast commits), and network file systems come near to it in one place or another.
//!
//! **Bytes** that were written and not synced:
//! - [`Bytes::Pages`]: each page of 4 KiB of each write is there or not, in any order; a file grows from its old end on
//!   without gaps. So do ext4 with `data=ordered` and XFS on drives that write 4 KiB at a time.
//! - [`Bytes::Sectors`]: each sector of 512 bytes for itself, so that pages are torn; a file may have its new size without
//!   all of its new bytes, with zeros or with what lay there before instead. So do `data=writeback`, FAT, and cheap flash.
//!
//! How much is lost is drawn for each state ([`Mood`]): nothing, everything, each piece by chance, or everything or nothing
//! but what belongs to one file or folder. The last finds the one forgotten sync among many that were made.

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

/// What a file system and its drive promise.
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

/// How much of what is not covered is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    Nothing,
    Everything,
    /// Each piece is kept with this chance, in percent.
    Each(u64),
    /// Only what belongs to this file or folder is lost.
    Just(Ino),
    /// Only what belongs to this file or folder is kept.
    AllBut(Ino),
}

/// A power cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// What was done from this entry on was never done.
    pub entry: usize,
    pub model: Model,
    pub mood: Mood,
    /// Of the chance with which pieces are kept.
    pub seed: u64,
    pub syncs: Syncs,
}

pub use draw::{PROMISES_MAX, promises};
pub use syncs::{Forgotten, Syncs};

impl Cut {
    /// The cut of this number. Those below the number of [`promises`] come just after each of them; others are drawn.
    pub fn draw(recording: &Recording, model: Model, seed: u64, syncs: Syncs) -> Self {
        draw::cut(recording, model, seed, syncs)
    }

    fn coverage(&self, recording: &Recording) -> Coverage {
        Coverage::of(recording, self.entry, self.model.names, self.syncs)
    }
}

/// What is left, and what was lost, in words.
pub struct Left {
    pub disk: Disk,
    pub lost: Vec<String>,
}

/// What a cut leaves.
pub fn left(recording: &Recording, cut: &Cut) -> Left {
    rebuild::rebuild(recording, cut, &mut Random::new(cut.seed))
}

#[cfg(test)]
mod tests;
