//! Arguments that several of the `reference` commands take.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;

use crate::cli::reading::{self, ReadingArgs};
use crate::package::files;
use crate::reference::{LabelsFrom, ReadOptions, Records, read_records};

/// Where a reference's labels come from.
#[derive(Debug, clap::Args)]
pub struct LabelsArgs {
    /// Take labels from the label columns or from the findings in the column `text`. If not given: from the columns,
    /// and from the findings if there is no label column at all.
    #[arg(long, value_name = "SOURCE", value_enum)]
    labels_from: Option<LabelsFromArg>,
    /// Also take rows that lack some of the labels, as the published script does if a CSV has no *_valid columns.
    #[arg(long)]
    partial_rows: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LabelsFromArg {
    Columns,
    Captions,
}

impl LabelsArgs {
    /// Reads the rows, and tells what was mapped and left out on standard error.
    pub fn read(&self, csv: &Path, how: &ReadingArgs) -> Result<Records> {
        let labels_from = self.labels_from.map(|from| match from {
            LabelsFromArg::Columns => LabelsFrom::Columns,
            LabelsFromArg::Captions => LabelsFrom::Captions,
        });
        let options = ReadOptions { partial: self.partial_rows, ..how.options() };
        let records = read_records(csv, labels_from, &options)?;
        reading::report(csv, &records.report);
        Ok(records)
    }
}

/// Returns the reference that a path stands for: that of a package folder, or the file itself.
pub fn reference_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(files::REFERENCE) } else { path.to_owned() }
}
