//! Rate limits: what passes is paid for in time, and a burst may pass ahead of its payment.

use std::time::{Duration, Instant};

/// Rate limit in which everything that passes costs some time. The costs of a burst may be paid afterwards.
///
/// This is the generic cell rate algorithm (ITU-T I.371), which keeps one moment in place of a level that fills.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// Moment until which everything that passed is paid for; `None` before the first.
    paid_until: Option<Instant>,
    /// Cost that may pass ahead of its payment.
    burst: Duration,
}

impl RateLimit {
    /// Creates a limit under which nothing has passed yet.
    pub fn new(burst: Duration) -> Self {
        RateLimit { paid_until: None, burst }
    }

    /// Returns the time until something of this cost may pass; zero if it may pass now. A cost of zero asks whether the
    /// burst is used up by what passed before.
    pub fn wait(&self, cost: Duration, now: Instant) -> Duration {
        (self.owed(now) + cost).saturating_sub(self.burst)
    }

    /// Counts something that passes, even if it had to wait.
    pub fn take(&mut self, cost: Duration, now: Instant) {
        self.paid_until = Some(now + self.owed(now) + cost);
    }

    /// Reports whether a full burst is allowed again.
    pub fn is_full(&self, now: Instant) -> bool {
        self.owed(now).is_zero()
    }

    /// Returns the cost of what has passed and is not paid for yet.
    fn owed(&self, now: Instant) -> Duration {
        self.paid_until.map_or(Duration::ZERO, |paid_until| paid_until.saturating_duration_since(now))
    }
}

/// Time whose worth a [`TokenBucket`] saves up while nothing passes.
const SAVED_UP: Duration = Duration::from_secs(1);

/// Limit for bytes or messages per second. At most one second's worth passes at once; a single large piece may overdraw
/// that, and later pieces wait for the balance.
#[derive(Debug)]
pub struct TokenBucket {
    /// Rate per second; `None` means no limit.
    per_s: Option<f64>,
    limit: RateLimit,
}

impl TokenBucket {
    /// Creates a bucket from which nothing was taken.
    pub fn new(per_s: Option<u32>) -> Self {
        TokenBucket { per_s: per_s.map(f64::from), limit: RateLimit::new(SAVED_UP) }
    }

    /// Changes the rate. An overdraft remains.
    pub fn set_rate(&mut self, per_s: Option<u32>, now: Instant) {
        let overdraft = self.wait(now).as_secs_f64() * self.per_s.unwrap_or(0.0);
        let owed = self.limit.owed(now).min(SAVED_UP);
        *self = TokenBucket::new(per_s);
        self.limit.take(owed + self.cost(overdraft), now);
    }

    /// Returns the time that the next piece must wait.
    pub fn wait(&self, now: Instant) -> Duration {
        self.limit.wait(Duration::ZERO, now)
    }

    /// Takes an amount out of the bucket, even if that overdraws it.
    pub fn take(&mut self, amount: usize, now: Instant) {
        let cost = self.cost(amount as f64);
        self.limit.take(cost, now);
    }

    fn cost(&self, amount: f64) -> Duration {
        self.per_s.map_or(Duration::ZERO, |per_s| Duration::from_secs_f64(amount / per_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_piece_is_waited_for_afterwards() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(Some(1_000));
        assert_eq!(bucket.wait(start), Duration::ZERO);
        bucket.take(5_000, start);
        assert_eq!(bucket.wait(start), Duration::from_secs(4));
        let later = start + Duration::from_secs(3);
        assert_eq!(bucket.wait(later), Duration::from_secs(1));
        bucket.set_rate(Some(500), later);
        assert_eq!(bucket.wait(later), Duration::from_secs(2));
        bucket.set_rate(None, later);
        assert_eq!(bucket.wait(later), Duration::ZERO);
    }

    #[test]
    fn over_a_long_time_the_rate_is_kept() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(Some(2_000));
        let mut now = start;
        for _ in 0..100 {
            now += bucket.wait(now);
            bucket.take(700, now);
        }
        // 70,000 bytes, of which the first 2,000 and the last 700 did not wait.
        let expected = (70_000.0 - 2_000.0 - 700.0) / 2_000.0;
        assert!((now.duration_since(start).as_secs_f64() - expected).abs() < 0.4);
        let rested = now + Duration::from_secs(3_600);
        bucket.take(2_100, rested);
        assert_eq!(bucket.wait(rested), Duration::from_millis(50), "a rest saves up one second's worth");
    }
}
