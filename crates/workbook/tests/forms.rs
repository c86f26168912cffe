//! The shipped forms: filled, checked and read back.

use std::fs;
use std::path::Path;

use bridgeclip_workbook::{
    CellRef, CellValue, Facts, Limits, MarkState, Record, Value, Vocabulary, Workbook, WorkbookError, check, fill,
    read_back,
};

fn open(name: &str) -> Workbook {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/forms").join(name);
    Workbook::open(fs::read(path).expect("a form"), &Limits::default()).expect("a workbook")
}

fn record(fields: &[(&str, Value)]) -> Record {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn facts() -> Facts {
    let photo = |number: u32| {
        let key = format!("photo {number}");
        record(&[
            ("number", Value::Number(f64::from(number))),
            ("member", text("主桁")),
            ("memo", text("=HYPERLINK(\"x\")")),
            ("picture", Value::Picture(key)),
        ])
    };
    let member = |number: u32| record(&[("span", text("1")), ("name", text(&format!("Mg{number:04}")))]);
    let single = record(&[
        ("bridge.name", text("みどり橋")),
        ("inspection.date", Value::Date("2026-11-30".parse().expect("a date"))),
    ]);
    let lists =
        [("photo".to_owned(), (1..=8).map(photo).collect()), ("member".to_owned(), (1..=5).map(member).collect())];
    Facts { single, lists: lists.into() }
}

/// The first bytes of a JPEG of 1,280 by 960 pixels, and its key.
fn picture(key: &str) -> std::io::Result<Vec<u8>> {
    let head = [0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0x03, 0xc0, 0x05, 0x00, 3];
    Ok(head.into_iter().chain(key.bytes()).collect())
}

fn filled(form: &str, facts: &Facts) -> Vec<u8> {
    let template = open(form);
    fill(&template, &Vocabulary::of(facts), facts, &mut picture, Vec::new()).expect("a filled form").0
}

fn again(bytes: Vec<u8>) -> Workbook {
    Workbook::open(bytes, &Limits::default()).expect("a filled workbook")
}

fn cell(name: &str) -> CellRef {
    CellRef::parse(name).expect("a cell")
}

#[test]
fn a_table_grows_and_its_total_with_it() {
    let book = again(filled("members-ja.xlsx", &facts()));
    let grid = book.grid(0).expect("cells");
    assert_eq!(grid.value(cell("B8")), &CellValue::Text("1".to_owned()));
    assert_eq!(grid.value(cell("C8")), &CellValue::Text("Mg0005".to_owned()));
    assert_eq!(grid.value(cell("B9")), &CellValue::Empty);
    let formula = |name: &str| {
        let found = grid.cells.iter().find(|found| found.at == cell(name)).expect("a cell");
        (found.formula.clone().unwrap_or_default(), found.value.clone())
    };
    assert_eq!(formula("C9"), ("COUNTA(C4:C8)".to_owned(), CellValue::Empty));
    assert_eq!(formula("A8").0, "ROW()-3");
    let name = |wanted: &str| book.names().iter().find(|name| name.name == wanted).expect(wanted).formula.clone();
    assert_eq!(name("_xlnm.Print_Area"), "'部材一覧'!$A$1:$I$9");
    assert_eq!(name("_xlnm.Print_Titles"), "'部材一覧'!$1:$3");
    assert_eq!(name("bc_filled_member"), "'部材一覧'!$4:$8");
}

#[test]
fn photos_are_placed_in_frames_on_pages() {
    let bytes = filled("damage-photos-ja.xlsx", &facts());
    assert_eq!(bytes, filled("damage-photos-ja.xlsx", &facts()), "the same facts give the same bytes");
    let book = again(bytes);
    let (grid, pictures) = (book.grid(0).expect("cells"), book.pictures(0).expect("pictures"));
    assert_eq!(pictures.len(), 8);
    // Two pages of 28 rows; the eighth photo is the second one of the second page.
    assert_eq!(grid.value(cell("F31")), &CellValue::Number(8.0));
    assert_eq!(grid.value(cell("A31")), &CellValue::Text("写真番号".to_owned()));
    assert_eq!(grid.value(cell("F44")), &CellValue::Text("=HYPERLINK(\"x\")".to_owned()));
    let last = pictures.last().expect("a picture");
    assert!((34..=42).contains(&last.first.row) && (5..=8).contains(&last.first.column), "{last:?}");
    assert!(book.part(&last.part).expect("its bytes").ends_with(b"photo 8"));
    assert!(grid.cells.iter().all(|cell| cell.formula.is_none()));
}

#[test]
fn what_is_read_back_fills_the_form_with_the_same_bytes() {
    for form in ["damage-photos-ja.xlsx", "photo-ledger-en.xlsx", "members-en.xlsx", "bridge-summary-ja.xlsx"] {
        let (template, bytes) = (open(form), filled(form, &facts()));
        let book = again(bytes.clone());
        let back = read_back(&book, &template).expect("facts");
        assert_eq!(back.notes, [""; 0], "{form}");
        assert_eq!(back.facts.single["bridge.name"], text("みどり橋"));
        assert_eq!(back.facts.single["inspection.date"], facts().single["inspection.date"]);
        let mut picture = |part: &str| book.part(part).map_err(std::io::Error::other);
        let vocabulary = Vocabulary::of(&facts());
        let (out, _) = fill(&template, &vocabulary, &back.facts, &mut picture, Vec::new()).expect("filled again");
        assert!(out == bytes, "{form}");
        assert_eq!(read_back(&again(out), &template).expect("facts").facts, back.facts, "{form}");
    }
}

#[test]
fn marks_are_reported_and_misplaced_ones_refused() {
    let template = open("photo-ledger-ja.xlsx");
    let mut vocabulary = Vocabulary::of(&facts());
    vocabulary.single.remove("bridge.name");
    let marks = check(&template, &vocabulary).expect("a report");
    let state = |mark: &str| &marks.iter().find(|found| found.mark == mark).expect(mark).state;
    assert_eq!(state("{{bridge.name}}"), &MarkState::Unknown);
    assert_eq!(state("{{photo.number}}"), &MarkState::Known);
    assert_eq!(state("{{photo.span}}"), &MarkState::Unknown);
    let (out, report) = fill(&template, &vocabulary, &facts(), &mut picture, Vec::new()).expect("filled");
    assert!(report.unknown.iter().any(|mark| mark.mark == "{{bridge.name}}"));
    // The facts have a value although the vocabulary lacks it.
    assert_eq!(again(out).grid(0).expect("cells").value(cell("B2")), &CellValue::Text("みどり橋".to_owned()));
    let wrong = fill(&template, &vocabulary, &facts(), &mut |_| Ok(b"GIF89a".to_vec()), Vec::new());
    assert!(matches!(wrong, Err(WorkbookError::Picture { .. })));
}
