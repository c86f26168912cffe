//! Groups captures whose tag names no member: photos from one place that look alike.
//!
//! Both conditions must hold for every pair of a group. Two photos of one member that differ much therefore stay apart: a
//! group may be a part of a member, and it is never claimed to be a whole one.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::join::{MembersError, join};
use crate::classify::MEMBER_PHOTOS_MAX;
use crate::domain::{MemberAnswer, Position, Sha256, Tag};
use crate::journal::{JournalError, StoredResult};
use crate::pipeline::Answerer;
use crate::reference::{Reference, ReferenceError};

/// Maximum number of captures that are compared: the newest ones. Their embeddings take 40 MB.
const COMPARED_MAX: usize = 20_000;
/// Distance in metres up to which two positions without errors are one place.
const NEAR_M: f64 = 3.0;
/// Error in metres from which a position says too little to tell members apart.
const ERROR_MAX_M: f64 = 15.0;
/// Height in degrees of the squares by which neighbours are found, about 55 m. Two positions of one place are at most
/// [`NEAR_M`] and twice [`ERROR_MAX_M`] apart.
const SQUARE_DEG: f64 = 0.0005;
/// Number of labelled photos whose likeness to each other tells what is usual.
const SAMPLE: usize = 300;
/// Share of the pairs of labelled photos that are less alike than photos of one member.
const UNUSUAL: f64 = 0.999;

/// Photos from one place that look alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Bridge and span that the photos' tags name.
    pub tag: Tag,
    /// Position of the first photo.
    pub place: Position,
    /// At least two captures and at most [`MEMBER_PHOTOS_MAX`], by ascending id.
    pub results: Vec<StoredResult>,
}

/// Groups, and the captures that could not be compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    pub groups: Vec<Group>,
    /// Number of captures without a member and without a position that tells members apart.
    pub unplaced: u64,
    /// Number of captures before the newest 20,000, which were not compared.
    pub older: u64,
}

/// JSON form of an answered group.
#[derive(Serialize)]
pub struct GroupLine<'a> {
    #[serde(flatten)]
    tag: &'a Tag,
    /// Always false: nobody named the member.
    named: bool,
    latitude_deg: f64,
    longitude_deg: f64,
    captures: usize,
    #[serde(flatten)]
    answer: &'a MemberAnswer,
}

impl<'a> GroupLine<'a> {
    /// Returns the JSON form of a group and its answer.
    pub fn of(group: &'a Group, answer: &'a MemberAnswer) -> Self {
        let Group { tag, place, results } = group;
        let Position { latitude_deg, longitude_deg, .. } = *place;
        GroupLine { tag, named: false, latitude_deg, longitude_deg, captures: results.len(), answer }
    }
}

impl Group {
    /// Answers about the group as about a member.
    pub fn answer(&self, answerer: &Answerer) -> Result<MemberAnswer, MembersError> {
        Ok(join(answerer, &self.results)?)
    }

    fn takes(&self, result: &StoredResult, tag: &Tag, place: &Position, alike: f32) -> bool {
        self.tag == *tag
            && self.results.len() < MEMBER_PHOTOS_MAX
            && self.results.iter().all(|other| {
                let is_near = other.position.as_ref().is_some_and(|other| are_one_place(other, place));
                is_near && other.embedding.cosine(&result.embedding) >= alike
            })
    }
}

/// Returns the cosine from which two photos are more alike than [`UNUSUAL`] of the pairs of labelled photos.
pub fn likeness(reference: &Reference) -> Result<f32, ReferenceError> {
    let count = reference.len().min(SAMPLE);
    let rows = (0..count).map(|number| reference.row(number * reference.len() / count.max(1)));
    let sample = rows.map(|row| Ok(row?.1)).collect::<Result<Vec<_>, ReferenceError>>()?;
    let pairs = sample.iter().enumerate().flat_map(|(number, a)| sample[..number].iter().map(|b| a.cosine(b)));
    let mut pairs: Vec<f32> = pairs.collect();
    pairs.sort_unstable_by(f32::total_cmp);
    let place = (pairs.len() as f64 * UNUSUAL) as usize;
    Ok(pairs.get(place).or(pairs.last()).copied().unwrap_or(1.0))
}

/// Groups the captures whose tag names no member and that `wants` accepts by its other parts. `space` is the embedding space
/// of the package in use, and `alike` the [`likeness`] of its reference. `looked_at` receives the size of each page.
pub fn unnamed(
    pages: impl Iterator<Item = Result<Vec<StoredResult>, JournalError>>,
    space: Sha256,
    alike: f32,
    wants: impl Fn(&Tag) -> bool,
    mut looked_at: impl FnMut(u64),
) -> Result<Groups, JournalError> {
    let (mut compared, mut found) = (VecDeque::new(), Groups::default());
    for page in pages {
        let page = page?;
        looked_at(page.len() as u64);
        for result in page.into_iter().filter(|result| result.embedding_space == Some(space)) {
            let tag = result.tag.clone().unwrap_or_default();
            if tag.member.is_some() || !wants(&tag) {
                continue;
            }
            match result.position.as_ref().is_some_and(tells_members_apart) {
                true => compared.push_back((tag, result)),
                false => found.unplaced += 1,
            }
            if compared.len() > COMPARED_MAX {
                compared.pop_front();
                found.older += 1;
            }
        }
    }
    found.groups = grouped(compared, alike);
    Ok(found)
}

fn grouped(compared: VecDeque<(Tag, StoredResult)>, alike: f32) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    // Numbers of the groups whose first photo lies in a square.
    let mut squares: BTreeMap<(i64, i64), Vec<usize>> = BTreeMap::new();
    for (tag, result) in compared {
        let Some(place) = result.position.clone() else { continue };
        let (north, east) = square(&place);
        let near = (north - 1..=north + 1).flat_map(|north| (east - 1..=east + 1).map(move |east| (north, east)));
        let mut near = near.filter_map(|square| squares.get(&square)).flatten();
        match near.find(|&&number| groups[number].takes(&result, &tag, &place, alike)) {
            Some(&number) => groups[number].results.push(result),
            None => {
                squares.entry((north, east)).or_default().push(groups.len());
                groups.push(Group { tag, place, results: vec![result] });
            }
        }
    }
    groups.retain(|group| group.results.len() > 1);
    groups.sort_by_cached_key(|group| (group.tag.order(), group.results[0].capture));
    groups
}

fn square(place: &Position) -> (i64, i64) {
    // Twice as many degrees of longitude: up to a latitude of 60 degrees a square is at least as wide as it is high.
    ((place.latitude_deg / SQUARE_DEG).floor() as i64, (place.longitude_deg / (2.0 * SQUARE_DEG)).floor() as i64)
}

fn tells_members_apart(place: &Position) -> bool {
    place.error_m.is_some_and(|error| error <= ERROR_MAX_M) && place.conflict.is_none()
}

/// Reports whether two positions are one place within their errors.
fn are_one_place(a: &Position, b: &Position) -> bool {
    let error = |place: &Position| place.error_m.unwrap_or(0.0);
    a.distance_m(b) <= NEAR_M.max(error(a).hypot(error(b)))
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::domain::{Embedding, PositionSource};
    use crate::members::join::tests::{SPACE, result};

    fn placed(capture: i64, north_m: f64, direction: [f32; 4]) -> StoredResult {
        let place = Position::at(35.0 + north_m / 111_195.0, 139.0, PositionSource::Xmp);
        StoredResult {
            position: Some(Position { error_m: Some(1.0), ..place }),
            embedding: Embedding::normalise(direction.to_vec()).expect("a direction"),
            ..result(capture, 0)
        }
    }

    fn found(results: Vec<StoredResult>) -> Groups {
        unnamed(iter::once(Ok(results)), SPACE, 0.8, |_| true, |_| ()).expect("groups")
    }

    fn captures(groups: &Groups) -> Vec<Vec<i64>> {
        groups.groups.iter().map(|group| group.results.iter().map(|result| result.capture).collect()).collect()
    }

    #[test]
    fn photos_from_one_place_that_look_alike_are_grouped() {
        let (girder, bearing) = ([1.0, 0.1, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]);
        let turned = [1.0, 0.0, 0.3, 0.0];
        let results = vec![
            placed(1, 0.0, girder),
            placed(2, 1.0, bearing),
            placed(3, 2.0, turned),
            placed(4, 40.0, girder),
            placed(5, 1.5, bearing),
            placed(6, 900.0, girder),
        ];
        assert_eq!(captures(&found(results)), [vec![1, 3], vec![2, 5]]);
    }

    #[test]
    fn a_chain_of_similar_photos_is_no_group() {
        // Each is like its neighbour, the first and the last are not.
        let chain = (0..10).map(|number| {
            let turn = f64::from(number) * 0.3;
            placed(number.into(), 0.0, [turn.cos() as f32, turn.sin() as f32, 0.0, 0.0])
        });
        let groups = found(chain.collect());
        for group in &groups.groups {
            let [first, .., last] = &group.results[..] else { panic!("two photos at least") };
            assert!(first.embedding.cosine(&last.embedding) >= 0.8);
        }
        assert!(groups.groups.len() > 1);
    }

    #[test]
    fn names_and_doubtful_places_keep_photos_apart() {
        let alike = [1.0, 0.0, 0.0, 0.0];
        let mut results: Vec<StoredResult> = (1..=6).map(|capture| placed(capture, 0.0, alike)).collect();
        results[0].tag = "bridgeclip:bridge=B-1".parse().ok();
        results[1].tag = "bridgeclip:bridge=B-2".parse().ok();
        results[2].tag = "bridgeclip:member=G1".parse().ok();
        results[3].position = None;
        results[4].position.as_mut().expect("a place").error_m = Some(40.0);
        let groups = found(results);
        assert_eq!((captures(&groups), groups.unplaced), (Vec::new(), 2));
    }
}
