//! What the bench shares with the tests of the program.

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

/// Looks at something that the bench waits for. They are counted, and not the time: on a machine that has too much else to do,
/// whoever looks comes as late as what is looked at.
pub const LOOKS: usize = 10_000;
const PAUSE: Duration = Duration::from_millis(5);
/// For a part of an answer.
pub const ANSWER_TIME: Duration = Duration::from_secs(120);

/// Waits until `condition` holds; whether it did in time.
pub fn soon(mut condition: impl FnMut() -> bool) -> bool {
    (0..LOOKS).any(|_| {
        let holds = condition();
        if !holds {
            std::thread::sleep(PAUSE);
        }
        holds
    })
}

/// Waits until `condition` holds; fails with `what` if it does not in time.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    assert!(soon(condition), "not in {LOOKS} looks: {what}");
}
