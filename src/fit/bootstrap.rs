//! A bootstrap over groups of photos. Photos of a member resemble each other, so members are drawn, not photos.

use crate::random::Random;

/// Number of bootstrap samples.
const DRAWS: usize = 500;
/// Quantiles between which 95 % of the bootstrap samples lie.
const INTERVAL: (f64, f64) = (0.025, 0.975);
const SEED: u64 = 7;
/// Fewest groups that a bootstrap can tell anything from.
pub const GROUPS_MIN: usize = 20;

/// Draws as many groups as there are, with replacement, and measures each of 500 such samples. `measure` is told how
/// often each group was drawn. Returns nothing with fewer than [`GROUPS_MIN`] groups.
pub fn bootstrap<T>(groups: usize, measure: impl Fn(&[u32]) -> T) -> Vec<T> {
    let mut random = Random::new(&[SEED]);
    let draws = if groups < GROUPS_MIN { 0 } else { DRAWS };
    (0..draws)
        .map(|_| {
            let mut times = vec![0_u32; groups];
            (0..groups).for_each(|_| times[random.below(groups)] += 1);
            measure(&times)
        })
        .collect()
}

/// Returns the interval that 95 % of the values lie in; `None` without values.
pub fn interval(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let quantile = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    (!values.is_empty()).then(|| (quantile(INTERVAL.0), quantile(INTERVAL.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_narrows_with_more_groups() {
        let share = |groups: usize| {
            let drawn = bootstrap(groups, |times| {
                times.iter().step_by(2).map(|times| f64::from(*times)).sum::<f64>() / groups as f64
            });
            interval(drawn)
        };
        assert_eq!(share(GROUPS_MIN - 1), None);
        let (few, many) = (share(20).expect("an interval"), share(2000).expect("an interval"));
        // The standard deviation of a share of a half is 0.5 / sqrt(groups).
        assert!((few.1 - few.0 - 0.438).abs() < 0.06 && (many.1 - many.0 - 0.044).abs() < 0.006, "{few:?} {many:?}");
    }
}
