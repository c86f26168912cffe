//! Calibrated confidences: a confidence of 0.8 means that 80 % of such answers are right.

use serde::{Deserialize, Serialize};

/// Maps a method's own confidence to the measured share of right answers: linear between points, constant beyond both
/// ends. The map never falls, so it keeps the order of classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceMap {
    /// Pairs of own confidence and share of right answers, at least one. Neither value falls from one pair to the next.
    points: Vec<(f32, f32)>,
}

impl ConfidenceMap {
    /// Returns a map through `points`. None unless there is a point, all values are in [0, 1], and no value falls.
    pub fn new(points: Vec<(f32, f32)>) -> Option<Self> {
        Some(ConfidenceMap { points }).filter(ConfidenceMap::is_good)
    }

    /// Returns the map that changes nothing.
    pub fn identity() -> Self {
        ConfidenceMap { points: vec![(0.0, 0.0), (1.0, 1.0)] }
    }

    /// Returns the share of right answers for a method's own confidence.
    pub fn apply(&self, own: f32) -> f32 {
        let after = self.points.partition_point(|(x, _)| *x < own);
        let (low, high) = (after.checked_sub(1).map(|before| self.points[before]), self.points.get(after).copied());
        match (low, high) {
            (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (own - x0) / (x1 - x0),
            (Some((_, share)), None) | (None, Some((_, share))) => share,
            (None, None) => own,
        }
    }

    pub(super) fn is_good(&self) -> bool {
        let in_range = |value: &f32| (0.0..=1.0).contains(value);
        !self.points.is_empty()
            && self.points.iter().all(|(x, y)| in_range(x) && in_range(y))
            && self.points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_line_through_its_points() {
        let map = ConfidenceMap::new(vec![(0.2, 0.5), (0.4, 0.6), (0.8, 0.6), (0.8, 0.9)]).expect("a good map");
        let cases = [(0.0, 0.5), (0.2, 0.5), (0.3, 0.55), (0.6, 0.6), (0.8, 0.6), (0.81, 0.9), (1.0, 0.9)];
        for (own, expected) in cases {
            assert!((map.apply(own) - expected).abs() < 1e-6, "{own}: {}", map.apply(own));
        }
    }

    #[test]
    fn what_falls_or_is_no_share_is_refused() {
        for points in [
            vec![],
            vec![(0.5, 0.5), (0.4, 0.6)],
            vec![(0.4, 0.6), (0.5, 0.5)],
            vec![(0.0, f32::NAN)],
            vec![(0.0, 1.1)],
        ] {
            assert_eq!(ConfidenceMap::new(points.clone()), None, "{points:?}");
        }
    }
}
