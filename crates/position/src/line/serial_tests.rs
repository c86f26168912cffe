//! Serial lines, played on pseudo-terminals.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serialport::{SerialPort, TTYPort};

use super::follower::READ;
use super::testing::{HEARTBEAT, PATIENCE, TIMES, found, latitude, sentence};
use super::*;

/// A receiver on a pseudo-terminal. Its name can point to another pseudo-terminal later.
struct Receiving {
    master: TTYPort,
    slave: TTYPort,
    /// Rate of the receiver, if it matters. A pseudo-terminal has no rate, so the test itself garbles the signal at
    /// wrong ones.
    baud: Option<u32>,
}

impl Receiving {
    fn plug(name: &Path) -> Self {
        let (master, slave) = TTYPort::pair().expect("a pseudo-terminal");
        symlink(slave.name().expect("a name"), name).expect("a link");
        Receiving { master, slave, baud: None }
    }

    fn say(&mut self, bytes: &[u8]) {
        let is_understood = self.baud.is_none_or(|baud| self.slave.baud_rate().ok() == Some(baud));
        let garbled: Vec<u8> = bytes.iter().map(|byte| byte.rotate_left(3) | 0x80).collect();
        self.master.write_all(if is_understood { bytes } else { &garbled }).expect("room");
    }

    fn unplug(self, name: &Path) {
        std::fs::remove_file(name).expect("the link");
    }
}

fn start(name: &Path, protocol: Protocol) -> (Line, Receiver<LineEvent>) {
    testing::follow(name.to_owned().into(), protocol)
}

/// Sends a sentence every 20 ms until `wanted` accepts an event of the line.
fn until<T>(
    receiving: &mut Receiving,
    events: &Receiver<LineEvent>,
    mut say: impl FnMut(u32) -> Vec<u8>,
    wanted: impl Fn(&LineEvent) -> Option<T>,
) -> T {
    testing::until(events, |second| receiving.say(&say(second)), wanted)
}

#[test]
fn a_receiver_that_is_unplugged_and_plugged_in_again_is_followed_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let name = dir.path().join("gps");
    let (line, events) = start(&name, Protocol::Auto);
    assert!(matches!(events.recv_timeout(PATIENCE), Ok(LineEvent::Lost(_))), "not plugged in yet");
    let mut receiving = Receiving::plug(&name);
    assert_eq!(until(&mut receiving, &events, |_| sentence(7), found), (Protocol::Nmea, Some(9_600)));
    assert_eq!(until(&mut receiving, &events, |_| sentence(9), latitude), 35.007, "said before");
    assert!(
        (until(&mut receiving, &events, |_| sentence(9), |event| latitude(event).filter(|at| *at > 35.008)) - 35.009)
            .abs()
            < 1e-9
    );
    receiving.unplug(&name);
    let lost = || events.recv_timeout(PATIENCE).expect("an event");
    assert!(std::iter::repeat_with(lost).any(|event| matches!(event, LineEvent::Lost(_))));
    let mut receiving = Receiving::plug(&name);
    until(&mut receiving, &events, |_| sentence(11), |event| latitude(event).filter(|at| *at > 35.0105));
    line.stop();
}

#[test]
fn the_rate_is_found_among_the_noise_of_wrong_ones() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for baud in [38_400, 921_600] {
        let name = dir.path().join(baud.to_string());
        let mut receiving = Receiving { baud: Some(baud), ..Receiving::plug(&name) };
        let (line, events) = start(&name, Protocol::Auto);
        assert_eq!(until(&mut receiving, &events, sentence, found), (Protocol::Nmea, Some(baud)));
        line.stop();
    }
}

#[test]
fn a_line_explains_itself() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let name = dir.path().join("gps");
    let (line, events) = start(&name, Protocol::Auto);
    assert!(matches!(events.recv_timeout(PATIENCE), Ok(LineEvent::Lost(_))), "not plugged in yet");
    let report = line.report();
    assert_eq!((report.source.as_str(), report.state), (name.to_str().expect("UTF-8"), LineState::Lost));
    assert!(report.missing == [report.reason.clone().expect("a reason")], "{report:?}");
    assert!(report.missing[0].contains("is the receiver plugged in?"), "{report:?}");
    let mut receiving = Receiving::plug(&name);
    // The sentence by which the line is found is told before it is.
    until(&mut receiving, &events, sentence, found);
    until(&mut receiving, &events, sentence, latitude);
    let report = line.report();
    assert_eq!((report.state, report.protocol), (LineState::Following, Some(Protocol::Nmea)));
    assert_eq!((report.baud, report.reason.as_deref()), (Some(9_600), None));
    assert!(report.valid >= 1 && report.sentences["GGA"] == report.valid && report.bytes > 60, "{report:?}");
    assert!(report.last_fix_s.is_some_and(|age| age < 30.0) && report.last_valid_s.is_some_and(|age| age < 30.0));
    assert_eq!((report.satellites, report.hdop, report.time), (Some(8), Some(0.9), LineTime::TimeOfDay));
    assert!(report.missing.len() == 1 && report.missing[0].contains("no date"), "{report:?}");
    line.stop();
}

#[test]
fn a_megabyte_without_a_line_end_does_no_harm() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let name = dir.path().join("gps");
    let mut receiving = Receiving::plug(&name);
    let (line, events) = start(&name, Protocol::Nmea);
    until(&mut receiving, &events, sentence, found);
    receiving.master.set_timeout(PATIENCE).expect("a timeout");
    for _ in 0..1_000 {
        receiving.say(&[b'$'; 1]);
        receiving.say(&[b'x'; 1_000]);
    }
    let only = |event: &LineEvent| latitude(event).filter(|at| (at - 35.059).abs() < 1e-9);
    until(&mut receiving, &events, |_| sentence(59), only);
    line.stop();
}

#[test]
fn a_flight_controller_is_recognised() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let name = dir.path().join("controller");
    let mut receiving = Receiving::plug(&name);
    let (line, events) = start(&name, Protocol::Auto);
    assert_eq!(until(&mut receiving, &events, |_| HEARTBEAT.to_vec(), found), (Protocol::Mavlink, Some(9_600)));
    line.stop();
}

#[test]
fn a_stop_is_prompt_in_every_mode() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let name = dir.path().join("gps");
    let prompt = |line: Line| {
        let begin = Instant::now();
        line.stop();
        assert!(begin.elapsed() < READ + TIMES.listen + Duration::from_secs(1), "{:?}", begin.elapsed());
    };
    let (absent, events) = start(&name, Protocol::Auto);
    assert!(events.recv_timeout(PATIENCE).is_ok());
    prompt(absent);
    let mut receiving = Receiving::plug(&name);
    prompt(start(&name, Protocol::Auto).0);
    let (following, events) = start(&name, Protocol::Auto);
    until(&mut receiving, &events, sentence, found);
    prompt(following);
}
