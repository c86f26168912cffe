//! Body of the fuzz target for workbooks. A test of the crate runs it on every file of the corpus.

use bridgeclip_workbook::{Facts, Limits, Record, Value, Vocabulary, Workbook, check, fill, read_back};

/// Fuzzes a workbook: what can be filled opens again, and is filled the same way twice.
pub fn workbook(bytes: &[u8]) {
    // Small limits, so that an input takes milliseconds.
    let limits = Limits { entry_bytes_max: 1 << 20, total_bytes_max: 4 << 20, cells_max: 10_000, ..Limits::default() };
    let Ok(book) = Workbook::open(bytes.to_vec(), &limits) else { return };
    for sheet in 0..book.sheets().len() {
        let _ = (book.grid(sheet), book.pictures(sheet));
    }
    let record: Record =
        ["number", "member", "name"].map(|name| (name.to_owned(), Value::Text("=1".to_owned()))).into();
    let lists = ["photo", "member"].map(|name| (name.to_owned(), vec![record.clone(); 3]));
    let facts = Facts { single: [("bridge.name".to_owned(), Value::Number(1.5))].into(), lists: lists.into() };
    let vocabulary = Vocabulary::of(&facts);
    let _ = (check(&book, &vocabulary), read_back(&book, &book));
    let filled = || fill(&book, &vocabulary, &facts, &mut |_| Ok(Vec::new()), Vec::new());
    if let Ok((out, _)) = filled() {
        assert!(filled().is_ok_and(|(again, _)| again == out));
        Workbook::open(out, &Limits::default()).expect("what was filled can be opened");
    }
}
