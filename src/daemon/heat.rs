//! Rests between photos while the machine is hot, so that the processor never has to slow itself down, and a drone's
//! flight computer with it.

use std::time::Duration;

use log::info;

/// Longest rest before the temperature is read again.
const REST_MAX: Duration = Duration::from_secs(60);
/// Longest rest as a multiple of the last photo's time. The daemon then works for a tenth of the time.
const TIMES_MAX: f32 = 9.0;

/// Decision on rests between photos.
#[derive(Debug)]
pub struct Heat {
    /// Least temperature at which the daemon rests; `None` if it never rests.
    limit_celsius: Option<f32>,
    is_hot: bool,
}

impl Heat {
    /// Starts cool. `limit_celsius` is the least temperature at which the daemon rests; `None` for never.
    pub fn new(limit_celsius: Option<f32>) -> Self {
        Heat { limit_celsius, is_hot: false }
    }

    /// Returns how long to rest after a photo that took `took`: one `took` at the limit and another for every degree
    /// above it, up to nine times `took` and at most one minute.
    pub fn rest(&mut self, celsius: impl FnOnce() -> Option<f32>, took: Duration) -> Duration {
        let Some(limit) = self.limit_celsius else { return Duration::ZERO };
        let Some(celsius) = celsius() else { return Duration::ZERO };
        let is_hot = celsius >= limit;
        if is_hot != self.is_hot {
            self.is_hot = is_hot;
            match is_hot {
                true => info!("{celsius:.0} °C: resting between photos ([classify] rest_above_celsius = {limit:.0})"),
                false => info!("{celsius:.0} °C: no more rests"),
            }
        }
        if is_hot { took.mul_f32((1.0 + celsius - limit).min(TIMES_MAX)).min(REST_MAX) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hotter_the_longer() {
        let mut heat = Heat::new(Some(75.0));
        let mut rest = |celsius| heat.rest(|| celsius, Duration::from_secs(2)).as_secs_f32();
        assert_eq!([rest(None), rest(Some(74.9)), rest(Some(75.0)), rest(Some(76.5))], [0.0, 0.0, 2.0, 5.0]);
        assert_eq!((rest(Some(120.0)), rest(Some(60.0))), (18.0, 0.0));
        assert_eq!(Heat::new(Some(75.0)).rest(|| Some(90.0), Duration::from_secs(600)), REST_MAX);
        assert_eq!(Heat::new(None).rest(|| Some(120.0), REST_MAX), Duration::ZERO);
    }
}
