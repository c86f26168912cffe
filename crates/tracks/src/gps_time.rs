//! GPS time to UTC.

/// GPS epoch, 1980-01-06T00:00:00Z, in seconds since 1970 (IS-GPS-200, 3.3.4).
const GPS_EPOCH_S: i64 = 315_964_800;
const WEEK_S: i64 = 7 * 86_400;
const WEEK_MS: i64 = WEEK_S * 1_000;

/// Seconds since 1970 from which on GPS time is ahead of UTC by a number of seconds, latest first: the leap seconds
/// since 1999 (IERS Bulletin C, <https://hpiers.obspm.fr/iers/bul/bulc/Leap_Second.dat>; GPS time is 19 seconds behind
/// TAI). None has been announced after 2017. Times before 2000 are not read.
const LEAP_SECONDS: [(i64, i64); 6] = [
    (1_483_228_800, 18), // 2017-01-01
    (1_435_708_800, 17), // 2015-07-01
    (1_341_100_800, 16), // 2012-07-01
    (1_230_768_000, 15), // 2009-01-01
    (1_136_073_600, 14), // 2006-01-01
    (915_148_800, 13),   // 1999-01-01
];

/// Returns microseconds since 1970, UTC, of a moment in GPS time: a week since 1980, without rollovers, and milliseconds
/// of that week. `None` before 1999 and for milliseconds that no week has.
pub fn utc_us(week: i64, ms: i64) -> Option<i64> {
    if !(0..=65_535).contains(&week) || !(0..WEEK_MS).contains(&ms) {
        return None;
    }
    let gps_ms = (GPS_EPOCH_S + week * WEEK_S) * 1_000 + ms;
    let utc_ms = LEAP_SECONDS.iter().map(|(since_s, ahead_s)| (since_s * 1_000, gps_ms - ahead_s * 1_000));
    utc_ms.into_iter().find(|(since_ms, utc_ms)| utc_ms >= since_ms).map(|(_, utc_ms)| utc_ms * 1_000)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn utc(week: i64, ms: i64) -> Option<String> {
        utc_us(week, ms).map(|us| Timestamp::from_microsecond(us).expect("in range").to_string())
    }

    #[test]
    fn leap_seconds_are_those_of_the_moment() {
        // Week 1973 and 6,448,000 ms: the first fix of an ArduPlane log, 2017-10-29T01:47:10Z.
        assert_eq!(utc(1973, 6_448_000).as_deref(), Some("2017-10-29T01:47:10Z"));
        // The leap second of 2016-12-31 is 18 seconds before GPS time reaches 2017-01-01T00:00:18.
        assert_eq!(utc(1930, 16_999).as_deref(), Some("2016-12-31T23:59:59.999Z"));
        assert_eq!(utc(1930, 18_000).as_deref(), Some("2017-01-01T00:00:00Z"));
        assert_eq!(utc(1800, 0).as_deref(), Some("2014-07-05T23:59:44Z"));
    }

    #[test]
    fn moments_that_no_receiver_means_are_refused() {
        for (week, ms) in [(0, 0), (900, 0), (-1, 0), (65_536, 0), (2_000, -1), (2_000, WEEK_MS)] {
            assert_eq!(utc_us(week, ms), None, "{week} {ms}");
        }
    }
}
