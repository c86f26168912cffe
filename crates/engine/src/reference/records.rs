//! The rows of a CSV that a reference can be made from.

use std::collections::HashMap;
use std::path::Path;

use bridgeclip_domain::{Category, Finding, Labels, read_finding};

use super::csv::Table;
use super::reading::{ReadOptions, ReadReport, Tally};
use super::{CsvError, Present, Row, RowForm};

/// A usable row: a photo with known labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Line of the file on which the row starts, from 1.
    pub line: u64,
    /// Number of the row, from 0, counting incomplete rows: its place in a file of embeddings.
    pub row: usize,
    /// The image column as written.
    pub image: String,
    /// The finding in words, from the column `text`; empty without that column.
    pub caption: String,
    pub labels: Labels,
}

/// The rows of a CSV, divided into usable ones and ones that cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    /// The usable rows, in the order of the file.
    pub complete: Vec<Record>,
    /// The other rows, in the order of the file.
    pub incomplete: Vec<Incomplete>,
    /// Source that the labels were read from.
    pub labels_from: LabelsFrom,
    /// What was mapped and what was left out, with counts.
    pub report: ReadReport,
}

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Incomplete {
    /// Line of the file on which the row starts, from 1.
    pub line: u64,
    /// Reason why the row is left out, for a message.
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
///
/// A row is usable if it has a label in every category for which there is a column, or with [`ReadOptions::partial`] in
/// at least one, and if no earlier row has the same image.
pub fn read_records(path: &Path, labels_from: Option<LabelsFrom>, options: &ReadOptions) -> Result<Records, CsvError> {
    let labels_from = match labels_from {
        Some(labels_from) => labels_from,
        None => usual_source(path)?,
    };
    // The strict form has all columns, which findings do not need.
    let strict = options.strict && labels_from == LabelsFrom::Columns;
    let options = ReadOptions { strict, ..*options };
    let mut table = Table::open(path, RowForm::Labelled, &options)?;
    let required = required(labels_from, table.present(), path)?;
    Reader { labels_from, options, required, tally: Tally::default(), seen: HashMap::new() }.read(&mut table)
}

/// Returns the categories that a row must have a label of. Fails if the file has no column for the source.
fn required(labels_from: LabelsFrom, present: Present, path: &Path) -> Result<[bool; 4], CsvError> {
    match labels_from {
        LabelsFrom::Columns if present.labels == [false; 4] => Err(missing(path, Category::Soundness.column())),
        LabelsFrom::Captions if !present.text => Err(missing(path, "text")),
        LabelsFrom::Columns => Ok(present.labels),
        LabelsFrom::Captions => Ok([true; 4]),
    }
}

fn usual_source(path: &Path) -> Result<LabelsFrom, CsvError> {
    let present = Table::open(path, RowForm::Labelled, &ReadOptions::default())?.present();
    Ok(if present.labels == [false; 4] { LabelsFrom::Captions } else { LabelsFrom::Columns })
}

fn missing(path: &Path, column: &str) -> CsvError {
    CsvError::MissingColumn {
        path: path.to_owned(),
        column: column.to_owned(),
        found: "no such column in the first line".to_owned(),
    }
}

/// What the decision about a row depends on.
struct Reader {
    labels_from: LabelsFrom,
    options: ReadOptions,
    /// Categories that must have a label, in the order of [`Category::ALL`].
    required: [bool; 4],
    tally: Tally,
    /// Labels of the rows so far, by image.
    seen: HashMap<String, Labels>,
}

impl Reader {
    fn read(mut self, table: &mut Table) -> Result<Records, CsvError> {
        let (mut complete, mut incomplete) = (Vec::new(), Vec::new());
        // For findings the columns are not read, so their words do not count.
        let (mut unused, from_columns) = (Tally::default(), self.labels_from == LabelsFrom::Columns);
        while let Some(row) = table.next(if from_columns { &mut self.tally } else { &mut unused })? {
            let (line, number) = (row.line, complete.len() + incomplete.len());
            match self.record(row, number) {
                Ok(record) => complete.push(record),
                Err(reason) => {
                    self.tally.remark(&format!("left out: {reason}"), line);
                    incomplete.push(Incomplete { line, reason });
                }
            }
        }
        Ok(Records { complete, incomplete, labels_from: self.labels_from, report: self.tally.finish() })
    }

    /// Returns a usable row, or the reason why it cannot be used.
    fn record(&mut self, row: Row, number: usize) -> Result<Record, String> {
        let Row { line, image, caption, labels, .. } = row;
        if image.trim().is_empty() {
            return Err("`image` is empty".to_owned());
        }
        let (finding, reason): (Finding, fn(&Finding, Category) -> String) = match self.labels_from {
            LabelsFrom::Columns => (Finding { labels, ..Finding::default() }, column_reason),
            LabelsFrom::Captions => (self.finding(&caption, line), caption_reason),
        };
        self.check(&finding, reason)?;
        self.check_image(&image, &finding.labels)?;
        Ok(Record { line, row: number, image, caption, labels: finding.labels })
    }

    /// Reads a finding and counts its words.
    fn finding(&mut self, caption: &str, line: u64) -> Finding {
        let finding = read_finding(caption, self.options.unknown);
        finding.words.iter().for_each(|word| self.tally.word(word, self.options.unknown, line));
        if finding.passed_over > 0 && !finding.words.is_empty() {
            self.tally.remark("the finding has sentences beside the caption template; they are passed over", line);
        }
        finding
    }

    fn check(&self, finding: &Finding, reason: fn(&Finding, Category) -> String) -> Result<(), String> {
        let has = |category: &Category| !finding.labels.get(*category).is_empty();
        if self.options.partial && Category::ALL.iter().any(has) {
            return Ok(());
        }
        let lacks = |category: &Category| self.required[*category as usize] && !has(category);
        match Category::ALL.into_iter().find(lacks) {
            Some(category) => Err(reason(finding, category)),
            None => Ok(()),
        }
    }

    fn check_image(&mut self, image: &str, labels: &Labels) -> Result<(), String> {
        match self.seen.get(image) {
            None => {
                self.seen.insert(image.to_owned(), labels.clone());
                Ok(())
            }
            Some(first) if first == labels => Err("an earlier row has the same image and labels".to_owned()),
            Some(_) => Err("an earlier row has the same image with other labels".to_owned()),
        }
    }
}

/// Returns the reason why a row does not give the label of a category.
fn column_reason(_: &Finding, category: Category) -> String {
    format!("`{}` has no usable label", category.column())
}

/// Returns the reason why a finding does not give the labels of a category.
fn caption_reason(finding: &Finding, category: Category) -> String {
    let has_words = finding.words.iter().any(|word| word.category == category);
    if finding.contradictions.contains(&category) {
        format!("the caption names several classes of {category}")
    } else if has_words {
        format!("the caption has an unknown word for the {category}")
    } else if finding.words.is_empty() && finding.passed_over > 0 {
        "the caption has no sentence of the caption template".to_owned()
    } else {
        format!("the caption does not say the {category}")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bridgeclip_domain::Unknown;

    use super::*;

    const HEADER: &str = "image,text,kenzenudo,taisaku,damage_type,damage_loc,\
        kenzenudo_valid,taisaku_valid,damage_type_valid,damage_loc_valid\n";
    const STRICT: ReadOptions = ReadOptions { strict: true, unknown: Unknown::LeaveOut, partial: false };

    fn read_with(content: &str, from: Option<LabelsFrom>, options: &ReadOptions) -> Result<Records, CsvError> {
        let dir = tempfile::tempdir().expect("temporary folder");
        let path = dir.path().join("rows.csv");
        fs::write(&path, content).expect("write");
        read_records(&path, from, options)
    }

    fn read(content: &str, from: Option<LabelsFrom>) -> Records {
        read_with(content, from, &ReadOptions::default()).expect("reads")
    }

    fn reasons(records: &Records) -> Vec<(u64, &str)> {
        records.incomplete.iter().map(|row| (row.line, &*row.reason)).collect()
    }

    #[test]
    fn reads_complete_rows_and_says_what_the_others_lack() {
        let rows = "a.jpg,\"Cracking, wide.\",II,C1,cracking|corrosion,pier,1,True,1,1\n\
                    b.jpg,x,II,C1,cracking,pier,1,0,1,1\n\
                    c.jpg,x,II,C1,,pier,1,1,1,1\n\
                    a.jpg,x,II,C1,cracking,pier,1,1,1,1\n\
                    ,x,II,C1,cracking,pier,1,1,1,1\n";
        let records = read(&format!("{HEADER}{rows}"), None);
        let Records { complete, labels_from, .. } = &records;
        assert_eq!((complete.len(), *labels_from), (1, LabelsFrom::Columns));
        assert_eq!((complete[0].line, complete[0].row, &*complete[0].caption), (2, 0, "Cracking, wide."));
        let types = complete[0].labels.get(Category::DamageType);
        assert_eq!(types.to_cell(Category::DamageType), "cracking|corrosion");
        let expected = [
            (3, "`taisaku` has no usable label"),
            (4, "`damage_type` has no usable label"),
            (5, "an earlier row has the same image with other labels"),
            (6, "`image` is empty"),
        ];
        assert_eq!(reasons(&records), expected);
        let partial = ReadOptions { partial: true, ..ReadOptions::default() };
        let rows = read_with(&format!("{HEADER}{rows}"), None, &partial).expect("reads").complete;
        assert_eq!(rows.iter().map(|record| record.line).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn only_the_columns_that_are_there_must_have_labels() {
        let records = read("image,damage_type\na.jpg,ひびわれ\nb.jpg,nan\nc.jpg,moss\n", None);
        assert_eq!((records.complete.len(), records.labels_from), (1, LabelsFrom::Columns));
        assert_eq!(reasons(&records), [3, 4].map(|line| (line, "`damage_type` has no usable label")));
        assert_eq!(records.report.unknown[0].word, "moss");
    }

    #[test]
    fn captions_alone_are_enough() {
        const WHOLE: &str = "Cracking and corrosion are observed in the pier. The soundness rating is Ⅱ. \
            The component-wise measure classification is C1.";
        let odd = WHOLE.replace("pier", "thing");
        let rows = format!(
            "image,text\na.jpg,{WHOLE}\nb.jpg,The soundness rating is Ⅱ.\nc.jpg,A nice bridge.\nd.jpg,\ne.jpg,{WHOLE}\n\
             f.jpg,{odd}\ng.jpg,{WHOLE} The soundness rating is I.\n\
             h.jpg,頂版においてひび割れが見られます、健全度判定はⅡです、部材毎の対策区分判定はC1です。\n"
        );
        let records = read(&rows, None);
        let Records { complete, labels_from, report, .. } = &records;
        assert_eq!((complete.len(), *labels_from), (3, LabelsFrom::Captions));
        assert_eq!((complete[1].line, complete[1].row, &*complete[1].image), (6, 4, "e.jpg"));
        let types = complete[0].labels.get(Category::DamageType);
        assert_eq!(types.to_cell(Category::DamageType), "cracking|corrosion");
        let expected = [
            (3, "the caption does not say the measure"),
            (4, "the caption has no sentence of the caption template"),
            (5, "the caption does not say the soundness"),
            (7, "the caption has an unknown word for the damage_location"),
            (8, "the caption names several classes of soundness"),
        ];
        assert_eq!(reasons(&records), expected);
        assert_eq!((&*report.unknown[0].word, report.unknown[0].count), ("the thing", 1));
        assert!(report.mapped.iter().any(|word| word.word == "ひび割れ" && word.class == "cracking"), "{report:?}");
        // On request, captions are read even though there are label columns.
        let labelled = format!("{HEADER}a.jpg,{WHOLE},IV,E1,scour,curb,0,0,0,0\n");
        assert!(read(&labelled, None).complete.is_empty());
        assert_eq!(read(&labelled, Some(LabelsFrom::Captions)).complete[0].labels, complete[0].labels);
        let other = ReadOptions { unknown: Unknown::Other, ..ReadOptions::default() };
        assert_eq!(read_with(&rows, None, &other).expect("reads").complete.len(), 4);
    }

    #[test]
    fn errors_name_line_and_column() {
        let strict = |content: &str| read_with(content, None, &STRICT).unwrap_err().to_string();
        let error = strict(&format!("{HEADER}a.jpg,x,V,C1,cracking,pier,1,1,1,1\n"));
        assert!(error.contains("line 2, column `kenzenudo`: `V` is not"), "{error}");
        let error = strict(&HEADER.replace("taisaku,", "measure,"));
        assert!(error.contains("no column `taisaku`"), "{error}");
        let error = strict(&format!("{HEADER}a.jpg,x,V\n"));
        assert!(error.contains("line: 2"), "{error}");
        let error = |content: &str, from| read_with(content, from, &ReadOptions::default()).unwrap_err().to_string();
        assert!(error("image,caption\na.jpg,x\n", None).contains("no column `text`"));
        assert!(error("image,text\na.jpg,x\n", Some(LabelsFrom::Columns)).contains("no column `kenzenudo`"));
    }
}
