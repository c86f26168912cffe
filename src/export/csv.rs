//! A table for spreadsheets and scripts (RFC 4180), with one row per photo and the columns of [`FIELDS`].

use std::io::Write;

use super::record::utc;
use super::{ExportError, FIELDS, Record, Value};

/// Mark by which spreadsheets recognise UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// First characters that make a spreadsheet read a text as a formula (OWASP, "CSV Injection"), full-width ones
/// included.
const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Writes a line of column names, then all records. `bom` is for spreadsheets that would otherwise assume another
/// encoding.
pub fn write(
    mut out: impl Write,
    records: impl Iterator<Item = Result<Record, ExportError>>,
    bom: bool,
) -> Result<(), ExportError> {
    let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    let mark = if bom { BYTE_ORDER_MARK } else { "" };
    write!(out, "{mark}{}\r\n", names.join(","))?;
    for record in records {
        let record = record?;
        let cells: Vec<String> = FIELDS.iter().map(|field| cell((field.value)(&record))).collect();
        write!(out, "{}\r\n", cells.join(","))?;
    }
    Ok(out.flush()?)
}

/// Returns a cell. Only texts are quoted, and always: so a separator or a quote in a name cannot begin a new cell, and
/// an unknown value differs from an empty text.
fn cell(value: Value) -> String {
    match value {
        Value::None => String::new(),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => value.to_string(),
        Value::Time(at) => utc(at),
        Value::Text(text) => format!("\"{}\"", defused(&text).replace('"', "\"\"")),
    }
}

/// Puts a quote before a text that looks like a formula, which makes spreadsheets show it as it is.
fn defused(text: &str) -> String {
    if text.starts_with(FORMULA_STARTS) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use ::csv::ReaderBuilder;

    use super::*;
    use crate::export::record::{bare_example, example};

    fn written(records: Vec<Record>, bom: bool) -> String {
        let mut out = Vec::new();
        write(&mut out, records.into_iter().map(Ok), bom).expect("written");
        String::from_utf8(out).expect("UTF-8")
    }

    fn rows(text: &str) -> Vec<::csv::StringRecord> {
        ReaderBuilder::new().from_reader(text.as_bytes()).records().collect::<Result<_, _>>().expect("CSV")
    }

    fn column(name: &str) -> usize {
        FIELDS.iter().position(|field| field.name == name).expect("a column")
    }

    #[test]
    fn a_row_for_each_photo() {
        let text = written(vec![example(1), bare_example(2)], false);
        let rows = rows(&text);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].len(), FIELDS.len());
        assert_eq!(&rows[0][column("damage_type")], "cracking; corrosion");
        assert_eq!(&rows[0][column("longitude_deg")], "139.25");
        assert_eq!(&rows[0][column("taken_at")], "2026-05-09T01:02:03.120Z");
        assert_eq!((&rows[1][column("id")], &rows[1][column("soundness")]), ("2", ""));
        assert!(text.contains(",139.25,") && text.contains(",true,"), "numbers are not quoted: {text}");
        assert_eq!(
            written(Vec::new(), true).strip_prefix(BYTE_ORDER_MARK).map(|text| text.starts_with("id,")),
            Some(true)
        );
    }

    #[test]
    fn names_are_neither_formulas_nor_other_cells() {
        let cases = [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+1", "'+1"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("＝1", "'＝1"),
            ("a;=1,\"=2\",\r\n=3", "a;=1,\"=2\",\r\n=3"),
            ("橋 12", "橋 12"),
        ];
        for (name, expected) in cases {
            let mut record = example(1);
            record.capture.facts.image.path = format!("/media/{}", name.replace('/', "")).into();
            record.capture.facts.image.camera.lens = Some(name.to_owned());
            let rows = rows(&written(vec![record], false));
            assert_eq!(rows.len(), 1, "{name}");
            assert_eq!(&rows[0][column("file")], expected.replace('/', ""), "{name}");
            assert_eq!(&rows[0][column("camera_lens")], expected, "{name}");
        }
        let mut south = example(1);
        let position = south.capture.facts.position.as_mut().expect("a position");
        (position.latitude_deg, position.longitude_deg) = (-35.5, -0.125);
        let rows = rows(&written(vec![south], false));
        assert_eq!((&rows[0][column("latitude_deg")], &rows[0][column("longitude_deg")]), ("-35.5", "-0.125"));
    }

    #[test]
    fn an_error_ends_it() {
        let records = [Ok(example(1)), Err(ExportError::Stopped), Ok(example(2))];
        let outcome = write(Vec::new(), records.into_iter(), false);
        assert!(matches!(outcome, Err(ExportError::Stopped)));
    }
}
