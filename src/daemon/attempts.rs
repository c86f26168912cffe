//! Record of the file that is being decoded, which finds a file that ends the process.
//!
//! A process that is killed for its memory, or a machine that goes down, leaves no message. So while a file is decoded
//! it has a slot in a small file. A slot that is still taken at the next start belongs to a file whose decoding ended a
//! process. After three such ends the file is left alone.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use log::{info, warn};

use crate::domain::{FileStamp, Sha256};

/// Name of the file in the data folder.
const FILE_NAME: &str = "attempts";
/// Number of decodings that ended a process, after which a file is recorded as failed.
pub const ATTEMPTS_MAX: u32 = 3;
/// Number of files that are remembered at once. With more, an older note is dropped.
const SLOTS: usize = 32;
/// Number of photos in a row that must go well after an unclean end before notes are left to the kernel to write.
/// Without a sync, a photo that takes the whole machine down would leave no note.
const CAREFUL_PHOTOS: u32 = 20;

/// Files whose decoding has begun and has not ended.
pub struct Attempts {
    /// Open file; `None` if it cannot be used, and then nothing is counted across restarts.
    file: Option<File>,
    slots: Vec<Option<Slot>>,
    /// Index of the slot of the file that is being decoded.
    current: Option<usize>,
    /// Number of further photos whose notes are synced.
    careful: u32,
}

/// Note on one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    key: Sha256,
    /// Number of decodings of the file that have begun and not ended.
    attempts: u32,
}

impl Attempts {
    /// Opens or creates the file in a data folder. A damaged one is started afresh.
    pub fn open(data_dir: &Path) -> Self {
        let path = data_dir.join(FILE_NAME);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.inspect_err(|error| {
            warn!("{}: {error}; a photo that ends the program is not found out", path.display());
        });
        let text = file.as_ref().ok().and_then(read);
        let mut attempts = Attempts { file: file.ok(), slots: vec![None; SLOTS], current: None, careful: 0 };
        match text {
            None => (),
            Some(text) => match parse(&text) {
                Some((ran, slots)) => attempts.after(ran, slots),
                None => warn!("{}: damaged; which photos ended the program is forgotten", path.display()),
            },
        }
        attempts.write_all();
        attempts
    }

    /// Counts nothing across starts. The file belongs to a daemon, beside which a person watches over this import.
    pub fn unrecorded() -> Self {
        Attempts { file: None, slots: vec![None; SLOTS], current: None, careful: 0 }
    }

    /// Takes over the slots of the run before. `ran` says whether that run ended without closing the file.
    fn after(&mut self, ran: bool, slots: Vec<Option<Slot>>) {
        self.slots = slots;
        let ended = self.slots.iter().flatten().count();
        if ended > 0 {
            info!("the program ended while it decoded a photo; {ended} such photos are tried last");
        }
        if ran {
            self.careful = CAREFUL_PHOTOS;
        }
    }

    /// Returns how often the decoding of this file has ended a process.
    pub fn of(&self, path: &Path, stamp: &FileStamp) -> u32 {
        let key = key(path, stamp);
        self.slots.iter().flatten().find(|slot| slot.key == key).map_or(0, |slot| slot.attempts)
    }

    /// Notes that the file is about to be decoded.
    pub fn begin(&mut self, path: &Path, stamp: &FileStamp) {
        let key = key(path, stamp);
        let is_own = |slot: &Option<Slot>| slot.is_some_and(|slot| slot.key == key);
        let place = self.slots.iter().position(is_own).or_else(|| self.slots.iter().position(Option::is_none));
        // With all slots taken, the first one is overwritten.
        let place = place.unwrap_or(0);
        let attempts = self.slots[place].filter(|slot| slot.key == key).map_or(0, |slot| slot.attempts) + 1;
        self.slots[place] = Some(Slot { key, attempts });
        self.current = Some(place);
        self.write(place);
        if self.careful > 0 {
            self.sync();
        }
    }

    /// Notes that the decoding of the current file has ended, whatever the outcome.
    pub fn end(&mut self) {
        let Some(place) = self.current.take() else { return };
        self.slots[place] = None;
        self.write(place);
        self.careful = self.careful.saturating_sub(1);
    }

    /// Forgets a file that has been recorded as failed.
    pub fn forget(&mut self, path: &Path, stamp: &FileStamp) {
        let key = key(path, stamp);
        if let Some(place) = self.slots.iter().position(|slot| slot.is_some_and(|slot| slot.key == key)) {
            self.slots[place] = None;
            self.write(place);
        }
    }

    /// Notes that the program ends because it was told to.
    pub fn close(&self) {
        self.put(0, head(false).as_bytes());
    }

    fn write(&self, place: usize) {
        self.put(head(true).len() + place * SLOT_BYTES, slot_text(self.slots[place]).as_bytes());
    }

    /// Writes and syncs the entire file.
    fn write_all(&self) {
        let slots: String = self.slots.iter().map(|slot| slot_text(*slot)).collect();
        self.put(0, format!("{}{slots}", head(true)).as_bytes());
        self.sync();
    }

    /// Writes a part of the file. A note that cannot be written costs only its count.
    fn put(&self, place: usize, bytes: &[u8]) {
        let _ = self.file.as_ref().map(|file| file.write_all_at(bytes, place as u64));
    }

    fn sync(&self) {
        let _ = self.file.as_ref().map(File::sync_data);
    }
}

/// Returns the identity of a file. Other content makes it another file.
fn key(path: &Path, stamp: &FileStamp) -> Sha256 {
    let FileStamp { bytes, modified_ns } = stamp;
    Sha256::of(&[path.as_os_str().as_bytes(), &bytes.to_le_bytes(), &modified_ns.to_le_bytes()].concat())
}

/// Returns the first line, which says whether the program runs (or ended uncleanly) or was closed.
fn head(runs: bool) -> String {
    format!("bridgeclip attempts 1 {}\n", if runs { "runs  " } else { "closed" })
}

/// Length of a slot: hash, count, checksum, and the separators. It is fixed, so that a slot is written in place.
const SLOT_BYTES: usize = 64 + 1 + 10 + 1 + 8 + 1;

fn slot_text(slot: Option<Slot>) -> String {
    let text = match slot {
        Some(Slot { key, attempts }) => format!("{key} {attempts:010}"),
        None => format!("{:075}", 0),
    };
    format!("{text} {:08x}\n", crc32fast::hash(text.as_bytes()))
}

fn read(file: &File) -> Option<Vec<u8>> {
    let mut bytes = vec![0; head(true).len() + SLOTS * SLOT_BYTES];
    match file.metadata().ok()?.len() {
        0 => None,
        _ => file.read_exact_at(&mut bytes, 0).map(|()| bytes).or(Ok::<_, ()>(Vec::new())).ok(),
    }
}

/// Parses the file: whether the last run ended uncleanly, and the slots. A damaged slot is free: a write that a power
/// cut tore belongs to the photo that was decoded last.
fn parse(bytes: &[u8]) -> Option<(bool, Vec<Option<Slot>>)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let ran = [true, false].into_iter().find(|runs| text.starts_with(&head(*runs)))?;
    let slots = text.as_bytes()[head(true).len()..].chunks_exact(SLOT_BYTES).map(parse_slot).collect();
    Some((ran, slots))
}

fn parse_slot(bytes: &[u8]) -> Option<Slot> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (key, rest) = text.split_once(' ')?;
    let slot = Slot { key: key.parse().ok()?, attempts: rest.get(..10)?.parse().ok()? };
    (slot_text(Some(slot)) == text).then_some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(bytes: u64) -> FileStamp {
        FileStamp { bytes, modified_ns: 7 }
    }

    #[test]
    fn a_file_whose_decoding_ends_the_process_is_counted_and_others_are_not() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (poison, good) = (Path::new("/camera/poison.png"), Path::new("/camera/good.jpg"));
        for died in 0..4 {
            let mut attempts = Attempts::open(dir.path());
            assert_eq!(attempts.of(poison, &stamp(1)), died);
            attempts.begin(good, &stamp(2));
            attempts.end();
            // The process is killed here.
            attempts.begin(poison, &stamp(1));
        }
        let mut attempts = Attempts::open(dir.path());
        assert_eq!((attempts.of(good, &stamp(2)), attempts.of(poison, &stamp(3))), (0, 0), "another content");
        attempts.forget(poison, &stamp(1));
        drop(attempts);
        assert_eq!(Attempts::open(dir.path()).of(poison, &stamp(1)), 0);
    }

    #[test]
    fn more_files_than_there_are_slots_cost_notes_alone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for number in 0..SLOTS as u64 + 5 {
            let mut attempts = Attempts::open(dir.path());
            attempts.begin(Path::new("/camera/poison.png"), &stamp(number));
        }
        let attempts = Attempts::open(dir.path());
        assert_eq!(attempts.slots.iter().flatten().count(), SLOTS);
        assert_eq!(attempts.of(Path::new("/camera/poison.png"), &stamp(SLOTS as u64 + 4)), 1);
    }

    #[test]
    fn a_damaged_file_is_begun_anew_and_a_torn_slot_is_free() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join(FILE_NAME);
        Attempts::open(dir.path()).begin(Path::new("/a"), &stamp(1));
        let whole = std::fs::read(&path).expect("read");
        let mut torn = whole.clone();
        torn[head(true).len() + 70] ^= 1;
        for wrong in [torn, whole[..40].to_vec(), vec![0xff; 5_000], b"x".to_vec()] {
            std::fs::write(&path, wrong).expect("written");
            assert_eq!(Attempts::open(dir.path()).of(Path::new("/a"), &stamp(1)), 0);
        }
        std::fs::write(&path, whole).expect("written");
        assert_eq!(Attempts::open(dir.path()).of(Path::new("/a"), &stamp(1)), 1);
    }

    #[test]
    fn notes_are_synced_after_an_unclean_end_until_photos_go_well() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let opened = || Attempts::open(dir.path());
        assert_eq!(opened().careful, 0, "the first start");
        let mut attempts = opened();
        assert_eq!(attempts.careful, CAREFUL_PHOTOS, "it was not closed");
        attempts.begin(Path::new("/a"), &stamp(1));
        attempts.end();
        assert_eq!(attempts.careful, CAREFUL_PHOTOS - 1);
        attempts.close();
        assert_eq!(opened().careful, 0);
    }
}
