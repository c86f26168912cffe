//! The thread of a line: opens the source, finds its rate and protocol, and reads it until it is gone.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, info, warn};
use serialport::{ClearBuffer, SerialPort, TTYPort};

use super::decoders::Decoders;
use super::foreign::Foreign;
use super::params::{BAUD_RATES, LineEvent, LineParams};
use super::port::{Heard, Port, explained};
use super::resolve::Resolver;
use super::source::Source;
use super::watch::{LastFix, LineState, Nmea, Watch};
use crate::Arrival;
use crate::clock::monotonic_ns;
use crate::mavlink;

/// Times after which a line gives up.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Time to listen at each rate of a serial line.
    pub listen: Duration,
    /// Time without a valid message after which the search starts again, because somebody may have set another rate,
    /// or the other side of a connection may be gone without a word.
    pub silence: Duration,
    /// Time without a valid datagram after which another sender is heard.
    pub sender_silence: Duration,
}

impl Times {
    /// Times for receivers that send once a second.
    pub const USUAL: Times = Times {
        listen: Duration::from_millis(1_500),
        silence: Duration::from_secs(15),
        sender_silence: Duration::from_secs(5),
    };
}

/// Time that a read waits for a byte, and therefore the time that a stop takes unless a server is being connected.
pub const READ: Duration = Duration::from_secs(1);
/// First pause before trying again to open the source or to find its rate. The pause doubles each time.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// Longest pause before trying again.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// Bytes that are read at once from a stream.
const STREAM_BYTES: usize = 4_096;
/// Largest datagram.
const DATAGRAM_BYTES: usize = 65_535;

pub struct Follower {
    params: LineParams,
    times: Times,
    decoders: Decoders,
    /// Rate of the last valid message of a serial line.
    baud: Option<u32>,
    pause: Duration,
    /// Whether the loss has been reported.
    is_lost: bool,
    foreign: Foreign,
    resolver: Resolver,
    buffer: Vec<u8>,
    watch: Arc<Mutex<Watch>>,
    stopped: Arc<AtomicBool>,
    tell: Box<dyn FnMut(LineEvent) + Send>,
}

impl Follower {
    pub fn new(
        params: LineParams,
        times: Times,
        watch: Arc<Mutex<Watch>>,
        stopped: Arc<AtomicBool>,
        tell: Box<dyn FnMut(LineEvent) + Send>,
    ) -> Self {
        let bytes = if matches!(params.source, Source::Udp { .. }) { DATAGRAM_BYTES } else { STREAM_BYTES };
        Follower {
            decoders: Decoders::new(&params),
            baud: None,
            pause: PAUSE_FIRST,
            is_lost: false,
            foreign: Foreign::default(),
            resolver: Resolver::default(),
            buffer: vec![0; bytes],
            params,
            times,
            watch,
            stopped,
            tell,
        }
    }

    /// Follows the source until the line is stopped.
    pub fn run(&mut self) {
        while !self.is_stopped() {
            if let Err(reason) = self.session() {
                self.lost(&reason);
                self.wait();
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Opens the source and reads it until it falls silent. Returns the reason if it cannot be opened or is lost.
    fn session(&mut self) -> Result<(), String> {
        let rates = rates(self.params.baud, self.baud);
        self.foreign = Foreign::default();
        let opened = Port::open(&self.params.source, rates[0], &mut self.resolver);
        let mut port = opened.map_err(|error| self.explained(&error))?;
        let is_found = match port {
            Port::Serial(_) => self.find_rate(&mut port, &rates)?,
            Port::Udp(_) => self.wait_for_datagrams(&mut port)?,
            Port::Stream(_) => self.find_in_stream(&mut port)?,
        };
        if is_found {
            port.keep_sender();
            self.follow(&mut port)?;
        }
        Ok(())
    }

    /// Listens at each rate, beginning with the last good one. A rate that the line does not know is passed over.
    fn find_rate(&mut self, port: &mut Port, rates: &[u32]) -> Result<bool, String> {
        for baud in rates {
            if let Port::Serial(line) = port
                && let Err(error) = set_rate(line, *baud)
            {
                debug!("{}: {baud} baud: {error}", self.params.source);
                continue;
            }
            debug!("{}: listening at {baud} baud", self.params.source);
            self.begin(Some(*baud));
            if self.listen(port, self.times.listen)? {
                return Ok(self.found(Some(*baud)));
            }
            self.foreign.end_of_rate();
            if self.is_stopped() {
                return Ok(false);
            }
        }
        Err(self.foreign.reason(&self.params.source))
    }

    /// Waits for the first datagram that makes sense, as long as it takes: nothing would be gained by closing the port.
    fn wait_for_datagrams(&mut self, port: &mut Port) -> Result<bool, String> {
        self.begin(None);
        while !self.is_stopped() {
            if self.listen(port, self.times.sender_silence)? {
                return Ok(self.found(None));
            }
            let reason = self.foreign.reason(&self.params.source);
            self.lost(&reason);
        }
        Ok(false)
    }

    fn find_in_stream(&mut self, port: &mut Port) -> Result<bool, String> {
        self.begin(None);
        match self.listen(port, self.times.silence)? {
            true => Ok(self.found(None)),
            false if self.is_stopped() => Ok(false),
            false => Err(self.foreign.reason(&self.params.source)),
        }
    }

    /// Forgets what was heard before, at another rate or from another sender.
    fn begin(&mut self, baud: Option<u32>) {
        self.decoders = Decoders::new(&self.params);
        let is_lost = self.is_lost;
        let mut watch = self.watch();
        watch.restart(baud);
        if !is_lost {
            (watch.state, watch.reason) = (LineState::Searching, None);
        }
    }

    /// Reports whether a valid message arrives within this time.
    fn listen(&mut self, port: &mut Port, time: Duration) -> Result<bool, String> {
        let end = Instant::now() + time;
        while !self.is_stopped() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            if self.read(port, left.min(READ))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn follow(&mut self, port: &mut Port) -> Result<(), String> {
        let is_udp = matches!(port, Port::Udp(_));
        let silence = if is_udp { self.times.sender_silence } else { self.times.silence };
        let mut last_valid = Instant::now();
        while !self.is_stopped() && last_valid.elapsed() < silence {
            if self.read(port, READ)? {
                last_valid = Instant::now();
            }
        }
        debug!("{}: nothing sensible for {silence:?}", self.params.source);
        Ok(())
    }

    /// Reads available bytes, or waits for some, and reports what they contain. Returns whether any message was valid.
    fn read(&mut self, port: &mut Port, wait: Duration) -> Result<bool, String> {
        let heard = port.read(&mut self.buffer, wait).map_err(|error| self.explained(&error))?;
        let count = match heard {
            Heard::Nothing => return Ok(false),
            Heard::Bytes(count) => count,
            Heard::AnotherSender(count) => {
                self.begin(None);
                count
            }
        };
        Ok(self.decode(count) > 0)
    }

    /// Decodes the first bytes of the buffer. Returns the number of valid messages.
    fn decode(&mut self, count: usize) -> u64 {
        let (mut valid, mut last_fix) = (0, None);
        let (bytes, now_ns, tell) = (&self.buffer[..count], monotonic_ns(), &mut self.tell);
        self.decoders.push(bytes, now_ns, &mut |arrival| {
            match &arrival {
                Arrival::Valid => valid += 1,
                Arrival::Fix(fix) => last_fix = Some(LastFix::of(fix)),
                _ => (),
            }
            if arrival != Arrival::Valid {
                tell(LineEvent::Arrived(Box::new(arrival)));
            }
        });
        if valid == 0 {
            self.foreign.note(bytes);
        }
        self.note(count, valid, last_fix, now_ns);
        valid
    }

    fn note(&self, count: usize, valid: u64, last_fix: Option<LastFix>, now_ns: u64) {
        let nmea = self.decoders.nmea().map(Nmea::of);
        let mavlink = self.decoders.mavlink().map(mavlink::Decoder::report);
        let mut watch = self.watch();
        watch.bytes += count as u64;
        watch.valid += valid;
        watch.broken = self.decoders.broken();
        watch.last_fix = last_fix.or(watch.last_fix);
        (watch.nmea, watch.mavlink) = (nmea, mavlink);
        if valid > 0 {
            watch.last_valid_ns = Some(now_ns);
        }
    }

    /// Reports that valid messages arrive. Always true.
    fn found(&mut self, baud: Option<u32>) -> bool {
        let protocol = self.decoders.spoken();
        (self.baud, self.pause, self.is_lost) = (baud.or(self.baud), PAUSE_FIRST, false);
        let mut watch = self.watch();
        (watch.state, watch.reason, watch.protocol) = (LineState::Following, None, Some(protocol));
        drop(watch);
        match baud {
            Some(baud) => info!("{}: {protocol} at {baud} baud", self.params.source),
            None => info!("{}: {protocol}", self.params.source),
        }
        (self.tell)(LineEvent::Found { protocol, baud });
        true
    }

    /// Reports the reason, once per loss.
    fn lost(&mut self, reason: &str) {
        let mut watch = self.watch();
        (watch.state, watch.reason) = (LineState::Lost, Some(reason.to_owned()));
        drop(watch);
        if !std::mem::replace(&mut self.is_lost, true) {
            warn!("{}: {reason}; trying again", self.params.source);
            (self.tell)(LineEvent::Lost(reason.to_owned()));
        }
    }

    fn wait(&mut self) {
        if !self.is_stopped() {
            thread::park_timeout(self.pause);
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
    }

    fn explained(&self, error: &io::Error) -> String {
        explained(&self.params.source, error)
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        // Every change leaves it consistent, so a panic elsewhere does not spoil it.
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the rates to listen at: the one that is set, or the last good one and then the usual ones, each once.
fn rates(set: Option<u32>, last: Option<u32>) -> Vec<u32> {
    let Some(set) = set else {
        let others = BAUD_RATES.into_iter().filter(|baud| last != Some(*baud));
        return last.into_iter().chain(others).collect();
    };
    vec![set]
}

fn set_rate(line: &mut TTYPort, baud: u32) -> io::Result<()> {
    line.set_baud_rate(baud)?;
    // Bytes received at another rate are noise.
    Ok(line.clear(ClearBuffer::Input)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rate_is_tried_once_and_the_last_good_one_first() {
        assert_eq!(rates(None, None), BAUD_RATES);
        assert_eq!(rates(Some(31_250), Some(9_600)), [31_250]);
        for last in BAUD_RATES.into_iter().chain([31_250]) {
            let mut rates = rates(None, Some(last));
            assert_eq!(rates[0], last);
            assert_eq!(rates.len(), BAUD_RATES.len() + usize::from(last == 31_250));
            rates.sort_unstable();
            rates.dedup();
            assert_eq!(rates.len(), BAUD_RATES.len() + usize::from(last == 31_250), "{last} is there twice");
        }
    }

    #[test]
    fn a_search_of_a_silent_line_is_bounded() {
        assert!(Times::USUAL.listen * BAUD_RATES.len() as u32 <= Duration::from_secs(17));
    }
}
