//! The published k-NN vote: neighbours to verdict, as a pure function.

use crate::domain::{Category, CategoryVerdict, Evidence, ScoredClass, Verdict};

/// Votes in every category. `evidence` holds the `k` nearest reference photos, most similar first.
///
/// Single label: the class seen most often. Multi label: every class that at least half of the neighbours carry, and
/// if there is none, the class seen most often. A tie goes to the class that was seen first in order of similarity.
pub fn classify(evidence: Vec<Evidence>) -> Verdict {
    let categories = Category::ALL.map(|category| vote(category, &evidence));
    Verdict::new(categories, evidence)
}

fn vote(category: Category, evidence: &[Evidence]) -> CategoryVerdict {
    let tally = tally(category, evidence);
    let half = evidence.len().div_ceil(2);
    let mut winners: Vec<(u8, usize)> = Vec::new();
    if category.is_multi() {
        winners.extend(tally.iter().filter(|(_, count)| *count >= half));
    }
    if winners.is_empty() {
        winners.extend(most_frequent(&tally));
    }
    let confidence = |count| count as f32 / evidence.len() as f32;
    let classes = winners.into_iter().map(|(index, count)| ScoredClass { index, confidence: confidence(count) });
    CategoryVerdict { classes: classes.collect() }
}

/// Every class that occurs with its count, in the order in which it was first seen.
fn tally(category: Category, evidence: &[Evidence]) -> Vec<(u8, usize)> {
    let mut tally: Vec<(u8, usize)> = Vec::new();
    for &index in evidence.iter().flat_map(|neighbour| neighbour.labels.get(category).indexes()) {
        match tally.iter_mut().find(|(seen, _)| *seen == index) {
            Some((_, count)) => *count += 1,
            None => tally.push((index, 1)),
        }
    }
    tally
}

/// The first of the classes with the highest count.
fn most_frequent(tally: &[(u8, usize)]) -> Option<(u8, usize)> {
    tally.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CategoryLabels, Labels};

    fn neighbours(category: Category, cells: &[&str]) -> Vec<Evidence> {
        let evidence = cells.iter().zip(1..).map(|(cell, reference_id)| Evidence {
            reference_id,
            similarity: 1.0 - reference_id as f32 / 100.0,
            source: String::new(),
            caption: String::new(),
            labels: Labels::new(|c| match c == category {
                true => CategoryLabels::parse(category, cell).expect("known labels"),
                false => CategoryLabels::default(),
            }),
        });
        evidence.collect()
    }

    fn answer(category: Category, cells: &[&str]) -> Vec<&'static str> {
        classify(neighbours(category, cells)).get(category).names(category).collect()
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
        // Half of five neighbours is 2.5: two are not enough, three are.
        let cells = ["pier", "pier", "curb", "curb", "curb"];
        assert_eq!(answer(category, &cells), ["curb"]);
    }

    #[test]
    fn confidence_is_the_share_of_the_neighbours() {
        let verdict = classify(neighbours(Category::Measure, &["B", "B", "B", "E1"]));
        assert_eq!(verdict.get(Category::Measure).classes[0].confidence, 0.75);
        assert_eq!(verdict.evidence.len(), 4);
        assert!(verdict.get(Category::Soundness).classes.is_empty());
    }
}
