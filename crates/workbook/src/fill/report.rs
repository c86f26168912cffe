//! What filling a template tells, and the parts that it changes.

use std::collections::BTreeMap;

use crate::layout::MarkReport;

/// What was filled, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FillReport {
    /// Marks that no fact has; they stay in their cells.
    pub unknown: Vec<MarkReport>,
    /// Number of pictures that were placed.
    pub pictures: usize,
    /// Number of texts that were cut to the 32,767 characters of a cell.
    pub texts_cut: usize,
    /// Number of pictures without a place, because their cells are hidden or have no room.
    pub pictures_hidden: usize,
    /// Number of pages of each sheet with a block, by the sheet's name.
    pub pages: BTreeMap<String, u32>,
}

/// Changed parts by name; `None` for a part that is left out.
pub type Changes = BTreeMap<String, Option<String>>;
