//! The published CSV: one row per photo, with its finding and labels.

use std::io;
use std::path::{Path, PathBuf};

use bridgeclip_domain::{Category, CategoryLabels, Labels, UnknownLabel};
use bridgeclip_storage::plain_file;

/// A row of the CSV, complete or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Line of the file on which the row starts, from 1.
    pub line: u64,
    /// The image column as written.
    pub image: String,
    /// The finding in words, from the column `text`.
    pub caption: String,
    /// Labels of the valid categories; a category that is not valid has none.
    pub labels: Labels,
    /// Labels that a model predicted, from the columns `pred_*`; none for [`RowForm::Labelled`].
    pub predicted: Labels,
}

/// Columns that [`read_rows`] requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowForm {
    /// The published columns.
    Labelled,
    /// The published columns and `pred_<column>` for every category.
    Predicted,
}

/// Reason why a CSV file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error("{}: {reason}", path.display())]
    Read { path: PathBuf, reason: String },
    #[error("{}: no column `{column}`; found: {found}", path.display())]
    MissingColumn { path: PathBuf, column: String, found: String },
    #[error("{}, line {line}, column `{column}`: {source}", path.display())]
    Label { path: PathBuf, line: u64, column: String, source: UnknownLabel },
    #[error("{}, line {line}, column `{column}`: `{cell}` names several classes, a photo has only one; keep one of them", path.display())]
    SeveralLabels { path: PathBuf, line: u64, column: String, cell: String },
}

/// Indexes of the columns in one file, from 0.
pub(super) struct Columns {
    pub image: usize,
    pub text: usize,
    /// Column of the labels and column of their validity flag, for each category.
    pub categories: [(usize, usize); 4],
    /// Column of the prediction, for each category. None for [`RowForm::Labelled`].
    predicted: Option<[usize; 4]>,
}

/// Returns the path of a row's photo. With an image root, only the file name of the image column counts; otherwise the
/// column is a path relative to the CSV's folder.
pub fn photo_path(csv: &Path, image_root: Option<&Path>, image: &str) -> PathBuf {
    match image_root {
        Some(root) => root.join(Path::new(image).file_name().unwrap_or_default()),
        None => csv.parent().unwrap_or(Path::new("")).join(image),
    }
}

/// Reads every row, including rows with invalid categories. Fails if a label is unknown, or if a single-label column
/// names more than one class.
pub fn read_rows(path: &Path, form: RowForm) -> Result<Vec<Row>, CsvError> {
    let unreadable = unreadable(path);
    let mut reader =
        plain_file::open(path).map_err(::csv::Error::from).map(::csv::Reader::from_reader).map_err(&unreadable)?;
    let columns = Columns::find(reader.headers().map_err(&unreadable)?, form, path)?;
    reader.records().map(|row| columns.row(&row.map_err(&unreadable)?, path)).collect()
}

/// Copies a CSV and appends the columns `pred_<column>`. `predicted` has an entry for each row; rows without a
/// prediction are left out. Existing columns with these names are replaced.
pub fn write_predictions(path: &Path, predicted: &[Option<Labels>], out: impl io::Write) -> ::csv::Result<()> {
    let mut reader = ::csv::Reader::from_reader(plain_file::open(path)?);
    let headers = reader.headers()?.clone();
    let predictions = Category::ALL.map(|category| format!("pred_{}", category.column()));
    let kept: Vec<usize> = (0..headers.len()).filter(|&i| predictions.iter().all(|name| *name != headers[i])).collect();
    let mut writer = ::csv::Writer::from_writer(out);
    writer.write_record(kept.iter().map(|&i| &headers[i]).chain(predictions.iter().map(String::as_str)))?;
    for (row, labels) in reader.records().zip(predicted) {
        let (row, Some(labels)) = (row?, labels) else { continue };
        let cells = Category::ALL.map(|category| labels.get(category).to_cell(category));
        writer.write_record(kept.iter().map(|&i| &row[i]).chain(cells.iter().map(String::as_str)))?;
    }
    Ok(writer.flush()?)
}

/// Returns a function that turns an error of the csv library into one that names the file.
pub(super) fn unreadable(path: &Path) -> impl Fn(::csv::Error) -> CsvError {
    move |error| CsvError::Read { path: path.to_owned(), reason: error.to_string() }
}

/// Returns the index of a column. Ignores a byte order mark before its name.
pub(super) fn find_column(headers: &::csv::StringRecord, column: &str, path: &Path) -> Result<usize, CsvError> {
    let is_it = |header: &str| header.trim_start_matches('\u{feff}') == column;
    headers.iter().position(is_it).ok_or_else(|| CsvError::MissingColumn {
        path: path.to_owned(),
        column: column.to_owned(),
        found: headers.iter().collect::<Vec<_>>().join(", "),
    })
}

impl Columns {
    pub fn find(headers: &::csv::StringRecord, form: RowForm, path: &Path) -> Result<Self, CsvError> {
        let find = |column: &str| find_column(headers, column, path);
        let mut categories = [(0, 0); 4];
        for category in Category::ALL {
            let column = category.column();
            categories[category as usize] = (find(column)?, find(&format!("{column}_valid"))?);
        }
        let predicted = match form {
            RowForm::Labelled => None,
            RowForm::Predicted => {
                let mut columns = [0; 4];
                for category in Category::ALL {
                    columns[category as usize] = find(&format!("pred_{}", category.column()))?;
                }
                Some(columns)
            }
        };
        Ok(Columns { image: find("image")?, text: find("text")?, categories, predicted })
    }

    fn row(&self, row: &::csv::StringRecord, path: &Path) -> Result<Row, CsvError> {
        let line = row.position().map_or(0, ::csv::Position::line);
        let (mut labels, mut predicted) = (Vec::with_capacity(4), Vec::with_capacity(4));
        for category in Category::ALL {
            let (column, valid) = self.categories[category as usize];
            let name = category.column();
            labels.push(match is_true(&row[valid]) {
                true => strict_labels(category, &row[column], path, line, name)?,
                false => CategoryLabels::default(),
            });
            predicted.push(match &self.predicted {
                Some(columns) => {
                    let cell = &row[columns[category as usize]];
                    strict_labels(category, cell, path, line, &format!("pred_{name}"))?
                }
                None => CategoryLabels::default(),
            });
        }
        let of = |list: &[CategoryLabels]| Labels::new(|category| list[category as usize].clone());
        Ok(Row {
            line,
            image: row[self.image].to_owned(),
            caption: row[self.text].to_owned(),
            labels: of(&labels),
            predicted: of(&predicted),
        })
    }
}

pub(super) fn parse_labels(
    category: Category,
    cell: &str,
    path: &Path,
    line: u64,
    column: &str,
) -> Result<CategoryLabels, CsvError> {
    let wrong = |source| CsvError::Label { path: path.to_owned(), line, column: column.to_owned(), source };
    CategoryLabels::parse(category, cell).map_err(wrong)
}

/// Parses a cell, and fails if a single-label column names more than one class.
fn strict_labels(
    category: Category,
    cell: &str,
    path: &Path,
    line: u64,
    column: &str,
) -> Result<CategoryLabels, CsvError> {
    let labels = parse_labels(category, cell, path, line, column)?;
    if category.is_multi() || labels.indexes().len() < 2 {
        return Ok(labels);
    }
    let (path, column, cell) = (path.to_owned(), column.to_owned(), cell.to_owned());
    Err(CsvError::SeveralLabels { path, line, column, cell })
}

/// Reports whether a validity flag is set, in any of the spellings that pandas and spreadsheets write.
pub(super) fn is_true(cell: &str) -> bool {
    matches!(cell.trim(), "1" | "1.0" | "true" | "True" | "TRUE")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HEADER: &str = "image,text,kenzenudo,taisaku,damage_type,damage_loc,\
        kenzenudo_valid,taisaku_valid,damage_type_valid,damage_loc_valid\n";

    #[test]
    fn rows_keep_what_is_valid_and_predictions_are_written_beside_them() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (path, out) = (dir.path().join("rows.csv"), dir.path().join("out.csv"));
        let rows = "a.jpg,\"Cracking, wide.\",II,C1,cracking|corrosion,pier,1,0,1,1\nb.jpg,,,,,,0,0,0,0\n";
        fs::write(&path, format!("{HEADER}{rows}")).expect("write");
        let read = read_rows(&path, RowForm::Labelled).expect("reads");
        assert_eq!(read.len(), 2);
        assert!(
            read[0].labels.get(Category::Measure).is_empty() && !read[0].labels.get(Category::Soundness).is_empty()
        );
        let file = fs::File::create(&out).expect("create");
        write_predictions(&path, &[Some(read[0].labels.clone()), None], file).expect("writes");
        let predicted = read_rows(&out, RowForm::Predicted).expect("reads");
        assert_eq!(predicted.len(), 1);
        assert_eq!((&predicted[0].predicted, &predicted[0].labels), (&read[0].labels, &read[0].labels));
        let error = read_rows(&path, RowForm::Predicted).unwrap_err().to_string();
        assert!(error.contains("no column `pred_kenzenudo`"), "{error}");
    }

    #[test]
    fn one_photo_has_one_rating() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("rows.csv");
        fs::write(&path, format!("{HEADER}a.jpg,x,I|II,C1,cracking,pier,1,1,1,1\n")).expect("write");
        let error = read_rows(&path, RowForm::Labelled).unwrap_err().to_string();
        assert!(error.contains("line 2, column `kenzenudo`: `I|II` names several"), "{error}");
    }
}
