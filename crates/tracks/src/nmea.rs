//! Logs of NMEA sentences.

use std::io::Read;

use bridgeclip_domain::Position;
use bridgeclip_position::{Arrival, Fix, nmea};

use crate::error::TrackError;
use crate::finish;
use crate::flight::SILENCE_US;
use crate::gather::Gather;
use crate::pictures::Picture;
use crate::report::Skip;
use crate::sample::{Moment, Sample, Samples};
use crate::window::Window;

/// Reads a log. Whatever stands between sentences is ignored, also the time that a recorder put before each line:
/// sentences tell their own.
pub fn read(window: &mut Window<impl Read>, gather: &mut Gather) -> Result<(Vec<Sample>, Vec<Picture>), TrackError> {
    let mut log = Log::new(gather);
    let mut decoder = nmea::Decoder::of_recording();
    let mut arrived = Vec::new();
    loop {
        let length = window.line()?;
        if length == 0 {
            break;
        }
        let line = &window.peek(length)?[..length];
        decoder.push(line, log.elapsed_ns(), |arrival| {
            if let Arrival::Fix(fix) = arrival {
                arrived.push(fix);
            }
        });
        window.consume(length);
        arrived.drain(..).try_for_each(|fix| log.take(&fix, gather))?;
    }
    gather.skip_several(Skip::Unreadable, decoder.broken());
    log.settle_undated(gather);
    Ok((finish::merged(vec![log.samples], gather)?, Vec::new()))
}

struct Log {
    samples: Samples,
    /// Microseconds since 1970 of the first and the latest fix.
    span: Option<(i64, i64)>,
    /// Place of a fix without a date, until it is known whether a later sentence of its moment tells the date.
    undated: Option<(f64, f64)>,
}

impl Log {
    fn new(gather: &Gather) -> Self {
        Log { samples: Samples::new(gather.params.fixes_max, Some(SILENCE_US)), span: None, undated: None }
    }

    /// Returns the time of the log, by the fixes themselves. The decoder takes it for the time of arrival, by which it
    /// dates sentences without a date and forgets what is old.
    fn elapsed_ns(&self) -> u64 {
        let elapsed_us = self.span.map_or(0, |(first, last)| last.saturating_sub(first));
        u64::try_from(elapsed_us).unwrap_or(0).saturating_mul(1_000)
    }

    fn take(&mut self, fix: &Fix, gather: &mut Gather) -> Result<(), TrackError> {
        let Position { latitude_deg, longitude_deg, .. } = fix.position;
        let Some(utc) = fix.utc else {
            if self.undated != Some((latitude_deg, longitude_deg)) {
                self.settle_undated(gather);
            }
            self.undated = Some((latitude_deg, longitude_deg));
            return Ok(());
        };
        if self.undated.take().is_some_and(|undated| undated != (latitude_deg, longitude_deg)) {
            gather.skip(Skip::NoDate);
        }
        let us = utc.as_microsecond();
        self.extend_span(us, gather);
        match Sample::of_fix(fix, Moment::Utc(us)) {
            Some(sample) => self.samples.push(sample),
            None => {
                gather.skip(Skip::NoPlace);
                Ok(())
            }
        }
    }

    fn settle_undated(&mut self, gather: &mut Gather) {
        gather.skip_several(Skip::NoDate, u64::from(self.undated.take().is_some()));
    }

    fn extend_span(&mut self, us: i64, gather: &Gather) {
        if gather.is_plausible(us) {
            let (first, last) = self.span.unwrap_or((us, us));
            self.span = Some((first, last.max(us)));
        }
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::{FixQuality, PositionSource};

    use super::*;
    use crate::report::TrackFormat;
    use crate::testing::{expect_error, mutate, read_all, sentence, truncate};

    fn rmc(time: &str, minutes: &str, date: &str) -> String {
        sentence(&format!("GPRMC,{time},A,35{minutes},N,13900.0000,E,10.0,90.0,{date},,,A"))
    }

    fn gga(time: &str, minutes: &str) -> String {
        sentence(&format!("GPGGA,{time},35{minutes},N,13900.0000,E,2,08,0.9,12.5,M,40.0,M,,"))
    }

    fn log() -> String {
        let seconds = (0..5).map(|second| {
            let (time, minutes) = (format!("23595{}.00", 5 + second), format!("00.{second}600"));
            gga(&time, &minutes) + &rmc(&time, &minutes, "080526")
        });
        seconds.collect()
    }

    #[test]
    fn a_log_gives_a_fix_for_each_moment() {
        let file = read_all(log().as_bytes()).expect("fixes");
        assert_eq!((file.format, file.fixes.len()), (TrackFormat::Nmea, 5));
        assert!(file.skipped.is_empty() && file.notes.is_empty(), "{file:?}");
        let fix = &file.fixes[1];
        assert_eq!(fix.utc.to_string(), "2026-05-08T23:59:56Z");
        assert!((fix.position.latitude_deg - 35.002_666_667).abs() < 1e-9, "{fix:?}");
        assert_eq!((fix.position.altitude_m, fix.position.hdop), (Some(12.5), Some(0.9)));
        assert_eq!(
            (fix.position.quality, fix.position.source),
            (Some(FixQuality::Differential), PositionSource::SerialGps)
        );
        assert!((fix.speed_mps.expect("moving") - 5.144_444).abs() < 1e-6);
        assert_eq!((file.fixes[0].gap_before, file.gaps()), (true, 0));
    }

    #[test]
    fn times_before_the_lines_are_ignored() {
        let lines: String = log().lines().map(|line| format!("2001-01-01 00:00:00.123; {line}\n")).collect();
        assert_eq!(read_all(lines.as_bytes()).expect("fixes").fixes, read_all(log().as_bytes()).expect("fixes").fixes);
    }

    #[test]
    fn a_day_ends_between_dates() {
        let text = [rmc("235958.00", "00.0000", "080526"), gga("235959.00", "01.0000"), gga("000000.00", "02.0000")];
        let file = read_all(text.concat().as_bytes()).expect("fixes");
        let moments: Vec<String> = file.fixes.iter().map(|fix| fix.utc.to_string()).collect();
        assert_eq!(moments, ["2026-05-08T23:59:58Z", "2026-05-08T23:59:59Z", "2026-05-09T00:00:00Z"]);
    }

    #[test]
    fn fixes_before_the_first_date_are_counted() {
        let text = [gga("120000.00", "00.0000"), gga("120001.00", "01.0000"), gga("120002.00", "02.0000")].concat();
        let dated = text.clone() + &rmc("120002.00", "02.0000", "080526") + &gga("120003.00", "03.0000");
        let file = read_all(dated.as_bytes()).expect("fixes");
        assert_eq!((file.fixes.len(), file.skipped.get(&Skip::NoDate)), (2, Some(&2)));
        assert!(expect_error(text.as_bytes()).contains("record RMC or ZDA too"));
    }

    #[test]
    fn silence_is_a_gap_and_broken_sentences_are_counted() {
        let broken = rmc("120030.00", "00.0000", "080526").replace(",A,", ",B,");
        let text = [rmc("120000.00", "00.0000", "080526"), broken, rmc("120100.00", "01.0000", "080526")].concat();
        let file = read_all(text.as_bytes()).expect("fixes");
        assert_eq!((file.fixes.len(), file.gaps(), file.skipped.get(&Skip::Unreadable)), (2, 1, Some(&1)));
    }

    #[test]
    fn any_bytes_are_fine() {
        mutate(log().as_bytes(), 2_000, 20);
        truncate(log().as_bytes());
    }
}
