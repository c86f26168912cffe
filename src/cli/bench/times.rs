//! Times of many runs, and photos to search for.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::domain::Embedding;
use crate::random::Random;
use crate::reference::Reference;

/// Number of runs before the first one that counts.
pub const WARM_UP: usize = 5;

/// The times of many runs.
#[derive(Serialize)]
pub struct Times {
    pub median_ms: f64,
    pub percentile_5_ms: f64,
    pub percentile_95_ms: f64,
}

impl Times {
    /// Sums up times in milliseconds, at least one.
    pub fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let percentile = |percent: usize| times[(times.len() - 1) * percent / 100];
        Times { median_ms: percentile(50), percentile_5_ms: percentile(5), percentile_95_ms: percentile(95) }
    }

    /// Measures `run`, `repeat` times. Calls `counted` after each run that counts.
    pub fn measure<T>(repeat: u32, mut run: impl FnMut() -> Result<T>, counted: impl Fn()) -> Result<Self> {
        for _ in 0..WARM_UP {
            run()?;
        }
        let mut times = Vec::new();
        for _ in 0..repeat {
            times.push(timed(&mut run)?.1);
            counted();
        }
        Ok(Times::of(times))
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Times { median_ms, percentile_5_ms, percentile_95_ms } = self;
        write!(f, "median {median_ms:.2} ms, 5 % {percentile_5_ms:.2} ms, 95 % {percentile_95_ms:.2} ms")
    }
}

/// Runs `run`, and returns its result and its time in milliseconds.
pub fn timed<T>(run: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    let begin = Instant::now();
    let result = run()?;
    Ok((result, milliseconds(begin.elapsed())))
}

/// Returns stored vectors, spread evenly over the reference, with noise of a tenth of their length. They are as near to
/// their neighbours as a new photo is.
pub fn queries(reference: &Reference, count: usize) -> Result<Vec<Embedding>> {
    ensure!(!reference.is_empty(), "the reference has no photos");
    let query = |index: usize| {
        let (_, embedding) = reference.row(index * reference.len() / count)?;
        let dim = embedding.values().len();
        let values = embedding.values().iter().zip(noise(index, dim)).map(|(value, noise)| value + noise);
        Ok(Embedding::normalise(values.collect())?)
    };
    (0..count).map(query).collect()
}

/// Returns a vector of a length of about 0.1, the same on every run.
fn noise(index: usize, dim: usize) -> impl Iterator<Item = f32> {
    let (end, mut random) = (0.17 / (dim as f32).sqrt(), Random::new(&[index as u64]));
    (0..dim).map(move |_| random.within(end))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
