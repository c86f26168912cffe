//! Rate limits that allow a burst, and then one event per interval.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::uplink::RateLimit;

/// Rate limit that allows `at_once` events in a burst, and one more in each interval of `each`.
#[derive(Clone, Debug)]
pub struct Bucket {
    limit: RateLimit,
    each: Duration,
}

impl Bucket {
    pub fn new(at_once: u32, each: Duration) -> Self {
        Bucket { limit: RateLimit::new(each * at_once), each }
    }

    /// Returns the time until the next event may pass; zero if it may pass now.
    pub fn wait(&self, now: Instant) -> Duration {
        self.limit.wait(self.each, now)
    }

    /// Counts an event that passes.
    pub fn take(&mut self, now: Instant) {
        self.limit.take(self.each, now);
    }

    /// Reports whether a full burst is allowed again.
    pub fn is_full(&self, now: Instant) -> bool {
        self.limit.is_full(now)
    }
}

/// Rate limit that many threads share.
#[derive(Debug)]
pub struct Pace(Mutex<Bucket>);

impl Pace {
    pub fn new(at_once: u32, each: Duration) -> Self {
        Pace(Mutex::new(Bucket::new(at_once, each)))
    }

    /// Lets an event pass, or returns how long it has to wait.
    pub fn pass(&self, now: Instant) -> Result<(), Duration> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match bucket.wait(now) {
            Duration::ZERO => {
                bucket.take(now);
                Ok(())
            }
            wait => Err(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_pass_at_once_and_the_others_one_by_one() {
        let (pace, now) = (Pace::new(3, Duration::from_secs(2)), Instant::now());
        let passed = |at| pace.pass(now + Duration::from_secs(at));
        assert_eq!([passed(0), passed(0), passed(0)], [Ok(()); 3]);
        assert_eq!(passed(0), Err(Duration::from_secs(2)));
        assert_eq!(passed(1), Err(Duration::from_secs(1)));
        assert_eq!((passed(2), passed(3)), (Ok(()), Err(Duration::from_secs(1))));
        assert_eq!([passed(60), passed(60), passed(60)], [Ok(()); 3]);
        assert!(passed(60).is_err());
    }
}
