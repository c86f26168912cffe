//! Confidences that can be taken at their word.

use serde::{Deserialize, Serialize};

/// From a method's own confidence to the share of right answers that it was found to mean: a line through points, level
/// beyond both ends. It never falls, so that a class that was ahead of another stays so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceMap {
    /// Own confidence and share of right answers; neither falls from one to the next. At least one.
    points: Vec<(f32, f32)>,
}

impl ConfidenceMap {
    /// None unless there is a point, all values are in [0, 1], and none falls.
    pub fn new(points: Vec<(f32, f32)>) -> Option<Self> {
        Some(ConfidenceMap { points }).filter(ConfidenceMap::is_good)
    }

    /// The map that changes nothing.
    pub fn identity() -> Self {
        ConfidenceMap { points: vec![(0.0, 0.0), (1.0, 1.0)] }
    }

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
