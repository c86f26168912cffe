//! Bounds for workbooks, which may come from anybody.

/// Bounds that a workbook must keep. The defaults admit any form that an office prints, with its pictures.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Maximum size of the file in bytes.
    pub file_bytes_max: u64,
    /// Maximum number of entries of the zip archive.
    pub entries_max: usize,
    /// Maximum size of one entry in bytes, uncompressed.
    pub entry_bytes_max: u64,
    /// Maximum size of all entries together in bytes, uncompressed.
    pub total_bytes_max: u64,
    /// Maximum ratio of an entry's size to its compressed size, for entries of more than a megabyte.
    pub ratio_max: u64,
    /// Maximum number of cells of a sheet.
    pub cells_max: usize,
    /// Maximum number of sheets.
    pub sheets_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            file_bytes_max: 128 << 20,
            entries_max: 10_000,
            entry_bytes_max: 64 << 20,
            total_bytes_max: 512 << 20,
            ratio_max: 400,
            cells_max: 1_000_000,
            sheets_max: 500,
        }
    }
}
