//! Pictures while a log is read, by who witnessed them.

use crate::gather::Gather;
use crate::report::{Note, Skip};
use crate::sample::{Moment, Sample};

/// Witness of pictures in a log, best first. Several may tell of the same picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The camera's own report.
    Camera,
    /// The signal of the camera's hot shoe.
    Signal,
    /// The controller's trigger.
    Trigger,
}

/// A picture, before its place is known.
#[derive(Clone, Debug)]
pub struct Picture {
    pub at: Moment,
    pub number: Option<u32>,
    pub file_name: Option<String>,
    /// Position that the record itself tells.
    pub place: Option<Sample>,
}

/// Pictures by their witness.
#[derive(Debug, Default)]
pub struct Pictures([Vec<Picture>; 3]);

impl Pictures {
    /// Adds a picture, and counts those beyond the limit.
    pub fn push(&mut self, witness: Witness, picture: Picture, gather: &mut Gather) {
        let pictures = &mut self.0[witness as usize];
        if pictures.len() >= gather.params.images_max {
            gather.skip(Skip::ImagesTooMany);
        } else {
            pictures.push(picture);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }

    /// Turns all moments of the clock into UTC, `offset_us` later.
    pub fn tie(&mut self, offset_us: i64) {
        for picture in self.0.iter_mut().flatten() {
            picture.at = picture.at.tied(offset_us);
        }
    }

    /// Removes all pictures whose clock has no relation to UTC, and returns their number.
    pub fn drop_untied(&mut self) -> u64 {
        let count = |pictures: &[Vec<Picture>; 3]| pictures.iter().map(Vec::len).sum::<usize>();
        let before = count(&self.0);
        self.0.iter_mut().for_each(|pictures| pictures.retain(|picture| matches!(picture.at, Moment::Utc(_))));
        (before - count(&self.0)) as u64
    }

    /// Returns the pictures of the best witness.
    pub fn best(self, gather: &mut Gather) -> Vec<Picture> {
        let [reported, signalled, triggered] = self.0;
        let known = if reported.is_empty() { signalled } else { reported };
        if !known.is_empty() || triggered.is_empty() {
            return known;
        }
        gather.note(Note::TriggersOnly);
        triggered
    }
}
