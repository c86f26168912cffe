//! Fits how much evidence makes a photo urgent.

use super::Sample;
use crate::classify::{UrgencyRule, Weighting};
use crate::evaluate::true_urgency;

/// Weighting of the neighbours. It is fixed, because with few urgent photos a fit would adapt to chance. It is wide and
/// favours near neighbours, which halves of a set of rendered pictures agreed on.
const WEIGHTING: Weighting = Weighting { neighbours: 50, power: 3.0 };
/// Recall that the threshold should reach on other photos.
const RECALL_MIN: f64 = 0.95;
/// Probability that the threshold misses [`RECALL_MIN`].
const RISK: f64 = 0.1;
/// Number of false alarms in 100 photos that are accepted for the sake of more recall.
const FALSE_ALARMS_PER_100_PHOTOS: usize = 1;

/// Returns the rule with the highest threshold whose recall on other photos is at least [`RECALL_MIN`], except with a
/// probability of [`RISK`]. The threshold is lower where that costs no more than [`FALSE_ALARMS_PER_100_PHOTOS`].
/// Without an urgent photo, returns [`UrgencyRule::any_of`] for `published_neighbours`.
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
    // The next of the other photos would be one false alarm too many.
    let cheap = others.get(affordable).map_or(0.0, |score| score.next_up());
    urgent[misses_max(urgent.len())].min(cheap)
}

/// Returns how many urgent photos a threshold may miss. If the true recall were only [`RECALL_MIN`], missing this many
/// or fewer would have a probability of at most [`RISK`]. The result is 0 for few photos.
fn misses_max(urgent: usize) -> usize {
    let miss = 1.0 - RECALL_MIN;
    // Logarithm of the probability of exactly `misses` misses, by the binomial distribution.
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

    /// Expected values from sums of Python's exact binomial coefficients: the greatest m with P(misses <= m) <= 0.1, or
    /// 0 if there is none.
    #[test]
    fn as_many_misses_as_a_recall_of_95_percent_allows() {
        for (urgent, expected) in MISSES {
            assert_eq!(misses_max(urgent), expected, "{urgent}");
        }
    }

    #[test]
    fn the_threshold_keeps_the_recall_and_uses_cheap_false_alarms() {
        let scores = |count: usize, score: f32| vec![score; count];
        // All urgent photos score 0.4. The threshold can go down to just above the other photos.
        let cheap = threshold(scores(100, 0.4), scores(900, 0.1));
        assert!(cheap > 0.1 && cheap < 0.1001);
        // Ten of the other photos may be false alarms, but not eleven.
        let some = threshold(scores(100, 0.4), [scores(10, 0.3), scores(1, 0.2), scores(889, 0.0)].concat());
        assert!(some > 0.2 && some < 0.2001);
        // Recall has priority over false alarms.
        assert_eq!(threshold(scores(100, 0.4), scores(900, 0.9)), 0.4);
        assert_eq!(threshold([scores(1, 0.1), scores(40, 0.4)].concat(), scores(900, 0.9)), 0.1);
        assert_eq!(threshold([scores(1, 0.1), scores(99, 0.4)].concat(), scores(900, 0.9)), 0.4);
    }

    const MISSES: [(usize, usize); 7] = [(1, 0), (46, 0), (77, 1), (100, 1), (185, 5), (500, 18), (3000, 134)];
}
