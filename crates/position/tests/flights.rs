//! Simulated flights: a path, a receiver, a camera with a clock of its own, and the ways in which photos reach the device.
//! The true place of each exposure is known, so every place that the locator gives is held against its own error.
//!
//! `BRIDGECLIP_FLIGHTS` is the number of flights, `BRIDGECLIP_FLIGHT_SEED` replays one.

mod simulated;

use std::env;
use std::sync::LazyLock;
use std::thread;

use simulated::flight::{Flight, Verdict};

/// Number of photos of a kind that the report names.
const TOLD_MAX: usize = 4;

/// Flights that one run of the tests makes.
const FLIGHTS: u64 = 1_000;

/// Photos of all flights, which are played once.
static VERDICTS: LazyLock<Vec<Verdict>> = LazyLock::new(verdicts);

/// Plays the flights in two threads.
fn verdicts() -> Vec<Verdict> {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    if let Some(seed) = number("BRIDGECLIP_FLIGHT_SEED") {
        return Flight::new(seed).verdicts();
    }
    let flights = number("BRIDGECLIP_FLIGHTS").unwrap_or(FLIGHTS);
    let half = |first| move || (first..flights).step_by(2).flat_map(|seed| Flight::new(seed).verdicts()).collect();
    let other = thread::spawn(half(1));
    let mut verdicts: Vec<Verdict> = half(0)();
    verdicts.extend(other.join().expect("no panic"));
    verdicts
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[test]
fn no_place_claims_more_than_it_is_worth() {
    let verdicts = &*VERDICTS;
    let mut outcome = Vec::new();
    for stage in ["first", "final"] {
        let of_stage: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.stage == stage).collect();
        let placed: Vec<&&Verdict> = of_stage.iter().filter(|verdict| verdict.off_m.is_some()).collect();
        let outside = placed.iter().filter(|verdict| verdict.is_outside()).count();
        let wrong: Vec<&&&Verdict> = placed.iter().filter(|verdict| verdict.is_confident_and_wrong()).collect();
        let live = of_stage.iter().filter(|verdict| verdict.is_live && verdict.off_m.is_some());
        let excess: Vec<f64> = live.map(|verdict| verdict.off_m.unwrap_or_default() - verdict.allowed_m).collect();
        eprintln!(
            "{stage}: {} photos, {} placed, {:.2} % outside their error; wrong by more than 50 m with an age below 5 s: \
             {}, and {} by cameras that state an error of 80 m; live photos: median error minus (speed x 0.2 s + \
             receiver) {:+.2} m",
            of_stage.len(),
            placed.len(),
            100.0 * share(outside, placed.len()),
            wrong.len(),
            placed.iter().filter(|verdict| verdict.is_fresh_and_wrong()).count() - wrong.len(),
            median(excess.clone()),
        );
        for verdict in wrong.iter().step_by(wrong.len() / TOLD_MAX + 1) {
            eprintln!("  wrong: {}", verdict.words());
        }
        let mut told = Vec::new();
        for verdict in placed.iter().filter(|verdict| verdict.is_outside()) {
            if told.iter().filter(|kind| **kind == verdict.kind).count() < TOLD_MAX {
                eprintln!("  outside: {}", verdict.words());
                told.push(verdict.kind);
            }
        }
        for kind in simulated::flight::KINDS {
            let of_kind: Vec<&&&Verdict> = placed.iter().filter(|verdict| verdict.kind == kind).collect();
            let outside = of_kind.iter().filter(|verdict| verdict.is_outside()).count();
            let all = of_stage.iter().filter(|verdict| verdict.kind == kind).count();
            let off = median(of_kind.iter().filter_map(|verdict| verdict.off_m).collect());
            let error = median(of_kind.iter().map(|verdict| verdict.error_m).collect());
            eprintln!(
                "  {kind:<28} {all:>6} photos, {:>6} placed, {:>5.2} % outside, median off {off:.1} m of {error:.1} m",
                of_kind.len(),
                100.0 * share(outside, of_kind.len()),
            );
        }
        outcome.push((stage, wrong.len(), share(outside, placed.len()), median(excess)));
    }
    for (stage, wrong, outside, excess_m) in outcome {
        assert_eq!(wrong, 0, "{stage}: wrong by more than 50 m with an age below 5 s, and a smaller error");
        assert!(outside <= 0.05, "{stage}");
        if stage == "final" {
            assert!(excess_m <= 0.0, "live photos");
        }
    }
}

#[test]
fn believing_every_clock_is_found_out() {
    // The control: without doubt about moments and places the same flights must show places outside their errors.
    let outside = VERDICTS.iter().filter(|verdict| verdict.naive_off_m > 50.0).count();
    assert!(outside > 100, "{outside}");
}
