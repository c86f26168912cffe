//! Rankings of photos and texts: R@k on pairs, and how well the labels of found items agree with the query's.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::similarity::{by_rank, similarities};
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
    /// Agreement of labels, by category.
    pub attributes: BTreeMap<Category, AttributeScores>,
}

/// The scores of one category. An item is relevant if it shares at least one label with the query.
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
pub fn retrieval(images: &[Embedding], texts: &[Embedding], labels: &[Labels]) -> BTreeMap<Direction, DirectionScores> {
    let score = |direction, queries, items| (direction, direction_scores(direction, queries, items, labels));
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
) -> DirectionScores {
    assert!(queries.len() == items.len() && items.len() == labels.len(), "rows that belong together");
    let skips_itself = direction == Direction::ImageToImage;
    // Results are collected in order before they are summed, so that the sums do not depend on the threads.
    let results: Vec<QueryScores> = queries
        .par_iter()
        .enumerate()
        .map(|(own, query)| query_scores(own, &similarities(query, items), labels, skips_itself))
        .collect();
    let share = |k| results.iter().filter(|result| result.own_rank <= k).count() as f64 / results.len().max(1) as f64;
    let recall = if skips_itself { BTreeMap::new() } else { CUTOFFS.map(|k| (k, share(k))).into() };
    let attributes = Category::ALL.map(|category| (category, attribute_scores(category, &results)));
    DirectionScores { pairs: queries.len(), recall, attributes: attributes.into() }
}

/// The scores of one query.
struct QueryScores {
    /// Rank of the query's own pair, from 1.
    own_rank: usize,
    /// Scores of each category. `None` if the query has no labels of the category.
    relevance: [Option<Relevance>; 4],
}

/// The scores of one query in one category.
struct Relevance {
    attr_match: [f64; CUTOFFS.len()],
    average_precision: f64,
    ndcg: f64,
}

fn query_scores(own: usize, similarities: &[f64], labels: &[Labels], skips_itself: bool) -> QueryScores {
    let mut order: Vec<usize> = (0..similarities.len()).filter(|&item| !(skips_itself && item == own)).collect();
    order.sort_unstable_by(by_rank(similarities));
    let own_rank = order.iter().position(|&item| item == own).map_or(usize::MAX, |index| index + 1);
    let relevance = Category::ALL.map(|category| {
        let wanted = labels[own].get(category).indexes();
        let shares = |item: &usize| labels[*item].get(category).indexes().iter().any(|index| wanted.contains(index));
        (!wanted.is_empty()).then(|| Relevance::of(&order.iter().map(shares).collect::<Vec<_>>()))
    });
    QueryScores { own_rank, relevance }
}

impl Relevance {
    /// Scores a ranking: whether each item is relevant, best first.
    fn of(relevant: &[bool]) -> Self {
        let among = |k: usize| relevant.iter().take(k).filter(|relevant| **relevant).count();
        Relevance {
            attr_match: CUTOFFS.map(|k| among(k) as f64 / k as f64),
            average_precision: average_precision(relevant),
            ndcg: ndcg(relevant),
        }
    }
}

/// Returns the mean of the precision at the rank of each relevant item; 0 without relevant items.
fn average_precision(relevant: &[bool]) -> f64 {
    let ranks = (1..).zip(relevant).filter(|(_, relevant)| **relevant).map(|(rank, _)| rank);
    let (mut sum, mut found) = (0.0, 0);
    for rank in ranks {
        found += 1;
        sum += f64::from(found) / f64::from(rank);
    }
    if found == 0 { 0.0 } else { sum / f64::from(found) }
}

fn ndcg(relevant: &[bool]) -> f64 {
    let discount = |index: usize| 1.0 / (index as f64 + 2.0).log2();
    let total = relevant.iter().filter(|relevant| **relevant).count();
    let ideal: f64 = (0..total.min(NDCG_CUTOFF)).map(discount).sum();
    let found: f64 = (0..NDCG_CUTOFF.min(relevant.len())).filter(|&index| relevant[index]).map(discount).sum();
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

    #[test]
    fn precision_and_gain_of_small_rankings() {
        assert_eq!(average_precision(&[true, false, true]), f64::midpoint(1.0, 2.0 / 3.0));
        assert_eq!((average_precision(&[false, false]), ndcg(&[false])), (0.0, 0.0));
        assert_eq!(ndcg(&[true, true, false]), 1.0);
        assert!((ndcg(&[false, true]) - 1.0 / 3_f64.log2()).abs() < 1e-12);
    }

    #[test]
    fn a_photo_does_not_find_itself() {
        let embeddings = vec![Embedding::normalise(vec![1.0, 0.0]).expect("a vector"); 2];
        let cells = ["pier", "bearing"];
        let labels = cells.map(|cell| {
            Labels::new(|category| match category {
                Category::DamageLocation => CategoryLabels::parse(category, cell).expect("known"),
                _ => CategoryLabels::default(),
            })
        });
        let scores = retrieval(&embeddings, &embeddings, &labels);
        let locations = |direction| &scores[&direction].attributes[&Category::DamageLocation];
        assert_eq!(locations(Direction::ImageToImage).attr_match[&1], 0.0);
        assert_eq!(locations(Direction::ImageToText).attr_match[&1], 0.5);
        // All similarities are equal, so both photos find the first text.
        assert_eq!(scores[&Direction::ImageToText].recall[&1], 0.5);
        assert_eq!(scores[&Direction::ImageToImage].attributes[&Category::Soundness].queries, 0);
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
            let scores = retrieval(&embeddings(&case["images"]), &embeddings(&case["texts"]), &labels);
            assert_close(&serde_json::to_value(&scores).expect("JSON"), &case["expected"], "retrieval");
        }
    }
}
