//! The published CSV: one row per photo, with its finding and labels.
//!
//! What the published scripts read is read here too: files without some of the columns, labels in either language and
//! other spellings, missing cells as pandas knows them. A [`ReadReport`] tells what was made of it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ::csv::StringRecord;

use bridgeclip_domain::{Category, CategoryLabels, Labels, UnknownLabel, Word};
use bridgeclip_storage::plain_file;

use super::reading::{ReadOptions, ReadReport, Tally};

/// A row of the CSV, complete or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Line of the file on which the row starts, from 1.
    pub line: u64,
    /// The image column as written.
    pub image: String,
    /// The finding in words, from the column `text`; empty without that column.
    pub caption: String,
    /// Bridge and member that the photo shows, from the optional columns `bridge` and `member`. None without a member.
    pub member: Option<(String, String)>,
    /// Labels of the valid categories; a category that is not valid has none.
    pub labels: Labels,
    /// Labels that a model predicted, from the columns `pred_*`; none for [`RowForm::Labelled`].
    pub predicted: Labels,
}

/// Columns that [`read_rows`] uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowForm {
    /// The published columns. Only `image` must be there.
    Labelled,
    /// The published columns and `pred_<column>` for at least one category.
    Predicted,
}

/// The rows of a CSV.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// All rows, in the order of the file.
    pub rows: Vec<Row>,
    /// Columns of the file.
    pub present: Present,
    /// What was mapped, and what could not be read.
    pub report: ReadReport,
}

/// The columns that a CSV has. Categories are in the order of [`Category::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// Whether there is a column `text`.
    pub text: bool,
    /// Whether there is a column with labels of each category.
    pub labels: [bool; 4],
    /// Whether there is a column with predictions of each category.
    pub predictions: [bool; 4],
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
    #[error("{}, line {line}: {found} fields, but the first line has {expected}; quote a field that has a comma in it", path.display())]
    TooManyFields { path: PathBuf, line: u64, found: usize, expected: usize },
}

/// Indexes of the columns in one file, from 0.
pub(super) struct Columns {
    image: usize,
    text: Option<usize>,
    /// Columns of each category.
    categories: [CategoryColumns; 4],
    /// The optional columns `bridge` and `member`.
    bridge: Option<usize>,
    member: Option<usize>,
}

/// Indexes of the columns of one category.
#[derive(Clone, Copy, Default)]
struct CategoryColumns {
    labels: Option<usize>,
    valid: Option<usize>,
    predicted: Option<usize>,
}

/// Returns the path of a row's photo. With an image root, only the file name of the image column counts; otherwise the
/// column is a path relative to the CSV's folder. Backslashes separate folders, as on Windows, unless there is a file
/// whose name has them.
pub fn photo_path(csv: &Path, image_root: Option<&Path>, image: &str) -> PathBuf {
    let path = |image: &str| match image_root {
        Some(root) => root.join(Path::new(image).file_name().unwrap_or_default()),
        None => csv.parent().unwrap_or(Path::new("")).join(image),
    };
    let as_written = path(image);
    if !image.contains('\\') || as_written.exists() { as_written } else { path(&image.replace('\\', "/")) }
}

/// Reads every row, including rows with invalid categories. With [`ReadOptions::strict`], fails if a column is missing,
/// a label is not exactly that of its class, or a single-label column names more than one class.
pub fn read_rows(path: &Path, form: RowForm, options: &ReadOptions) -> Result<Rows, CsvError> {
    let mut table = Table::open(path, form, options)?;
    let (mut rows, mut tally) = (Vec::new(), Tally::default());
    while let Some(row) = table.next(&mut tally)? {
        rows.push(row);
    }
    Ok(Rows { rows, present: table.present(), report: tally.finish() })
}

/// Returns the values of a column, one for each row; `None` if the CSV has no such column.
pub fn column(path: &Path, name: &str) -> ::csv::Result<Option<Vec<String>>> {
    let mut reader = reader(path, true)?;
    let Some(place) = reader.headers()?.iter().position(|header| header == name) else { return Ok(None) };
    let values = reader.records().map(|row| Ok(row?.get(place).unwrap_or_default().to_owned()));
    values.collect::<::csv::Result<_>>().map(Some)
}

/// Copies a CSV and appends the columns `pred_<column>`. `predicted` has an entry for each row; rows without a
/// prediction are left out. Existing columns with these names are replaced.
pub fn write_predictions(path: &Path, predicted: &[Option<Labels>], out: impl io::Write) -> ::csv::Result<()> {
    let mut reader = reader(path, true)?;
    let headers = reader.headers()?.clone();
    let predictions = Category::ALL.map(|category| format!("pred_{}", category.column()));
    let kept: Vec<usize> = (0..headers.len()).filter(|&i| predictions.iter().all(|name| *name != headers[i])).collect();
    let mut writer = ::csv::Writer::from_writer(out);
    writer.write_record(kept.iter().map(|&i| &headers[i]).chain(predictions.iter().map(String::as_str)))?;
    for (row, labels) in reader.records().zip(predicted) {
        let (row, Some(labels)) = (row?, labels) else { continue };
        let cells = Category::ALL.map(|category| labels.get(category).to_cell(category));
        let copied = kept.iter().map(|&i| row.get(i).unwrap_or_default());
        writer.write_record(copied.chain(cells.iter().map(String::as_str)))?;
    }
    Ok(writer.flush()?)
}

/// Opens a CSV. Passes over a byte order mark, which would otherwise belong to the first column's name.
fn reader(path: &Path, flexible: bool) -> ::csv::Result<::csv::Reader<impl Read + use<>>> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let mut file = plain_file::open(path)?;
    let mut start = Vec::new();
    (&mut file).take(MARK.len() as u64).read_to_end(&mut start)?;
    let start = if start == MARK { Vec::new() } else { start };
    Ok(::csv::ReaderBuilder::new().flexible(flexible).from_reader(io::Cursor::new(start).chain(file)))
}

/// A CSV file that is being read.
pub(super) struct Table<'a> {
    path: &'a Path,
    options: ReadOptions,
    columns: Columns,
    width: usize,
    records: Box<dyn Iterator<Item = ::csv::Result<StringRecord>>>,
}

impl<'a> Table<'a> {
    /// Opens a CSV and finds its columns.
    pub fn open(path: &'a Path, form: RowForm, options: &ReadOptions) -> Result<Self, CsvError> {
        let unreadable = |error: ::csv::Error| unreadable(path, &error);
        let mut reader = reader(path, !options.strict).map_err(unreadable)?;
        let headers = reader.headers().map_err(unreadable)?.clone();
        let columns = Columns::find(&headers, form, options.strict, path)?;
        let records = Box::new(reader.into_records());
        Ok(Table { path, options: *options, columns, width: headers.len(), records })
    }

    /// Returns the columns that the file has.
    pub fn present(&self) -> Present {
        let of = |column: fn(&CategoryColumns) -> Option<usize>| {
            self.columns.categories.each_ref().map(|columns| column(columns).is_some())
        };
        Present { text: self.columns.text.is_some(), labels: of(|c| c.labels), predictions: of(|c| c.predicted) }
    }

    /// Reads the next row. None at the end of the file.
    pub fn next(&mut self, tally: &mut Tally) -> Result<Option<Row>, CsvError> {
        let Some(fields) = self.records.next() else { return Ok(None) };
        let fields = fields.map_err(|error| unreadable(self.path, &error))?;
        let line = fields.position().map_or(0, ::csv::Position::line);
        let place = Place { path: self.path, line };
        Fields { fields: &fields, columns: &self.columns, options: &self.options, place, tally }
            .row(self.width)
            .map(Some)
    }
}

/// The fields of a row that is being read.
struct Fields<'a> {
    fields: &'a StringRecord,
    columns: &'a Columns,
    options: &'a ReadOptions,
    place: Place<'a>,
    tally: &'a mut Tally,
}

impl Fields<'_> {
    /// Reads the row. `width` is the number of fields of the first line.
    fn row(mut self, width: usize) -> Result<Row, CsvError> {
        self.check_width(width)?;
        let (mut labels, mut predicted) = (Vec::with_capacity(4), Vec::with_capacity(4));
        for category in Category::ALL {
            labels.push(self.labels(category)?);
            predicted.push(self.predicted(category)?);
        }
        let of = |list: &[CategoryLabels]| Labels::new(|category| list[category as usize].clone());
        let text = self.field(self.columns.text);
        Ok(Row {
            line: self.place.line,
            image: self.field(Some(self.columns.image)).to_owned(),
            caption: if is_missing(text) { String::new() } else { text.to_owned() },
            member: self.member(),
            labels: of(&labels),
            predicted: of(&predicted),
        })
    }

    /// Returns a field; an empty one if its column or the field itself is missing.
    fn field(&self, column: Option<usize>) -> &str {
        column.and_then(|column| self.fields.get(column)).unwrap_or_default()
    }

    /// Fails if the row has more fields than the first line. Remarks one that has fewer.
    fn check_width(&mut self, width: usize) -> Result<(), CsvError> {
        let Place { path, line } = self.place;
        if self.fields.iter().skip(width).any(|field| !field.is_empty()) {
            let (path, found) = (path.to_owned(), self.fields.len());
            return Err(CsvError::TooManyFields { path, line, found, expected: width });
        }
        if self.fields.len() < width {
            self.remark("the row has fewer fields than the first line; the missing ones count as empty");
        }
        Ok(())
    }

    fn remark(&mut self, what: &str) {
        self.tally.remark(what, self.place.line);
    }

    /// Returns the bridge and the member. None if the row names no member.
    fn member(&self) -> Option<(String, String)> {
        let (bridge, member) = (self.field(self.columns.bridge).trim(), self.field(self.columns.member).trim());
        (!is_missing(member)).then(|| (bridge.to_owned(), member.to_owned()))
    }

    fn labels(&mut self, category: Category) -> Result<CategoryLabels, CsvError> {
        let CategoryColumns { labels, valid, .. } = self.columns.categories[category as usize];
        let name = category.column();
        match valid.map(|_| flag(self.field(valid))) {
            Some(None) => {
                self.remark(&format!("`{name}_valid` is neither true nor false; it counts as false"));
                Ok(CategoryLabels::default())
            }
            Some(Some(false)) => {
                if !is_missing(self.field(labels)) {
                    self.remark(&format!("`{name}` has a label, but `{name}_valid` is false; it is not used"));
                }
                Ok(CategoryLabels::default())
            }
            _ => self.cell(category, labels, name),
        }
    }

    fn predicted(&mut self, category: Category) -> Result<CategoryLabels, CsvError> {
        let column = self.columns.categories[category as usize].predicted;
        self.cell(category, column, &format!("pred_{}", category.column()))
    }

    /// Reads a cell of labels joined by `|`. `name` is that of its column.
    fn cell(&mut self, category: Category, column: Option<usize>, name: &str) -> Result<CategoryLabels, CsvError> {
        if self.options.strict {
            return strict_labels(category, self.field(column), &self.place, name);
        }
        let words = self.field(column).split('|').map(str::trim).filter(|word| !is_missing(word));
        let words: Vec<Word> = words.map(|word| Word::read(category, whole_number(word))).collect();
        words.iter().for_each(|word| self.tally.word(word, self.options.unknown, self.place.line));
        let labels = CategoryLabels::new(category, words.iter().filter_map(|word| word.class(self.options.unknown)));
        if category.is_multi() || labels.indexes().len() < 2 {
            return Ok(labels);
        }
        self.remark(&format!("`{name}` names several classes, a photo has only one; it counts as empty"));
        Ok(CategoryLabels::default())
    }
}

/// The place of a row, for messages.
struct Place<'a> {
    path: &'a Path,
    line: u64,
}

/// Returns a number that pandas wrote as a fraction, such as `3.0`, without it.
fn whole_number(name: &str) -> &str {
    name.strip_suffix(".0").filter(|digits| digits.len() == 1).unwrap_or(name)
}

/// Returns an error of the csv library as one that names the file.
fn unreadable(path: &Path, error: &::csv::Error) -> CsvError {
    let is_utf8 = !matches!(error.kind(), ::csv::ErrorKind::Utf8 { .. });
    let remedy = if is_utf8 { "" } else { "; save the file as UTF-8" };
    CsvError::Read { path: path.to_owned(), reason: format!("{error}{remedy}") }
}

impl Columns {
    fn find(headers: &StringRecord, form: RowForm, strict: bool, path: &Path) -> Result<Self, CsvError> {
        let find = |column: &str| headers.iter().position(|header| header.trim().eq_ignore_ascii_case(column));
        let missing = |column: &str| CsvError::MissingColumn {
            path: path.to_owned(),
            column: column.to_owned(),
            found: headers.iter().collect::<Vec<_>>().join(", "),
        };
        let wanted = |column: &str, needed: bool| match find(column) {
            None if needed => Err(missing(column)),
            found => Ok(found),
        };
        let mut categories = [CategoryColumns::default(); 4];
        for category in Category::ALL {
            let (name, predicts) = (category.column(), form == RowForm::Predicted);
            categories[category as usize] = CategoryColumns {
                labels: wanted(name, strict)?,
                valid: wanted(&format!("{name}_valid"), strict)?,
                predicted: if predicts { wanted(&format!("pred_{name}"), strict)? } else { None },
            };
        }
        if form == RowForm::Predicted && categories.iter().all(|columns| columns.predicted.is_none()) {
            return Err(missing(&format!("pred_{}", Category::ALL[0].column())));
        }
        let image = find("image").ok_or_else(|| missing("image"))?;
        let (bridge, member) = (find("bridge"), find("member"));
        Ok(Columns { image, text: wanted("text", strict)?, categories, bridge, member })
    }
}

/// Parses a cell by exact English labels.
fn strict_labels(category: Category, cell: &str, place: &Place, column: &str) -> Result<CategoryLabels, CsvError> {
    let (path, line, column) = (place.path.to_owned(), place.line, column.to_owned());
    match CategoryLabels::parse(category, cell) {
        Err(source) => Err(CsvError::Label { path, line, column, source }),
        Ok(labels) if !category.is_multi() && labels.indexes().len() > 1 => {
            Err(CsvError::SeveralLabels { path, line, column, cell: cell.to_owned() })
        }
        Ok(labels) => Ok(labels),
    }
}

/// Reports whether a cell has no value: it is empty, or one of the spellings that pandas takes for a missing value.
pub(super) fn is_missing(cell: &str) -> bool {
    const MISSING: [&str; 18] = [
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
        "NULL", "NaN", "None", "n/a", "nan",
    ];
    MISSING.contains(&cell.trim()) || cell.trim() == "null"
}

/// Reads a validity flag in any of the spellings that pandas and spreadsheets write. None if it is another word.
fn flag(cell: &str) -> Option<bool> {
    match cell.trim().to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" | "yes" => Some(true),
        "0" | "0.0" | "false" | "no" => Some(false),
        _ => is_missing(cell).then_some(false),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HEADER: &str = "image,text,kenzenudo,taisaku,damage_type,damage_loc,\
        kenzenudo_valid,taisaku_valid,damage_type_valid,damage_loc_valid\n";
    const STRICT: ReadOptions =
        ReadOptions { strict: true, unknown: bridgeclip_domain::Unknown::LeaveOut, partial: false };

    fn read(content: impl AsRef<[u8]>, form: RowForm, options: &ReadOptions) -> Result<Rows, CsvError> {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("rows.csv");
        fs::write(&path, content).expect("write");
        read_rows(&path, form, options)
    }

    fn cells(row: &Row) -> [String; 4] {
        Category::ALL.map(|category| row.labels.get(category).to_cell(category))
    }

    #[test]
    fn rows_keep_what_is_valid_and_predictions_are_written_beside_them() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (path, out) = (dir.path().join("rows.csv"), dir.path().join("out.csv"));
        let rows = "a.jpg,\"Cracking, wide.\",II,C1,cracking|corrosion,pier,1,0,1,1\nb.jpg,,,,,,0,0,0,0\n";
        fs::write(&path, format!("\u{feff}{HEADER}{rows}")).expect("write");
        for options in [ReadOptions::default(), STRICT] {
            let Rows { rows, report, .. } = read_rows(&path, RowForm::Labelled, &options).expect("reads");
            assert_eq!(rows.len(), 2);
            assert_eq!(cells(&rows[0]), ["II", "", "cracking|corrosion", "pier"]);
            assert!(report.mapped.is_empty() && report.unknown.is_empty());
            let file = fs::File::create(&out).expect("create");
            write_predictions(&path, &[Some(rows[0].labels.clone()), None], file).expect("writes");
            let predicted = read_rows(&out, RowForm::Predicted, &options).expect("reads");
            assert_eq!((predicted.rows.len(), predicted.present.predictions), (1, [true; 4]));
            assert_eq!((&predicted.rows[0].predicted, &predicted.rows[0].labels), (&rows[0].labels, &rows[0].labels));
            let error = read_rows(&path, RowForm::Predicted, &options).unwrap_err().to_string();
            assert!(error.contains("no column `pred_kenzenudo`"), "{error}");
        }
    }

    #[test]
    fn one_photo_has_one_rating() {
        let rows = format!("{HEADER}a.jpg,x,I|II,C1,cracking,pier,1,1,1,1\n");
        let error = read(&rows, RowForm::Labelled, &STRICT).unwrap_err().to_string();
        assert!(error.contains("line 2, column `kenzenudo`: `I|II` names several"), "{error}");
        let Rows { rows, report, .. } = read(&rows, RowForm::Labelled, &ReadOptions::default()).expect("reads");
        assert_eq!(cells(&rows[0])[0], "");
        assert!(report.remarks[0].what.starts_with("`kenzenudo` names several classes"), "{report:?}");
    }

    #[test]
    fn what_pandas_reads_is_read() {
        let text = "Image, kenzenudo ,taisaku,damage_type\n\
            a.jpg,Ⅲ,ｃ１,ひびわれ|剥離・鉄筋露出|nan\n\
            b.jpg,iii,c1,Cracking | moss\n\
            c.jpg,3.0,NaN,\n\
            d.jpg,V\n";
        let Rows { rows, present, report } = read(text, RowForm::Labelled, &ReadOptions::default()).expect("reads");
        let found: Vec<_> = rows.iter().map(cells).collect();
        let expected = [
            ["III", "C1", "cracking|spalling / rebar exposure", ""],
            ["III", "C1", "cracking", ""],
            ["III", "", "", ""],
            ["", "", "", ""],
        ];
        assert_eq!(found, expected.map(|row| row.map(str::to_owned)));
        assert_eq!((present.text, present.labels), (false, [true, true, true, false]));
        let unknown: Vec<_> = report.unknown.iter().map(|word| (&*word.word, word.count, word.first_line)).collect();
        assert_eq!(unknown, [("V", 1, 5), ("moss", 1, 3)]);
        assert_eq!((report.remarks.len(), report.remarks[0].first_line), (1, 5));
        let mapped = report.mapped.iter().find(|word| word.word == "Ⅲ").expect("listed");
        assert_eq!((&*mapped.class, &*mapped.by, mapped.first_line), ("III", "label", 2));
        let other = ReadOptions { unknown: bridgeclip_domain::Unknown::Other, ..ReadOptions::default() };
        assert_eq!(cells(&read(text, RowForm::Labelled, &other).expect("reads").rows[1])[2], "cracking|other");
        assert!(read(text, RowForm::Labelled, &STRICT).is_err());
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_place() {
        let refused = |content: &[u8]| {
            read(content, RowForm::Labelled, &ReadOptions::default()).expect_err("refused").to_string()
        };
        assert!(refused(b"image,text\na.jpg,one,two\n").contains("line 2: 3 fields, but the first line has 2"));
        assert!(refused(b"photo,text\na.jpg,x\n").contains("no column `image`; found: photo, text"));
        assert!(refused(b"image,text\na.jpg,\x82\xa0\n").contains("save the file as UTF-8"));
        let padded = read("image,text\na.jpg,x,,\n", RowForm::Labelled, &ReadOptions::default()).expect("reads");
        assert!(padded.report.remarks.is_empty(), "empty fields at the end say nothing");
    }

    #[test]
    fn paths_of_windows_are_understood() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let (csv, root) = (dir.path().join("rows.csv"), Path::new("/photos"));
        let path = |root, image| photo_path(&csv, root, image);
        for image in ["C:\\old\\a.jpg", "old/a.jpg", "old\\a.jpg"] {
            assert_eq!(path(Some(root), image), root.join("a.jpg"), "{image}");
        }
        assert_eq!(path(None, "old\\a.jpg"), dir.path().join("old/a.jpg"));
        fs::write(dir.path().join("x\\y.jpg"), "").expect("write");
        assert_eq!(path(None, "x\\y.jpg"), dir.path().join("x\\y.jpg"));
    }

    #[test]
    fn flags_are_true_false_or_remarked() {
        let rows = "a.jpg,x,II,C1,cracking,pier,TRUE,yes,maybe,False\n";
        let Rows { rows, report, .. } =
            read(format!("{HEADER}{rows}"), RowForm::Labelled, &ReadOptions::default()).expect("reads");
        assert_eq!(cells(&rows[0]), ["II", "C1", "", ""]);
        let remarks: Vec<_> = report.remarks.iter().map(|remark| &*remark.what).collect();
        assert_eq!(remarks.len(), 2, "{remarks:?}");
        assert!(remarks.iter().any(|what| what.contains("`damage_type_valid` is neither true nor false")));
        assert!(remarks.iter().any(|what| what.contains("`damage_loc` has a label, but `damage_loc_valid` is false")));
    }
}
