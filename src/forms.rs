//! An office's own forms: filled from what the device knows, and read for what the inspection before said.
//!
//! A form is about one bridge. [`Content`] puts together what it can say, [`marks`] is the table of names under which a
//! template asks for it, and the crate `workbook` fills the template.

mod check;
mod content;
mod damage;
mod deliver;
mod facts;
mod gather;
mod import;
mod last;
pub mod marks;
mod picture;
mod place;
mod template;

use std::collections::BTreeMap;
use std::io;

pub use check::{Check, check};
pub use content::Content;
pub use deliver::{Delivered, Delivery, Package, SkippedFile, deliver};
pub use facts::{Fact, Facts, GIVEN, Known, completed};
pub use gather::{Gather, Gathered, bridges};
pub use import::{Imported, read_members_csv, read_register, read_workbook};
pub use last::{Entry, LastCycle, LastMember, LastPhoto};
pub use picture::{Pictures, crossed_field, shrink};
pub use template::{SHIPPED, Shipped, Template, TemplateError, open_workbook, read_bounded, write};

use crate::export::{ExportError, MembersError};
use crate::journal::JournalError;
use crate::workbook::WorkbookError;

/// What the settings say about inspections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Facts that hold for every bridge.
    pub common: Facts,
    /// Facts about single bridges, by their names in the tags.
    pub bridges: BTreeMap<String, Facts>,
}

/// Reason why a form cannot be filled or read.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Workbook(#[from] WorkbookError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("the list of members ([inspection] members in the settings): {0}")]
    Members(#[from] MembersError),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    /// The filled workbook does not fit what a form may hold, or a file what may be read.
    #[error("{0}")]
    Bound(String),
    /// The requester no longer wants it.
    #[error("stopped before the end")]
    Stopped,
}
