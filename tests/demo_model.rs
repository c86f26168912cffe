//! The demo model's figures on held-out pictures, by our own search and vote on the committed embeddings.

use std::fs::{self, File};

use bridgeclip::classify::classify;
use bridgeclip::domain::{Category, Embedding};
use bridgeclip::encoder::Package;
use bridgeclip::reference::{Reference, read_records};
use serde_json::Value;

use crate::support::{data, demo_package};

#[test]
fn knn_reaches_the_figures_that_the_python_project_measured() {
    let package = Package::open(&demo_package()).expect("a good package");
    let reference = Reference::open(&package.reference().expect("a reference"), &package).expect("opens");
    let (records, _) = read_records(&data("demo/val.csv")).expect("reads");
    let file = npyz::NpyFile::new(File::open(data("demo/val_embeddings.npy")).expect("open")).expect("a NumPy file");
    let dim = file.shape()[1] as usize;
    let rows = file.into_vec::<f32>().expect("f32");
    assert_eq!(rows.len(), records.len() * dim);
    let mut scores = Category::ALL.map(|category| vec![Counts::default(); category.classes().len()]);
    for (record, row) in records.iter().zip(rows.chunks(dim)) {
        let query = Embedding::normalise(row.to_vec()).expect("a vector");
        let verdict = classify(reference.evidence(&query, 10).expect("neighbours"));
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
        // The reference holds embeddings of our own encoder, the figures those of PyTorch.
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
    /// 0 for a class that neither occurs nor was predicted.
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
