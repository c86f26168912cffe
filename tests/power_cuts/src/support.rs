//! What the bench shares with the tests of the program.

#[path = "../../support/faulty_broker.rs"]
#[allow(dead_code)]
mod faulty_broker;
#[path = "../../support/random.rs"]
mod random;
#[path = "../../support/seeded.rs"]
#[allow(dead_code)]
mod seeded;

use std::time::{Duration, Instant};

pub use faulty_broker::{Act, FaultyBroker, Heard, politely};
pub use random::Random;

/// Nothing that the bench waits for takes longer while the device works, on a machine that has much else to do either.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `condition` holds; whether it did in time.
pub fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Waits until `condition` holds; fails with `what` if it does not in time.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(soon(condition), "not within {PATIENCE:?}: {what}");
}
