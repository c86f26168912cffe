//! Rankings of photos and texts: R@k on pairs, and how well the labels of found items agree with the query's.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::ranking::{Group, Ties, ranking};
use super::similarity::similarities;
use crate::domain::{Category, Embedding, Labels};

/// Numbers of results for which R@k and AttrMatch@k are given.
pub const CUTOFFS: [usize; 3] = [1, 5, 10];

/// Number of results that NDCG considers.
const NDCG_CUTOFF: usize = 10;

/// The kind of query and the kind of items searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A photo finds texts; the hit is its own text.
    ImageToText,
    /// A text finds photos; the hit is its own photo.
    TextToImage,
    /// A photo finds other photos; the photo itself is left out.
    ImageToImage,
}

/// The scores of one direction, all in [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DirectionScores {
    /// Number of queries, which is also the number of items searched.
    pub pairs: usize,
    /// R@k by k: share of the queries whose own pair is among the first k. Empty for image to image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub recall: BTreeMap<usize, f64>,
    /// Least and greatest R@k by k, over all orders of items that are equally similar to a query. Empty for image to
    /// image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub recall_bounds: BTreeMap<usize, [f64; 2]>,
    /// Number of queries for which another item is exactly as similar as their own pair.
    #[serde(default)]
    pub tied_queries: usize,
    /// How the order of equally similar items was settled; `None` in files of earlier versions, which took the item of
    /// the earlier row first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ties: Option<Ties>,
    /// Agreement of labels, by category; a category without labels is missing.
    pub attributes: BTreeMap<Category, AttributeScores>,
}

/// The scores of one category. An item is relevant if it shares at least one label with the query. With
/// [`Ties::Random`], all are expected values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AttributeScores {
    /// Number of queries with labels of the category. Only these count.
    pub queries: usize,
    /// AttrMatch@k by k: mean over the queries of (relevant items among the first k) / k.
    pub attr_match: BTreeMap<usize, f64>,
    /// mAP: mean over the queries of the average precision over the complete ranking; 0 for a query without relevant
    /// items.
    pub mean_average_precision: f64,
    /// NDCG@10 with gains 0 and 1 and the discount 1 / log2(rank + 1); 0 for a query without relevant items.
    pub ndcg_at_10: f64,
}

/// Scores all directions. Row i of `images`, of `texts` and of `labels` belong together. The time grows with the square
/// of the number of pairs, the memory of each thread with that number.
///
/// # Panics
/// If the numbers of rows or the dimensions differ.
pub fn retrieval(
    images: &[Embedding],
    texts: &[Embedding],
    labels: &[Labels],
    ties: Ties,
) -> BTreeMap<Direction, DirectionScores> {
    let score = |direction, queries, items| (direction, direction_scores(direction, queries, items, labels, ties));
    BTreeMap::from([
        score(Direction::ImageToText, images, texts),
        score(Direction::TextToImage, texts, images),
        score(Direction::ImageToImage, images, images),
    ])
}

fn direction_scores(
    direction: Direction,
    queries: &[Embedding],
    items: &[Embedding],
    labels: &[Labels],
    ties: Ties,
) -> DirectionScores {
    assert!(queries.len() == items.len() && items.len() == labels.len(), "rows that belong together");
    let skips_itself = direction == Direction::ImageToImage;
    // Results are collected in order before they are summed, so that the sums do not depend on the threads.
    let results: Vec<QueryScores> = queries
        .par_iter()
        .enumerate()
        .map(|(own, query)| QueryScores::of(own, &similarities(query, items), labels, ties, skips_itself))
        .collect();
    let attributes = Category::ALL.into_iter().map(|category| (category, attribute_scores(category, &results)));
    let scores = DirectionScores {
        pairs: queries.len(),
        recall: BTreeMap::new(),
        recall_bounds: BTreeMap::new(),
        tied_queries: results.iter().filter(|result| result.own.ties > 1).count(),
        ties: Some(ties),
        attributes: attributes.filter(|(_, scores)| scores.queries > 0).collect(),
    };
    if skips_itself {
        return scores;
    }
    let mean = |value: &dyn Fn(&OwnPair) -> f64| {
        results.iter().map(|result| value(&result.own)).sum::<f64>() / results.len().max(1) as f64
    };
    let bounds = |k| [mean(&|own| own.is_surely_within(k)), mean(&|own| own.may_be_within(k))];
    DirectionScores {
        recall: CUTOFFS.map(|k| (k, mean(&|own| own.within(k)))).into(),
        recall_bounds: CUTOFFS.map(|k| (k, bounds(k))).into(),
        ..scores
    }
}

/// The scores of one query.
struct QueryScores {
    own: OwnPair,
    /// Scores of each category. `None` if the query has no labels of the category.
    relevance: [Option<Relevance>; 4],
}

/// The place of a query's own pair among the items.
struct OwnPair {
    /// Number of items that are more similar.
    above: usize,
    /// Number of items that are equally similar, with the own pair; 0 if it is not among the items.
    ties: usize,
    /// Number of items in front of those whose order is settled by chance alone, and the number of these.
    group: (usize, usize),
}

/// The scores of one query in one category.
struct Relevance {
    attr_match: [f64; CUTOFFS.len()],
    average_precision: f64,
    ndcg: f64,
}

impl QueryScores {
    fn of(own: usize, similarities: &[f64], labels: &[Labels], ties: Ties, skips_itself: bool) -> Self {
        let groups = ranking(similarities, ties, skips_itself.then_some(own));
        let relevance = Category::ALL.map(|category| {
            let wanted = labels[own].get(category).indexes();
            let shares =
                |item: &usize| labels[*item].get(category).indexes().iter().any(|index| wanted.contains(index));
            let count =
                |group: &Group| Tie { items: group.len(), relevant: group.iter().filter(|i| shares(i)).count() };
            (!wanted.is_empty()).then(|| Relevance::of(&groups.iter().map(count).collect::<Vec<_>>()))
        });
        QueryScores { own: OwnPair::of(own, similarities, &groups), relevance }
    }
}

impl OwnPair {
    fn of(own: usize, similarities: &[f64], groups: &[Group]) -> Self {
        let Some(place) = groups.iter().position(|group| group.contains(&own)) else {
            return OwnPair { above: 0, ties: 0, group: (usize::MAX, 1) };
        };
        let before = groups[..place].iter().map(Vec::len).sum();
        let count =
            |is_it: fn(&f64, &f64) -> bool| similarities.iter().filter(|&s| is_it(s, &similarities[own])).count();
        OwnPair {
            above: count(|item, own| item > own),
            ties: count(|item, own| item == own),
            group: (before, groups[place].len()),
        }
    }

    /// Returns the probability that the own pair is among the first `k`.
    fn within(&self, k: usize) -> f64 {
        let (before, items) = self.group;
        k.saturating_sub(before).min(items) as f64 / items as f64
    }

    /// Returns 1 if the own pair is among the first `k` in every order of ties, otherwise 0.
    fn is_surely_within(&self, k: usize) -> f64 {
        f64::from(u8::from(self.above + self.ties <= k))
    }

    /// Returns 1 if the own pair is among the first `k` in some order of ties, otherwise 0.
    fn may_be_within(&self, k: usize) -> f64 {
        f64::from(u8::from(self.above < k))
    }
}

/// A run of items in a ranking in an order of chance, with the number of relevant ones among them.
#[derive(Clone, Copy, Debug)]
struct Tie {
    items: usize,
    relevant: usize,
}

impl Tie {
    /// Returns the expected number of relevant items at one place of the run.
    fn share(self) -> f64 {
        self.relevant as f64 / self.items as f64
    }
}

impl Relevance {
    /// Scores a ranking, best first.
    fn of(ranking: &[Tie]) -> Self {
        Relevance {
            attr_match: CUTOFFS.map(|k| among(ranking, k) / k as f64),
            average_precision: average_precision(ranking),
            ndcg: ndcg(ranking),
        }
    }
}

/// Returns the expected number of relevant items among the first `k`.
fn among(ranking: &[Tie], k: usize) -> f64 {
    let mut left = k;
    let mut take = |tie: &Tie| {
        let taken = tie.items.min(left);
        left -= taken;
        if taken == tie.items { tie.relevant as f64 } else { taken as f64 * tie.share() }
    };
    ranking.iter().map(&mut take).sum()
}

/// Returns the expected mean of the precision at the rank of each relevant item; 0 without relevant items.
fn average_precision(ranking: &[Tie]) -> f64 {
    let (mut sum, mut rank, mut found) = (0.0, 0, 0);
    for tie in ranking {
        let others = (tie.items - 1).max(1) as f64;
        for place in 0..tie.items {
            rank += 1;
            // If a place holds a relevant item, the places before it in the run share the other relevant ones evenly.
            let before = place as f64 * tie.relevant.saturating_sub(1) as f64 / others;
            sum += tie.share() * (f64::from(found) + 1.0 + before) / f64::from(rank);
        }
        found += tie.relevant as i32;
    }
    if found == 0 { 0.0 } else { sum / f64::from(found) }
}

fn ndcg(ranking: &[Tie]) -> f64 {
    let discount = |index: usize| 1.0 / (index as f64 + 2.0).log2();
    let total: usize = ranking.iter().map(|tie| tie.relevant).sum();
    let ideal: f64 = (0..total.min(NDCG_CUTOFF)).map(discount).sum();
    let places = ranking.iter().flat_map(|tie| std::iter::repeat_n(tie.share(), tie.items));
    let found: f64 = places.take(NDCG_CUTOFF).enumerate().map(|(index, share)| share * discount(index)).sum();
    if total == 0 { 0.0 } else { found / ideal }
}

fn attribute_scores(category: Category, results: &[QueryScores]) -> AttributeScores {
    let known: Vec<&Relevance> =
        results.iter().filter_map(|result| result.relevance[category as usize].as_ref()).collect();
    let mean = |value: &dyn Fn(&Relevance) -> f64| {
        known.iter().map(|relevance| value(relevance)).sum::<f64>() / known.len().max(1) as f64
    };
    let at = |index: usize| (CUTOFFS[index], mean(&|relevance| relevance.attr_match[index]));
    AttributeScores {
        queries: known.len(),
        attr_match: (0..CUTOFFS.len()).map(at).collect(),
        mean_average_precision: mean(&|relevance| relevance.average_precision),
        ndcg_at_10: mean(&|relevance| relevance.ndcg),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::*;
    use crate::domain::CategoryLabels;
    use crate::evaluate::run::tests::assert_close;

    fn ranks(relevant: &[bool]) -> Vec<Tie> {
        relevant.iter().map(|&relevant| Tie { items: 1, relevant: usize::from(relevant) }).collect()
    }

    #[test]
    fn precision_and_gain_of_small_rankings() {
        assert_eq!(average_precision(&ranks(&[true, false, true])), f64::midpoint(1.0, 2.0 / 3.0));
        assert_eq!((average_precision(&ranks(&[false, false])), ndcg(&ranks(&[false]))), (0.0, 0.0));
        assert_eq!(ndcg(&ranks(&[true, true, false])), 1.0);
        assert!((ndcg(&ranks(&[false, true])) - 1.0 / 3_f64.log2()).abs() < 1e-12);
    }

    /// Calls `visit` with every order of the items.
    fn orders(items: &mut Vec<bool>, fixed: usize, visit: &mut impl FnMut(&[bool])) {
        if fixed == items.len() {
            return visit(items);
        }
        for other in fixed..items.len() {
            items.swap(fixed, other);
            orders(items, fixed + 1, visit);
            items.swap(fixed, other);
        }
    }

    #[test]
    fn expected_scores_are_the_mean_over_all_orders_of_ties() {
        for (relevant, items) in [(1, 2), (2, 5), (5, 6), (0, 3)] {
            let tie = Tie { items, relevant };
            let head = [Tie { items: 1, relevant: 1 }, Tie { items: 1, relevant: 0 }];
            let tail = Tie { items: 1, relevant: 1 };
            let found = Relevance::of(&[&head[..], &[tie, tail]].concat());
            let mut tied: Vec<bool> = (0..items).map(|index| index < relevant).collect();
            let (mut count, mut sums) = (0.0, [0.0; 3]);
            orders(&mut tied, 0, &mut |order| {
                let one = Relevance::of(&ranks(&[&[true, false], order, &[true]].concat()));
                for (sum, value) in sums.iter_mut().zip([one.attr_match[1], one.average_precision, one.ndcg]) {
                    *sum += value;
                }
                count += 1.0;
            });
            for (found, sum) in [found.attr_match[1], found.average_precision, found.ndcg].into_iter().zip(sums) {
                assert!((found - sum / count).abs() < 1e-12, "{relevant} of {items}: {found}, {}", sum / count);
            }
        }
    }

    fn locations(cells: &[&str]) -> Vec<Labels> {
        let labels = cells.iter().map(|cell| {
            Labels::new(|category| match category {
                Category::DamageLocation => CategoryLabels::parse(category, cell).expect("known"),
                _ => CategoryLabels::default(),
            })
        });
        labels.collect()
    }

    #[test]
    fn a_photo_does_not_find_itself() {
        let embeddings = vec![Embedding::normalise(vec![1.0, 0.0]).expect("a vector"); 2];
        let labels = locations(&["pier", "bearing"]);
        for (ties, recall) in [(Ties::Random, 0.5), (Ties::First, 0.5), (Ties::Last, 0.5)] {
            let scores = retrieval(&embeddings, &embeddings, &labels, ties);
            let locations = |direction| &scores[&direction].attributes[&Category::DamageLocation];
            assert_eq!(locations(Direction::ImageToImage).attr_match[&1], 0.0);
            assert_eq!(locations(Direction::ImageToText).attr_match[&1], 0.5);
            let texts = &scores[&Direction::ImageToText];
            assert_eq!((texts.recall[&1], texts.recall_bounds[&1], texts.tied_queries), (recall, [0.0, 1.0], 2));
            assert_eq!((texts.recall[&5], texts.recall_bounds[&5]), (1.0, [1.0, 1.0]));
            assert!(!scores[&Direction::ImageToImage].attributes.contains_key(&Category::Soundness));
        }
    }

    #[test]
    fn equal_captions_share_the_places_that_they_tie_for() {
        let direction = |degrees: f32| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            Embedding::normalise(vec![cos, sin]).expect("a vector")
        };
        let images = [0.0, 10.0, 20.0, 90.0].map(direction);
        let texts = [0.0, 0.0, 0.0, 90.0].map(direction);
        let labels = vec![Labels::default(); 4];
        let scores = |ties| retrieval(&images, &texts, &labels, ties)[&Direction::ImageToText].clone();
        let expected = scores(Ties::Random);
        assert_eq!((expected.recall[&1], expected.recall_bounds[&1], expected.tied_queries), (0.5, [0.25, 1.0], 3));
        assert_eq!((scores(Ties::First).recall[&1], scores(Ties::Last).recall[&1]), (0.5, 0.5));
        assert_eq!(scores(Ties::First).recall_bounds, expected.recall_bounds);
    }

    fn embeddings(rows: &Value) -> Vec<Embedding> {
        let rows: Vec<Vec<f32>> = serde_json::from_value(rows.clone()).expect("rows");
        rows.into_iter().map(|row| Embedding::normalise(row).expect("a vector")).collect()
    }

    #[test]
    fn scores_are_those_of_numpy() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/metrics.json");
        let goldens: Value = serde_json::from_slice(&fs::read(path).expect("read")).expect("JSON");
        let cases = goldens["retrieval"].as_array().expect("a list");
        assert_eq!(cases.len(), 2);
        for case in cases {
            let rows = case["labels"].as_array().expect("a list").iter();
            let labels: Vec<Labels> = rows
                .map(|row| {
                    let cell = |category: Category| row[category as usize].as_str().expect("a cell");
                    Labels::new(|category| CategoryLabels::parse(category, cell(category)).expect("known"))
                })
                .collect();
            let scores = retrieval(&embeddings(&case["images"]), &embeddings(&case["texts"]), &labels, Ties::First);
            assert_close(&serde_json::to_value(&scores).expect("JSON"), &case["expected"], "retrieval");
        }
    }
}
