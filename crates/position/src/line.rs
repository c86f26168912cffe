//! Follows a serial line: opens it, finds its speed and protocol, reads it, and reconnects after it was unplugged.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use log::{debug, info, warn};
use serde::Deserialize;
use serialport::{ClearBuffer, SerialPort, TTYPort};

use super::clock::monotonic_ns;
use super::{Arrival, mavlink, nmea};

/// Parameters of the serial line to a receiver.
#[derive(Clone, Debug)]
pub struct SerialParams {
    /// Device file, or a link to one. A link in `/dev/serial/by-id/` stays the same when the receiver is plugged in
    /// elsewhere.
    pub device: PathBuf,
    /// Protocol on the line.
    pub protocol: Protocol,
    /// Bits per second; `None` tries [`BAUD_RATES`].
    pub baud: Option<u32>,
}

/// Protocol on a serial line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// The protocol of the first valid message.
    #[default]
    Auto,
    /// NMEA 0183 sentences, as satellite receivers send.
    Nmea,
    /// MAVLink 1 or 2, as flight controllers send.
    Mavlink,
}

/// Rates of receivers and flight controllers, in bits per second and in the order of the search: the standard's
/// successor to 4800 first, then the most common ones.
pub const BAUD_RATES: [u32; 8] = [9_600, 115_200, 38_400, 57_600, 4_800, 19_200, 230_400, 460_800];

/// An event of a serial line.
#[derive(Clone, Debug, PartialEq)]
pub enum SerialEvent {
    /// Valid messages arrive at this rate.
    Found { protocol: Protocol, baud: u32 },
    /// The line is gone or silent, for the reason in the text.
    Lost(String),
    /// A fix or a picture arrived.
    Arrived(Arrival),
}

/// Time to listen at each rate, and therefore the longest time that a stop takes. Receivers send once a second.
const LISTEN: Duration = Duration::from_millis(1_500);
/// Time that a read of a followed line waits for a byte.
const READ: Duration = Duration::from_secs(1);
/// Time without a valid message after which the search starts again, because somebody may have set another rate.
const SILENCE: Duration = Duration::from_secs(15);
/// First pause before trying again to open the line or to find its rate. The pause doubles each time.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// Longest pause before trying again.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// A thread that follows a serial line.
pub struct SerialLine {
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl SerialLine {
    /// Starts the thread, which calls `tell` for each event.
    pub fn start(params: SerialParams, tell: impl FnMut(SerialEvent) + Send + 'static) -> io::Result<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        let mut follower = Follower {
            decoders: Decoders::new(params.protocol),
            baud: None,
            pause: PAUSE_FIRST,
            is_lost: false,
            params,
            stopped: Arc::clone(&stopped),
            tell: Box::new(tell),
        };
        let thread = thread::Builder::new().name("position".into()).spawn(move || follower.run())?;
        Ok(SerialLine { stopped, thread })
    }

    /// Asks the thread to end, which takes 1.5 seconds at most.
    pub fn ask_to_stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
    }

    /// Asks the thread to end and waits for it.
    pub fn stop(self) {
        self.ask_to_stop();
        if self.thread.join().is_err() {
            log::error!("the position thread panicked");
        }
    }
}

struct Follower {
    params: SerialParams,
    decoders: Decoders,
    /// Rate of the last valid message.
    baud: Option<u32>,
    pause: Duration,
    /// Whether the loss has been reported.
    is_lost: bool,
    stopped: Arc<AtomicBool>,
    tell: Box<dyn FnMut(SerialEvent) + Send>,
}

/// Next step of the thread.
enum Mode {
    Search,
    Follow(TTYPort),
    Pause,
}

impl Follower {
    fn run(&mut self) {
        let mut mode = Mode::Search;
        while !self.is_stopped() {
            let next = match mode {
                Mode::Search => self.search(),
                Mode::Follow(port) => self.follow(port),
                Mode::Pause => Ok(self.wait()),
            };
            mode = next.unwrap_or_else(|error| self.lost(&error.to_string()));
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Listens at each rate, beginning with the last good one.
    fn search(&mut self) -> io::Result<Mode> {
        let mut rates = match self.params.baud {
            Some(baud) => vec![baud],
            None => self.baud.into_iter().chain(BAUD_RATES).collect(),
        };
        rates.dedup();
        let mut port = serialport::new(self.params.device.to_string_lossy(), rates[0]).timeout(READ).open_native()?;
        for baud in rates {
            port.set_baud_rate(baud)?;
            // Bytes received at another rate are noise.
            port.clear(ClearBuffer::Input)?;
            self.decoders = Decoders::new(self.params.protocol);
            debug!("{}: listening at {baud} baud", self.params.device.display());
            if self.listen(&mut port)? {
                self.found(baud);
                return Ok(Mode::Follow(port));
            }
            if self.is_stopped() {
                return Ok(Mode::Pause);
            }
        }
        Ok(self.lost("no NMEA or MAVLink at any usual rate; is it the right device, and does the receiver speak?"))
    }

    /// Reports whether a valid message arrives within [`LISTEN`].
    fn listen(&mut self, port: &mut TTYPort) -> io::Result<bool> {
        let end = Instant::now() + LISTEN;
        while !self.is_stopped() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            port.set_timeout(left)?;
            if self.read(port)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn follow(&mut self, mut port: TTYPort) -> io::Result<Mode> {
        port.set_timeout(READ)?;
        let mut last_valid = Instant::now();
        while !self.is_stopped() && last_valid.elapsed() < SILENCE {
            if self.read(&mut port)? {
                last_valid = Instant::now();
            }
        }
        debug!("{}: nothing sensible for {SILENCE:?}", self.params.device.display());
        Ok(Mode::Search)
    }

    /// Reads available bytes, or waits for some, and reports what they contain. Returns whether any message was valid.
    fn read(&mut self, port: &mut TTYPort) -> io::Result<bool> {
        let mut buffer = [0; 4_096];
        let count = match port.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let mut is_valid = false;
        let tell = &mut self.tell;
        self.decoders.push(&buffer[..count], monotonic_ns(), &mut |arrival| match arrival {
            Arrival::Valid => is_valid = true,
            arrival => tell(SerialEvent::Arrived(arrival)),
        });
        Ok(is_valid)
    }

    fn found(&mut self, baud: u32) {
        let protocol = self.decoders.spoken();
        (self.baud, self.pause, self.is_lost) = (Some(baud), PAUSE_FIRST, false);
        info!("{}: {protocol} at {baud} baud", self.params.device.display());
        (self.tell)(SerialEvent::Found { protocol, baud });
    }

    /// Reports the reason, once per loss, and pauses.
    fn lost(&mut self, reason: &str) -> Mode {
        if !std::mem::replace(&mut self.is_lost, true) {
            warn!("{}: {reason}; trying again", self.params.device.display());
            (self.tell)(SerialEvent::Lost(reason.to_owned()));
        }
        Mode::Pause
    }

    fn wait(&mut self) -> Mode {
        thread::park_timeout(self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Mode::Search
    }
}

/// Decoders of the protocols that are still possible.
struct Decoders {
    nmea: Option<nmea::Decoder>,
    mavlink: Option<mavlink::Decoder>,
}

impl Decoders {
    fn new(protocol: Protocol) -> Self {
        Decoders {
            nmea: (protocol != Protocol::Mavlink).then(nmea::Decoder::default),
            mavlink: (protocol != Protocol::Nmea).then(mavlink::Decoder::default),
        }
    }

    /// Decodes bytes. The first decoder that finds a valid message remains the only one.
    fn push(&mut self, bytes: &[u8], received_ns: u64, arrival: &mut dyn FnMut(Arrival)) {
        let mut count = 0;
        let mut counted = |told| {
            count += 1;
            arrival(told);
        };
        if let Some(nmea) = &mut self.nmea {
            nmea.push(bytes, received_ns, &mut counted);
        }
        if count > 0 {
            self.mavlink = None;
        } else if let Some(mavlink) = &mut self.mavlink {
            mavlink.push(bytes, received_ns, |told| {
                self.nmea = None;
                arrival(told);
            });
        }
    }

    /// Returns the protocol that has been recognised, or `Auto` while several are possible.
    fn spoken(&self) -> Protocol {
        match (&self.nmea, &self.mavlink) {
            (Some(_), None) => Protocol::Nmea,
            (None, Some(_)) => Protocol::Mavlink,
            _ => Protocol::Auto,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Auto => "NMEA or MAVLink",
            Protocol::Nmea => "NMEA",
            Protocol::Mavlink => "MAVLink",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// GGA sentence of a second, at 35 + second / 1000 degrees north.
    fn sentence(second: u32) -> Vec<u8> {
        let minutes = f64::from(second) * 0.06;
        let text = format!("GPGGA,1200{second:02}.00,35{minutes:07.4},N,13900.0000,E,1,08,0.9,5.0,M,46.9,M,,");
        let sum = text.bytes().fold(0, |sum, byte| sum ^ byte);
        format!("${text}*{sum:02X}\r\n").into_bytes()
    }

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

    fn start(name: &Path, protocol: Protocol) -> (SerialLine, Receiver<SerialEvent>) {
        let (sender, events) = channel();
        let params = SerialParams { device: name.to_owned(), protocol, baud: None };
        let line = SerialLine::start(params, move |event| drop(sender.send(event))).expect("a thread");
        (line, events)
    }

    /// Sends a sentence every 20 ms until `wanted` accepts an event of the line.
    fn until<T>(
        receiving: &mut Receiving,
        events: &Receiver<SerialEvent>,
        mut say: impl FnMut(u32) -> Vec<u8>,
        wanted: impl Fn(&SerialEvent) -> Option<T>,
    ) -> T {
        let end = Instant::now() + PATIENCE;
        for second in (0..60).cycle() {
            assert!(Instant::now() < end, "not within {PATIENCE:?}");
            receiving.say(&say(second));
            match events.recv_timeout(Duration::from_millis(20)) {
                Ok(event) => match wanted(&event) {
                    Some(found) => return found,
                    None => continue,
                },
                Err(RecvTimeoutError::Timeout) => (),
                Err(error) => panic!("{error}"),
            }
        }
        unreachable!("an endless loop");
    }

    fn latitude(event: &SerialEvent) -> Option<f64> {
        match event {
            SerialEvent::Arrived(Arrival::Fix(fix)) => Some(fix.position.latitude_deg),
            _ => None,
        }
    }

    fn found(event: &SerialEvent) -> Option<(Protocol, u32)> {
        match event {
            SerialEvent::Found { protocol, baud } => Some((*protocol, *baud)),
            _ => None,
        }
    }

    #[test]
    fn a_receiver_that_is_unplugged_and_plugged_in_again_is_followed_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let name = dir.path().join("gps");
        let (line, events) = start(&name, Protocol::Auto);
        assert!(matches!(events.recv_timeout(PATIENCE), Ok(SerialEvent::Lost(_))), "not plugged in yet");
        let mut receiving = Receiving::plug(&name);
        assert_eq!(until(&mut receiving, &events, |_| sentence(7), found), (Protocol::Nmea, 9_600));
        assert_eq!(until(&mut receiving, &events, |_| sentence(9), latitude), 35.007, "said before");
        assert!(
            (until(&mut receiving, &events, |_| sentence(9), |event| latitude(event).filter(|at| *at > 35.008))
                - 35.009)
                .abs()
                < 1e-9
        );
        receiving.unplug(&name);
        let lost = || events.recv_timeout(PATIENCE).expect("an event");
        assert!(std::iter::repeat_with(lost).any(|event| matches!(event, SerialEvent::Lost(_))));
        let mut receiving = Receiving::plug(&name);
        until(&mut receiving, &events, |_| sentence(11), |event| latitude(event).filter(|at| *at > 35.0105));
        line.stop();
    }

    #[test]
    fn the_rate_is_found_among_the_noise_of_wrong_ones() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let name = dir.path().join("gps");
        let mut receiving = Receiving { baud: Some(38_400), ..Receiving::plug(&name) };
        let (line, events) = start(&name, Protocol::Auto);
        assert_eq!(until(&mut receiving, &events, sentence, found), (Protocol::Nmea, 38_400));
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
        let only = |event: &SerialEvent| latitude(event).filter(|at| (at - 35.059).abs() < 1e-9);
        until(&mut receiving, &events, |_| sentence(59), only);
        line.stop();
    }

    #[test]
    fn a_flight_controller_is_recognised() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let name = dir.path().join("controller");
        let mut receiving = Receiving::plug(&name);
        let (line, events) = start(&name, Protocol::Auto);
        // HEARTBEAT of version 1, as packed by pymavlink 2.4.50.
        let heartbeat = [0xFE, 9, 0, 1, 1, 0, 0, 0, 0, 0, 2, 3, 81, 4, 3, 125, 221];
        assert_eq!(until(&mut receiving, &events, |_| heartbeat.to_vec(), found), (Protocol::Mavlink, 9_600));
        line.stop();
    }

    #[test]
    fn a_stop_is_prompt_in_every_mode() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let name = dir.path().join("gps");
        let prompt = |line: SerialLine| {
            let begin = Instant::now();
            line.stop();
            assert!(begin.elapsed() < READ + LISTEN, "{:?}", begin.elapsed());
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
}
