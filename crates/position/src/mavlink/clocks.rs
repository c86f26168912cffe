//! Follows the two clocks of a flight controller: milliseconds since its start, and what it knows of UTC.
//!
//! Every message of a controller that tells the first clock is compared with its arrival. A controller that restarts,
//! or a stranger that uses the same address, contradicts what is known.

use jiff::Timestamp;

/// Years in which a calendar time can be. A controller without a fix starts in 1970, 1980 or 2000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Years {
    /// Those in which this program can run: 2025 to 2099.
    #[default]
    Live,
    /// Those of recordings: 2012 to 2099. An earlier time is rather that of a receiver that has lost 1024 GPS weeks.
    Recorded,
}

impl Years {
    /// Returns the microseconds since 1970 that a sender told, or `None` for a time that cannot be.
    pub fn plausible(self, unix_us: u64) -> Option<i64> {
        let first_us = match self {
            Years::Live => 1_735_689_600_000_000,
            Years::Recorded => 1_325_376_000_000_000,
        };
        i64::try_from(unix_us).ok().filter(|us| (first_us..4_102_444_800_000_000).contains(us))
    }
}

/// Clock that counts from the controller's start, as it appears on the device's monotonic clock.
///
/// A message arrives some milliseconds after the moment that it tells, never before it. So the earliest start that any
/// message implies is the best one known.
#[derive(Debug, Default)]
pub struct BootClock {
    run: Option<Run>,
    /// A run that contradicts the known one, and the number of messages in a row that agree with it.
    doubt: Option<(Run, u32)>,
    /// Arrival, in monotonic nanoseconds, of the last message that refuted a doubt.
    refuted_ns: Option<u64>,
}

/// What a message says about the controller's run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Beat {
    /// The run goes on, or it is the first one that is heard. The moment is told in microseconds since the start.
    Same(i64),
    /// The controller has restarted, or another one has taken its place. What the old one told no longer holds.
    Restarted(i64),
    /// The message contradicts the known run.
    Doubtful,
}

/// Controller's operation from one start to the next.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Newest moment told, in milliseconds since the start; it goes on when the 32 bits of the message are used up.
    newest_ms: i64,
    /// Arrival of the newest message, in monotonic nanoseconds.
    heard_ns: u64,
    /// Earliest start that the messages of this window and of the one before imply, in monotonic microseconds.
    starts_us: [i64; 2],
    /// Arrival of this window's first message, in monotonic nanoseconds.
    window_ns: u64,
    /// Number of messages.
    beats: u32,
}

/// Milliseconds by which a message may tell an older moment than one before it. Controllers fill their messages from
/// several tasks.
const BACK_MS: i64 = 1_000;

/// Microseconds by which a message may imply an earlier start than all before it, because those were late. Only a queue
/// that was full when the line was opened delays messages by more.
const EARLY_US: i64 = 2_000_000;

/// Microseconds by which a message may be late, as after a pause of this device, whose serial driver keeps 4 KiB.
const LATE_US: i64 = 10_000_000;

/// Number of consecutive messages that must agree on a contradiction before it is believed.
const AGREEMENTS: u32 = 3;

/// Time in nanoseconds without a message that agrees with the known run, after which a contradiction may be believed. A
/// controller takes some seconds to start; a stranger with the same address leaves no such pause.
const GONE_NS: u64 = 3_000_000_000;

/// Length in nanoseconds of the windows over which the earliest start is sought. A start that was wrong is forgotten
/// after two of them. In that time a quartz crystal drifts by 6 ms at 100 ppm.
const WINDOW_NS: u64 = 30_000_000_000;

/// Number of messages after which the least delay is as good as it gets.
const SETTLED_BEATS: u32 = 10;

/// Half-width in seconds of the 95 % interval of a told moment on the monotonic clock, once many messages were heard.
/// It covers the least delay: 7 ms for 40 bytes at 57,600 baud, up to 20 ms in the controller's scheduler, 16 ms in a
/// USB adapter's buffer, and some 50 ms in a telemetry radio.
const SETTLED_S: f64 = 0.1;

/// The same for the first messages, which may have waited in a queue.
const UNSETTLED_S: f64 = 0.5;

impl BootClock {
    /// Adds a moment told by the controller, and the arrival of the message.
    pub fn hear(&mut self, boot_ms: u32, received_ns: u64) -> Beat {
        match &mut self.run {
            None => {
                let run = self.run.insert(Run::new(boot_ms, received_ns));
                Beat::Same(run.newest_ms * 1_000)
            }
            Some(run) => match run.continued(boot_ms, received_ns) {
                Some(moment_ms) => {
                    run.add(moment_ms, received_ns);
                    if self.doubt.take().is_some() {
                        self.refuted_ns = Some(received_ns);
                    }
                    Beat::Same(moment_ms * 1_000)
                }
                None => self.doubt(boot_ms, received_ns),
            },
        }
    }

    fn doubt(&mut self, boot_ms: u32, received_ns: u64) -> Beat {
        let agreed = self.doubt.take().and_then(|(mut run, agreements)| {
            run.add(run.continued(boot_ms, received_ns)?, received_ns);
            Some((run, agreements.saturating_add(1)))
        });
        let (run, agreements) = agreed.unwrap_or_else(|| (Run::new(boot_ms, received_ns), 1));
        let is_gone = self.run.is_none_or(|known| received_ns.saturating_sub(known.heard_ns) >= GONE_NS);
        if agreements < AGREEMENTS || !is_gone {
            self.doubt = Some((run, agreements));
            return Beat::Doubtful;
        }
        *self = BootClock { run: Some(run), ..BootClock::default() };
        Beat::Restarted(run.newest_ms * 1_000)
    }

    /// Reports whether the newest message contradicts the known run.
    pub fn is_doubted(&self) -> bool {
        self.doubt.is_some()
    }

    /// Returns the arrival, in monotonic nanoseconds, of the last message that agreed with the known run after others
    /// had contradicted it.
    pub fn refuted_ns(&self) -> Option<u64> {
        self.refuted_ns
    }

    /// Returns the microseconds since the controller's start at a moment of the monotonic clock.
    pub fn boot_us(&self, monotonic_ns: u64) -> Option<i64> {
        Some(microseconds(monotonic_ns) - self.run?.start_us())
    }

    /// Returns the monotonic time in nanoseconds at a moment in microseconds since the controller's start, and the
    /// half-width in seconds of its 95 % interval.
    pub fn monotonic(&self, boot_us: i64) -> Option<(u64, f64)> {
        let run = self.run?;
        let moment_us = u64::try_from(run.start_us().saturating_add(boot_us)).unwrap_or(0);
        let error_s = if run.beats < SETTLED_BEATS { UNSETTLED_S } else { SETTLED_S };
        Some((moment_us.saturating_mul(1_000), error_s))
    }

    /// Returns the seconds from the controller's start to its newest message.
    pub fn uptime_s(&self) -> Option<u32> {
        u32::try_from(self.run?.newest_ms / 1_000).ok()
    }
}

impl Run {
    fn new(boot_ms: u32, received_ns: u64) -> Self {
        let newest_ms = i64::from(boot_ms);
        let start_us = microseconds(received_ns) - newest_ms * 1_000;
        Run { newest_ms, heard_ns: received_ns, starts_us: [start_us; 2], window_ns: received_ns, beats: 1 }
    }

    fn start_us(&self) -> i64 {
        self.starts_us[0].min(self.starts_us[1])
    }

    /// Returns the moment in milliseconds since the start if the message can belong to this run. The 32 bits of a
    /// message begin again at 0 after 49.7 days.
    fn continued(&self, boot_ms: u32, received_ns: u64) -> Option<i64> {
        let ahead = boot_ms.wrapping_sub(self.newest_ms as u32) as i32;
        let moment_ms = self.newest_ms + i64::from(ahead);
        let late_us = microseconds(received_ns) - moment_ms * 1_000 - self.start_us();
        let is_timely = (-EARLY_US..=LATE_US).contains(&late_us);
        (i64::from(ahead) >= -BACK_MS && is_timely).then_some(moment_ms)
    }

    fn add(&mut self, moment_ms: i64, received_ns: u64) {
        let start_us = microseconds(received_ns) - moment_ms * 1_000;
        if received_ns.saturating_sub(self.window_ns) >= WINDOW_NS {
            self.starts_us = [start_us, self.starts_us[0]];
            self.window_ns = received_ns;
        }
        self.starts_us[0] = self.starts_us[0].min(start_us);
        self.newest_ms = self.newest_ms.max(moment_ms);
        self.heard_ns = received_ns;
        self.beats = self.beats.saturating_add(1);
    }
}

/// Returns nanoseconds as microseconds, which have room for both signs.
fn microseconds(nanoseconds: u64) -> i64 {
    (nanoseconds / 1_000) as i64
}

/// Relation of UTC to the clock that counts from the controller's start.
#[derive(Debug, Default)]
pub struct UtcClock {
    /// UTC of the controller's start, in microseconds since 1970.
    started_us: Option<i64>,
    /// A start that contradicts the known one, and the number of messages in a row that agree with it.
    doubt: Option<(i64, u32)>,
}

/// Difference in microseconds beyond which two messages belong to different counts of time. A receiver that does not
/// know the leap seconds yet is off by whole seconds.
const UTC_STEP_US: i64 = 500_000;

impl UtcClock {
    /// Adds a calendar time in microseconds since 1970, and the same moment in microseconds since the start. Later
    /// messages that agree with each other replace a wrong relation.
    pub fn hear(&mut self, unix_us: i64, boot_us: i64) {
        let new_us = unix_us - boot_us;
        let is_near = |other_us: i64| (new_us - other_us).abs() <= UTC_STEP_US;
        let agreements = match (self.started_us, self.doubt) {
            (Some(known_us), Some((doubt_us, agreements))) if !is_near(known_us) && is_near(doubt_us) => agreements + 1,
            (Some(known_us), _) if !is_near(known_us) => 1,
            _ => AGREEMENTS,
        };
        if agreements < AGREEMENTS {
            self.doubt = Some((new_us, agreements));
        } else {
            *self = UtcClock { started_us: Some(new_us), doubt: None };
        }
    }

    /// Returns the UTC of the controller's start, in microseconds since 1970. `None` while it is unknown, or while
    /// messages contradict each other.
    pub fn started_us(&self) -> Option<i64> {
        self.started_us.filter(|_| self.doubt.is_none())
    }

    /// Returns the UTC at a moment in microseconds since the start.
    pub fn at(&self, boot_us: i64) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.started_us()?.checked_add(boot_us)?).ok()
    }
}

/// Time in microseconds that a 32-bit counter of milliseconds takes to begin again at 0: 49.7 days.
pub const WRAP_MS_US: i64 = 1_000 << 32;

/// Returns the moment that a counter shows, which begins again at 0 every `wrap_us`: of all such moments, the latest
/// one up to now. All are in microseconds since the controller's start.
pub fn nearest(told_us: i64, now_us: i64, wrap_us: i64) -> i64 {
    let latest_us = now_us + EARLY_US;
    latest_us - (latest_us - told_us).rem_euclid(wrap_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const S: u64 = 1_000 * MS;

    /// Hears messages at `(boot_ms, received_ms)` and returns the last answer.
    fn hear(clock: &mut BootClock, messages: impl IntoIterator<Item = (u32, u64)>) -> Option<Beat> {
        messages.into_iter().map(|(boot_ms, received_ms)| clock.hear(boot_ms, received_ms * MS)).last()
    }

    /// Messages each 200 ms with a delay, from a start at `start_ms` of the monotonic clock.
    fn run(start_ms: u64, boot_ms: std::ops::Range<u32>, delay_ms: u64) -> impl Iterator<Item = (u32, u64)> {
        boot_ms.step_by(200).map(move |boot_ms| (boot_ms, start_ms + u64::from(boot_ms) + delay_ms))
    }

    #[test]
    fn the_least_delay_places_a_moment() {
        let mut clock = BootClock::default();
        hear(&mut clock, run(50_000, 1_000..3_000, 400));
        assert_eq!(clock.monotonic(2_000_000), Some((52_400 * MS, 0.1)));
        hear(&mut clock, [(3_000, 53_010), (3_200, 53_900)]);
        assert_eq!(clock.monotonic(2_000_000), Some((52_010 * MS, 0.1)));
        assert_eq!((clock.boot_us(53_010 * MS), clock.uptime_s()), (Some(3_000_000), Some(3)));
    }

    #[test]
    fn first_messages_that_waited_in_a_queue_spoil_nothing() {
        let mut clock = BootClock::default();
        // Two seconds in a buffer, read at once, and then in time.
        hear(&mut clock, (1_000..3_000).step_by(200).map(|boot_ms| (boot_ms, 53_010)));
        assert_eq!(hear(&mut clock, run(50_000, 3_000..4_000, 20)), Some(Beat::Same(3_800_000)));
        assert_eq!(clock.monotonic(3_000_000), Some((53_020 * MS, 0.1)));
    }

    #[test]
    fn a_start_that_seemed_too_early_is_forgotten_in_two_windows() {
        let mut clock = BootClock::default();
        hear(&mut clock, run(50_000, 1_000..2_000, 0));
        // Eight seconds later than before, as after a restart that nothing else has shown.
        hear(&mut clock, run(58_000, 2_000..92_000, 0));
        assert_eq!(clock.monotonic(90_000_000), Some((148_000 * MS, 0.1)));
    }

    #[test]
    fn a_restart_is_believed_when_the_old_run_is_gone() {
        let mut clock = BootClock::default();
        hear(&mut clock, run(1_000, 1_800_000..1_810_000, 10));
        let beats: Vec<Beat> = run(1_815_000, 0..600, 10).map(|(boot, at)| clock.hear(boot, at * MS)).collect();
        assert_eq!(beats, [Beat::Doubtful, Beat::Doubtful, Beat::Restarted(400_000)]);
        assert_eq!(clock.monotonic(400_000), Some((1_815_410 * MS, 0.5)));
    }

    #[test]
    fn a_watchdogs_restart_takes_as_long_as_the_old_run_could_return() {
        let mut clock = BootClock::default();
        hear(&mut clock, run(0, 60_000..61_000, 0));
        let mut beats = run(61_000, 0..4_000, 0).map(|(boot, at)| clock.hear(boot, at * MS));
        assert_eq!(beats.position(|beat| matches!(beat, Beat::Restarted(_))), Some(14), "2.8 s after its start");
    }

    #[test]
    fn a_stranger_with_the_same_address_is_never_believed() {
        let mut clock = BootClock::default();
        let mut believed = 0;
        for second in 0..120 {
            assert_eq!(
                clock.hear(100_000 + second * 1_000, u64::from(second) * S),
                Beat::Same(i64::from(100 + second) * 1_000_000)
            );
            for tenth in 1..10_u32 {
                let (boot_ms, received_ns) =
                    (5_000 + second * 1_000 + tenth * 100, u64::from(second * 10 + tenth) * 100 * MS);
                believed += u32::from(clock.hear(boot_ms, received_ns) != Beat::Doubtful);
            }
        }
        assert_eq!((believed, clock.refuted_ns()), (0, Some(119 * S)));
    }

    #[test]
    fn the_clock_goes_on_when_its_32_bits_are_used_up() {
        let mut clock = BootClock::default();
        let last = u32::MAX - 99;
        hear(&mut clock, [(last, 1_000), (last.wrapping_add(200), 1_200)]);
        assert_eq!(clock.hear(300, 1_400 * MS), Beat::Same((i64::from(last) + 400) * 1_000));
        assert_eq!(clock.monotonic((i64::from(last) + 400) * 1_000).map(|(ns, _)| ns), Some(1_400 * MS));
        assert_eq!(clock.uptime_s(), Some(4_294_967));
        // A restart after 30 days looks like a leap forward by 20.
        let mut clock = BootClock::default();
        hear(&mut clock, [(2_592_000_000, 1_000)]);
        assert_eq!(hear(&mut clock, run(5_000, 0..600, 0)), Some(Beat::Restarted(400_000)));
    }

    #[test]
    fn a_wrong_calendar_is_replaced_and_one_wrong_word_is_not_believed() {
        let mut utc = UtcClock::default();
        let text = |utc: &UtcClock| utc.at(10_000_000).map(|at| at.to_string());
        let start = 1_795_564_800_000_000;
        utc.hear(start + 5_000_000, 5_000_000);
        assert_eq!(text(&utc).as_deref(), Some("2026-11-25T00:00:10Z"));
        utc.hear(start + 700_000_000, 6_000_000);
        assert_eq!(text(&utc), None, "one of the two is wrong");
        utc.hear(start + 7_000_000, 7_000_000);
        assert_eq!(text(&utc).as_deref(), Some("2026-11-25T00:00:10Z"));
        for second in 8..11 {
            utc.hear(start + (second + 60) * 1_000_000, second * 1_000_000);
        }
        assert_eq!(text(&utc).as_deref(), Some("2026-11-25T00:01:10Z"));
    }
}
