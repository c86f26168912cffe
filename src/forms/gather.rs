//! Gathers what a form about a bridge says from the device's database, and gives photos the numbers that they keep.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::tz::Offset;

use super::content::{Content, Photo};
use super::facts::{Facts, completed};
use super::last::LastCycle;
use super::place::Place;
use super::{FormError, Settings};
use crate::domain::{Sha256, Tag, TagOrder};
use crate::export::{ExportError, Filter, Record, Records, read_members};
use crate::journal::{Journal, Reader};
use crate::texts::Lang;

/// Maximum number of photos of one form.
const PHOTOS_MAX: usize = 10_000;

/// What gathering needs.
pub struct Gather<'a> {
    pub reader: &'a Reader,
    /// Writer of the numbers.
    pub journal: &'a Journal,
    /// Which photos.
    pub filter: Filter,
    pub zone: Offset,
    pub settings: &'a Settings,
    /// File that lists the members that need photos.
    pub members: Option<&'a Path>,
    /// Site and name of the device.
    pub device: String,
    /// Called for each capture that is looked at. If it returns an error, gathering ends.
    pub progress: &'a dyn Fn(u64) -> Result<(), ExportError>,
}

/// Content of a form, and how many captures were left out.
pub struct Gathered {
    pub content: Content,
    /// Captures whose stored rows are damaged.
    pub damaged: u64,
    /// Captures outside of the time range by a clock that nothing had set.
    pub undated: u64,
}

/// Returns the bridges of the photos that pass a filter, with their numbers of photos, in the order of their names. The
/// name is empty for photos without one.
pub fn bridges(
    reader: &Reader,
    filter: &Filter,
    zone: Offset,
    progress: &dyn Fn(u64) -> Result<(), ExportError>,
) -> Result<Vec<(String, u64)>, FormError> {
    let mut found: BTreeMap<TagOrder, (String, u64)> = BTreeMap::new();
    let mut records = Records::brief(reader, filter, zone);
    while let Some(record) = records.next() {
        let record = record?;
        let bridge = record.facts().tag.clone().and_then(|tag| tag.bridge);
        let name = bridge.as_ref().map_or(String::new(), |name| name.as_str().to_owned());
        let order = Tag { bridge, ..Tag::default() }.order();
        found.entry(order).or_insert((name, 0)).1 += 1;
        progress(records.tally().looked_at).map_err(stopped)?;
    }
    Ok(found.into_values().collect())
}

impl Gather<'_> {
    /// Gathers the photos of a bridge that pass the filter. Photos without a number get one, ordered by span, member and
    /// time.
    pub fn of(&self, bridge: &str, lang: Lang) -> Result<Gathered, FormError> {
        let mut records = Records::brief(self.reader, &self.filter, self.zone);
        let mut found: Vec<Record> = Vec::new();
        while let Some(record) = records.next() {
            (self.progress)(records.tally().looked_at).map_err(stopped)?;
            let record = record?;
            if record.facility_id().unwrap_or_default() == bridge {
                found.push(record);
            }
            if found.len() > PHOTOS_MAX {
                let reason = format!("more than {PHOTOS_MAX} photos of one bridge; choose some with --since or --span");
                return Err(FormError::Bound(reason));
            }
        }
        let tally = records.tally();
        let photos = self.numbered(bridge, found)?;
        let facts = self.facts(bridge)?;
        let listed = self.listed(bridge)?;
        let last = LastCycle::read(self.reader, bridge)?;
        let whole = (self.device.clone(), lang, self.zone);
        let content = Content::new(bridge, facts, photos, &listed, last, whole);
        Ok(Gathered { content, damaged: tally.damaged, undated: tally.undated })
    }

    /// Returns photos with their numbers. Leaves out those whose tag has been changed to another bridge meanwhile.
    fn numbered(&self, bridge: &str, mut records: Vec<Record>) -> Result<Vec<Photo>, FormError> {
        let order = |record: &Record| {
            let tag = record.facts().tag.clone().unwrap_or_default();
            (Tag { bridge: None, ..tag }.order(), record.facts().taken.at, record.capture.id)
        };
        records.sort_by_cached_key(order);
        let hashes: Vec<Sha256> = records.iter().map(|record| record.facts().image.sha256).collect();
        let known = self.reader.photo_numbers(bridge)?;
        let numbers: Vec<Option<u32>> = match hashes.iter().map(|hash| known.get(hash).copied()).collect() {
            // Nothing is written for a form that shows the same photos again.
            Some(numbers) => Vec::into_iter(numbers).map(Some).collect(),
            None => self.journal.number_photos(bridge, &hashes)?,
        };
        let photos = records.into_iter().zip(numbers).filter_map(|(record, number)| Some((record, number?)));
        let photo = |(record, number): (Record, u32)| {
            let has_file = record.facts().image.path.is_file();
            let has_picture = has_file || self.reader.thumbnail(record.capture.id)?.is_some();
            let place = Place::of(record.facts().tag.as_ref());
            Ok(Photo { number, place, has_picture, record })
        };
        photos.map(photo).collect()
    }

    /// Returns the facts about a bridge: those of the settings, and then those that were read in.
    fn facts(&self, bridge: &str) -> Result<Facts, FormError> {
        let of_settings = self.settings.bridges.get(bridge).cloned().unwrap_or_default();
        let of_settings = completed(of_settings, &self.settings.common);
        // Facts of a newer program that this one cannot read are as if they were not there.
        let stored = self.reader.bridge_facts(bridge)?.and_then(|text| serde_json::from_str(&text).ok());
        Ok(completed(of_settings, &stored.unwrap_or_default()))
    }

    /// Returns the members of the bridge that the list names.
    fn listed(&self, bridge: &str) -> Result<Vec<Tag>, FormError> {
        let Some(path) = self.members else { return Ok(Vec::new()) };
        let is_here = |tag: &Tag| tag.bridge.as_ref().map_or("", |name| name.as_str()) == bridge;
        let place = &self.filter.place;
        let is_wanted = |tag: &Tag| {
            let fits = |wanted: &Option<String>, name: &Option<crate::domain::TagText>| {
                wanted.as_ref().is_none_or(|wanted| name.as_ref().is_some_and(|name| name.as_str() == wanted))
            };
            fits(&place.span, &tag.span) && fits(&place.member, &tag.member)
        };
        let mut members = read_members(path)?;
        members.retain(|tag| is_here(tag) && is_wanted(tag));
        Ok(members)
    }
}

/// Turns the end that the requester wants into that of a form.
fn stopped(error: ExportError) -> FormError {
    match error {
        ExportError::Stopped => FormError::Stopped,
        error => error.into(),
    }
}
