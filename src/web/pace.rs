//! How often something may happen: some times at once, and then one by one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For one who uses it.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// When all that came would have come one by one; `None` before the first one.
    even: Option<Instant>,
    at_once: u32,
    each: Duration,
}

impl Bucket {
    pub fn new(at_once: u32, each: Duration) -> Self {
        Bucket { even: None, at_once, each }
    }

    /// Time until the next one may pass; zero if it may now.
    pub fn wait(&self, now: Instant) -> Duration {
        (self.next(now) - now).saturating_sub(self.each * self.at_once)
    }

    /// Counts one that passes.
    pub fn take(&mut self, now: Instant) {
        self.even = Some(self.next(now));
    }

    /// Whether as many as ever may pass at once.
    pub fn is_full(&self, now: Instant) -> bool {
        self.even.is_none_or(|even| even <= now)
    }

    fn next(&self, now: Instant) -> Instant {
        self.even.map_or(now, |even| even.max(now)) + self.each
    }
}

/// For many who use it at the same time.
#[derive(Debug)]
pub struct Pace(Mutex<Bucket>);

impl Pace {
    pub fn new(at_once: u32, each: Duration) -> Self {
        Pace(Mutex::new(Bucket::new(at_once, each)))
    }

    /// Lets one pass, or says how long it has to wait.
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
