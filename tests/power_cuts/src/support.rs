//! Code that the bench shares with the tests of the program.

#[path = "../../support/faulty_broker.rs"]
#[allow(dead_code)]
mod faulty_broker;
#[path = "../../support/random.rs"]
mod random;
#[path = "../../support/seeded.rs"]
#[allow(dead_code)]
mod seeded;

use std::time::Duration;

pub use faulty_broker::{Act, FaultyBroker, Heard, politely};
pub use random::Random;

/// Number of times that the bench looks for something it waits for. Looks are counted instead of time: on an overloaded
/// machine the bench is delayed as much as what it waits for.
pub const LOOKS: usize = 10_000;
const PAUSE: Duration = Duration::from_millis(5);
/// Time limit for a part of an answer.
pub const ANSWER_TIME: Duration = Duration::from_secs(120);

/// Waits until `condition` is true. Returns false if it is not in time.
pub fn soon(mut condition: impl FnMut() -> bool) -> bool {
    (0..LOOKS).any(|_| {
        let holds = condition();
        if !holds {
            std::thread::sleep(PAUSE);
        }
        holds
    })
}

/// Waits until `condition` is true. Panics with `what` if it is not in time.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(soon(condition), "not in {LOOKS} looks: {what}");
}
