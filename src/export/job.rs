//! A whole export: which captures, in which form.

use std::io::{BufWriter, Write};
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::html::{Heading, Photo, Plan};
use super::{ExportError, Filter, Record, Records, Tally, Thumbnails, csv, geojson, gpkg, html, jsonl, read_members};
use crate::domain::Tag;
use crate::journal::Reader;
use crate::photo::MemoryBudget;
use crate::pipeline::Limits;
use crate::texts::Lang;

/// A form that can be written from its start to its end; a GeoPackage cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Geojson,
    Csv {
        /// Begin with the mark by which spreadsheets know UTF-8.
        bom: bool,
    },
    Jsonl,
    Html(Lang),
}

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many captures, wanted or not.
    LookedAt(u64),
    /// So many pictures will be fetched.
    Pictures(u64),
    Picture,
}

/// What is exported.
pub struct Job<'a> {
    pub reader: &'a Reader,
    pub filter: Filter,
    /// Of the place.
    pub zone: Offset,
    /// On photos whose thumbnail is made anew.
    pub limits: Limits,
    /// For decoding photos whose thumbnails are made anew.
    pub memory: &'a MemoryBudget,
    /// Site and name of the device.
    pub device: String,
    /// Lists the members that shall have photos; read for what names them.
    pub members: Option<&'a Path>,
    /// Hears how far it is. With an error it ends the export.
    pub progress: &'a dyn Fn(Progress) -> Result<(), ExportError>,
}

impl Job<'_> {
    pub fn write(&self, form: Stream, out: impl Write) -> Result<Tally, ExportError> {
        let records = if matches!(form, Stream::Html(_)) { self.brief() } else { self.records() };
        let (out, mut records) = (BufWriter::new(out), records);
        let wanted = self.watched(&mut records);
        match form {
            Stream::Csv { bom } => csv::write(out, wanted, bom)?,
            Stream::Geojson => geojson::write(out, wanted)?,
            Stream::Jsonl => jsonl::write(out, wanted)?,
            Stream::Html(lang) => self.write_sheet(out, &Plan::of(wanted, self.expected()?.iter())?, lang)?,
        }
        Ok(records.tally())
    }

    pub fn write_geopackage(&self, path: &Path) -> Result<Tally, ExportError> {
        let mut records = self.records();
        gpkg::write(path, self.watched(&mut records))?;
        Ok(records.tally())
    }

    /// The captures by bridge, span and member.
    pub fn plan(&self) -> Result<Plan, ExportError> {
        Plan::of(self.watched(&mut self.brief()), self.expected()?.iter())
    }

    /// Members that the filter asks for. By what a photo shows, no member can be asked for that has none.
    fn expected(&self) -> Result<Vec<Tag>, ExportError> {
        let Filter { labels, place, urgent, .. } = &self.filter;
        let Some(path) = self.members.filter(|_| labels.0.is_empty() && !urgent) else { return Ok(Vec::new()) };
        let mut members = read_members(path)?;
        members.retain(|tag| place.fits(Some(tag)));
        Ok(members)
    }

    fn write_sheet(&self, out: impl Write, plan: &Plan, lang: Lang) -> Result<(), ExportError> {
        let thumbnails = Thumbnails { reader: self.reader, limits: self.limits, memory: self.memory };
        let (device, filter) = (self.device.clone(), self.filter.clone());
        let heading = Heading { device, made_at: Timestamp::now(), zone: self.zone, filter };
        // The pictures take the time.
        (self.progress)(Progress::Pictures(plan.photos().count() as u64))?;
        html::write(out, plan, &heading, lang, plan.photos().map(|id| self.photo(&thumbnails, id)))
    }

    fn records(&self) -> Records<'_> {
        Records::new(self.reader, &self.filter, self.zone)
    }

    /// For what needs no package.
    fn brief(&self) -> Records<'_> {
        Records::brief(self.reader, &self.filter, self.zone)
    }

    fn watched(&self, records: &mut Records) -> impl Iterator<Item = Result<Record, ExportError>> {
        std::iter::from_fn(move || {
            let heard = (self.progress)(Progress::LookedAt(records.tally().looked_at));
            heard.map_or_else(|stopped| Some(Err(stopped)), |()| records.next())
        })
    }

    fn photo(&self, thumbnails: &Thumbnails, id: i64) -> Result<Option<Photo>, ExportError> {
        (self.progress)(Progress::Picture)?;
        let Some(capture) = self.reader.capture(id)? else { return Ok(None) };
        let record = Record { capture, zone: self.zone };
        let thumbnail = thumbnails.of(&record)?;
        Ok(Some(Photo { record, thumbnail }))
    }
}
