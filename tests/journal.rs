//! Checks what the journal promises while the drive works. `journal_faults.rs` and `journal_damage.rs` check the rest.

use std::collections::HashSet;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bridgeclip::domain::{Category, CategoryLabels, Change, Labels, Saying, Statement, Time, TimeQuality};
use bridgeclip::journal::{
    CommandNote, EventClass, Expect, FILE_NAME, ForeignEvent, Journal, JournalError, NewResult, OutboxRow, Params,
    Reader, Recorded, Refused, Report, Superseded,
};
use jiff::{Span, Timestamp};
use serde_json::Value;

use crate::support::results::{
    identity, journal_params, open_journal, path, photo, result, stamp, waiting, waiting_of,
};
use crate::support::{PATIENCE, eventually};

fn record(journal: &Journal, result: NewResult) -> i64 {
    match journal.record(&identity(), result).expect("stored") {
        Recorded::New { capture, .. } => capture,
        Recorded::Known => panic!("known already"),
    }
}

fn json(row: &OutboxRow) -> Value {
    serde_json::from_slice(&row.payload).expect("JSON")
}

fn ids(rows: &[OutboxRow]) -> Vec<i64> {
    rows.iter().map(|row| row.id).collect()
}

#[test]
fn urgent_events_overtake_and_sequences_have_no_gap() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    for number in 1..=6 {
        record(&journal, NewResult { urgent: number % 3 == 0, ..result(number) });
    }
    let rows = waiting(&journal.reader().expect("a reader"));
    let sequences: Vec<i64> = rows.iter().map(|row| json(row)["data"]["sequence"].as_i64().expect("one")).collect();
    assert_eq!(sequences, [3, 6, 1, 2, 4, 5]);
    assert!(ids(&rows).is_sorted(), "classes follow each other, and within a class the order is that of the ids");
}

#[test]
fn a_photo_is_one_capture_under_any_name() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    record(&journal, result(1));
    let mut renamed = result(1);
    renamed.capture.image.path = "/media/other/copy.jpg".into();
    assert_eq!(journal.record(&identity(), renamed).expect("stored"), Recorded::Known);
    let reader = journal.reader().expect("a reader");
    assert_eq!((reader.captures().expect("a count"), waiting(&reader).len()), (1, 1));
}

#[test]
fn on_a_metered_link_a_summary_goes_ahead() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (journal, _) =
        Journal::open(dir.path(), Params { metered: true, ..journal_params() }, |_| ()).expect("a journal");
    record(&journal, result(1));
    record(&journal, NewResult { urgent: true, ..result(2) });
    journal.set_metered(false);
    record(&journal, result(3));
    let reader = journal.reader().expect("a reader");
    let rows = waiting(&reader);
    let classes: Vec<EventClass> = rows.iter().map(|row| row.class).collect();
    use EventClass::{Detail, Result, Urgent};
    assert_eq!(classes, [Urgent, Result, Result, Detail, Detail]);
    let sequences: HashSet<i64> = rows.iter().map(|row| json(row)["data"]["sequence"].as_i64().expect("one")).collect();
    assert_eq!(sequences, (1..=5).collect());
    let (summary, detail) = (&rows[0], &rows[4]);
    assert!(summary.payload.len() < 800, "{} bytes", summary.payload.len());
    assert_eq!(json(summary)["subject"], json(detail)["subject"]);
    assert_eq!(json(summary)["data"]["detail"], detail.event_id);
    assert!(rows.iter().all(|row| row.topic == "capture/result" && json(row)["id"] == row.event_id));
}

#[test]
fn a_correction_takes_the_place_of_a_result_and_changes_no_byte_that_waits() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    let capture = record(&journal, result(1));
    let reader = journal.reader().expect("a reader");
    let before = waiting(&reader);
    let taken = Time::new(Timestamp::now(), TimeQuality::Gps);
    let correct =
        |change| journal.supersede(&identity(), capture, change, Expect::Any, false, Timestamp::now()).expect("stored");
    let first = correct(Change::Located { taken: Some(taken.clone()), position: None });
    let second = correct(Change::Verdict(result(2).verdict));
    let rows = waiting(&reader);
    assert_eq!(rows[0], before[0], "the result is sent as it was");
    let corrections = waiting_of(&reader, EventClass::Correction);
    assert_eq!(corrections.iter().map(|row| &row.event_id).collect::<Vec<_>>(), [&first.event_id, &second.event_id]);
    for (correction, sequence) in corrections.iter().zip([2, 3]) {
        let event = json(correction);
        assert_eq!(event["data"]["supersedes"], before[0].event_id);
        assert_eq!(event["data"]["sequence"], sequence);
        assert_eq!(event["subject"], json(&before[0])["subject"]);
        assert_eq!(event["data"]["taken"]["quality"], "gps", "a correction keeps what an earlier one changed");
    }
    assert_eq!(json(&corrections[1])["data"]["verdict"]["neighbours"].as_array().map(Vec::len), Some(10));
    let unknown = journal.supersede(
        &identity(),
        99,
        Change::Located { taken: Some(taken), position: None },
        Expect::Any,
        false,
        Timestamp::now(),
    );
    assert!(matches!(unknown, Err(JournalError::UnknownCapture(99))));
}

fn rated(soundness: u8) -> Labels {
    Labels::new(|category| CategoryLabels::new(category, [if category == Category::Soundness { soundness } else { 0 }]))
}

fn say(journal: &Journal, by: &str, saying: Saying, expect: Expect) -> Result<Superseded, JournalError> {
    let statement = Statement { by: by.parse().expect("a name"), at: Timestamp::now(), saying };
    journal.judge(&identity(), 1, statement, expect, true)
}

#[test]
fn of_two_inspectors_who_saw_the_same_verdict_one_is_heard() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    record(&journal, result(1));
    let mut seen = 1;
    for _ in 0..300 {
        let outcomes = thread::scope(|scope| {
            let inspectors = [2, 3].map(|soundness| {
                let (journal, saying) = (&journal, Saying::Correct(rated(soundness)));
                scope.spawn(move || say(journal, "an inspector", saying, Expect::VerdictOf(seen)))
            });
            inspectors.map(|inspector| inspector.join().expect("no panic"))
        });
        let heard: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(heard.len(), 1, "{outcomes:?}");
        let refused = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        assert!(matches!(refused, Some(JournalError::Changed { capture: 1, .. })), "{refused:?}");
        seen = heard[0].sequence;
    }
}

#[test]
fn a_place_that_becomes_known_does_not_void_what_an_inspector_saw() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    record(&journal, result(1));
    let change = |change| {
        journal.supersede(&identity(), 1, change, Expect::Any, true, Timestamp::now()).expect("stored").sequence
    };
    let taken = Some(Time::new(Timestamp::now(), TimeQuality::Gps));
    change(Change::Located { taken, position: None });
    say(&journal, "A", Saying::Accept, Expect::VerdictOf(1)).expect("the verdict is the one that was seen");
    let judged = change(Change::Verdict(result(2).verdict));
    for stale in [1, 2, judged - 1, judged + 1, 0] {
        let outcome = say(&journal, "B", Saying::Accept, Expect::VerdictOf(stale));
        assert!(matches!(outcome, Err(JournalError::Changed { .. })), "{stale}: {outcome:?}");
    }
    say(&journal, "B", Saying::Accept, Expect::VerdictOf(judged)).expect("the verdict is the one that was seen");
}

#[test]
fn what_an_inspector_says_stands_against_a_device_that_judges_again_all_the_time() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    let count = 80;
    for number in 1..=count {
        record(&journal, result(number));
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    let said = thread::scope(|scope| {
        let (journal, done) = (&journal, &done);
        scope.spawn(move || {
            let mut verdicts = [2, 3].map(|number| result(number).verdict).into_iter().cycle();
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let verdict = verdicts.next().expect("a cycle");
                let changes = (1..=count as i64).map(|capture| (capture, Change::Verdict(verdict.clone()))).collect();
                let expect = Expect::NotInspected;
                journal.supersede_all(&identity(), changes, expect, true, Timestamp::now()).expect("stored");
            }
        });
        let clients: Vec<_> =
            (0..4_u64).map(|client| scope.spawn(move || corrections(journal, client, count))).collect();
        let said = clients.into_iter().map(|client| client.join().expect("no panic")).sum::<usize>();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        said
    });
    assert!(said >= 100, "{said} corrections were taken in");
    let reader = journal.reader().expect("a reader");
    let kept: usize = (1..=count as i64).map(|capture| entries(&reader, capture)).sum();
    assert_eq!(kept, said, "every correction that was answered is in the history");
    let standing = |capture| reader.capture(capture).expect("read").expect("there").inspection;
    assert!((1..=count as i64).all(|capture| entries(&reader, capture) == 0 || standing(capture).is_some()));
}

/// Corrects 100 random captures, from the verdicts that are shown, and returns how many corrections were accepted.
fn corrections(journal: &Journal, client: u64, captures: u64) -> usize {
    let reader = journal.reader().expect("a reader");
    let mut random = crate::support::Random::new(client);
    let mut correct = || {
        let capture = 1 + random.below(captures) as i64;
        let seen = reader.capture(capture).expect("read").expect("there").sequence.expect("a number");
        let saying = Saying::Correct(rated(random.below(4) as u8));
        let statement = Statement { by: "a client".parse().expect("a name"), at: Timestamp::now(), saying };
        match journal.judge(&identity(), capture, statement, Expect::VerdictOf(seen), true) {
            Ok(_) => 1,
            Err(JournalError::Changed { .. }) => 0,
            Err(error) => panic!("{error}"),
        }
    };
    (0..100).map(|_| correct()).sum()
}

/// Returns the number of history entries in the last event of a capture. There must be fewer than the limit of an
/// event.
fn entries(reader: &Reader, capture: i64) -> usize {
    let event = reader.event(capture).expect("read").expect("an event");
    let event: Value = serde_json::from_slice(&event).expect("JSON");
    let entries = event["data"]["history"].as_array().map_or(0, Vec::len);
    assert!(entries < 20, "{entries}: the event may not tell all of them");
    entries
}

#[test]
fn a_photo_that_is_classified_again_after_its_capture_was_lost_keeps_its_history() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    record(&journal, result(1));
    say(&journal, "A", Saying::Correct(rated(3)), Expect::VerdictOf(1)).expect("stored");
    let connection = rusqlite::Connection::open(dir.path().join(FILE_NAME)).expect("the database");
    connection.execute("UPDATE capture SET camera = '{\"make\":\"x\"}' WHERE id = 1", []).expect("a flip");
    drop(connection);
    let reader = journal.reader().expect("a reader");
    assert_eq!(reader.capture(1).expect("mended"), None);
    let again = record(&journal, result(1));
    let capture = reader.capture(again).expect("read").expect("there");
    let inspection = capture.inspection.expect("the judgement stands");
    assert_eq!((inspection.by.as_str(), inspection.labels), ("A", rated(3)));
    assert!(capture.verdict.by_inspector);
}

#[test]
fn a_delivered_event_can_be_sent_again_with_the_same_bytes() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    let captures: Vec<i64> = (1..=3).map(|number| record(&journal, result(number))).collect();
    let reader = journal.reader().expect("a reader");
    let before = waiting(&reader);
    journal.delivered(vec![before[1].id]).expect("deleted");
    assert_eq!(reader.captures_between(2, i64::MAX).expect("captures"), captures[1..]);
    assert_eq!(journal.resend(captures, Timestamp::now()).expect("queued"), 1, "two wait already");
    let again = waiting(&reader).pop().expect("the last");
    assert_eq!((&again.event_id, &again.payload), (&before[1].event_id, &before[1].payload));
    assert!(again.id > before[2].id, "a reader that is past its old place finds it");
}

#[test]
fn an_event_that_is_refused_too_often_is_set_aside_and_comes_back_when_asked() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    record(&journal, result(1));
    record(&journal, result(2));
    let reader = journal.reader().expect("a reader");
    let before = waiting(&reader);
    for tries in 1..=4 {
        assert_eq!(journal.refused(before[0].id, "no".into()).expect("noted"), Refused::StaysInQueue);
        assert_eq!(waiting(&reader)[0].tries, tries);
    }
    assert_eq!(journal.refused(before[0].id, "no".into()).expect("noted"), Refused::SetAside);
    assert_eq!(waiting(&reader), before[1..]);
    let kept = &reader.set_aside(10).expect("a list")[0];
    assert_eq!((kept.event_id.as_str(), kept.tries, kept.reason.as_str()), (before[0].event_id.as_str(), 5, "no"));
    assert_eq!(journal.refused(before[0].id, "no".into()).expect("noted"), Refused::StaysInQueue, "it is gone");
    assert_eq!(journal.set_aside(before[1].id, "too large".into()).expect("noted"), Refused::SetAside);
    let depth = reader.outbox_depth().expect("a depth");
    assert_eq!((depth.total(), depth.set_aside), (0, 2));
    assert_eq!(reader.losses().expect("losses").events_set_aside, 2);
    assert_eq!(journal.retry(Some(vec![before[1].id, 5])).expect("queued"), 1);
    assert_eq!(journal.retry(None).expect("queued"), 1);
    let again = waiting(&reader);
    assert_eq!(again.iter().map(|row| &row.event_id).collect::<Vec<_>>(), [&before[1].event_id, &before[0].event_id]);
    assert_eq!((&again[1].payload, again[1].tries), (&before[0].payload, 0));
    assert_eq!(reader.outbox_depth().expect("a depth").set_aside, 0);
}

#[test]
fn under_the_quota_thumbnails_go_first_then_delivered_captures_and_nothing_undelivered() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let params = Params { quota_bytes: 1_500_000, ..journal_params() };
    let (journal, _) = Journal::open(dir.path(), params, |_| ()).expect("a journal");
    let reader = journal.reader().expect("a reader");
    let with_thumbnail = |number| NewResult { thumbnail: Some(noise(20_000)), ..result(number) };
    let mut accepted = 0;
    while journal.record(&identity(), with_thumbnail(accepted)).is_ok() {
        accepted += 1;
        assert!(accepted < 2_000, "the quota is never reached");
    }
    let losses = reader.losses().expect("losses");
    assert!(accepted > 100 && losses.thumbnails_dropped > 20, "{accepted} {losses:?}");
    assert_eq!((losses.captures_forgotten, losses.times_full), (0, 1));
    assert!(reader.full().expect("an answer").is_some_and(|reason| reason.contains("quota")));
    assert_eq!(waiting_of(&reader, EventClass::Result).len() as u64, accepted, "no result is dropped");
    let refused = journal.record(&identity(), result(5_000)).expect_err("full");
    assert!(matches!(&refused, JournalError::Full(reason) if reason.contains("quota_megabytes")), "{refused}");
    let delivered: Vec<i64> = ids(&waiting_of(&reader, EventClass::Result)[..40]);
    journal.delivered(delivered).expect("deleted");
    for number in 6_000..6_030 {
        record(&journal, result(number));
    }
    assert_eq!(reader.full().expect("an answer"), None);
    let losses = reader.losses().expect("losses");
    assert!((1..=40).contains(&losses.captures_forgotten) && losses.times_full == 1, "{losses:?}");
    assert_eq!(waiting_of(&reader, EventClass::Result).len() as u64, accepted - 40 + 30);
    assert_eq!(reader.captures().expect("a count"), accepted + 30 - losses.captures_forgotten);
    let again = journal.record(&identity(), result(0)).expect("stored");
    assert_eq!(again, Recorded::Known, "a forgotten photo is no new one");
    assert!(reader.used_bytes().expect("bytes") <= 1_500_000);
}

#[test]
fn a_thumbnail_stays_after_its_delivery_until_its_room_is_wanted() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let params = Params { quota_bytes: 1_500_000, tries_max: 1, ..journal_params() };
    let (journal, _) = Journal::open(dir.path(), params, |_| ()).expect("a journal");
    let reader = journal.reader().expect("a reader");
    let jpeg = noise(20_000);
    for number in 0..2 {
        record(&journal, NewResult { thumbnail: Some(jpeg.clone()), ..result(number) });
    }
    let waiting = waiting_of(&reader, EventClass::Thumbnail);
    assert!(waiting.iter().all(|row| row.payload == jpeg));
    journal.delivered(vec![waiting[0].id]).expect("deleted");
    journal.refused(waiting[1].id, "too large".to_owned()).expect("set aside");
    assert_eq!(waiting_of(&reader, EventClass::Thumbnail), []);
    assert_eq!(reader.thumbnail(1).expect("an answer").as_ref(), Some(&jpeg));
    assert_eq!(journal.retry(None).expect("put back"), 1);
    assert_eq!(waiting_of(&reader, EventClass::Thumbnail)[0].payload, jpeg);
    for number in 2.. {
        if journal.record(&identity(), result(number)).is_err() {
            break;
        }
    }
    assert_eq!([1, 2].map(|capture| reader.thumbnail(capture).expect("an answer")), [None, None]);
    assert_eq!(waiting_of(&reader, EventClass::Thumbnail), []);
    assert_eq!(reader.losses().expect("losses").thumbnails_dropped, 1, "the other one was delivered");
}

fn noise(bytes: usize) -> Vec<u8> {
    (0..).flat_map(|number: u64| photo(number).0).take(bytes).collect()
}

#[test]
fn a_drive_with_little_room_takes_no_photos() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let reports = |_| ();
    let greedy = Params { keep_free_bytes: u64::MAX / 4, ..journal_params() };
    let (journal, thread) = Journal::open(dir.path(), greedy, reports).expect("a journal");
    let refused = journal.record(&identity(), result(1)).expect_err("full");
    assert!(matches!(&refused, JournalError::Full(reason) if reason.contains("make room")), "{refused}");
    assert!(journal.admit().is_err());
    drop(journal);
    thread.join().expect("no panic");
    let journal = open_journal(dir.path());
    journal.admit().expect("there is room");
    record(&journal, result(1));
    assert_eq!(std::fs::metadata(dir.path().join("reserve")).expect("a reserve").len(), 1 << 20);
}

#[test]
fn the_order_does_not_depend_on_the_clock() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    let now = Timestamp::now();
    let jumps = [
        now,
        Timestamp::UNIX_EPOCH,
        now - Span::new().hours(20 * 8_766),
        now + Span::new().hours(20 * 8_766),
        Timestamp::MIN,
        Timestamp::MAX,
        now - Span::new().seconds(1),
    ];
    for (number, stored_at) in (1..).zip(jumps) {
        record(&journal, NewResult { stored_at, ..result(number) });
    }
    let reader = journal.reader().expect("a reader");
    let rows = waiting(&reader);
    let sequences: Vec<i64> = rows.iter().map(|row| json(row)["data"]["sequence"].as_i64().expect("one")).collect();
    assert_eq!(sequences, (1..=jumps.len() as i64).collect::<Vec<_>>());
    assert_eq!(json(&rows[1])["time"], "1970-01-01T00:00:00Z");
    let oldest = reader.outbox_depth().expect("a depth").oldest_stored_at.expect("a time");
    assert_eq!(oldest.as_microsecond(), now.as_microsecond(), "that of the first in the queue");
}

#[test]
fn events_of_other_devices_are_taken_in_once_and_keep_what_they_are() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    let event = |class, id: &str| ForeignEvent {
        class,
        event_id: id.to_owned(),
        topic: "bridge/v1/test/other/capture/result".to_owned(),
        payload: id.as_bytes().to_vec(),
    };
    let events =
        vec![event(EventClass::Result, "a"), event(EventClass::Urgent, "b"), event(EventClass::Thumbnail, "a")];
    assert_eq!(journal.import(events.clone(), Timestamp::now()).expect("taken in"), 3);
    let reader = journal.reader().expect("a reader");
    let rows = waiting(&reader);
    assert_eq!(rows.iter().map(|row| row.event_id.as_str()).collect::<Vec<_>>(), ["b", "a", "a"]);
    assert_eq!(rows[0].whole_topic("bridge/v1/test/unit"), "bridge/v1/test/other/capture/result");
    journal.delivered(ids(&rows)).expect("deleted");
    assert_eq!(journal.import(events, Timestamp::now()).expect("taken in"), 0, "delivered events are known too");
    assert_eq!(reader.outbox_depth().expect("a depth").total(), 0);
}

#[test]
fn one_look_at_the_queue_is_bounded() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    let large = |id: u64| ForeignEvent {
        class: EventClass::Detail,
        event_id: id.to_string(),
        topic: "bridge/v1/test/other/capture/result".to_owned(),
        payload: noise(300_000),
    };
    journal.import((0..10).map(large).collect(), Timestamp::now()).expect("taken in");
    let reader = journal.reader().expect("a reader");
    let rows = reader.outbox(EventClass::Detail, 0, 1_000).expect("rows");
    assert_eq!(rows.len(), 3);
    assert_eq!(waiting_of(&reader, EventClass::Detail).len(), 10);
}

#[test]
fn what_was_stored_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (journal, thread) = Journal::open(dir.path(), journal_params(), |_| ()).expect("a journal");
    for number in 1..=3 {
        record(&journal, result(number));
    }
    journal.note_known(path(9).as_ref(), &stamp(9), photo(2)).expect("noted");
    let now = Timestamp::now();
    assert_eq!(journal.accept_command(41, now, now).expect("stored"), CommandNote::New);
    for old in [7, 41] {
        assert_eq!(journal.accept_command(old, now, now).expect("stored"), CommandNote::Replayed { last: 41 });
    }
    let before = waiting(&journal.reader().expect("a reader"));
    drop(journal);
    thread.join().expect("no panic");
    let journal = open_journal(dir.path());
    let reader = journal.reader().expect("a reader");
    assert_eq!(waiting(&reader), before);
    assert_eq!(journal.command_counter().expect("a counter"), 41, "a counter of commands never goes back");
    for number in [1, 2, 3, 9] {
        let state = reader.file(path(number).as_ref()).expect("read").expect("notes are written at the end");
        assert_eq!((state.stamp, state.reason), (stamp(number), None));
    }
    record(&journal, result(4));
    assert_eq!(json(&waiting(&reader)[3])["data"]["sequence"], 4);
}

#[test]
fn another_process_beside_the_daemon_can_put_events_into_the_queue() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (sender, reports) = mpsc::channel();
    let report = move |report| {
        let _ = sender.send(report);
    };
    let (journal, _) = Journal::open(dir.path(), journal_params(), report).expect("a journal");
    record(&journal, result(1));
    journal.set_aside(waiting(&journal.reader().expect("a reader"))[0].id, "no".into()).expect("noted");
    thread::sleep(Duration::from_millis(1_500));
    while reports.try_recv().is_ok() {}
    let (beside, thread) = Journal::join(dir.path(), journal_params()).expect("joined");
    assert_eq!(beside.retry(None).expect("queued"), 1);
    drop(beside);
    thread.join().expect("no panic");
    assert_eq!(reports.recv_timeout(PATIENCE), Ok(Report::OutboxChanged), "the uplink is woken without a new photo");
    let reader = Reader::open(&dir.path().join(FILE_NAME)).expect("a reader");
    assert_eq!(waiting(&reader).len(), 1);
    record(&journal, result(2));
    assert_eq!(waiting(&reader).len(), 2);
}

#[test]
fn many_callers_share_commits_and_each_gets_its_answer() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = open_journal(dir.path());
    thread::scope(|scope| {
        for caller in 0..8_u64 {
            let journal = &journal;
            scope.spawn(move || {
                for number in 0..25 {
                    record(journal, result(caller * 100 + number));
                }
            });
        }
    });
    let reader = journal.reader().expect("a reader");
    let rows = waiting(&reader);
    let distinct: HashSet<&str> = rows.iter().map(|row| row.event_id.as_str()).collect();
    assert_eq!((rows.len(), distinct.len()), (200, 200));
    let mut sequences: Vec<i64> = rows.iter().map(|row| json(row)["data"]["sequence"].as_i64().expect("one")).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=200).collect::<Vec<_>>());
    eventually("all is delivered", || {
        journal.delivered(ids(&waiting(&reader))).expect("deleted");
        reader.outbox_depth().expect("a depth").total() == 0
    });
}

#[test]
fn corrections_of_this_and_of_other_processes_are_reported_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (reports, reported) = mpsc::channel();
    let (journal, _) = Journal::open(dir.path(), journal_params(), move |report| {
        if let Report::Changed(captures) = report {
            reports.send(captures).expect("a listener");
        }
    })
    .expect("a journal");
    let captures: Vec<i64> = (1..=4).map(|number| record(&journal, result(number))).collect();
    let correct = |journal: &Journal, captures: &[i64]| {
        let tag = || Change::Tag("bridgeclip:bridge=B-12".parse().expect("a tag"));
        let changes = captures.iter().map(|&capture| (capture, tag())).collect();
        journal.supersede_all(&identity(), changes, Expect::Any, false, Timestamp::now()).expect("stored");
    };
    correct(&journal, &captures[..1]);
    assert_eq!(reported.recv_timeout(PATIENCE).as_deref(), Ok(&captures[..1]));
    let (other, thread) = Journal::join(dir.path(), journal_params()).expect("a second process");
    correct(&other, &captures[1..3]);
    assert_eq!(reported.recv_timeout(PATIENCE).as_deref(), Ok(&captures[1..3]), "seen without a request");
    correct(&other, &captures[2..3]);
    correct(&journal, &captures[3..]);
    let rest: Vec<i64> = reported.recv_timeout(PATIENCE).into_iter().chain(reported.try_iter()).flatten().collect();
    assert_eq!(rest, captures[2..], "seen with the next commit, or before it");
    record(&journal, result(9));
    assert_eq!(reported.try_recv(), Err(mpsc::TryRecvError::Empty), "a new capture is no correction");
    drop(other);
    thread.join().expect("ended");
}
