//! A complete export: its captures and its format.

use std::io::{BufWriter, Write};
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::html::{Heading, Photo, Plan};
use super::{
    ExportError, Filter, Record, Records, Tally, Thumbnails, csv, geojson, gpkg, gpx, html, jsonl, kml, odm,
    read_members,
};
use crate::domain::Tag;
use crate::journal::Reader;
use crate::members::{self, Standing};
use crate::photo::MemoryBudget;
use crate::pipeline::Limits;
use crate::texts::Lang;

/// Format that can be written from start to end; a GeoPackage cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Geojson,
    Csv {
        /// Whether to begin with the mark by which spreadsheets recognise UTF-8.
        bom: bool,
    },
    Jsonl,
    Gpx,
    Kml,
    Odm,
    Html(Lang),
}

/// Progress of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Number of captures examined so far, whether wanted or not.
    LookedAt(u64),
    /// Number of pictures that will be fetched.
    Pictures(u64),
    Picture,
}

/// Parameters of an export.
pub struct Job<'a> {
    pub reader: &'a Reader,
    pub filter: Filter,
    /// Time zone of the device's location.
    pub zone: Offset,
    /// Limits on photos whose thumbnails are made again.
    pub limits: Limits,
    /// Memory budget for decoding photos whose thumbnails are made again.
    pub memory: &'a MemoryBudget,
    /// Site and name of the device.
    pub device: String,
    /// File that lists the members that need photos. It is read only for exports that name them.
    pub members: Option<&'a Path>,
    /// Receives the progress. If it returns an error, the export ends.
    pub progress: &'a dyn Fn(Progress) -> Result<(), ExportError>,
}

impl Job<'_> {
    pub fn write(&self, form: Stream, out: impl Write) -> Result<Tally, ExportError> {
        let records = if matches!(form, Stream::Html(_)) { self.brief() } else { self.records() };
        let (out, mut records) = (BufWriter::new(out), records);
        let members = self.standing()?;
        let wanted = self.watched(&mut records, &members);
        let mut unplaced = 0;
        match form {
            Stream::Csv { bom } => csv::write(out, wanted, bom)?,
            Stream::Geojson => geojson::write(out, wanted)?,
            Stream::Jsonl => jsonl::write(out, wanted)?,
            Stream::Gpx => unplaced = gpx::write(out, wanted)?,
            Stream::Kml => kml::write(out, wanted)?,
            Stream::Odm => unplaced = odm::write(out, wanted)?,
            Stream::Html(lang) => self.write_sheet(out, &Plan::of(wanted, self.expected()?.iter())?, lang)?,
        }
        Ok(Tally { unplaced, ..records.tally() })
    }

    pub fn write_geopackage(&self, path: &Path) -> Result<Tally, ExportError> {
        let (mut records, members) = (self.records(), self.standing()?);
        gpkg::write(path, self.watched(&mut records, &members))?;
        Ok(records.tally())
    }

    /// Groups the captures by bridge, span and member.
    pub fn plan(&self) -> Result<Plan, ExportError> {
        Plan::of(self.watched(&mut self.brief(), &self.standing()?), self.expected()?.iter())
    }

    /// Returns the listed members that match the filter's place. There are none if the filter asks for labels or
    /// urgency, which a member without photos cannot have.
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
        // Fetching the pictures takes most of the time.
        (self.progress)(Progress::Pictures(plan.photos().count() as u64))?;
        html::write(out, plan, &heading, lang, plan.photos().map(|id| self.photo(&thumbnails, id)))
    }

    fn records(&self) -> Records<'_> {
        Records::new(self.reader, &self.filter, self.zone)
    }

    /// Returns the records without their packages, for formats that do not need them.
    fn brief(&self) -> Records<'_> {
        Records::brief(self.reader, &self.filter, self.zone)
    }

    /// Returns the stored answers about members.
    fn standing(&self) -> Result<Standing, ExportError> {
        Ok(members::standing(self.reader)?)
    }

    /// Returns the records with the answers about their members, and reports the progress.
    fn watched(&self, records: &mut Records, members: &Standing) -> impl Iterator<Item = Result<Record, ExportError>> {
        let with_answer = |record: Record| {
            let member_answer = record.facts().tag.as_ref().and_then(|tag| members.of(tag)).cloned();
            Record { member_answer, ..record }
        };
        std::iter::from_fn(move || {
            let heard = (self.progress)(Progress::LookedAt(records.tally().looked_at));
            heard.map_or_else(|stopped| Some(Err(stopped)), |()| Some(records.next()?.map(with_answer)))
        })
    }

    fn photo(&self, thumbnails: &Thumbnails, id: i64) -> Result<Option<Photo>, ExportError> {
        (self.progress)(Progress::Picture)?;
        let Some(capture) = self.reader.capture(id)? else { return Ok(None) };
        let record = Record::new(capture, self.zone);
        let thumbnail = thumbnails.of(&record)?;
        Ok(Some(Photo { record, thumbnail }))
    }
}
