//! A path over ground, in metres from its start, as a function of time.

use bridgeclip_random::Random;

/// A path of straight legs with constant speed each; the device hovers on some.
pub struct Path {
    /// Start of each leg in seconds, its position in metres, and its speed to the north and east in m/s.
    legs: Vec<(f64, [f64; 2], [f64; 2])>,
}

/// Metres in a degree of latitude.
const DEGREE_M: f64 = 111_195.0;
/// Latitude of the start in degrees.
const LATITUDE: f64 = 35.6;
/// Longitude of the start in degrees.
const LONGITUDE: f64 = 139.7;

impl Path {
    pub fn new(random: &mut Random, duration_s: f64) -> Self {
        let cruise_mps = [0.0, 0.8, 3.0, 5.0, 10.0][random.below(5)];
        let mut legs = Vec::new();
        let (mut at_s, mut place) = (0.0, [0.0, 0.0]);
        while at_s < duration_s {
            let speed = if random.below(4) == 0 { 0.0 } else { cruise_mps * uniform(random, 0.5, 1.2) };
            let course = uniform(random, 0.0, std::f64::consts::TAU);
            let velocity = [speed * course.cos(), speed * course.sin()];
            legs.push((at_s, place, velocity));
            let long_s = uniform(random, 8.0, 90.0);
            place = [place[0] + velocity[0] * long_s, place[1] + velocity[1] * long_s];
            at_s += long_s;
        }
        Path { legs }
    }

    /// Returns the position in metres to the north and east of the start.
    pub fn at(&self, second: f64) -> [f64; 2] {
        let (start, place, velocity) = self.leg(second);
        [place[0] + velocity[0] * (second - start), place[1] + velocity[1] * (second - start)]
    }

    /// Returns the speed in m/s.
    pub fn speed(&self, second: f64) -> f64 {
        let (_, _, velocity) = self.leg(second);
        velocity[0].hypot(velocity[1])
    }

    fn leg(&self, second: f64) -> (f64, [f64; 2], [f64; 2]) {
        *self.legs.iter().rev().find(|(start, ..)| *start <= second).unwrap_or(&self.legs[0])
    }
}

/// Converts metres from the start into degrees of latitude and longitude.
pub fn degrees(place: [f64; 2]) -> (f64, f64) {
    (LATITUDE + place[0] / DEGREE_M, LONGITUDE + place[1] / (DEGREE_M * LATITUDE.to_radians().cos()))
}

/// Converts degrees into metres from the start.
pub fn metres(latitude: f64, longitude: f64) -> [f64; 2] {
    [(latitude - LATITUDE) * DEGREE_M, (longitude - LONGITUDE) * DEGREE_M * LATITUDE.to_radians().cos()]
}

/// Returns a random number in [from, to).
pub fn uniform(random: &mut Random, from: f64, to: f64) -> f64 {
    from + (to - from) * random.unit()
}

/// Returns a random number with an exponential distribution of this mean.
pub fn exponential(random: &mut Random, mean: f64) -> f64 {
    -mean * uniform(random, 1e-12, 1.0).ln()
}
