//! Rounding of what is told: no figure shows more digits than it has.

/// Rounds seconds to milliseconds, which is as precise as the arrival of a receiver's sentences.
pub fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

/// Rounds metres up to centimetres, so that no error becomes smaller.
pub fn up_to_centimetres(metres: f64) -> f64 {
    (metres * 1e2).ceil() / 1e2
}
