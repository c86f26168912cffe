//! Results like those of the demo package, as many as a test needs, and a journal for them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bridgeclip::domain::{
    Capture, Category, CategoryLabels, CategoryVerdict, Embedding, Evidence, FileStamp, Image, Labels, Method, Rule,
    ScoredClass, SecondLook, Sha256, Time, TimeQuality, Urgency, Verdict, testing,
};
use bridgeclip::journal::{DeviceIdentity, EventClass, Journal, NewResult, OutboxRow, Params, Reader};
use jiff::Timestamp;

use super::seeded_values;

pub fn identity() -> Arc<DeviceIdentity> {
    Arc::new(DeviceIdentity {
        source: "bridge/v1/test/unit".to_owned(),
        boot_id: "9b0c2a44-7c1f-4a5d-8f0e-6f1f7f0a3c55".to_owned(),
        package: "bridgeclip-demo 1".to_owned(),
        package_hash: Sha256::of(b"package").to_string(),
        embedding_space: Sha256::of(b"encoders"),
    })
}

/// Returns journal settings without waits and without a check of what else the drive is used for.
pub fn journal_params() -> Params {
    Params { group_window: Duration::ZERO, keep_free_bytes: 0, reserve_bytes: 1 << 20, ..Params::default() }
}

/// Opens a journal in this folder that reports to nobody. It stops when the test drops it.
pub fn open_journal(dir: &Path) -> Journal {
    Journal::open(dir, journal_params(), |_| ()).expect("a journal").0
}

/// Evidence for moment and place, as large as that of a photo with a position.
const CLAIMS: &str = r#"{"origin":"watched","written_ns":5918031083797,"seen_ns":5918063044057,
"seen":"2026-05-09T01:11:12.123Z","modified":"2026-05-09T01:11:12.646268123Z",
"camera":{"civil":"2026-05-09T10:11:12.12","offset":32400,"step_s":0.01},"gps":"2026-05-09T01:11:11Z",
"places":[{"latitude_deg":35.505,"longitude_deg":139.76,"altitude_m":123.4,"source":"exif"}]}"#;

/// Returns a result as large as a real one: ten neighbours, 512 values. The same number gives the same photo.
pub fn result(number: u64) -> NewResult {
    let sha256 = photo(number);
    let capture = testing::bare_capture(sha256);
    NewResult {
        capture: Capture {
            taken: Time::new(Timestamp::UNIX_EPOCH, TimeQuality::Exif),
            image: Image {
                path: path(number).into(),
                bytes: 4_321_000 + number,
                quality: Some(testing::quality()),
                ..capture.image
            },
            ..capture
        },
        stamp: stamp(number),
        embedding: Embedding::normalise(seeded_values(&sha256.to_string(), 512, 0.0, 1.0).collect()).expect("finite"),
        verdict: Verdict {
            categories: Category::ALL.map(|_| category(number)),
            method: Method::Knn,
            rule: Some(Rule::Published),
            by_inspector: false,
            confidence_calibrated: true,
            urgency: Urgency::default(),
            second_look: vec![SecondLook::NearTie],
            not_excluded: None,
            draft: testing::draft(),
            evidence: (0..10).map(|n| evidence(number, n)).collect(),
        },
        new_tag: None,
        urgent: false,
        claims: Some(CLAIMS.to_owned()),
        thumbnail: None,
        queued: true,
        stored_at: Timestamp::now(),
    }
}

pub fn photo(number: u64) -> Sha256 {
    Sha256::of(&number.to_le_bytes())
}

pub fn path(number: u64) -> String {
    format!("/media/camera/DCIM/100MEDIA/DJI_{number:04}.JPG")
}

pub fn stamp(number: u64) -> FileStamp {
    FileStamp { bytes: 4_321_000 + number, modified_ns: 1_700_000_000_000_000_000 + number as i64 }
}

fn category(number: u64) -> CategoryVerdict {
    let class = |index, confidence| ScoredClass { index, confidence };
    CategoryVerdict { classes: vec![class((number % 3) as u8, 0.6), class(3, 0.4)] }
}

fn evidence(number: u64, neighbour: u64) -> Evidence {
    let id = (number * 7919 + neighbour * 104_729) % 90_987;
    Evidence {
        reference_id: id as i64,
        similarity: 0.93 - 0.007 * neighbour as f32,
        source: format!("images/2019/{id:06}/photo_{:02}.jpg", id % 37),
        caption: format!(
            "Cracking and water leakage are observed in the {}. The soundness rating is Ⅱ. The component-wise measure \
             classification is C1.",
            ["main girder", "pier", "deck slab", "abutment", "cross beam"][(id % 5) as usize]
        ),
        labels: Labels::new(|category| CategoryLabels::new(category, [(id % 4) as u8])),
    }
}

/// Stores these results from many threads, so that they share commits.
pub fn record_all(journal: &Journal, numbers: Range<u64>) {
    let next = AtomicU64::new(numbers.start);
    let record = || loop {
        match next.fetch_add(1, Ordering::Relaxed) {
            number if numbers.contains(&number) => journal.record(&identity(), result(number)).expect("stored"),
            _ => return,
        };
    };
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(record);
        }
    });
}

/// Returns all events that wait, in the order of delivery.
pub fn waiting(reader: &Reader) -> Vec<OutboxRow> {
    EventClass::ALL.into_iter().flat_map(|class| waiting_of(reader, class)).collect()
}

pub fn waiting_of(reader: &Reader, class: EventClass) -> Vec<OutboxRow> {
    let mut all: Vec<OutboxRow> = Vec::new();
    loop {
        let after = all.last().map_or(0, |row| row.id);
        let rows = reader.outbox(class, after, 100).expect("rows");
        if rows.is_empty() {
            return all;
        }
        all.extend(rows);
    }
}
