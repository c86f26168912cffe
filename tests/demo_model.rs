//! Checks the demo model's figures on held-out pictures, with this program's search and vote on the committed
//! embeddings.

use std::fs;

use bridgeclip::classify::Params;
use bridgeclip::domain::{Category, Embedding};
use bridgeclip::package::Package;
use bridgeclip::pipeline::Answerer;
use bridgeclip::reference::{ReadOptions, read_records};
use serde_json::Value;

use crate::support::{data, demo_package, read_npy};

#[test]
fn knn_reaches_the_figures_that_the_python_project_measured() {
    let package = Package::open(&demo_package()).expect("a good package");
    let answerer = Answerer::load(&package, Params::default()).expect("loads");
    let records = read_records(&data("demo/val.csv"), None, &ReadOptions::default()).expect("reads").complete;
    let rows = read_npy(&data("demo/val_embeddings.npy"));
    assert_eq!(rows.len(), records.len());
    let mut scores = Category::ALL.map(|category| vec![Counts::default(); category.classes().len()]);
    for (record, row) in records.iter().zip(rows) {
        let query = Embedding::normalise(row).expect("a vector");
        let verdict = answerer.verdict(&query, None).expect("a verdict");
        for category in Category::ALL {
            let predicted: Vec<u8> = verdict.get(category).classes.iter().map(|class| class.index).collect();
            count(&mut scores[category as usize], record.labels.get(category).indexes(), &predicted);
        }
    }
    let figures: Value =
        serde_json::from_slice(&fs::read(demo_package().join("../FIGURES.json")).expect("read")).expect("JSON");
    let mut mean = 0.0;
    for category in Category::ALL {
        let counts = &scores[category as usize];
        let macro_f1 = counts.iter().map(Counts::f1).sum::<f64>() / counts.len() as f64;
        let expected = figures["knn"]["macro_f1"][category.id()].as_f64().expect("a figure");
        // The reference holds embeddings of this program's encoder; the figures use those of PyTorch.
        assert!((macro_f1 - expected).abs() < 0.005, "{category}: macro-F1 {macro_f1:.4}, in Python {expected}");
        mean += macro_f1 / 4.0;
    }
    assert!(mean >= 0.80, "mean macro-F1 {mean:.4}");
}

/// True positives, false positives and false negatives of one class.
#[derive(Clone, Default)]
struct Counts {
    hit: u32,
    wrong: u32,
    missed: u32,
}

impl Counts {
    /// Returns the F1 score: 0 for a class that neither occurs nor was predicted.
    fn f1(&self) -> f64 {
        let all = 2 * self.hit + self.wrong + self.missed;
        if all == 0 { 0.0 } else { f64::from(2 * self.hit) / f64::from(all) }
    }
}

fn count(counts: &mut [Counts], truth: &[u8], predicted: &[u8]) {
    for (index, counts) in (0..).zip(counts) {
        match (truth.contains(&index), predicted.contains(&index)) {
            (true, true) => counts.hit += 1,
            (false, true) => counts.wrong += 1,
            (true, false) => counts.missed += 1,
            (false, false) => (),
        }
    }
}
