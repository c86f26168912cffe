//! The published k-NN vote, a pure function that turns neighbours into answers.

use bridgeclip_domain::{Category, CategoryVerdict, ScoredClass};

use super::Neighbour;
use super::answer::{Answer, Answers, lead};

/// Answers every category by the votes of `neighbours`, the `k` nearest reference photos, most similar first.
///
/// A single-label category gets the most frequent class. A multi-label category gets every class that at least half of
/// the neighbours carry, or the most frequent class if there is none. A tie goes to the class that appears first in
/// order of similarity. Confidences are shares of the neighbours.
pub fn published_vote(neighbours: &[Neighbour]) -> Answers {
    Category::ALL.map(|category| vote(category, neighbours))
}

fn vote(category: Category, neighbours: &[Neighbour]) -> Answer {
    let tally = tally(category, neighbours);
    let half = neighbours.len().div_ceil(2);
    let mut winners: Vec<(u8, usize)> = Vec::new();
    if category.is_multi() {
        winners.extend(tally.iter().filter(|(_, count)| *count >= half));
    }
    if winners.is_empty() {
        winners.extend(most_frequent(&tally));
    }
    let share = |count| count as f32 / neighbours.len() as f32;
    let classes = winners.into_iter().map(|(index, count)| ScoredClass { index, confidence: share(count) });
    let mut counts: Vec<usize> = tally.iter().map(|(_, count)| *count).collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    Answer {
        verdict: CategoryVerdict { classes: classes.collect() },
        lead: lead(category, counts.into_iter().map(share)),
    }
}

/// Counts every class that occurs, in the order of first appearance.
fn tally(category: Category, neighbours: &[Neighbour]) -> Vec<(u8, usize)> {
    let mut tally: Vec<(u8, usize)> = Vec::new();
    for &index in neighbours.iter().flat_map(|neighbour| neighbour.labels.get(category).indexes()) {
        match tally.iter_mut().find(|(seen, _)| *seen == index) {
            Some((_, count)) => *count += 1,
            None => tally.push((index, 1)),
        }
    }
    tally
}

/// Returns the first of the classes with the highest count.
fn most_frequent(tally: &[(u8, usize)]) -> Option<(u8, usize)> {
    tally.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::test_neighbours::{labels, neighbours};

    fn answers(category: Category, cells: &[&str]) -> Answers {
        published_vote(&neighbours(&labels(category, cells), &[0.9; 16]))
    }

    fn answer(category: Category, cells: &[&str]) -> Vec<&'static str> {
        answers(category, cells)[category as usize].verdict.names(category).collect()
    }

    #[test]
    fn single_label_takes_the_most_frequent_and_then_the_first_seen() {
        let cases: [(&[&str], &str); 4] = [
            (&["I", "II", "II"], "II"),
            (&["III", "II", "II", "III"], "III"),
            (&["IV", "I", "II", "III"], "IV"),
            (&["I", "II", "III", "III", "II"], "II"),
        ];
        for (cells, expected) in cases {
            assert_eq!(answer(Category::Soundness, cells), [expected], "{cells:?}");
        }
    }

    #[test]
    fn multi_label_takes_half_or_else_the_most_frequent() {
        let category = Category::DamageLocation;
        assert_eq!(answer(category, &["pier|bearing", "pier", "bearing", "curb"]), ["pier", "bearing"]);
        assert_eq!(answer(category, &["curb", "pier", "pier", "bearing", "railing"]), ["pier"]);
        assert_eq!(answer(category, &["curb|pier", "bearing", "railing"]), ["curb"]);
        // Half of five neighbours is 2.5: two votes are not enough, three are.
        let cells = ["pier", "pier", "curb", "curb", "curb"];
        assert_eq!(answer(category, &cells), ["curb"]);
    }

    #[test]
    fn confidence_is_the_share_of_the_neighbours() {
        let answers = answers(Category::Measure, &["B", "B", "B", "E1"]);
        let measure = &answers[Category::Measure as usize];
        assert_eq!((measure.verdict.classes[0].confidence, measure.lead), (0.75, 0.5));
        assert!(answers[Category::Soundness as usize].verdict.classes.is_empty());
    }
}
