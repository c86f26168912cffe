//! Simulates devices over days and years: the real uplink, journal and corrector on a simulated clock, with a broker in
//! every mood, networks that fail, clocks that step, kills and starts. A seed determines all of it.
//!
//! The checks are these. Nothing that was accepted is lost. The same id arrives with the same bytes, so that nothing
//! counts twice. Nothing is sent again once its delivery is stored. Sequence numbers have no gap. Classes keep their
//! order, and an urgent event overtakes the others. What the broker denies does not hold up what it does not deny. The
//! same seed gives the same trace. The system draws the ids of events, so the trace holds everything but them.
//!
//! `SIM_SEED=17` sets the first seed, `SIM_SEEDS=1000` tries that many, `SIM_TRACE=1` prints what happens.

mod broker;
mod checks;
mod clock;
mod random;
mod unit;
mod world;

use std::time::Instant;

use clock::{DAY, HOUR};
use world::{Outcome, Scale, World};

const FEW_DAYS: Scale = Scale { units: 3, days: 4, photos_a_day: 40, health_s: 300, whims: 4 * HOUR, lies: 0 };
const YEAR: Scale = Scale { units: 10, days: 365, photos_a_day: 16, health_s: 300, whims: 3 * DAY, lies: 0 };

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn live(seed: u64, scale: Scale) -> Outcome {
    let begin = Instant::now();
    println!("SIM_SEED={seed}");
    let outcome = World::new(seed, scale).run();
    println!("{outcome:?} in {:.1} s", begin.elapsed().as_secs_f64());
    outcome
}

fn live_through(seeds: u64) {
    let first = variable("SIM_SEED").unwrap_or(1);
    for seed in first..first + variable("SIM_SEEDS").unwrap_or(seeds) {
        let outcome = live(seed, FEW_DAYS);
        assert!(outcome.events > 100, "something happened: {outcome:?}");
    }
}

#[test]
fn a_few_simulated_days_lose_nothing() {
    live_through(6);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let scale = Scale { days: 2, ..FEW_DAYS };
    let [first, again] = [1, 1].map(|seed| live(seed, scale));
    assert_eq!(first, again);
    assert_ne!(first.trace, live(2, scale).trace);
}

/// Reports health every second. Nobody answers a report, so it is hardest to tell what a connection ended over.
#[test]
fn a_device_that_reports_its_health_every_second_loses_nothing_either() {
    for seed in 1..=3 {
        live(seed, Scale { units: 1, days: 1, health_s: 1, ..FEW_DAYS });
    }
}

#[test]
fn a_broker_that_acknowledges_what_it_loses_is_found_out() {
    let found = std::panic::catch_unwind(|| live(1, Scale { days: 2, lies: 20, ..FEW_DAYS }));
    let found = found.expect_err("events were lost, and nobody noticed");
    let words = found.downcast_ref::<String>().expect("a message");
    // Lost events are missed in the end, urgent ones as soon as they are due.
    assert!(words.contains("are lost") || words.contains("has not come"), "{words}");
}

/// Takes some minutes: `cargo test --release --test main simulated_year -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn a_simulated_year_of_ten_devices_loses_nothing() {
    let outcome = live(variable("SIM_SEED").unwrap_or(1), YEAR);
    assert!(outcome.events > 50_000 && outcome.repeated > 0 && outcome.corrections > 0, "{outcome:?}");
    assert!(outcome.set_aside > 0 && outcome.urgent_in_time > 0, "{outcome:?}");
}

/// Tries many seeds: `SIM_SEEDS=1000 cargo test --release --test main simulated_seeds -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn many_simulated_seeds_lose_nothing() {
    live_through(100);
}
