//! How little evidence is enough to put a photo forward as urgent.

use super::Sample;
use crate::classify::{UrgencyRule, Weighting};
use crate::evaluate::true_urgency;

/// Neighbours and weights are not chosen by their scores: with few urgent photos the choice would fit chance. Wide, and
/// near neighbours first; halves of rendered pictures agreed on it.
const WEIGHTING: Weighting = Weighting { neighbours: 50, power: 3.0 };
/// The recall that is to hold on other photos, and how probable it is that it does not.
const RECALL_MIN: f64 = 0.95;
const RISK: f64 = 0.1;
/// Cheap false alarms are taken for more recall.
const FALSE_ALARMS_PER_100_PHOTOS: usize = 1;

/// The threshold that leaves out so few urgent photos that the recall on others is above [`RECALL_MIN`], but for the
/// [`RISK`]; and a lower one if it costs no more false alarms than [`FALSE_ALARMS_PER_100_PHOTOS`].
pub fn fit_urgency(samples: &[&Sample], published_neighbours: usize) -> UrgencyRule {
    let unfitted = UrgencyRule { weighting: WEIGHTING, threshold: f32::MIN_POSITIVE };
    let (mut urgent, mut others) = (Vec::new(), Vec::new());
    for sample in samples {
        match true_urgency(&sample.truth) {
            Some(true) => urgent.push(unfitted.score(&sample.neighbours)),
            Some(false) => others.push(unfitted.score(&sample.neighbours)),
            None => (),
        }
    }
    if urgent.is_empty() {
        return UrgencyRule::any_of(published_neighbours);
    }
    UrgencyRule { threshold: threshold(urgent, others).max(f32::MIN_POSITIVE), ..unfitted }
}

fn threshold(mut urgent: Vec<f32>, mut others: Vec<f32>) -> f32 {
    urgent.sort_by(f32::total_cmp);
    others.sort_by(|a, b| b.total_cmp(a));
    let affordable = (urgent.len() + others.len()) * FALSE_ALARMS_PER_100_PHOTOS / 100;
    // One more of the others would be one too many.
    let cheap = others.get(affordable).map_or(0.0, |score| score.next_up());
    urgent[misses_max(urgent.len())].min(cheap)
}

/// So many of the urgent photos can be missed if the true recall is at least [`RECALL_MIN`]: with more of them missing,
/// a recall of just that would be less probable than the [`RISK`] says. With few photos none can.
fn misses_max(urgent: usize) -> usize {
    let miss = 1.0 - RECALL_MIN;
    // The logarithm of the probability of just so many misses, by the binomial distribution.
    let mut exactly = urgent as f64 * RECALL_MIN.ln();
    let (mut at_most, mut misses) = (exactly.exp(), 0);
    while misses < urgent {
        exactly += ((urgent - misses) as f64 / (misses + 1) as f64 * miss / RECALL_MIN).ln();
        at_most += exactly.exp();
        if at_most > RISK {
            break;
        }
        misses += 1;
    }
    misses.min(urgent.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against sums of Python's exact binomial coefficients: the greatest m with P(misses <= m) <= 0.1; 0 if there is
    /// none.
    #[test]
    fn as_many_misses_as_a_recall_of_95_percent_allows() {
        for (urgent, expected) in MISSES {
            assert_eq!(misses_max(urgent), expected, "{urgent}");
        }
    }

    #[test]
    fn the_threshold_keeps_the_recall_and_uses_cheap_false_alarms() {
        let scores = |count: usize, score: f32| vec![score; count];
        // All urgent photos have 0.4. Nothing speaks against going down to where the others begin.
        let cheap = threshold(scores(100, 0.4), scores(900, 0.1));
        assert!(cheap > 0.1 && cheap < 0.1001);
        // Ten of the others may be false alarms, not eleven.
        let some = threshold(scores(100, 0.4), [scores(10, 0.3), scores(1, 0.2), scores(889, 0.0)].concat());
        assert!(some > 0.2 && some < 0.2001);
        // Recall comes first, however many the false alarms.
        assert_eq!(threshold(scores(100, 0.4), scores(900, 0.9)), 0.4);
        assert_eq!(threshold([scores(1, 0.1), scores(40, 0.4)].concat(), scores(900, 0.9)), 0.1);
        assert_eq!(threshold([scores(1, 0.1), scores(99, 0.4)].concat(), scores(900, 0.9)), 0.4);
    }

    const MISSES: [(usize, usize); 7] = [(1, 0), (46, 0), (77, 1), (100, 1), (185, 5), (500, 18), (3000, 134)];
}
