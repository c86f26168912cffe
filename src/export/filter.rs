//! Conditions on the captures of an export or a list.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use crate::domain::{Tag, TagText, TimeQuality};
use crate::journal::StoredCapture;
use crate::search;

/// Conditions on captures, all of which must be met.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Earliest time of capture that is included.
    pub since: Option<Timestamp>,
    /// First time of capture that is no longer included.
    pub until: Option<Timestamp>,
    pub labels: search::Filter,
    pub place: TagFilter,
    /// Whether to include only photos that an engineer should see first.
    pub urgent: bool,
}

/// Bridge, span and member that a tag must name. A part that is `None` matches any tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagFilter {
    pub bridge: Option<String>,
    pub span: Option<String>,
    pub member: Option<String>,
}

impl TagFilter {
    pub fn fits(&self, tag: Option<&Tag>) -> bool {
        let Tag { bridge, span, member } = tag.cloned().unwrap_or_default();
        let fits = |wanted: &Option<String>, name: Option<TagText>| {
            wanted.as_ref().is_none_or(|wanted| name.is_some_and(|name| name.as_str() == wanted))
        };
        fits(&self.bridge, bridge) && fits(&self.span, span) && fits(&self.member, member)
    }
}

/// Result of applying a filter to a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    Wanted,
    Unwanted,
    /// The capture's time is outside the wanted range, but comes from a clock that nothing had set.
    Undated,
}

impl Filter {
    pub fn fit(&self, capture: &StoredCapture) -> Fit {
        let verdict = &capture.verdict;
        let is_wanted = self.place.fits(capture.facts.tag.as_ref())
            && (verdict.urgency.review || !self.urgent)
            && self.labels.passes_labels(&verdict.labels());
        match (is_wanted, self.is_in_time(capture.facts.taken.at)) {
            (true, true) => Fit::Wanted,
            (true, false) if capture.facts.taken.quality == TimeQuality::Unsynced => Fit::Undated,
            _ => Fit::Unwanted,
        }
    }

    pub fn wants(&self, capture: &StoredCapture) -> bool {
        self.fit(capture) == Fit::Wanted
    }

    fn is_in_time(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }
}

/// Point in time or day, as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    At(Timestamp),
    /// Day of the calendar at the device's location.
    Day(Date),
}

/// Text that is neither a time nor a date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a date, as in 2026-05-09, nor a time with its zone, as in 2026-05-09T08:30:00+09:00")]
pub struct MomentError(String);

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let day = || Date::strptime("%Y-%m-%d", text).map(Moment::Day);
        text.parse().map(Moment::At).or_else(|_| day()).map_err(|_| MomentError(text.to_owned()))
    }
}

impl Moment {
    /// Returns the moment itself, or the start of the day.
    pub fn first(self, zone: Offset) -> Timestamp {
        match self {
            Moment::At(at) => at,
            Moment::Day(day) => midnight(day, zone).unwrap_or(Timestamp::MIN),
        }
    }

    /// Returns the first time after the moment or the day, so that both are included.
    pub fn end(self, zone: Offset) -> Timestamp {
        let next = match self {
            Moment::At(at) => at.checked_add(jiff::SignedDuration::from_nanos(1)).ok(),
            Moment::Day(day) => day.tomorrow().ok().and_then(|day| midnight(day, zone)),
        };
        next.unwrap_or(Timestamp::MAX)
    }
}

fn midnight(day: Date, zone: Offset) -> Option<Timestamp> {
    zone.to_timestamp(day.to_datetime(Time::midnight())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::record::example;

    const JAPAN: Offset = Offset::constant(9);

    fn timestamp(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn days_are_those_of_the_place_and_count_as_a_whole() {
        let cases = [
            ("2026-05-09", "2026-05-08T15:00:00Z", "2026-05-09T15:00:00Z"),
            ("2026-05-09T08:30:00+09:00", "2026-05-08T23:30:00Z", "2026-05-08T23:30:00.000000001Z"),
            ("2026-05-09T00:00:00Z", "2026-05-09T00:00:00Z", "2026-05-09T00:00:00.000000001Z"),
        ];
        for (text, first, end) in cases {
            let moment: Moment = text.parse().expect(text);
            assert_eq!((moment.first(JAPAN), moment.end(JAPAN)), (timestamp(first), timestamp(end)), "{text}");
        }
        let last: Moment = "9999-12-31".parse().expect("a day");
        assert_eq!(last.end(JAPAN), Timestamp::MAX);
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "today", "2026-5", "2026-13-01", "2026-02-30", "2026-05-09T08:30:00", "08:30"] {
            let error = text.parse::<Moment>().expect_err(text).to_string();
            assert!(error.contains("nor a time with its zone"), "{error}");
        }
    }

    fn bridge(name: &str) -> TagFilter {
        TagFilter { bridge: Some(name.to_owned()), ..TagFilter::default() }
    }

    #[test]
    fn all_conditions_must_hold() {
        let capture = example(1).capture;
        let at = capture.facts.taken.at;
        let later = at.checked_add(jiff::SignedDuration::from_secs(1)).expect("a time");
        let labels = |texts: &[&str]| {
            search::Filter(texts.iter().map(|text| text.parse().expect("a condition")).collect::<Vec<_>>())
        };
        let all = Filter::default();
        let cases = [
            (all.clone(), Fit::Wanted),
            (Filter { since: Some(at), until: Some(later), ..all.clone() }, Fit::Wanted),
            (Filter { until: Some(at), ..all.clone() }, Fit::Unwanted),
            (Filter { since: Some(later), ..all.clone() }, Fit::Unwanted),
            (Filter { place: bridge("B-12"), urgent: true, ..all.clone() }, Fit::Wanted),
            (Filter { place: bridge("B-1"), ..all.clone() }, Fit::Unwanted),
            (Filter { labels: labels(&["soundness=III", "damage_type=ひびわれ"]), ..all.clone() }, Fit::Wanted),
            (Filter { labels: labels(&["soundness=III", "damage_type=scour"]), ..all.clone() }, Fit::Unwanted),
        ];
        for (filter, expected) in cases {
            assert_eq!(filter.fit(&capture), expected, "{filter:?}");
        }
        let mut calm = capture.clone();
        (calm.verdict.urgency.review, calm.facts.tag) = (false, None);
        assert_eq!(Filter { urgent: true, ..all.clone() }.fit(&calm), Fit::Unwanted);
        assert_eq!(Filter { place: bridge("B-12"), ..all.clone() }.fit(&calm), Fit::Unwanted);
        let mut undated = capture;
        undated.facts.taken.quality = TimeQuality::Unsynced;
        assert_eq!(Filter { since: Some(later), ..all.clone() }.fit(&undated), Fit::Undated);
        assert_eq!(Filter { since: Some(later), place: bridge("B-1"), ..all }.fit(&undated), Fit::Unwanted);
    }
}
