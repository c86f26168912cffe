//! Reads the moments of the camera's clock (CIPA DC-008, 4.6.5) and of the satellites (4.6.6).

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::ifd::Block;
use super::ifd::Directory::{Exif, Gps, Image};
use super::ifd::Tag;
use crate::metadata::civil;
use crate::metadata::moments::{CameraMoment, MomentKind, on_the_camera_day};

/// Tags of one moment.
struct MomentTags {
    kind: MomentKind,
    time: Tag,
    /// Fraction of a second.
    fraction: Tag,
    /// Offset from UTC.
    offset: Tag,
}

/// Moments of a photo, the most trusted first: the exposure, the digitisation, which a camera makes at the same moment,
/// and the last change of the file, which an editor may have made.
const MOMENTS: [MomentTags; 3] = [
    MomentTags {
        kind: MomentKind::Original,
        time: Tag(Exif, 0x9003),
        fraction: Tag(Exif, 0x9291),
        offset: Tag(Exif, 0x9011),
    },
    MomentTags {
        kind: MomentKind::Digitized,
        time: Tag(Exif, 0x9004),
        fraction: Tag(Exif, 0x9292),
        offset: Tag(Exif, 0x9012),
    },
    MomentTags {
        kind: MomentKind::Changed,
        time: Tag(Image, 0x0132),
        fraction: Tag(Exif, 0x9290),
        offset: Tag(Exif, 0x9010),
    },
];

const GPS_TIME: Tag = Tag(Gps, 0x0007);
const GPS_DATE: Tag = Tag(Gps, 0x001D);
/// Years in which a position can have been written into an EXIF block: the tags exist since 1997. A receiver without a
/// time shows 1980.
const GPS_YEARS: std::ops::Range<i16> = 1997..2100;

/// Returns the moments by the camera's clock, the most trusted first.
pub fn camera(block: &Block) -> Vec<CameraMoment> {
    MOMENTS.iter().filter_map(|tags| moment(block, tags)).collect()
}

fn moment(block: &Block, tags: &MomentTags) -> Option<CameraMoment> {
    let stated = civil::parse(&block.numerals(tags.time)?)?.with_fraction(block.text(tags.fraction).as_deref());
    let offset = stated.offset.or_else(|| offset(block, tags));
    Some(CameraMoment { offset, ..CameraMoment::new(stated, tags.kind) })
}

/// Returns the UTC offset of a moment. One clock writes all of a camera's moments, so an offset beside any of them is
/// that of all.
fn offset(block: &Block, tags: &MomentTags) -> Option<Offset> {
    let mut offsets = [tags].into_iter().chain(&MOMENTS).map(|tags| tags.offset);
    offsets.find_map(|tag| civil::parse_offset(&block.text(tag)?))
}

/// Returns the moment of the position from its UTC date and time of day. If the date is missing, the camera's clock
/// tells it.
pub fn gps(block: &Block, camera: Option<&CameraMoment>) -> Option<Timestamp> {
    let time_of_day = gps_time_of_day(block)?;
    match block.numerals(GPS_DATE).as_deref().and_then(civil::parse_date) {
        Some(date) => on(date, time_of_day),
        None => on_the_camera_day(time_of_day, camera?),
    }
}

fn on(date: Date, time_of_day: SignedDuration) -> Option<Timestamp> {
    let midnight = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    GPS_YEARS.contains(&date.year()).then(|| midnight.checked_add(time_of_day).ok())?
}

fn gps_time_of_day(block: &Block) -> Option<SignedDuration> {
    let [hours, minutes, seconds] = *block.numbers(GPS_TIME)?.as_slice() else { return None };
    // A leap second, or 59.9 rounded up, may come to 60.
    let is_time = (0.0..24.0).contains(&hours) && (0.0..60.0).contains(&minutes) && (0.0..61.0).contains(&seconds);
    let seconds = hours * 3600.0 + minutes * 60.0 + seconds;
    is_time.then(|| SignedDuration::try_from_secs_f64(seconds).ok())?
}
