//! The rows of a CSV that a reference can be made from.

use std::path::Path;

use ::csv::StringRecord;

use bridgeclip_domain::{Category, Labels, parse_caption};
use bridgeclip_storage::plain_file;

use super::csv::{Columns, find_column, is_true, parse_labels, unreadable};
use super::{CsvError, RowForm};

/// A usable row: a photo whose four categories are all known.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Line of the file on which the row starts, from 1.
    pub line: u64,
    /// Number of the row, from 0, counting incomplete rows: its place in a file of embeddings.
    pub row: usize,
    /// The image column as written.
    pub image: String,
    /// The finding in words, from the column `text`.
    pub caption: String,
    pub labels: Labels,
}

/// The rows of a CSV, divided into usable ones and ones that lack a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    /// The usable rows, in the order of the file.
    pub complete: Vec<Record>,
    /// The rows that lack a label, in the order of the file.
    pub incomplete: Vec<Incomplete>,
    /// Source that the labels were read from.
    pub labels_from: LabelsFrom,
}

/// A row without all four labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Incomplete {
    /// Line of the file on which the row starts, from 1.
    pub line: u64,
    /// Reason why the row is incomplete, for a message.
    pub reason: String,
}

/// Source that labels are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelsFrom {
    /// The label columns and their `_valid` flags.
    Columns,
    /// The finding in the column `text`.
    Captions,
}

/// Reads the rows of a CSV. Without `labels_from`, labels are read from the columns, or from the captions if there is
/// no label column at all.
pub fn read_records(path: &Path, labels_from: Option<LabelsFrom>) -> Result<Records, CsvError> {
    let unreadable = unreadable(path);
    let mut reader =
        plain_file::open(path).map_err(::csv::Error::from).map(::csv::Reader::from_reader).map_err(&unreadable)?;
    let headers = reader.headers().map_err(&unreadable)?.clone();
    let labels_from = labels_from.unwrap_or_else(|| usual_source(&headers, path));
    let source = LabelSource::find(labels_from, &headers, path)?;
    let mut records = Records { complete: Vec::new(), incomplete: Vec::new(), labels_from };
    for (row, fields) in reader.records().enumerate() {
        let fields = fields.map_err(&unreadable)?;
        let line = fields.position().map_or(0, ::csv::Position::line);
        match source.labels(&fields, line, path)? {
            Ok(labels) => {
                let (image, caption) = source.image_and_caption(&fields);
                records.complete.push(Record { line, row, image, caption, labels });
            }
            Err(reason) => records.incomplete.push(Incomplete { line, reason }),
        }
    }
    Ok(records)
}

fn usual_source(headers: &StringRecord, path: &Path) -> LabelsFrom {
    let is_there = |category: &Category| find_column(headers, category.column(), path).is_ok();
    if Category::ALL.iter().any(is_there) { LabelsFrom::Columns } else { LabelsFrom::Captions }
}

/// The columns that labels are read from.
enum LabelSource {
    Columns(Columns),
    Captions { image: usize, text: usize },
}

impl LabelSource {
    fn find(from: LabelsFrom, headers: &StringRecord, path: &Path) -> Result<Self, CsvError> {
        match from {
            LabelsFrom::Columns => Ok(LabelSource::Columns(Columns::find(headers, RowForm::Labelled, path)?)),
            LabelsFrom::Captions => Ok(LabelSource::Captions {
                image: find_column(headers, "image", path)?,
                text: find_column(headers, "text", path)?,
            }),
        }
    }

    fn image_and_caption(&self, row: &StringRecord) -> (String, String) {
        let (image, text) = match self {
            LabelSource::Columns(Columns { image, text, .. }) | LabelSource::Captions { image, text } => {
                (*image, *text)
            }
        };
        (row[image].to_owned(), row[text].to_owned())
    }

    /// Reads a row's labels. The inner error is the reason why the row is incomplete. The outer error reports a cell
    /// that is not a label.
    fn labels(&self, row: &StringRecord, line: u64, path: &Path) -> Result<Result<Labels, String>, CsvError> {
        match self {
            LabelSource::Columns(columns) => column_labels(columns, row, line, path),
            LabelSource::Captions { text, .. } => Ok(caption_labels(&row[*text])),
        }
    }
}

fn column_labels(
    columns: &Columns,
    row: &StringRecord,
    line: u64,
    path: &Path,
) -> Result<Result<Labels, String>, CsvError> {
    let mut labels = Vec::with_capacity(4);
    for category in Category::ALL {
        let (column, valid) = columns.categories[category as usize];
        let name = category.column();
        if !is_true(&row[valid]) {
            return Ok(Err(format!("`{name}` is not valid")));
        }
        let parsed = parse_labels(category, &row[column], path, line, name)?;
        if parsed.is_empty() {
            return Ok(Err(format!("`{name}` is empty")));
        }
        labels.push(parsed);
    }
    Ok(Ok(Labels::new(|category| labels[category as usize].clone())))
}

fn caption_labels(caption: &str) -> Result<Labels, String> {
    let labels = parse_caption(caption).map_err(|error| error.to_string())?;
    match Category::ALL.into_iter().find(|category| labels.get(*category).is_empty()) {
        Some(category) => Err(format!("the caption does not say the {category}")),
        None => Ok(labels),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HEADER: &str = "image,text,kenzenudo,taisaku,damage_type,damage_loc,\
        kenzenudo_valid,taisaku_valid,damage_type_valid,damage_loc_valid\n";

    fn read(content: &str, from: Option<LabelsFrom>) -> Result<Records, CsvError> {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("rows.csv");
        fs::write(&path, content).expect("write");
        read_records(&path, from)
    }

    #[test]
    fn reads_complete_rows_and_says_what_the_others_lack() {
        let rows = "a.jpg,\"Cracking, wide.\",II,C1,cracking|corrosion,pier,1,True,1,1\n\
                    b.jpg,x,II,C1,cracking,pier,1,0,1,1\n\
                    c.jpg,x,II,C1,,pier,1,1,1,1\n";
        let Records { complete, incomplete, labels_from } = read(&format!("{HEADER}{rows}"), None).expect("reads");
        assert_eq!((complete.len(), labels_from), (1, LabelsFrom::Columns));
        assert_eq!((complete[0].line, complete[0].row, &*complete[0].caption), (2, 0, "Cracking, wide."));
        let types = complete[0].labels.get(Category::DamageType);
        assert_eq!(types.to_cell(Category::DamageType), "cracking|corrosion");
        let reasons: Vec<_> = incomplete.iter().map(|row| (row.line, &*row.reason)).collect();
        assert_eq!(reasons, [(3, "`taisaku` is not valid"), (4, "`damage_type` is empty")]);
    }

    #[test]
    fn captions_alone_are_enough() {
        const WHOLE: &str = "Cracking and corrosion are observed in the pier. The soundness rating is Ⅱ. \
            The component-wise measure classification is C1.";
        let rows = format!(
            "image,text\na.jpg,{WHOLE}\nb.jpg,The soundness rating is Ⅱ.\nc.jpg,A nice bridge.\nd.jpg,\ne.jpg,{WHOLE}\n"
        );
        let Records { complete, incomplete, labels_from } = read(&rows, None).expect("reads");
        assert_eq!((complete.len(), labels_from), (2, LabelsFrom::Captions));
        assert_eq!((complete[1].line, complete[1].row, &*complete[1].image), (6, 4, "e.jpg"));
        let types = complete[0].labels.get(Category::DamageType);
        assert_eq!(types.to_cell(Category::DamageType), "cracking|corrosion");
        let reasons: Vec<_> = incomplete.iter().map(|row| (row.line, &*row.reason)).collect();
        let expected = [
            (3, "the caption does not say the measure"),
            (4, "`A nice bridge` is no sentence of the caption template"),
            (5, "the caption does not say the soundness"),
        ];
        assert_eq!(reasons, expected);
        // On request, captions are read even though there are label columns.
        let labelled = format!("{HEADER}a.jpg,{WHOLE},IV,E1,scour,curb,0,0,0,0\n");
        assert!(read(&labelled, None).expect("reads").complete.is_empty());
        let asked = read(&labelled, Some(LabelsFrom::Captions)).expect("reads");
        assert_eq!(asked.complete[0].labels, complete[0].labels);
    }

    #[test]
    fn errors_name_line_and_column() {
        let message = |content: &str| read(content, None).unwrap_err().to_string();
        let error = message(&format!("{HEADER}a.jpg,x,V,C1,cracking,pier,1,1,1,1\n"));
        assert!(error.contains("line 2, column `kenzenudo`: `V` is not"), "{error}");
        let error = message(&HEADER.replace("taisaku,", "measure,"));
        assert!(error.contains("no column `taisaku`"), "{error}");
        let error = message(&format!("{HEADER}a.jpg,x,V\n"));
        assert!(error.contains("line: 2"), "{error}");
        assert!(message("image,caption\na.jpg,x\n").contains("no column `text`"));
    }
}
