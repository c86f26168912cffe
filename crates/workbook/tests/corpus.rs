//! The corpus of the fuzz target gives no finding.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/workbook.rs"]
mod body;

#[test]
fn the_corpus_of_the_fuzz_target_gives_no_finding() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/workbook");
    let files: Vec<_> = fs::read_dir(corpus).expect("the corpus").collect();
    assert!(files.len() >= 3, "{} files", files.len());
    for file in files {
        body::workbook(&fs::read(file.expect("a file").path()).expect("read"));
    }
}
