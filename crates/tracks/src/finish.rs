//! Puts fixes and pictures in order at the end of a file.

use jiff::Timestamp;

use bridgeclip_domain::{Position, wrap_longitude};

use crate::error::TrackError;
use crate::gather::Gather;
use crate::pictures::Picture;
use crate::report::{Note, Skip, TrackFile, TrackFix, TrackImage};
use crate::sample::{Moment, Sample, Samples};

/// Time in microseconds without a fix of a better source that fixes of a worse one fill.
const FILL_US: i64 = 1_000_000;
/// Longest time in seconds between two fixes between which the place of a picture is interpolated, as for photos.
const BETWEEN_S_MAX: f64 = 10.0;

/// Returns the fixes of several sources in order of time, the best source first: those of a worse one fill only where
/// the better ones are silent. Implausible moments are left out.
///
/// # Errors
/// If there are too many fixes to be thinned.
pub fn merged(sources: Vec<Samples>, gather: &mut Gather) -> Result<Vec<Sample>, TrackError> {
    let mut merged: Vec<Sample> = Vec::new();
    let silence_us = sources.iter().filter_map(Samples::silence_us).max();
    for samples in sources {
        note_thinned(&samples, gather);
        let mut ordered = ordered(samples.into_vec(), gather);
        if !merged.is_empty() {
            ordered.retain(|sample| is_silent(&merged, sample.at.us()));
        }
        merged.extend(ordered);
        merged.sort_by_key(|sample| sample.at.us());
    }
    mark_silence(&mut merged, silence_us);
    if let Some(first) = merged.first_mut() {
        first.gap_before = true;
    }
    bounded(merged, gather)
}

/// Marks the interruptions between fixes of different sources.
fn mark_silence(merged: &mut [Sample], silence_us: Option<i64>) {
    let Some(silence_us) = silence_us else { return };
    let mut last = None;
    for sample in merged {
        let us = sample.at.us();
        sample.gap_before |= last.is_some_and(|last| us - last > silence_us);
        last = Some(us);
    }
}

fn note_thinned(samples: &Samples, gather: &mut Gather) {
    if samples.spacing_us() > 0 {
        gather.note(Note::Thinned(samples.spacing_us() / 1_000));
    }
}

/// Thins fixes that are too many only together.
fn bounded(merged: Vec<Sample>, gather: &mut Gather) -> Result<Vec<Sample>, TrackError> {
    if merged.len() <= gather.params.fixes_max {
        return Ok(merged);
    }
    let mut samples = Samples::new(gather.params.fixes_max, None);
    for sample in merged {
        if sample.gap_before {
            samples.interrupt();
        }
        samples.push(sample)?;
    }
    note_thinned(&samples, gather);
    Ok(samples.into_vec())
}

/// Reports whether no fix is near a moment.
fn is_silent(samples: &[Sample], us: i64) -> bool {
    let next = samples.partition_point(|sample| sample.at.us() < us);
    let near = |index: usize| samples.get(index).is_some_and(|near| (near.at.us() - us).abs() <= FILL_US);
    !near(next) && !next.checked_sub(1).is_some_and(near)
}

/// Orders the segments of one source, and the fixes in each. Where segments overlap, the earlier one counts.
fn ordered(mut samples: Vec<Sample>, gather: &mut Gather) -> Vec<Sample> {
    let before = samples.len();
    samples.retain(|sample| matches!(sample.at, Moment::Utc(us) if gather.is_plausible(us)));
    gather.skip_several(Skip::TimeOutOfRange, (before - samples.len()) as u64);
    let mut segments: Vec<&mut [Sample]> = samples.chunk_by_mut(|_, next| !next.gap_before).collect();
    for segment in &mut segments {
        segment.sort_by_key(|sample| sample.at.us());
    }
    segments.sort_by_key(|segment| segment[0].at.us());
    let mut ordered: Vec<Sample> = Vec::with_capacity(before);
    for segment in segments {
        // The first segment in order of time may not be the first one in the file, and the other way round.
        let mut gap_before = !ordered.is_empty() || segment.iter().any(|sample| sample.gap_before);
        for sample in segment {
            if ordered.last().is_some_and(|last| sample.at.us() <= last.at.us()) {
                gather.skip(Skip::Repeated);
                continue;
            }
            ordered.push(Sample { gap_before: std::mem::take(&mut gap_before), ..*sample });
        }
    }
    ordered
}

/// Returns what was read. `samples` are in order of time.
///
/// # Errors
/// If there is no fix.
pub fn file(samples: &[Sample], pictures: Vec<Picture>, mut gather: Gather) -> Result<TrackFile, TrackError> {
    let format = gather.format;
    let fixes: Vec<_> = samples.iter().filter_map(fix).collect();
    let images = images(pictures, &fixes, &mut gather);
    let (skipped, notes) = gather.into_parts();
    if !fixes.is_empty() {
        return Ok(TrackFile { format, fixes, images, skipped, notes });
    }
    Err(match skipped.contains_key(&Skip::NoDate) {
        true => TrackError::NoDate,
        false if skipped.contains_key(&Skip::NoUtc) => TrackError::NoUtc(format),
        false => TrackError::Empty { format, skipped, notes },
    })
}

/// Returns a fix; `None` for a moment that is not UTC.
fn fix(sample: &Sample) -> Option<TrackFix> {
    let Moment::Utc(us) = sample.at else { return None };
    Some(TrackFix {
        utc: Timestamp::from_microsecond(us).ok()?,
        position: position(sample),
        speed_mps: known(sample.speed_mps),
        gap_before: sample.gap_before,
    })
}

fn position(sample: &Sample) -> Position {
    let altitude_m = known(sample.altitude_m);
    Position {
        altitude_m,
        altitude_above: altitude_m.and(sample.altitude_above),
        hdop: known(sample.hdop),
        std_m: known(sample.std_m),
        quality: sample.quality,
        ..Position::at(sample.latitude_deg, sample.longitude_deg, sample.source)
    }
}

fn known(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Returns the pictures with their places, in order of time: the places that their records tell, else those of the
/// track. Pictures without either are left out.
fn images(pictures: Vec<Picture>, fixes: &[TrackFix], gather: &mut Gather) -> Vec<TrackImage> {
    let mut found: Vec<TrackImage> = Vec::new();
    for Picture { at, number, file_name, place } in pictures {
        let utc = match at {
            Moment::Utc(us) if gather.is_plausible(us) => Timestamp::from_microsecond(us).ok(),
            _ => None,
        };
        let Some(utc) = utc else {
            gather.skip(Skip::TimeOutOfRange);
            continue;
        };
        match place.as_ref().map(position).or_else(|| between(fixes, utc)) {
            Some(position) => found.push(TrackImage { utc, number, file_name, position }),
            None => gather.skip(Skip::ImageWithoutPlace),
        }
    }
    found.sort_by_key(|image| image.utc);
    found
}

/// Returns the position on the straight way between the fixes before and after a moment.
fn between(fixes: &[TrackFix], utc: Timestamp) -> Option<Position> {
    let next = fixes.partition_point(|fix| fix.utc < utc);
    let after = fixes.get(next)?;
    if after.utc == utc {
        return Some(after.position.clone());
    }
    let before = fixes.get(next.checked_sub(1)?)?;
    let seconds = |to: Timestamp| to.duration_since(before.utc).as_secs_f64();
    let whole = seconds(after.utc);
    if after.gap_before || whole > BETWEEN_S_MAX {
        return None;
    }
    let share = seconds(utc) / whole;
    let mix = |from: f64, to: f64| from + share * (to - from);
    let (from, to) = (&before.position, &after.position);
    let turn = wrap_longitude(to.longitude_deg - from.longitude_deg);
    let longitude_deg = wrap_longitude(from.longitude_deg + share * turn);
    let nearer = if share < 0.5 { from } else { to };
    let altitude_m = from.altitude_m.zip(to.altitude_m).map(|(from, to)| mix(from, to));
    let latitude_deg = mix(from.latitude_deg, to.latitude_deg);
    Some(Position { latitude_deg, longitude_deg, altitude_m: altitude_m.or(nearer.altitude_m), ..nearer.clone() })
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::PositionSource;

    use super::*;
    use crate::ReadParams;
    use crate::report::TrackFormat;

    const START_US: i64 = 1_700_000_000_000_000;

    fn gather() -> Gather {
        let latest = Timestamp::from_microsecond(2 * START_US).expect("in range");
        Gather::new(TrackFormat::Gpx, &ReadParams::until(latest))
    }

    fn samples(places: &[(i64, f64, bool)]) -> Samples {
        with_silence(places, None)
    }

    fn with_silence(places: &[(i64, f64, bool)], silence_us: Option<i64>) -> Samples {
        let mut samples = Samples::new(100, silence_us);
        for (second, latitude, gap) in places {
            if *gap {
                samples.interrupt();
            }
            let at = Moment::Utc(START_US + second * 1_000_000);
            samples.push(Sample::new(at, *latitude, 10.0, PositionSource::Mavlink).expect("a place")).expect("room");
        }
        samples
    }

    fn places(samples: &[Sample]) -> Vec<(i64, f64, bool)> {
        let second = |sample: &Sample| (sample.at.us() - START_US) / 1_000_000;
        samples.iter().map(|sample| (second(sample), sample.latitude_deg, sample.gap_before)).collect()
    }

    #[test]
    fn segments_are_ordered_and_overlaps_left_out() {
        let mut gather = gather();
        let two = [(50, 5.0, true), (51, 5.1, false), (0, 1.0, true), (2, 1.2, false), (1, 1.1, false)];
        let overlap = [(2, 9.0, true), (3, 9.1, false), (i64::MAX / 2_000_000, 1.0, false)];
        let merged = merged(vec![samples(&[&two[..], &overlap].concat())], &mut gather).expect("fixes");
        let expected =
            [(0, 1.0, true), (1, 1.1, false), (2, 1.2, false), (3, 9.1, true), (50, 5.0, true), (51, 5.1, false)];
        assert_eq!(places(&merged), expected);
        let file = file(&merged, Vec::new(), gather).expect("fixes");
        assert_eq!(file.skipped.into_iter().collect::<Vec<_>>(), [(Skip::TimeOutOfRange, 1), (Skip::Repeated, 1)]);
    }

    #[test]
    fn a_worse_source_fills_silence_only() {
        let better = samples(&[(0, 1.0, false), (1, 1.0, false), (9, 1.0, false)]);
        let worse = samples(&[(0, 2.0, false), (2, 2.0, false), (3, 2.0, false), (8, 2.0, false), (20, 2.0, false)]);
        let merged = merged(vec![better, worse], &mut gather()).expect("fixes");
        let seconds: Vec<_> = places(&merged).iter().map(|(second, latitude, _)| (*second, *latitude)).collect();
        assert_eq!(seconds, [(0, 1.0), (1, 1.0), (3, 2.0), (9, 1.0), (20, 2.0)]);
    }

    #[test]
    fn sources_that_are_too_many_together_are_thinned() {
        let mut gather = gather();
        gather.params.fixes_max = 100;
        let better: Vec<_> = (0..90).map(|second| (second, 1.0, false)).collect();
        let worse: Vec<_> = (200..290).map(|second| (second, 2.0, second == 250)).collect();
        let merged =
            merged([better, worse].iter().map(|places| with_silence(places, Some(10_000_000))).collect(), &mut gather)
                .expect("fixes");
        assert!((50..=100).contains(&merged.len()), "{}", merged.len());
        let gaps: Vec<i64> = places(&merged).into_iter().filter(|(.., gap)| *gap).map(|(second, ..)| second).collect();
        assert_eq!(gaps, [0, 200, 250]);
        assert!(super::file(&merged, Vec::new(), gather).expect("fixes").notes.contains(&Note::Thinned(1_600)));
    }

    #[test]
    fn pictures_take_their_own_place_or_one_on_the_way() {
        let mut gather = gather();
        let merged = vec![samples(&[(0, 1.0, false), (4, 2.0, false), (5, 3.0, true)])];
        let merged = super::merged(merged, &mut gather).expect("fixes");
        let image = |ms: i64, place| Picture {
            at: Moment::Utc(START_US + ms * 1_000),
            number: Some(1),
            file_name: None,
            place,
        };
        let own = samples(&[(0, 7.0, false)]).into_vec()[0];
        let images = vec![image(3_000, None), image(4_500, None), image(9_000, None), image(1_000, Some(own))];
        let file = file(&merged, images, gather).expect("fixes");
        let latitudes: Vec<f64> = file.images.iter().map(|image| image.position.latitude_deg).collect();
        assert_eq!(latitudes, [7.0, 1.75], "none over an interruption, none after the end");
        assert_eq!(file.skipped.get(&Skip::ImageWithoutPlace), Some(&2));
    }
}
