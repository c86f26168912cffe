//! A receiver's sentences, and what a line makes of them.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::*;
use crate::{Arrival, mavlink};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// GGA sentence of a second, at 35 + second / 1000 degrees north.
pub fn sentence(second: u32) -> Vec<u8> {
    let minutes = f64::from(second) * 0.06;
    let text = format!("GPGGA,1200{second:02}.00,35{minutes:07.4},N,13900.0000,E,1,08,0.9,5.0,M,46.9,M,,");
    let sum = text.bytes().fold(0, |sum, byte| sum ^ byte);
    format!("${text}*{sum:02X}\r\n").into_bytes()
}

/// HEARTBEAT of version 1, as packed by pymavlink 2.4.50.
pub const HEARTBEAT: [u8; 17] = [0xFE, 9, 0, 1, 1, 0, 0, 0, 0, 0, 2, 3, 81, 4, 3, 125, 221];

/// Times for receivers that send fifty times a second.
pub const TIMES: Times = Times {
    listen: Duration::from_millis(300),
    silence: Duration::from_secs(3),
    sender_silence: Duration::from_secs(1),
};

pub fn follow(source: Source, protocol: Protocol) -> (Line, Receiver<LineEvent>) {
    let (sender, events) = channel();
    let params = LineParams { source, protocol, baud: None, mavlink: mavlink::Params::default() };
    let line = Line::start_with(params, TIMES, move |event| drop(sender.send(event))).expect("a thread");
    (line, events)
}

/// Says something every 20 ms until `wanted` accepts an event of the line.
pub fn until<T>(events: &Receiver<LineEvent>, mut say: impl FnMut(u32), wanted: impl Fn(&LineEvent) -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    for second in (0..60).cycle() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}");
        say(second);
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

pub fn latitude(event: &LineEvent) -> Option<f64> {
    match event {
        LineEvent::Arrived(arrival) => match &**arrival {
            Arrival::Fix(fix) => Some(fix.position.latitude_deg),
            _ => None,
        },
        _ => None,
    }
}

pub fn found(event: &LineEvent) -> Option<(Protocol, Option<u32>)> {
    match event {
        LineEvent::Found { protocol, baud } => Some((*protocol, *baud)),
        _ => None,
    }
}

pub fn lost(event: &LineEvent) -> Option<String> {
    match event {
        LineEvent::Lost(reason) => Some(reason.clone()),
        _ => None,
    }
}
