//! The state of a drive after a cut.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::coverage::{Coverage, is_journalled};
use super::draw::object;
use super::{Bytes, Cut, Left, Mood, Names};
use crate::disk::{Disk, Effect, Ino, Kind, ROOT};
use crate::recording::{Change, Entry, Recording};
use crate::support::Random;

const PAGE: u64 = 4096;
const SECTOR: u64 = 512;

pub fn rebuild(recording: &Recording, cut: &Cut, random: &mut Random) -> Left {
    let entries = &recording.entries[..cut.entry];
    let coverage = cut.coverage(recording);
    let mut rebuilding = Rebuilding {
        cut,
        journal_end: journal_end(&coverage, cut, random),
        coverage,
        random,
        disk: recording.start.clone(),
        shortened: BTreeSet::new(),
        untruncated: BTreeSet::new(),
        lost: Vec::new(),
        paths: recording.paths(),
    };
    for (index, entry) in entries.iter().enumerate() {
        if let Entry::Change(change) = entry {
            rebuilding.change(index, change);
        }
    }
    rebuilding.untangle();
    Left { disk: rebuilding.disk, lost: rebuilding.lost }
}

/// Returns the entry up to which the journal reached the drive.
fn journal_end(coverage: &Coverage, cut: &Cut, random: &mut Random) -> usize {
    match cut.mood {
        Mood::Nothing => cut.entry,
        Mood::Everything => coverage.journal,
        _ => coverage.journal + random.below((cut.entry - coverage.journal) as u64 + 1) as usize,
    }
}

struct Rebuilding<'a> {
    cut: &'a Cut,
    journal_end: usize,
    coverage: Coverage,
    random: &'a mut Random,
    disk: Disk,
    /// Files whose end was lost. With [`Bytes::Pages`], nothing beyond the lost part is there.
    shortened: BTreeSet<Ino>,
    /// Files whose new size did not reach the journal. Later writes to them are lost, because they need room that the
    /// files were not given.
    untruncated: BTreeSet<Ino>,
    lost: Vec<String>,
    paths: BTreeMap<Ino, String>,
}

impl Rebuilding<'_> {
    fn change(&mut self, index: usize, change: &Change) {
        for effect in &change.effects {
            if self.coverage.covers(index, effect) {
                self.disk.apply(effect, change.at);
                continue;
            }
            match effect {
                Effect::Bytes { ino, offset, bytes } => self.write(index, change.at, (*ino, *offset, bytes)),
                _ if self.keeps(index, effect) => self.disk.apply(effect, change.at),
                _ => self.lose(index, effect),
            }
        }
    }

    /// Reports whether an indivisible change is kept.
    fn keeps(&mut self, index: usize, effect: &Effect) -> bool {
        match self.cut.model.names {
            Names::Journal if is_journalled(effect) => index < self.journal_end,
            _ => self.happens(object(effect)),
        }
    }

    fn happens(&mut self, of: Ino) -> bool {
        match self.cut.mood {
            Mood::Nothing => true,
            Mood::Everything => false,
            Mood::Each(percent) => self.random.below(100) < percent,
            Mood::Just(ino) => of != ino,
            Mood::AllBut(ino) => of == ino,
        }
    }

    fn lose(&mut self, index: usize, effect: &Effect) {
        if let (Names::Journal, Effect::Size { ino, .. }) = (self.cut.model.names, effect) {
            self.untruncated.insert(*ino);
        }
        let path = self.path(object(effect));
        let what = match effect {
            Effect::Name { name, to: Some(_), .. } => format!("{path}/{name}: the name"),
            Effect::Name { name, to: None, .. } => format!("{path}/{name}: that the name went"),
            Effect::Size { size, .. } => format!("{path}: the size {size}"),
            _ => format!("{path}: permissions or times"),
        };
        self.lost.push(format!("{index:6} {what}"));
    }

    fn path(&self, ino: Ino) -> String {
        self.paths.get(&ino).cloned().unwrap_or_default()
    }

    fn write(&mut self, index: usize, at: u64, (ino, offset, bytes): (Ino, u64, &[u8])) {
        let old_size = self.disk.bytes(ino).map_or(0, |bytes| bytes.len() as u64);
        let written = offset..offset + bytes.len() as u64;
        let (mut kept, mut count) = (Vec::new(), 0);
        for piece in pieces(&written, self.cut.model.bytes) {
            count += 1;
            if self.keeps_piece(ino, &piece, old_size) {
                kept.push(piece);
            }
        }
        if kept.len() < count {
            let what = format!("{}: {} of {count} pieces of", self.path(ino), count - kept.len());
            self.lost.push(format!("{index:6} {what} {} bytes at {offset}", bytes.len()));
            self.grow(at, ino, old_size, written.end);
        }
        for piece in kept {
            let part = (piece.start - offset) as usize..(piece.end - offset) as usize;
            self.disk.apply(&Effect::Bytes { ino, offset: piece.start, bytes: bytes[part].into() }, at);
        }
    }

    fn keeps_piece(&mut self, ino: Ino, piece: &Range<u64>, old_size: u64) -> bool {
        let grows = piece.end > old_size;
        if self.untruncated.contains(&ino) || grows && self.shortened.contains(&ino) {
            return false;
        }
        let kept = self.happens(ino);
        if !kept && grows && self.cut.model.bytes == Bytes::Pages {
            self.shortened.insert(ino);
        }
        kept
    }

    /// Grows a file before its bytes are on the drive. Until then it contains zeros or old bytes there.
    fn grow(&mut self, at: u64, ino: Ino, old_size: u64, end: u64) {
        let may_grow = self.cut.model.bytes == Bytes::Sectors && end > old_size && !self.untruncated.contains(&ino);
        if !may_grow || !self.happens(ino) {
            return;
        }
        let is_stale = self.random.below(2) == 0;
        let old: Vec<u8> = match is_stale {
            true => (old_size..end).map(|_| self.random.below(256) as u8).collect(),
            false => vec![0; (end - old_size) as usize],
        };
        self.disk.apply(&Effect::Bytes { ino, offset: old_size, bytes: old.into() }, at);
    }

    /// Leaves each folder a single name, as a repair does. Of several names, a random one stays.
    fn untangle(&mut self) {
        let mut reached = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while !open.is_empty() {
            let folder = open.swap_remove(self.random.below(open.len() as u64) as usize);
            for (name, ino) in self.disk.folder(folder).cloned().unwrap_or_default() {
                let is_folder = self.disk.node(ino).is_some_and(|node| matches!(node.kind, Kind::Folder(_)));
                if is_folder && reached.insert(ino) {
                    open.push(ino);
                } else if is_folder {
                    self.disk.apply(&Effect::Name { folder, name, to: None }, 0);
                }
            }
        }
    }
}

/// Returns the parts of a write that the drive writes one by one.
fn pieces(written: &Range<u64>, bytes: Bytes) -> impl Iterator<Item = Range<u64>> + use<> {
    let size = if bytes == Bytes::Pages { PAGE } else { SECTOR };
    let Range { start, end } = *written;
    (start / size..end.div_ceil(size)).map(move |number| start.max(number * size)..end.min((number + 1) * size))
}
