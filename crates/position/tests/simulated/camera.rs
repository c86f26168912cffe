//! A simulated camera: its clock, what it writes into photos, and how the photos reach the device.

use bridgeclip_random::Random;

use super::path::{exponential, uniform};

/// Way of photos to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The camera writes into a folder that the device watches.
    Live,
    /// Another program copies each photo after a while, and the copy has a new modification time.
    Copied,
    /// A card is read at the end of the flight.
    Card,
    /// A phone sends the photo through the field page.
    Upload,
}

/// Fault of a camera's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    Good,
    /// Whole hours off: another zone, or summer time.
    Hours,
    Minutes,
    /// It started at the beginning of its count when the battery was changed.
    Reset,
    /// The camera writes no time.
    None,
}

/// Position that the camera writes into its photos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnPlace {
    None,
    Fresh,
    /// Taken long before, as its satellite time shows.
    StaleDated,
    /// Taken long before, without a time.
    StaleUndated,
    /// Fresh, with a stated error of 80 m.
    Poor,
}

pub struct Camera {
    pub transport: Transport,
    pub clock: Clock,
    pub own: OwnPlace,
    /// Seconds by which the clock is ahead of UTC, at the start.
    pub lead_s: f64,
    pub step_s: f64,
    /// Whether the photos state the offset of the camera's zone, here UTC.
    pub states_offset: bool,
    /// Mean time of writing in seconds.
    pub writing_s: f64,
    /// Least time of writing in seconds.
    pub least_s: f64,
    /// Whether a flight controller reports each exposure.
    pub is_triggered: bool,
}

impl Camera {
    pub fn new(random: &mut Random) -> Self {
        let transport = match random.below(20) {
            0..12 => Transport::Live,
            12..15 => Transport::Copied,
            15..18 => Transport::Card,
            _ => Transport::Upload,
        };
        let clock = match (transport, random.below(20)) {
            // Phones take their time from the network.
            (Transport::Upload, _) => Clock::Good,
            (_, 0..10) => Clock::Good,
            // A card's camera that nobody has seen live or set is believed within minutes; see the decision.
            (Transport::Card, _) => Clock::Good,
            (_, 10..13) => Clock::Hours,
            (Transport::Live, 13..16) => Clock::Minutes,
            (_, 16..18) => Clock::Reset,
            // A copy without a time looks like a live photo: nothing can tell it apart.
            (Transport::Copied, _) => Clock::Good,
            _ => Clock::None,
        };
        let own = match random.below(10) {
            0..4 => OwnPlace::None,
            4..7 => OwnPlace::Fresh,
            7 => OwnPlace::StaleDated,
            8 => OwnPlace::StaleUndated,
            _ => OwnPlace::Poor,
        };
        let hours = [-9.0, -1.0, 1.0, 8.0][random.below(4)];
        let small_s = uniform(random, -2.5, 2.5);
        let lead_s = match clock {
            Clock::Good if transport == Transport::Card => uniform(random, -60.0, 60.0),
            Clock::Good | Clock::None => small_s,
            Clock::Hours => hours * 3_600.0 + small_s,
            Clock::Minutes => uniform(random, 3.0, 40.0) * 60.0 * [-1.0, 1.0][random.below(2)],
            Clock::Reset => -uniform(random, 7.9e8, 8.4e8),
        };
        Camera {
            transport,
            clock,
            own,
            lead_s,
            step_s: [1.0, 0.01][random.below(2)],
            states_offset: random.below(3) == 0,
            writing_s: uniform(random, 0.2, 1.2),
            least_s: uniform(random, 0.1, 0.6),
            is_triggered: transport == Transport::Live && random.below(4) == 0,
        }
    }

    /// Returns what the display shows at a moment, in seconds like those of UTC.
    pub fn shows(&self, utc_s: f64) -> Option<f64> {
        let drift_s = (utc_s % 1e5) * 10e-6;
        (self.clock != Clock::None).then(|| ((utc_s + self.lead_s + drift_s) / self.step_s).floor() * self.step_s)
    }

    /// Returns the seconds from the exposure to the end of writing.
    pub fn delay_s(&self, random: &mut Random) -> f64 {
        match self.transport {
            Transport::Live => self.least_s + exponential(random, self.writing_s).min(2.5),
            Transport::Copied => uniform(random, 3.0, 98.0),
            Transport::Card => 0.5,
            Transport::Upload => uniform(random, 2.0, 600.0),
        }
    }
}
