//! Remembers the pictures that a flight controller or a camera has reported, and finds the one that a photo is.
//!
//! A report fits a photo by its moment: the exposure lies within the photo's interval, and no other photo has taken the
//! report. A file name alone proves nothing, because cameras begin again at the same number; it decides between reports
//! whose moments fit. If several fit, none is chosen.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use bridgeclip_domain::Position;

use super::arrival::TakenImage;
use super::moment::Shot;
use super::place::fix_error_m;

/// Number of pictures that are remembered.
const SHOTS_MAX: usize = 1_024;
/// Difference in nanoseconds up to which two reports are about the same picture. A shutter that fires faster is a burst
/// of one place.
const SAME_NS: u64 = 400_000_000;
/// The same for reports with the same number, which may come from a camera that stores slowly.
const SAME_NUMBER_NS: u64 = 3_000_000_000;

/// Photo, as the reports know it: its file name and the first sight of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotoKey {
    /// Name of the file without folders.
    pub file_name: Option<String>,
    /// Latest possible moment of the exposure, by the monotonic clock.
    pub latest_ns: u64,
}

/// Reported pictures, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Shots(VecDeque<Reported>);

#[derive(Clone, Debug)]
struct Reported {
    image: TakenImage,
    /// Photo that this picture is.
    photo: Option<PhotoKey>,
}

/// A reported picture that a photo is.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub shot: Shot,
    /// Position of the camera at the exposure, with its error.
    pub position: Option<Position>,
}

impl Shots {
    /// Adds a report, or joins it with an earlier one about the same picture.
    pub fn push(&mut self, image: TakenImage) {
        if let Some(known) = self.0.iter_mut().rev().find(|known| is_same(&known.image, &image)) {
            known.join(image);
            return;
        }
        self.0.push_back(Reported { image, photo: None });
        if self.0.len() > SHOTS_MAX {
            self.0.pop_front();
        }
    }

    /// Returns the picture that a photo is. `window` contains the moments that its exposure can have.
    pub fn find(&self, photo: &PhotoKey, window: RangeInclusive<u64>) -> Option<Found> {
        self.position(photo, window).map(|index| found(&self.0[index].image))
    }

    /// Finds the picture of a photo and keeps it for that photo.
    pub fn claim(&mut self, photo: &PhotoKey, window: RangeInclusive<u64>) {
        if let Some(index) = self.position(photo, window) {
            self.0[index].photo = Some(photo.clone());
        }
    }

    fn position(&self, photo: &PhotoKey, window: RangeInclusive<u64>) -> Option<usize> {
        let is_free = |known: &Reported| known.photo.as_ref().is_none_or(|taken_by| taken_by == photo);
        let fits = |known: &Reported| {
            let doubt_ns = (known.image.error_s * 1e9) as u64;
            *window.start() <= known.image.exposed_ns.saturating_add(doubt_ns)
                && known.image.exposed_ns.saturating_sub(doubt_ns) <= *window.end()
        };
        let all = || self.0.iter().enumerate().filter(|(_, known)| is_free(known) && fits(known));
        let named = |known: &Reported| known.is_named(photo.file_name.as_deref());
        only(all().filter(|(_, known)| known.photo.is_some()))
            .or_else(|| only(all().filter(|(_, known)| named(known) == Some(true))))
            .or_else(|| only(all().filter(|(_, known)| named(known).is_none())))
    }
}

/// Returns the index of the only element; `None` if there are several.
fn only<'a>(mut fitting: impl Iterator<Item = (usize, &'a Reported)>) -> Option<usize> {
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first.0)
}

impl Reported {
    /// Reports whether the picture has this file name; `None` if no report named it.
    fn is_named(&self, file_name: Option<&str>) -> Option<bool> {
        let name = self.image.file_name.as_ref()?;
        Some(file_name.is_some_and(|file_name| name.eq_ignore_ascii_case(file_name)))
    }

    /// Takes what a further report about the same picture adds.
    fn join(&mut self, other: TakenImage) {
        let known = &mut self.image;
        if other.error_s < known.error_s {
            (known.exposed_ns, known.error_s, known.utc) = (other.exposed_ns, other.error_s, other.utc.or(known.utc));
        }
        known.file_name = known.file_name.take().or(other.file_name);
        known.number = known.number.or(other.number);
        known.position = known.position.take().or(other.position);
    }
}

/// Reports whether two reports are about the same picture: different messages about one exposure, or the same message
/// sent again.
fn is_same(known: &TakenImage, new: &TakenImage) -> bool {
    let apart_ns = known.exposed_ns.abs_diff(new.exposed_ns);
    let same_number = known.number.is_some() && known.number == new.number;
    let repeated = known.kind == new.kind;
    match (repeated, same_number) {
        (true, same_number) => same_number && apart_ns <= SAME_NUMBER_NS,
        (false, true) => apart_ns <= SAME_NUMBER_NS,
        (false, false) => apart_ns <= SAME_NS,
    }
}

fn found(image: &TakenImage) -> Found {
    let position = image.position.as_ref().map(|position| Position {
        age_s: Some(0.0),
        error_m: Some(fix_error_m(position)),
        ..position.clone()
    });
    Found { shot: Shot { exposed_ns: image.exposed_ns, error_s: image.error_s }, position }
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::PositionSource;

    use super::*;
    use crate::arrival::ImageReport;

    const S: u64 = 1_000_000_000;

    fn image(kind: ImageReport, second: f64, number: Option<u32>, file_name: Option<&str>) -> TakenImage {
        let position = Position::at(35.0 + second / 1e4, 139.0, PositionSource::Mavlink);
        TakenImage {
            kind,
            file_name: file_name.map(str::to_owned),
            number,
            exposed_ns: (second * 1e9) as u64,
            error_s: 0.1,
            utc: None,
            position: Some(position),
        }
    }

    fn key(name: &str, second: u64) -> PhotoKey {
        PhotoKey { file_name: Some(name.to_owned()), latest_ns: second * S }
    }

    fn second(shots: &Shots, photo: &PhotoKey, window: RangeInclusive<u64>) -> Option<f64> {
        let window = window.start() * S..=window.end() * S;
        shots.find(photo, window).map(|found| found.shot.exposed_ns as f64 / 1e9)
    }

    #[test]
    fn a_report_fits_by_its_moment_and_each_has_one_photo() {
        let mut shots = Shots::default();
        [10.0, 12.0, 14.0].into_iter().for_each(|at| shots.push(image(ImageReport::Trigger, at, None, None)));
        let (first, next) = (key("A1.JPG", 11), key("A2.JPG", 13));
        assert_eq!(second(&shots, &first, 1..=11), Some(10.0));
        assert_eq!(second(&shots, &next, 3..=13), None, "two fit");
        shots.claim(&first, S..=11 * S);
        assert_eq!(second(&shots, &next, 3..=13), Some(12.0));
        assert_eq!(second(&shots, &first, 1..=20), Some(10.0), "it stays");
        assert_eq!(second(&shots, &key("A3.JPG", 30), 20..=30), None);
    }

    #[test]
    fn a_name_decides_only_between_moments_that_fit() {
        let mut shots = Shots::default();
        for (at, name) in [(10.0, "DSC00001.JPG"), (12.0, "DSC00002.JPG")] {
            shots.push(image(ImageReport::Captured, at, None, Some(name)));
        }
        assert_eq!(second(&shots, &key("dsc00002.jpg", 13), 3..=13), Some(12.0));
        assert_eq!(second(&shots, &key("DSC00001.JPG", 90_000), 89_990..=90_000), None, "of another day");
        assert_eq!(second(&shots, &key("DSC00003.JPG", 13), 3..=13), None, "another name");
    }

    #[test]
    fn several_reports_about_one_picture_are_one() {
        let mut shots = Shots::default();
        shots.push(TakenImage { position: None, ..image(ImageReport::Trigger, 10.0, Some(7), None) });
        shots.push(TakenImage { error_s: 0.02, ..image(ImageReport::Feedback, 10.05, Some(7), None) });
        shots.push(image(ImageReport::Captured, 11.5, Some(7), Some("DSC00007.JPG")));
        shots.push(image(ImageReport::Captured, 11.5, Some(7), Some("DSC00007.JPG")));
        assert_eq!(shots.0.len(), 1);
        let found = shots.find(&key("DSC00007.JPG", 13), 3 * S..=13 * S).expect("one");
        assert_eq!(found.shot, Shot { exposed_ns: 10_050_000_000, error_s: 0.02 });
        assert!(found.position.is_some());
        shots.push(image(ImageReport::Trigger, 10.9, Some(8), None));
        assert_eq!(shots.0.len(), 2, "the next picture");
        (0..2 * SHOTS_MAX).for_each(|index| shots.push(image(ImageReport::Trigger, 100.0 + index as f64, None, None)));
        assert_eq!(shots.0.len(), SHOTS_MAX);
    }
}
