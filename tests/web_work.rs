//! Checks long work that visitors request, and what it leaves to others.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Device, Paged, eventually};

const EXPORT: &str = "GET /api/v1/export?format=jsonl";

/// Returns the number of exports that are being written; each has a file without a name.
fn exports_under_way(device: &Device) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fd", device.process())).expect("a process").flatten();
    let targets = files.filter_map(|file| fs::read_link(file.path()).ok());
    targets.filter(|target| target.to_string_lossy().contains("/uploads/")).count()
}

/// Requests an export without waiting for the answer.
fn begin_export(paged: &Paged, token: &str) -> TcpStream {
    let mut stream = paged.connect();
    let request = format!("{EXPORT} HTTP/1.1\r\nHost: localhost\r\nCookie: bridgeclip={token}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("written");
    stream
}

/// Returns how long a visitor waits for the status, in seconds, for each request until `is_over`.
fn waits_for_status(paged: &Paged, token: &str, pause: Duration, is_over: impl Fn() -> bool) -> Vec<f64> {
    let mut waits = Vec::new();
    while !is_over() {
        let begin = Instant::now();
        assert_eq!(paged.ask_as(token, "GET /api/v1/status").status, 200);
        waits.push(begin.elapsed().as_secs_f64());
        thread::sleep(pause);
    }
    waits.sort_by(f64::total_cmp);
    waits
}

/// Has two visitors export `times` times each while a third one asks for the status. Returns the seconds of the
/// quickest export, and those of each wait for the status.
fn status_beside_two_exports(paged: &Paged, times: usize, pause: Duration) -> (f64, Vec<f64>) {
    let inspectors = ["A. Sato", "B. Ito"].map(|name| paged.let_in("inspector", name));
    let viewer = paged.let_in("viewer", "C. Abe");
    let left = AtomicUsize::new(2);
    thread::scope(|scope| {
        let exports = inspectors.map(|token| {
            let left = &left;
            scope.spawn(move || {
                let quickest = (0..times).map(|_| {
                    let begin = Instant::now();
                    assert_eq!(paged.ask_as(&token, EXPORT).status, 200);
                    begin.elapsed().as_secs_f64()
                });
                let quickest = quickest.fold(f64::MAX, f64::min);
                left.fetch_sub(1, Ordering::Relaxed);
                quickest
            })
        });
        // Once one export has ended, the other is alone.
        let waits = waits_for_status(paged, &viewer, pause, || left.load(Ordering::Relaxed) < 2);
        let quickest = exports.map(|export| export.join().expect("no panic")).into_iter().fold(f64::MAX, f64::min);
        (quickest, waits)
    })
}

#[test]
fn nobody_waits_for_an_export_to_hear_how_the_device_is() {
    let paged = Paged::with_recorded(4_000);
    let (export, waits) = status_beside_two_exports(&paged, 3, Duration::from_millis(5));
    let median = waits[waits.len() / 2];
    assert!(waits.len() >= 6, "{} answers beside exports of {export} s", waits.len());
    assert!(median < export / 4.0, "the status takes {median} s, an export {export} s");
}

#[test]
fn an_export_that_nobody_waits_for_ends_and_one_visitor_makes_one_at_a_time() {
    let paged = Paged::with_recorded(6_000);
    let token = paged.let_in("inspector", "A. Sato");
    let begin = Instant::now();
    assert_eq!(paged.ask_as(&token, EXPORT).status, 200);
    let whole = begin.elapsed();
    let streams: Vec<_> = (0..3).map(|_| begin_export(&paged, &token)).collect();
    eventually("an export", || exports_under_way(&paged.device) > 0);
    assert_eq!(exports_under_way(&paged.device), 1, "the others wait");
    let begin = Instant::now();
    drop(streams);
    eventually("the end of all", || exports_under_way(&paged.device) == 0);
    assert!(begin.elapsed() < whole, "{:?} after nobody waited any more; a whole one takes {whole:?}", begin.elapsed());
    assert_eq!(paged.ask_as(&token, "GET /api/v1/export?format=csv").status, 200, "its place is free again");
}

/// Measures the status beside two exports: `cargo test --release the_status_beside_two_exports -- --ignored
/// --nocapture`.
#[test]
#[ignore = "takes minutes, and says something only on a quiet machine"]
fn the_status_beside_two_exports_of_a_hundred_thousand_captures() {
    let paged = Paged::with_recorded(100_000);
    let (export, waits) = status_beside_two_exports(&paged, 2, Duration::from_millis(50));
    let of = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize] * 1e3;
    println!("an export takes {export:.1} s; {} questions for the status meanwhile:", waits.len());
    println!("median {:.1} ms, 99 % {:.1} ms, slowest {:.1} ms", of(0.5), of(0.99), of(1.0));
    assert!(of(1.0) <= 50.0);
}
