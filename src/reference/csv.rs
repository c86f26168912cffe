//! The published CSV: one row per photo with its finding and labels.

use std::path::{Path, PathBuf};

use crate::domain::{Category, CategoryLabels, Labels, UnknownLabel};

/// One usable row: a photo whose four categories are all valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Line of the file on which the row starts, from 1.
    pub line: u64,
    /// Number of the row, from 0, incomplete rows counted in: its place in a file of embeddings.
    pub row: usize,
    /// The image column as written.
    pub image: String,
    pub caption: String,
    pub labels: Labels,
}

/// What is wrong with a CSV file.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error("{}: {reason}", path.display())]
    Read { path: PathBuf, reason: String },
    #[error("{}: no column `{column}`; found: {found}", path.display())]
    MissingColumn { path: PathBuf, column: String, found: String },
    #[error("{}, line {line}, column `{column}`: {source}", path.display())]
    Label { path: PathBuf, line: u64, column: &'static str, source: UnknownLabel },
}

/// Where the columns stand in this file.
struct Columns {
    image: usize,
    text: usize,
    /// Per category: the labels and their validity flag.
    categories: [(usize, usize); 4],
}

/// Reads all rows whose four categories are valid; the other rows are only counted.
pub fn read_records(path: &Path) -> Result<(Vec<Record>, usize), CsvError> {
    let unreadable = |error: ::csv::Error| CsvError::Read { path: path.to_owned(), reason: error.to_string() };
    let mut reader = ::csv::Reader::from_path(path).map_err(unreadable)?;
    let columns = Columns::find(reader.headers().map_err(unreadable)?, path)?;
    let mut records = Vec::new();
    let mut skipped = 0;
    for (number, row) in reader.records().enumerate() {
        match columns.record(number, &row.map_err(unreadable)?, path)? {
            Some(record) => records.push(record),
            None => skipped += 1,
        }
    }
    Ok((records, skipped))
}

impl Columns {
    fn find(headers: &::csv::StringRecord, path: &Path) -> Result<Self, CsvError> {
        let find = |column: &str| {
            headers.iter().position(|header| header.trim_start_matches('\u{feff}') == column).ok_or_else(|| {
                CsvError::MissingColumn {
                    path: path.to_owned(),
                    column: column.to_owned(),
                    found: headers.iter().collect::<Vec<_>>().join(", "),
                }
            })
        };
        let mut categories = [(0, 0); 4];
        for category in Category::ALL {
            let column = category.column();
            categories[category as usize] = (find(column)?, find(&format!("{column}_valid"))?);
        }
        Ok(Columns { image: find("image")?, text: find("text")?, categories })
    }

    /// `None` if a category is invalid or empty.
    fn record(&self, number: usize, row: &::csv::StringRecord, path: &Path) -> Result<Option<Record>, CsvError> {
        let line = row.position().map_or(0, ::csv::Position::line);
        let mut labels = Vec::with_capacity(4);
        for category in Category::ALL {
            let (column, valid) = self.categories[category as usize];
            if !is_true(&row[valid]) {
                return Ok(None);
            }
            let parsed = CategoryLabels::parse(category, &row[column]).map_err(|source| CsvError::Label {
                path: path.to_owned(),
                line,
                column: category.column(),
                source,
            })?;
            if parsed.is_empty() {
                return Ok(None);
            }
            labels.push(parsed);
        }
        let labels = Labels::new(|category| labels[category as usize].clone());
        let (image, caption) = (row[self.image].to_owned(), row[self.text].to_owned());
        Ok(Some(Record { line, row: number, image, caption, labels }))
    }
}

/// Flags as pandas and spreadsheets write them.
fn is_true(cell: &str) -> bool {
    matches!(cell.trim(), "1" | "1.0" | "true" | "True" | "TRUE")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HEADER: &str = "image,text,kenzenudo,taisaku,damage_type,damage_loc,\
        kenzenudo_valid,taisaku_valid,damage_type_valid,damage_loc_valid\n";

    fn read(content: &str) -> Result<(Vec<Record>, usize), CsvError> {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("rows.csv");
        fs::write(&path, content).expect("write");
        read_records(&path)
    }

    #[test]
    fn reads_valid_rows_and_counts_the_others() {
        let rows = "a.jpg,\"Cracking, wide.\",II,C1,cracking|corrosion,pier,1,True,1,1\n\
                    b.jpg,x,II,C1,cracking,pier,1,0,1,1\n\
                    c.jpg,x,II,C1,,pier,1,1,1,1\n";
        let (records, skipped) = read(&format!("{HEADER}{rows}")).expect("reads");
        assert_eq!((records.len(), skipped), (1, 2));
        assert_eq!(records[0].line, 2);
        assert_eq!(records[0].caption, "Cracking, wide.");
        let types = records[0].labels.get(Category::DamageType);
        assert_eq!(types.to_cell(Category::DamageType), "cracking|corrosion");
    }

    #[test]
    fn errors_name_line_and_column() {
        let error = read(&format!("{HEADER}a.jpg,x,V,C1,cracking,pier,1,1,1,1\n")).unwrap_err().to_string();
        assert!(error.contains("line 2, column `kenzenudo`: `V` is not"), "{error}");
        let error = read(&HEADER.replace("taisaku,", "measure,")).unwrap_err().to_string();
        assert!(error.contains("no column `taisaku`"), "{error}");
        let error = read(&format!("{HEADER}a.jpg,x,V\n")).unwrap_err().to_string();
        assert!(error.contains("line: 2"), "{error}");
    }
}
