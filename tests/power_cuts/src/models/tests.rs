use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::disk::{Effect, Kind, Owner, ROOT};
use crate::recording::{Change, Entry, Sync};

const OWNER: Owner = Owner { mode: 0o600, uid: 0, gid: 0 };
const FILE: Ino = 10;
const FOLDER: Ino = 20;
const ANY: [Mood; 4] = [Mood::Nothing, Mood::Everything, Mood::Each(50), Mood::Just(ROOT)];

fn change(effects: Vec<Effect>) -> Entry {
    Entry::Change(Change { at: 1, effects })
}

fn name(folder: Ino, name: &str, to: Option<Ino>) -> Effect {
    Effect::Name { folder, name: name.to_owned(), to }
}

fn create(folder: Ino, of: &str, ino: Ino, kind: Kind) -> Entry {
    change(vec![Effect::Node { ino, kind, owner: OWNER }, name(folder, of, Some(ino))])
}

fn file(of: &str) -> Entry {
    create(ROOT, of, FILE, Kind::File(Arc::default()))
}

fn write(offset: u64, bytes: &[u8]) -> Entry {
    change(vec![Effect::Bytes { ino: FILE, offset, bytes: bytes.into() }])
}

fn sync_file() -> Entry {
    Entry::Sync(Sync::File { ino: FILE, data_only: false })
}

/// Returns what `see` finds in the states that many different cuts at the end leave.
fn seen<T: Ord>(entries: &[Entry], model: Model, see: impl Fn(&Disk) -> T) -> BTreeSet<T> {
    let recording = Recording { start: Disk::new(0), before: Vec::new(), entries: entries.to_vec() };
    let moods = ANY.into_iter().chain([Mood::AllBut(FILE), Mood::AllBut(FOLDER), Mood::Just(FILE), Mood::Just(FOLDER)]);
    let all = moods.flat_map(|mood| (0..60).map(move |seed| (mood, seed)));
    let of = |(mood, seed)| {
        let cut = Cut { entry: recording.entries.len(), model, mood, seed, syncs: Syncs::All };
        see(&left(&recording, &cut).disk)
    };
    all.map(of).collect()
}

fn each(check: impl Fn(Model)) {
    Model::ALL.into_iter().for_each(check);
}

#[test]
fn what_is_synced_with_its_folder_is_there_in_all_states() {
    let entries = [file("key"), write(0, b"secret"), sync_file(), Entry::Sync(Sync::Folder(ROOT))];
    each(|model| {
        let states = seen(&entries, model, |disk| disk.read("key").map(<[u8]>::to_vec));
        assert_eq!(states, BTreeSet::from([Some(b"secret".to_vec())]), "{}", model.name());
    });
}

#[test]
fn without_the_folder_the_name_of_a_renamed_file_may_be_lost() {
    let rename = change(vec![name(ROOT, "new", None), name(ROOT, "key", Some(FILE))]);
    let entries = [file("new"), write(0, b"secret"), sync_file(), rename];
    each(|model| {
        let states = seen(&entries, model, |disk| disk.read("key").is_some());
        assert_eq!(states.len(), 2, "{}: found and lost", model.name());
    });
}

#[test]
fn a_journal_makes_a_synced_file_durable_with_its_name_and_all_before() {
    let other = create(ROOT, "other", 11, Kind::Folder(BTreeMap::new()));
    let entries = [other, file("key"), write(0, b"secret"), sync_file()];
    each(|model| {
        let states = seen(&entries, model, |disk| (disk.find("other").is_some(), disk.find("key").is_some()));
        let expected = if model.names == Names::Journal { 1 } else { 4 };
        assert_eq!(states.len(), expected, "{}", model.name());
    });
}

#[test]
fn a_move_between_folders_is_one_step_in_a_journal_alone() {
    let folder = create(ROOT, "quarantine", FOLDER, Kind::Folder(BTreeMap::new()));
    let moved = change(vec![name(ROOT, "db", None), name(FOLDER, "db", Some(FILE))]);
    let entries = [file("db"), folder, Entry::Sync(Sync::All), moved];
    each(|model| {
        let states = seen(&entries, model, |disk| (disk.find("db").is_some(), disk.find("quarantine/db").is_some()));
        let atomic = BTreeSet::from([(true, false), (false, true)]);
        match model.names {
            Names::Journal => assert_eq!(states, atomic),
            Names::Free => assert_eq!(states.len(), 4, "both and neither too"),
        }
    });
}

#[test]
fn a_folder_never_has_two_names_nor_leads_to_itself() {
    let folder = create(ROOT, "a", FOLDER, Kind::Folder(BTreeMap::new()));
    let entries = [folder, Entry::Sync(Sync::All), change(vec![name(ROOT, "a", None), name(ROOT, "b", Some(FOLDER))])];
    each(|model| {
        let both = |disk: &Disk| disk.find("a").is_some() && disk.find("b").is_some();
        assert!(!seen(&entries, model, both).contains(&true), "{}", model.name());
    });
}

#[test]
fn unsynced_pages_are_there_or_not_in_any_order_and_sectors_tear() {
    let old = vec![0; 8192];
    let entries = [file("db"), write(0, &old), Entry::Sync(Sync::All), write(0, &[1; 4096]), write(4096, &[2; 4096])];
    each(|model| {
        let look = |disk: &Disk| {
            let bytes = disk.read("db").expect("it is there");
            let is_torn = bytes.chunks(4096).any(|page| page.iter().any(|byte| *byte != page[0]));
            (bytes[0], bytes[4096], is_torn)
        };
        let states = seen(&entries, model, look);
        let is_reordered = states.iter().any(|(first, second, _)| (*first, *second) == (0, 2));
        assert!(is_reordered, "{}: the second write without the first", model.name());
        assert_eq!(states.iter().any(|state| state.2), model.bytes == Bytes::Sectors, "{}", model.name());
    });
}

#[test]
fn a_file_grows_without_gaps_unless_sectors_are_on_their_own() {
    let entries = [file("db"), Entry::Sync(Sync::All), write(0, &[1; 4096]), write(4096, &[1; 4096])];
    each(|model| {
        let has_gap = |disk: &Disk| disk.read("db").expect("it is there").iter().any(|byte| *byte != 1);
        assert_eq!(seen(&entries, model, has_gap).contains(&true), model.bytes == Bytes::Sectors, "{}", model.name());
    });
}

#[test]
fn what_follows_a_lost_truncation_is_lost_in_a_journal() {
    let truncate = change(vec![Effect::Size { ino: FILE, size: 0 }]);
    let entries = [file("f"), write(0, b"old"), Entry::Sync(Sync::All), truncate, write(0, b"n")];
    each(|model| {
        let states = seen(&entries, model, |disk| disk.read("f").expect("it is there").to_vec());
        let is_mixed = states.contains(&b"nld"[..]);
        assert!(states.contains(&b"old"[..]) && states.contains(&b"n"[..]), "{}", model.name());
        assert_eq!(is_mixed, model.names == Names::Free, "{}", model.name());
    });
}

#[test]
fn the_control_loses_what_was_synced() {
    let entries = [file("key"), write(0, b"secret"), sync_file(), Entry::Sync(Sync::Folder(ROOT))];
    let recording = Recording { start: Disk::new(0), before: Vec::new(), entries: entries.to_vec() };
    each(|model| {
        let cut = Cut { entry: entries.len(), model, mood: Mood::Everything, seed: 0, syncs: Syncs::None };
        assert!(left(&recording, &cut).disk.read("key").is_none(), "{}", model.name());
    });
}

#[test]
fn a_seed_gives_the_same_state_again() {
    let entries = [file("a"), write(0, &[7; 9000]), change(vec![name(ROOT, "b", Some(FILE))])];
    let recording = Recording { start: Disk::new(0), before: Vec::new(), entries: entries.to_vec() };
    each(|model| {
        for seed in PROMISES_MAX..PROMISES_MAX + 50 {
            let state = || {
                let cut = Cut::draw(&recording, model, seed, Syncs::All);
                let disk = left(&recording, &cut).disk;
                (disk.read("a").map(<[u8]>::to_vec), disk.names())
            };
            assert_eq!(state(), state());
        }
    });
}
