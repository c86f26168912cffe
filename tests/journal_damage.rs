//! Checks `device.db` with flipped bits, lost sectors or a truncated WAL: it is set aside and salvaged, and lost photos
//! are queued again.
//!
//! The damage is seeded, and a seed that fails is printed. BRIDGECLIP_DAMAGE_SEED=N repeats it alone;
//! BRIDGECLIP_DAMAGE_SEEDS=N tries N seeds.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bridgeclip::domain::{Saying, Statement};
use bridgeclip::journal::{
    CommandNote, EventClass, Expect, FILE_NAME, ForeignEvent, Journal, NewResult, OutboxRow, Reader, Recorded, Report,
};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::support::Random;
use crate::support::results::{
    identity, journal_params, open_journal, path, photo, result, stamp, waiting as all_waiting, waiting_of,
};

const PHOTOS: u64 = 200;
/// Number of photos whose events have been delivered; they are the first ones.
const DELIVERED: usize = 40;
/// Seeds for each kind of damage, unless one seed is named.
const SEEDS: u64 = 12;

/// Data of a device that was stopped, and of one whose power was cut.
struct Left {
    stopped: TempDir,
    cut: TempDir,
    events: HashMap<String, OutboxRow>,
    thumbnails: HashMap<String, Vec<u8>>,
}

/// Returns a result; one photo in ten has a thumbnail.
fn new(number: u64) -> NewResult {
    let noise = || (0..100).flat_map(|part| photo(number * 1_000 + part).0).collect();
    NewResult { thumbnail: number.is_multiple_of(10).then(noise), ..result(number) }
}

/// Returns this device's waiting results and corrections, and its waiting thumbnails.
fn waiting(reader: &Reader) -> (Vec<OutboxRow>, Vec<OutboxRow>) {
    let own = all_waiting(reader).into_iter().filter(|row| !is_foreign(row));
    own.partition(|row| row.class != EventClass::Thumbnail)
}

fn is_foreign(row: &OutboxRow) -> bool {
    row.event_id.starts_with("foreign")
}

fn left() -> &'static Left {
    static LEFT: OnceLock<Left> = OnceLock::new();
    LEFT.get_or_init(|| {
        let stopped = tempfile::tempdir().expect("a temporary folder");
        let (journal, thread) = Journal::open(stopped.path(), journal_params(), |_| ()).expect("a journal");
        for number in 0..PHOTOS {
            journal.record(&identity(), new(number)).expect("stored");
        }
        say_what_people_say(&journal);
        let (rows, thumbnails) = waiting(&journal.reader().expect("a reader"));
        journal.delivered(rows[..DELIVERED].iter().map(|row| row.id).collect()).expect("deleted");
        let events = rows.into_iter().map(|row| (row.event_id.clone(), row)).collect();
        let thumbnails = thumbnails.into_iter().map(|row| (row.event_id, row.payload)).collect();
        let cut = copy(stopped.path());
        drop(journal);
        thread.join().expect("no panic");
        Left { stopped, cut, events, thumbnails }
    })
}

/// Returns the captures that an inspector has judged: one in ten of those that wait.
fn judged() -> impl Iterator<Item = u64> {
    (DELIVERED as u64 + 5..PHOTOS).step_by(10)
}

const TAGS: [&str; 2] = ["bridgeclip:bridge=B-1;member=G1", "bridgeclip:bridge=B-1;member=P2"];
/// Counter of the last command that was carried out.
const COMMAND: u64 = 41;

fn imports() -> Vec<ForeignEvent> {
    let event = |number| ForeignEvent {
        class: EventClass::Result,
        event_id: format!("foreign-{number}"),
        topic: "bridge/v1/site/other/capture/result".to_owned(),
        payload: b"{}".to_vec(),
    };
    (0..30).map(event).collect()
}

/// Stores all that is not a photo: tags, judgements, a command, and a delivered bundle.
fn say_what_people_say(journal: &Journal) {
    let now = Timestamp::now();
    for tag in TAGS {
        journal.set_tag(tag.parse().expect("a tag"), "boot", now).expect("stored");
    }
    for number in judged() {
        let statement = Statement { by: "A. Sato".parse().expect("a name"), at: now, saying: Saying::Accept };
        let capture = number as i64 + 1;
        journal.judge(&identity(), capture, statement, Expect::NotInspected, true).expect("stored");
    }
    assert_eq!(journal.accept_command(COMMAND, now, now).expect("stored"), CommandNote::New);
    assert_eq!(journal.import(imports(), now).expect("stored"), 30);
    let reader = journal.reader().expect("a reader");
    let foreign = all_waiting(&reader).into_iter().filter(is_foreign);
    journal.delivered(foreign.map(|row| row.id).collect()).expect("deleted");
}

fn copy(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for entry in fs::read_dir(dir).expect("a folder").flatten() {
        fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copy");
    }
    copy
}

/// Runs `damage` on copies of the data, with many seeds, and checks what the journal makes of them.
fn survives(from: impl Fn(&Left) -> &Path, damage: impl Fn(&mut Random, &Path)) {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let all = 0..number("BRIDGECLIP_DAMAGE_SEEDS").unwrap_or(SEEDS);
    for seed in number("BRIDGECLIP_DAMAGE_SEED").map_or(all, |seed| seed..seed + 1) {
        let dir = copy(from(left()));
        let mut random = Random::new(seed);
        damage(&mut random, dir.path());
        println!("seed {seed}");
        expect_no_loss(dir.path());
    }
}

fn expect_no_loss(dir: &Path) {
    let salvages = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&salvages);
    let report = move |report| {
        if report == Report::Salvaged {
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    let (journal, thread) = Journal::open(dir, journal_params(), report).expect("a journal, whatever the damage");
    let reader = journal.reader().expect("a reader");
    let (mut rows, _) = waiting(&reader);
    if salvages.load(Ordering::Relaxed) > 0 {
        // Damage that the first look found is mended by now.
        (rows, _) = waiting(&reader);
    }
    expect_known_photos_to_wait(&reader, &rows);
    let again = (0..PHOTOS).filter(|&number| !reader.is_known(&photo(number)).expect("an answer"));
    let again: Vec<u64> = again.collect();
    for &number in &again {
        let recorded = journal.record(&identity(), result(number)).expect("stored");
        assert!(matches!(recorded, Recorded::New { sequence, .. } if sequence > 0), "{recorded:?}");
    }
    expect_what_people_said(&journal, &reader, &again);
    let (rows, thumbnails) = waiting(&reader);
    let photos: HashMap<String, &OutboxRow> = rows.iter().map(|row| (subject(row), row)).collect();
    for number in DELIVERED as u64..PHOTOS {
        assert!(photos.contains_key(&photo(number).to_string()), "photo {number} is lost");
    }
    let depth = reader.outbox_depth().expect("a depth");
    let foreign = all_waiting(&reader).iter().filter(|row| is_foreign(row)).count();
    assert_eq!(depth.total() as usize, rows.len() + thumbnails.len() + foreign, "the counters agree with the rows");
    let is_whole = |row: &OutboxRow| left().thumbnails.get(&row.event_id) == Some(&row.payload);
    assert!(thumbnails.iter().all(is_whole), "a thumbnail was changed");
    assert_eq!(reader.captures().expect("a count"), PHOTOS);
    drop(reader);
    drop(journal);
    thread.join().expect("no panic");
    expect_whole(dir);
}

/// Checks that everything lost to the damage is counted and is never replaced by an earlier statement.
fn expect_what_people_said(journal: &Journal, reader: &Reader, again: &[u64]) {
    let now = Timestamp::now();
    let losses = reader.losses().expect("losses");
    let is_damaged = losses.rows_damaged + losses.sequences_skipped + losses.files_quarantined > 0;
    let tag = reader.tag().expect("read");
    assert!(tag == TAGS[1].parse().ok() || (tag.is_none() && is_damaged), "the tag is {tag:?}");
    let is_judged = |number: u64| {
        let capture = reader.capture_of(&photo(number)).expect("read").expect("there");
        reader.capture(capture).expect("read").expect("there").inspection.is_some()
    };
    let unjudged = judged().filter(|&number| !is_judged(number)).count();
    assert!(unjudged == 0 || is_damaged, "{unjudged} judgements are gone, and {again:?} were classified again");
    for old in [COMMAND - 1, COMMAND] {
        let note = journal.accept_command(old, now, now).expect("stored");
        assert_ne!(note, CommandNote::New, "a command that was carried out is not carried out again");
    }
    // If the note of a bundle is lost, its events arrive again under their own ids, which receivers know.
    assert!(journal.import(imports(), now).expect("stored") <= 30);
}

/// Checks that every undelivered photo that is known waits: damage must not turn a waiting event into a delivered one.
fn expect_known_photos_to_wait(reader: &Reader, rows: &[OutboxRow]) {
    let waiting: HashMap<String, &OutboxRow> = rows.iter().map(|row| (subject(row), row)).collect();
    for number in DELIVERED as u64..PHOTOS {
        let noted = reader.file(path(number).as_ref()).expect("an answer");
        let known = reader.is_known(&photo(number)).expect("an answer");
        assert!(known || noted.is_none_or(|state| state.stamp != stamp(number)), "photo {number} is noted as done");
        assert!(!known || waiting.contains_key(&photo(number).to_string()), "the event of photo {number} is lost");
    }
    for row in rows {
        let before = left().events.get(&row.event_id).expect("an event that was there before");
        assert_eq!((&row.payload, &row.topic), (&before.payload, &before.topic), "not a byte has changed");
    }
}

fn subject(row: &OutboxRow) -> String {
    let event: serde_json::Value = serde_json::from_slice(&row.payload).expect("JSON");
    event["subject"].as_str().expect("a hash").to_owned()
}

/// Checks that the next start finds nothing to mend.
fn expect_whole(dir: &Path) {
    let before = quarantined(dir);
    let journal = open_journal(dir);
    waiting(&journal.reader().expect("a reader"));
    assert_eq!(quarantined(dir), before, "no file is set aside twice");
    let connection = rusqlite::Connection::open(dir.join(FILE_NAME)).expect("the database");
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer");
    assert_eq!(check, "ok");
}

fn quarantined(dir: &Path) -> usize {
    let is_database = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|end| end == "db");
    fs::read_dir(dir.join("quarantine")).map_or(0, |entries| entries.flatten().filter(is_database).count())
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    change(&mut bytes);
    fs::write(path, bytes).expect("write");
}

fn flip(random: &mut Random, bytes: &mut [u8], count: u64) {
    for _ in 0..count {
        let place = random.below(bytes.len() as u64) as usize;
        bytes[place] ^= 1 << random.below(8);
    }
}

#[test]
fn undamaged_files_are_left_as_they_are() {
    for from in [&left().stopped, &left().cut] {
        let dir = copy(from.path());
        expect_no_loss(dir.path());
        assert_eq!(quarantined(dir.path()), 0);
    }
}

#[test]
fn one_flipped_bit() {
    survives(|left| left.stopped.path(), |random, dir| change(&dir.join(FILE_NAME), |bytes| flip(random, bytes, 1)));
}

#[test]
fn flipped_bits_all_over_the_file() {
    survives(
        |left| left.stopped.path(),
        |random, dir| {
            let count = 2 + random.below(60);
            change(&dir.join(FILE_NAME), |bytes| flip(random, bytes, count));
        },
    );
}

#[test]
fn flipped_bits_in_the_first_page() {
    survives(
        |left| left.stopped.path(),
        |random, dir| {
            let count = 1 + random.below(8);
            change(&dir.join(FILE_NAME), |bytes| flip(random, &mut bytes[..4096], count));
        },
    );
}

#[test]
fn sectors_that_read_as_zeros() {
    survives(
        |left| left.stopped.path(),
        |random, dir| {
            change(&dir.join(FILE_NAME), |bytes| {
                for _ in 0..1 + random.below(8) {
                    let sector = random.below(bytes.len() as u64 / 512) as usize * 512;
                    bytes[sector..sector + 512].fill(0);
                }
            });
        },
    );
}

#[test]
fn a_file_that_was_cut_off() {
    survives(
        |left| left.stopped.path(),
        |random, dir| change(&dir.join(FILE_NAME), |bytes| bytes.truncate(random.below(bytes.len() as u64) as usize)),
    );
}

#[test]
fn a_file_that_is_something_else() {
    survives(
        |left| left.stopped.path(),
        |random, dir| change(&dir.join(FILE_NAME), |bytes| bytes.fill_with(|| random.below(256) as u8)),
    );
}

#[test]
fn a_truncated_wal() {
    survives(
        |left| left.cut.path(),
        |random, dir| {
            change(&dir.join("device.db-wal"), |bytes| bytes.truncate(random.below(bytes.len() as u64) as usize));
        },
    );
}

#[test]
fn flipped_bits_in_the_wal() {
    survives(
        |left| left.cut.path(),
        |random, dir| {
            let count = 1 + random.below(8);
            change(&dir.join("device.db-wal"), |bytes| flip(random, bytes, count));
        },
    );
}

#[test]
fn a_lost_wal() {
    survives(|left| left.cut.path(), |_, dir| fs::remove_file(dir.join("device.db-wal")).expect("removed"));
}

#[test]
fn damage_in_the_file_and_in_its_wal() {
    survives(
        |left| left.cut.path(),
        |random, dir| {
            let count = 1 + random.below(4);
            // The file is small before its first checkpoint.
            change(&dir.join(FILE_NAME), |bytes| flip(random, bytes, count));
            change(&dir.join("device.db-wal"), |bytes| flip(random, bytes, count));
        },
    );
}

#[test]
fn numbers_do_not_go_back_when_the_last_commits_are_lost() {
    let dir = copy(left().cut.path());
    change(&dir.path().join("device.db-wal"), |bytes| bytes.truncate(200_000));
    let journal = open_journal(dir.path());
    let reader = journal.reader().expect("a reader");
    let lost = (0..PHOTOS).find(|&number| !reader.is_known(&photo(number)).expect("an answer")).expect("one is lost");
    let recorded = journal.record(&identity(), result(lost)).expect("stored");
    let last = (PHOTOS as usize + judged().count()) as i64;
    assert!(matches!(recorded, Recorded::New { sequence, .. } if sequence == last + 1), "{recorded:?}");
    assert!(reader.losses().expect("losses").sequences_skipped > 0);
}

/// Damage to another row must cost no tag, no judgement and no import.
#[test]
fn a_damaged_row_of_counters_costs_no_tag_no_judgement_and_no_import() {
    let dir = copy(left().stopped.path());
    let connection = rusqlite::Connection::open(dir.path().join(FILE_NAME)).expect("the database");
    connection.execute("UPDATE outbox SET tries = 9 WHERE id = 0", []).expect("a flip");
    drop(connection);
    let journal = open_journal(dir.path());
    let reader = journal.reader().expect("a reader");
    assert_eq!(quarantined(dir.path()), 1);
    assert_eq!(reader.tag().expect("read"), TAGS[1].parse().ok());
    for number in judged() {
        let capture = reader.capture_of(&photo(number)).expect("read").expect("there");
        assert!(reader.capture(capture).expect("read").expect("there").inspection.is_some(), "photo {number}");
    }
    let now = Timestamp::now();
    assert_eq!(journal.import(imports(), now).expect("stored"), 0);
    let note = |counter, issued_at| journal.accept_command(counter, issued_at, issued_at).expect("stored");
    assert_eq!(note(COMMAND, now), CommandNote::Replayed { last: COMMAND });
    assert!(matches!(note(COMMAND + 1, now), CommandNote::Forgotten { .. }));
    let later = now + SignedDuration::from_hours(1);
    assert_eq!(note(COMMAND + 2, later), CommandNote::New);
    assert_eq!(note(COMMAND + 1, later), CommandNote::Replayed { last: COMMAND + 2 });
}

#[test]
fn no_command_from_before_the_damage_is_carried_out_where_both_notes_of_it_are_gone() {
    let dir = copy(left().stopped.path());
    fs::remove_file(dir.path().join("sequence")).expect("removed");
    let connection = rusqlite::Connection::open(dir.path().join(FILE_NAME)).expect("the database");
    connection.execute("UPDATE outbox SET tries = 9 WHERE id = 0", []).expect("a flip");
    drop(connection);
    let journal = open_journal(dir.path());
    let now = Timestamp::now();
    for counter in [COMMAND, COMMAND + 1] {
        let note = journal.accept_command(counter, now, now).expect("stored");
        assert!(matches!(note, CommandNote::Forgotten { .. }), "{note:?}");
    }
}

#[test]
fn a_tag_that_was_lost_does_not_give_way_to_the_one_before_it() {
    let dir = copy(left().stopped.path());
    let connection = rusqlite::Connection::open(dir.path().join(FILE_NAME)).expect("the database");
    connection.execute("UPDATE tag SET member = 'other' WHERE id = 2", []).expect("a flip");
    drop(connection);
    let journal = open_journal(dir.path());
    let reader = journal.reader().expect("a reader");
    assert_eq!(reader.tag().expect("mended"), None);
}

#[test]
fn damage_while_the_daemon_works_is_mended_at_once() {
    let dir = copy(left().stopped.path());
    let (sender, reports) = std::sync::mpsc::channel();
    let report = move |report| {
        let _ = sender.send(report);
    };
    let (journal, _) = Journal::open(dir.path(), journal_params(), report).expect("a journal");
    let reader = journal.reader().expect("a reader");
    let before = waiting_of(&reader, EventClass::Result);
    let payload = reader_of_raw(dir.path(), before[0].id);
    change(&dir.path().join(FILE_NAME), |bytes| {
        let place = bytes.windows(payload.len()).position(|window| window == payload).expect("the row");
        bytes[place + 5] ^= 1;
    });
    // A reader that has the page already does not see the change.
    let fresh = journal.reader().expect("a reader");
    let found = fresh.outbox(EventClass::Result, 0, 1_000).expect("rows");
    assert!(found == before[1..], "what is damaged is not sent");
    assert!(reports.try_iter().any(|report| report == Report::Salvaged), "the intake is asked to look again");
    assert_eq!(quarantined(dir.path()), 1);
    let losses = fresh.losses().expect("losses");
    assert_eq!((losses.files_quarantined, losses.rows_damaged > 0), (1, true), "{losses:?}");
    assert!(!fresh.is_known(&photo(DELIVERED as u64)).expect("an answer"), "its photo is classified again");
    assert_eq!(reader.losses().expect("losses"), losses, "a reader follows to the new file");
    let results = || waiting_of(&reader, EventClass::Result);
    assert!(results() == found, "no delivered event is sent again: it is known which one is missing");
    journal.record(&identity(), result(DELIVERED as u64)).expect("stored");
    assert_eq!(results().len(), before.len());
}

/// Returns the bytes of an event as they are stored in the file.
fn reader_of_raw(dir: &Path, id: i64) -> Vec<u8> {
    let connection = rusqlite::Connection::open(dir.join(FILE_NAME)).expect("the database");
    let sql = "SELECT event FROM capture WHERE outbox_id = ?1";
    let stored: Vec<u8> = connection.query_row(sql, [id], |row| row.get(0)).expect("an event");
    stored[..200].to_vec()
}

#[test]
fn a_salvage_that_was_interrupted_goes_on() {
    let damaged = |dir: &Path| {
        change(&dir.join(FILE_NAME), |bytes| bytes[..100].fill(0xFF));
        fs::create_dir(dir.join("quarantine")).expect("a folder");
    };
    let move_to_quarantine = |dir: &Path, end: &str| {
        let name = format!("device.db{end}");
        let target = format!("quarantine/device-20260101T000000Z-0.db{end}");
        fs::rename(dir.join(name), dir.join(target)).expect("moved");
    };
    // The power goes after the file was moved, before its WAL was.
    let dir = copy(left().cut.path());
    damaged(dir.path());
    move_to_quarantine(dir.path(), "");
    expect_no_loss(dir.path());
    assert!(Journal::join(dir.path(), journal_params()).is_ok(), "after the daemon has finished it");
    // The power goes while the file has two names.
    let dir = copy(left().cut.path());
    damaged(dir.path());
    for end in ["-wal", ""] {
        let (name, target) = (format!("device.db{end}"), format!("quarantine/device-20260101T000000Z-0.db{end}"));
        fs::hard_link(dir.path().join(name), dir.path().join(target)).expect("linked");
    }
    expect_no_loss(dir.path());
    // The power goes after the file's first name went, before that of its WAL did.
    let dir = copy(left().cut.path());
    damaged(dir.path());
    fs::hard_link(dir.path().join("device.db-wal"), dir.path().join("quarantine/device-20260101T000000Z-0.db-wal"))
        .expect("linked");
    move_to_quarantine(dir.path(), "");
    expect_no_loss(dir.path());
    assert!(dir.path().join("quarantine/device-20260101T000000Z-0.salvaged.db-wal").exists());
    // The power goes half-way through the new file.
    let dir = copy(left().cut.path());
    damaged(dir.path());
    move_to_quarantine(dir.path(), "");
    move_to_quarantine(dir.path(), "-wal");
    assert!(Journal::join(dir.path(), journal_params()).is_err(), "no new file is made in its place");
    fs::write(dir.path().join("device.db.new"), "half of it").expect("write");
    expect_no_loss(dir.path());
    // The power goes after the new file was put in place.
    let dir = copy(left().stopped.path());
    fs::create_dir(dir.path().join("quarantine")).expect("a folder");
    fs::write(dir.path().join("quarantine/device-20260101T000000Z-0.db"), "damaged").expect("write");
    expect_no_loss(dir.path());
    assert!(dir.path().join("quarantine/device-20260101T000000Z-0.salvaged.db").exists());
}
