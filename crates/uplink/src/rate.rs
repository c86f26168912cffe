//! A limit for a rate: a token bucket that fills evenly.

use std::time::{Duration, Instant};

/// A token bucket of bytes or pieces. A single large piece may overdraw it, and later pieces wait for the balance.
#[derive(Debug)]
pub struct TokenBucket {
    /// Rate per second, and the bucket's capacity: after a rest, at most one second's worth passes at once. `None`
    /// means no limit.
    per_s: Option<f64>,
    /// Current level; negative if the bucket is overdrawn.
    level: f64,
    /// Time at which `level` was computed.
    at: Instant,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub fn new(per_s: Option<u32>, now: Instant) -> Self {
        let per_s = per_s.map(f64::from);
        TokenBucket { per_s, level: per_s.unwrap_or(0.0), at: now }
    }

    /// Changes the rate. An overdraft remains.
    pub fn set_rate(&mut self, per_s: Option<u32>, now: Instant) {
        self.fill(now);
        self.per_s = per_s.map(f64::from);
    }

    /// Returns the time that the next piece must wait.
    pub fn wait(&self, now: Instant) -> Duration {
        match self.per_s {
            Some(per_s) if self.level_at(per_s, now) < 0.0 => {
                Duration::from_secs_f64(-self.level_at(per_s, now) / per_s)
            }
            _ => Duration::ZERO,
        }
    }

    /// Takes an amount out of the bucket, even if that overdraws it.
    pub fn take(&mut self, amount: usize, now: Instant) {
        self.fill(now);
        self.level -= amount as f64;
    }

    fn fill(&mut self, now: Instant) {
        self.level = self.per_s.map_or(0.0, |per_s| self.level_at(per_s, now));
        self.at = now;
    }

    fn level_at(&self, per_s: f64, now: Instant) -> f64 {
        (self.level + now.saturating_duration_since(self.at).as_secs_f64() * per_s).min(per_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_piece_is_waited_for_afterwards() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(Some(1_000), start);
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
        let mut bucket = TokenBucket::new(Some(2_000), start);
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
