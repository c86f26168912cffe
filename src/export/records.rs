//! The captures of an export, one after the other.

use std::vec::IntoIter;

use jiff::tz::Offset;

use super::filter::Fit;
use super::{ExportError, Filter, Record};
use crate::journal::{CapturePage, JournalError, Reader, StoredCapture};

/// Number of captures that are read at a time: some hundred KB.
const PAGE: usize = 128;

/// Iterator over all captures that match a filter, in the order in which they were stored.
pub struct Records<'a> {
    reader: &'a Reader,
    read: ReadPage,
    filter: &'a Filter,
    zone: Offset,
    page: IntoIter<StoredCapture>,
    /// Start of the next page, if there is one.
    next: Option<i64>,
    tally: Tally,
}

type ReadPage = fn(&Reader, i64, usize) -> Result<CapturePage, JournalError>;

/// Counts of captures so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub looked_at: u64,
    /// Number of captures that match the filter.
    pub wanted: u64,
    /// Number of captures that were left out because their stored rows are damaged.
    pub damaged: u64,
    /// Number of captures that were left out because nothing vouches for their time.
    pub undated: u64,
    /// Number of captures that match the filter and are left out because the format needs a position that they lack.
    pub unplaced: u64,
}

impl<'a> Records<'a> {
    /// Returns the captures that match a filter. `zone` is the time zone of the device's location.
    pub fn new(reader: &'a Reader, filter: &'a Filter, zone: Offset) -> Self {
        Self::read_by(Reader::capture_page, reader, filter, zone)
    }

    /// Returns the captures without their packages, which takes less than half the time.
    pub fn brief(reader: &'a Reader, filter: &'a Filter, zone: Offset) -> Self {
        Self::read_by(Reader::brief_page, reader, filter, zone)
    }

    fn read_by(read: ReadPage, reader: &'a Reader, filter: &'a Filter, zone: Offset) -> Self {
        let page = Vec::new().into_iter();
        Records { reader, read, filter, zone, page, next: Some(0), tally: Tally::default() }
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    fn wanted_of_page(&mut self) -> Option<StoredCapture> {
        let Records { page, filter, tally, .. } = self;
        page.find(|capture| {
            let fit = filter.fit(capture);
            tally.looked_at += 1;
            tally.wanted += u64::from(fit == Fit::Wanted);
            tally.undated += u64::from(fit == Fit::Undated);
            fit == Fit::Wanted
        })
    }

    fn turn_page(&mut self, after: i64) -> Result<(), JournalError> {
        let page = (self.read)(self.reader, after, PAGE)?;
        self.tally.damaged += page.damaged;
        self.page = page.captures.into_iter();
        self.next = page.next;
        Ok(())
    }
}

/// Yields captures; after an error it ends.
impl Iterator for Records<'_> {
    type Item = Result<Record, ExportError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(capture) = self.wanted_of_page() {
                return Some(Ok(Record::new(capture, self.zone)));
            }
            let after = self.next.take()?;
            if let Err(error) = self.turn_page(after) {
                return Some(Err(error.into()));
            }
        }
    }
}
