//! Rankings by similarity, and what becomes of equal similarities in them.
//!
//! Equal captions have equal embeddings, so a ranking of texts is mostly ties. Scores that depend on the order within a
//! tie say nothing about the model; the expected scores over all such orders do (McSherry and Najork, "Computing
//! Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores", ECIR 2008).

use serde::{Deserialize, Serialize};

/// The order of items that are equally similar to the query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// Every order is equally likely; scores are their expected values.
    #[default]
    Random,
    /// The item of the earlier row first.
    First,
    /// The item of the later row first: a stable ascending sort, read backwards.
    Last,
    /// As in the published script: NumPy's `argsort` of f32 similarities, read backwards. Its sort is not stable; this is
    /// its portable form, which NumPy uses unless it finds AVX2 or AVX-512. A photo that looks for other photos is itself
    /// the last of them, and counts as relevant.
    Published,
}

/// A run of items in a ranking whose order is settled by chance alone: one item unless there are ties.
pub type Group = Vec<usize>;

/// Ranks items by their similarity, the greatest first, without `skipped`; [`Ties::Published`] puts it last instead. Only
/// [`Ties::Random`] gives groups of more than one item.
pub fn ranking(similarities: &[f64], ties: Ties, skipped: Option<usize>) -> Vec<Group> {
    let items = (0..similarities.len()).filter(|item| Some(*item) != skipped);
    let mut order: Vec<usize> = items.collect();
    match ties {
        Ties::Random | Ties::First => order.sort_by(|a, b| similarities[*b].total_cmp(&similarities[*a])),
        Ties::Last => {
            order.sort_by(|a, b| similarities[*a].total_cmp(&similarities[*b]));
            order.reverse();
        }
        Ties::Published => order = published(similarities, skipped),
    }
    let is_tie = |a: &usize, b: &usize| ties == Ties::Random && similarities[*a] == similarities[*b];
    order.chunk_by(is_tie).map(<[usize]>::to_vec).collect()
}

/// Returns the order of the published script, which gives the skipped item the similarity minus infinity: it is last.
fn published(similarities: &[f64], skipped: Option<usize>) -> Vec<usize> {
    let mut values: Vec<f32> = similarities.iter().map(|&similarity| similarity as f32).collect();
    if let Some(skipped) = skipped {
        values[skipped] = f32::NEG_INFINITY;
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    introsort(&values, &mut order);
    order.reverse();
    order
}

/// Number of items up to which a part is sorted by insertion.
const SMALL: usize = 16;

/// Sorts indexes by their values in ascending order and leaves equal ones in the order in which NumPy's portable
/// `argsort` leaves them: a quicksort with the median of three as pivot, and insertion for small parts.
fn introsort(values: &[f32], order: &mut [usize]) {
    let less = |a: usize, b: usize| values[a] < values[b];
    let mut rest = order;
    while rest.len() > SMALL {
        let (last, middle) = (rest.len() - 1, (rest.len() - 1) / 2);
        for (low, high) in [(0, middle), (middle, last), (0, middle)] {
            if less(rest[high], rest[low]) {
                rest.swap(low, high);
            }
        }
        rest.swap(middle, last - 1);
        let pivot = partition(values, rest);
        let (left, right) = std::mem::take(&mut rest).split_at_mut(pivot);
        let right = &mut right[1..];
        // The parts do not overlap, so the order in which they are sorted does not matter. The loop takes the larger one.
        let (small, large) = if left.len() < right.len() { (left, right) } else { (right, left) };
        introsort(values, small);
        rest = large;
    }
    for end in 1..rest.len() {
        let place = (0..end).rev().take_while(|&before| less(rest[end], rest[before])).last();
        rest[place.unwrap_or(end)..=end].rotate_right(1);
    }
}

/// Divides a part around its pivot, which is the last item but one. Returns the pivot's place.
fn partition(values: &[f32], part: &mut [usize]) -> usize {
    let pivot_place = part.len() - 2;
    let pivot = values[part[pivot_place]];
    let (mut low, mut high) = (0, pivot_place);
    loop {
        low += 1;
        while values[part[low]] < pivot {
            low += 1;
        }
        high -= 1;
        while pivot < values[part[high]] {
            high -= 1;
        }
        if low >= high {
            break;
        }
        part.swap(low, high);
    }
    part.swap(low, pivot_place);
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const VALUES: [f64; 5] = [0.5, 0.9, 0.5, 0.9, 0.1];

    #[test]
    fn ties_are_groups_or_settled_by_a_rule() {
        assert_eq!(ranking(&VALUES, Ties::Random, None), [vec![1, 3], vec![0, 2], vec![4]]);
        assert_eq!(ranking(&VALUES, Ties::First, None).concat(), [1, 3, 0, 2, 4]);
        assert_eq!(ranking(&VALUES, Ties::Last, None).concat(), [3, 1, 2, 0, 4]);
        assert_eq!(ranking(&VALUES, Ties::Published, Some(3)).concat(), [1, 2, 0, 4, 3]);
        assert_eq!(ranking(&VALUES, Ties::Random, Some(1)), [vec![3], vec![0, 2], vec![4]]);
    }

    /// Orders by `np.argsort` of NumPy's portable code (`NPY_DISABLE_CPU_FEATURES`), from `benches/author/argsort.py`.
    #[test]
    fn the_published_order_is_that_of_numpy() {
        #[derive(serde::Deserialize)]
        struct Case {
            values: Vec<f64>,
            order: Vec<usize>,
        }
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/data/argsort.json")).expect("JSON");
        assert!(cases.len() >= 5 && cases.iter().any(|case| case.values.len() > 500));
        for Case { values, order } in cases {
            let reversed: Vec<usize> = order.into_iter().rev().collect();
            assert_eq!(ranking(&values, Ties::Published, None).concat(), reversed, "{} values", values.len());
        }
    }

    #[test]
    fn every_rule_sorts() {
        let mut random = Random::new(&[3]);
        for count in [0, 1, 2, 16, 17, 18, 19, 100, 1000] {
            let values: Vec<f64> = (0..count).map(|_| random.below(7) as f64).collect();
            for ties in [Ties::Random, Ties::First, Ties::Last, Ties::Published] {
                let order = ranking(&values, ties, None).concat();
                assert!(order.is_sorted_by(|a, b| values[*a] >= values[*b]), "{ties:?}, {count} values");
                let mut all = order;
                all.sort_unstable();
                assert_eq!(all, (0..count).collect::<Vec<_>>());
            }
        }
    }
}
