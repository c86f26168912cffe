//! Finds out whether NTP keeps the wall clock. The kernel knows, but only reports it through a system call
//! (`adjtimex`) that no safe library wraps. So the programs that set the clock are asked, and when they last heard from
//! a server: both claim to be in step for as long as they run.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// File that systemd-timesyncd touches each time a server's answer sets the clock (`manager_receive_response` in its
/// `timesyncd-manager.c`). It is gone after a restart of the machine, but not when the network is.
const TIMESYNCD: &str = "/run/systemd/timesync/synchronized";
/// File that exists while chronyd runs.
const CHRONYD: &str = "/run/chrony/chronyd.pid";

/// Time in nanoseconds for which an answer is reused.
const ASK_AGAIN_NS: u64 = 60_000_000_000;

/// Time since the last answer of a server after which NTP no longer keeps the clock: three of the longest intervals at
/// which systemd-timesyncd asks (`PollIntervalMaxSec` is 2048 s unless set otherwise, see timesyncd.conf(5)). chronyd
/// asks every 1024 s at least (`maxpoll` is 10, see chrony.conf(5)).
const STALE: Duration = Duration::from_secs(3 * 2048);

/// Time that chronyc has for its answer. It waits for a daemon that hangs.
const ANSWER: Duration = Duration::from_secs(2);
/// Time between two looks at whether chronyc has ended.
const LOOK: Duration = Duration::from_millis(10);
/// Maximum size in bytes of chronyc's answer that is read, which is one line.
const ANSWER_MAX: u64 = 4_096;

/// Query for NTP that remembers the last answer.
#[derive(Debug, Default)]
pub struct Ntp {
    /// Monotonic time of the last query, and its answer.
    asked: Option<(u64, Option<Duration>)>,
}

impl Ntp {
    /// Reports whether NTP keeps the wall clock: a server has answered within the last 102 minutes. Asks again if the
    /// last answer is a minute old, which takes two seconds at most; `now_ns` is monotonic.
    pub fn is_synchronised(&mut self, now_ns: u64) -> bool {
        self.age(now_ns).is_some_and(|age| age <= STALE)
    }

    /// Returns the time since NTP last set the wall clock; `None` if it has not since the start of the machine. A
    /// quartz clock drifts by up to 0.36 s an hour (100 ppm) from then on. Asks again if the last answer is a minute
    /// old, which takes two seconds at most; `now_ns` is monotonic.
    pub fn age(&mut self, now_ns: u64) -> Option<Duration> {
        let (at_ns, age) = match self.asked {
            Some(asked) if now_ns.saturating_sub(asked.0) < ASK_AGAIN_NS => asked,
            _ => *self.asked.insert((now_ns, ask())),
        };
        age.map(|age| age + Duration::from_nanos(now_ns.saturating_sub(at_ns)))
    }
}

/// Returns the time since a server's answer last set the clock.
fn ask() -> Option<Duration> {
    let now = SystemTime::now();
    let timesyncd = touched(Path::new(TIMESYNCD), now);
    let chrony = || Path::new(CHRONYD).exists().then(|| ask_chrony(now)).flatten();
    timesyncd.filter(|age| *age <= STALE).or_else(chrony).or(timesyncd)
}

/// Returns the time since a file was touched. `None` for one that does not exist, and for one from the future: the
/// clock has been set back since.
fn touched(path: &Path, now: SystemTime) -> Option<Duration> {
    now.duration_since(path.metadata().ok()?.modified().ok()?).ok()
}

fn ask_chrony(now: SystemTime) -> Option<Duration> {
    let mut chronyc = Command::new("chronyc");
    chronyc.args(["-n", "-c", "tracking"]);
    let told = answer(&mut chronyc, ANSWER)?;
    chrony_age(&String::from_utf8_lossy(&told), now.duration_since(SystemTime::UNIX_EPOCH).ok()?)
}

/// Returns what a program writes to its standard output. `None` if it does not end well within `limit`; it is then
/// killed.
fn answer(command: &mut Command, limit: Duration) -> Option<Vec<u8>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let has_ended_well = ended_well(&mut child, limit);
    if !has_ended_well {
        // An error means that it has just ended.
        let _ = child.kill();
        let _ = child.wait();
        return None;
    }
    read_available(child.stdout.take()?)
}

/// Waits until the program ends. Reports whether it did so in time, and without an error.
fn ended_well(child: &mut Child, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < end => thread::sleep(LOOK),
            _ => return false,
        }
    }
}

/// Reads what a pipe holds. A program that was left behind may keep the pipe open, so its end is not waited for.
fn read_available(pipe: impl Into<std::os::fd::OwnedFd>) -> Option<Vec<u8>> {
    let pipe = pipe.into();
    fcntl_setfl(&pipe, fcntl_getfl(&pipe).ok()? | OFlags::NONBLOCK).ok()?;
    let mut text = Vec::new();
    // What was read before the pipe ran dry is kept.
    let _ = File::from(pipe).take(ANSWER_MAX).read_to_end(&mut text);
    Some(text)
}

/// Parses the output of `chronyc -c tracking`: reference id, name, stratum, time of the last measurement in seconds
/// since 1970, ..., leap status (`process_cmd_tracking` in chrony's `client.c`). Returns the age of the measurement.
/// `None` if there is none, or if the reference is the local clock itself, 7F7F0101.
fn chrony_age(tracking: &str, now: Duration) -> Option<Duration> {
    let fields: Vec<&str> = tracking.trim().split(',').collect();
    let [reference, _, _, measured, _, _, _, _, _, _, _, _, _, leap] = fields[..] else { return None };
    if reference == "7F7F0101" || leap == "Not synchronised" {
        return None;
    }
    let measured = Duration::try_from_secs_f64(measured.parse().ok()?).ok().filter(|measured| !measured.is_zero())?;
    now.checked_sub(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_795_564_900);

    #[test]
    fn chrony_is_understood() {
        let last = Duration::from_millis(99_900);
        let cases = [
            (
                "C0A80101,10.0.0.1,3,1795564800.1,0.000012,-0.00001,0.00002,-1.2,0.001,0.03,0.01,0.0005,64.2,Normal\n",
                Some(last),
            ),
            ("47505300,GPS,1,1795564800.1,0.0,0.0,0.0,-1.2,0.001,0.03,0.0,0.0005,16.0,Insert second\n", Some(last)),
            // The network has been gone for three hours, and chronyd still says Normal.
            (
                "C0A80101,10.0.0.1,3,1795554100.0,0.0,0.0,0.0,-1.2,0.001,0.03,0.0,0.0005,64.2,Normal\n",
                Some(Duration::from_secs(10_800)),
            ),
            // The clock was set back since.
            ("C0A80101,10.0.0.1,3,1795564901.0,0.0,0.0,0.0,-1.2,0.001,0.03,0.0,0.0005,64.2,Normal\n", None),
            ("00000000,,0,0.000000000,0.0,0.0,0.0,-1.2,0.0,0.0,1.0,1.0,0.0,Not synchronised\n", None),
            ("00000000,,0,0.000000000,0.0,0.0,0.0,-1.2,0.0,0.0,1.0,1.0,0.0,Normal\n", None),
            ("7F7F0101,127.127.1.1,10,1795564800.1,0.0,0.0,0.0,-1.2,0.0,0.0,0.0,0.0,0.0,Normal\n", None),
            ("C0A80101,10.0.0.1,3,-1.0,0.0,0.0,0.0,-1.2,0.001,0.03,0.0,0.0005,64.2,Normal\n", None),
            ("C0A80101,10.0.0.1,3,1e300,0.0,0.0,0.0,-1.2,0.001,0.03,0.0,0.0005,64.2,Normal\n", None),
            ("C0A80101,10.0.0.1,3,NaN,0.0,0.0,0.0,-1.2,0.001,0.03,0.0,0.0005,64.2,Normal\n", None),
            ("506 Cannot talk to daemon\n", None),
            ("", None),
        ];
        for (tracking, expected) in cases {
            // The seconds are a floating-point number, so they are a microsecond off.
            let micros = |age: Duration| (age.as_secs_f64() * 1e3).round();
            assert_eq!(chrony_age(tracking, NOW).map(micros), expected.map(micros), "{tracking}");
        }
    }

    #[test]
    fn an_answer_is_kept_for_a_minute_and_grows_old() {
        let mut ntp = Ntp { asked: Some((ASK_AGAIN_NS, Some(Duration::from_secs(7)))) };
        assert_eq!(ntp.age(2 * ASK_AGAIN_NS - 1_000_000_000), Some(Duration::from_secs(66)));
        assert!(ntp.is_synchronised(2 * ASK_AGAIN_NS - 1));
        let asked_again = ntp.age(2 * ASK_AGAIN_NS);
        assert_eq!(ntp.asked, Some((2 * ASK_AGAIN_NS, asked_again)));
    }

    #[test]
    fn a_clock_that_was_set_hours_ago_is_no_longer_kept() {
        let minutes = |minutes: u64| Ntp { asked: Some((0, Some(Duration::from_secs(minutes * 60)))) };
        assert!(minutes(0).is_synchronised(1));
        assert!(minutes(102).is_synchronised(1));
        assert!(!minutes(103).is_synchronised(1));
        assert!(!Ntp { asked: Some((0, None)) }.is_synchronised(1));
        // Within the minute in which an answer is kept.
        assert!(!minutes(102).is_synchronised(50_000_000_000));
    }

    #[test]
    fn the_file_of_timesyncd_tells_when() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let touched_at = SystemTime::UNIX_EPOCH + NOW;
        file.as_file().set_modified(touched_at).expect("a file of our own");
        let hour = Duration::from_secs(3_600);
        assert_eq!(touched(file.path(), touched_at + hour), Some(hour));
        assert_eq!(touched(file.path(), touched_at - hour), None, "set back since");
        assert_eq!(touched(Path::new("/nonexistent/synchronized"), touched_at), None);
    }

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let begin = Instant::now();
        let limit = Duration::from_millis(200);
        assert_eq!(answer(&mut shell("echo early; exec sleep 60"), limit), None);
        // It fills the pipe and waits for a reader.
        assert_eq!(answer(&mut shell("exec yes"), limit), None);
        assert_eq!(answer(&mut Command::new("/nonexistent/chronyc"), limit), None);
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    }

    #[test]
    fn an_answer_is_whole_and_bounded() {
        let limit = Duration::from_secs(30);
        assert_eq!(answer(&mut shell("echo a; echo b"), limit).as_deref(), Some(&b"a\nb\n"[..]));
        assert_eq!(answer(&mut shell("echo a; exit 1"), limit), None);
        assert_eq!(answer(&mut shell("head -c 10000 /dev/zero"), limit).map(|text| text.len()), Some(4_096));
        // What it leaves behind keeps the pipe open.
        let begin = Instant::now();
        assert_eq!(answer(&mut shell("echo a; sleep 20 & exit 0"), limit).as_deref(), Some(&b"a\n"[..]));
        assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    }
}
