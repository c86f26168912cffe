//! Neighbours for the tests of the votes.

use bridgeclip_domain::{Category, CategoryLabels, Labels};

use super::Neighbour;

/// Parses CSV cells into labels of one category.
pub fn labels(category: Category, cells: &[&str]) -> Vec<Labels> {
    let parse = |cell: &&str| {
        Labels::new(|c| match c == category {
            true => CategoryLabels::parse(category, cell).expect("known labels"),
            false => CategoryLabels::default(),
        })
    };
    cells.iter().map(parse).collect()
}

/// Returns neighbours with these labels and similarities.
pub fn neighbours<'a>(labels: &'a [Labels], similarities: &[f32]) -> Vec<Neighbour<'a>> {
    labels.iter().zip(similarities).map(|(labels, &similarity)| Neighbour { similarity, labels }).collect()
}
