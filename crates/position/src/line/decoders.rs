//! Tells the protocol on a line by its first valid message.

use super::params::{LineParams, Protocol};
use super::source::Source;
use crate::{Arrival, mavlink, nmea};

/// Decoders of the protocols that are still possible.
pub struct Decoders {
    nmea: Option<nmea::Decoder>,
    mavlink: Option<mavlink::Decoder>,
}

impl Decoders {
    pub fn new(params: &LineParams) -> Self {
        let protocol = if matches!(params.source, Source::Gpsd(_)) { Protocol::Nmea } else { params.protocol };
        Decoders {
            nmea: (protocol != Protocol::Mavlink).then(nmea::Decoder::default),
            mavlink: (protocol != Protocol::Nmea).then(|| mavlink::Decoder::new(params.mavlink)),
        }
    }

    /// Decodes bytes. The first decoder that finds a valid message remains the only one.
    pub fn push(&mut self, bytes: &[u8], received_ns: u64, arrival: &mut dyn FnMut(Arrival)) {
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
    pub fn spoken(&self) -> Protocol {
        match (&self.nmea, &self.mavlink) {
            (Some(_), None) => Protocol::Nmea,
            (None, Some(_)) => Protocol::Mavlink,
            _ => Protocol::Auto,
        }
    }

    /// Returns the decoder of NMEA, if it is the only one.
    pub fn nmea(&self) -> Option<&nmea::Decoder> {
        self.nmea.as_ref().filter(|_| self.mavlink.is_none())
    }

    /// Returns the decoder of MAVLink, if it is the only one.
    pub fn mavlink(&self) -> Option<&mavlink::Decoder> {
        self.mavlink.as_ref().filter(|_| self.nmea.is_none())
    }

    /// Returns the number of sentences that were begun and dropped.
    pub fn broken(&self) -> u64 {
        self.nmea.as_ref().map_or(0, nmea::Decoder::broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::testing::HEARTBEAT;

    #[test]
    fn only_the_flight_controller_that_the_settings_name_is_followed() {
        // The heartbeat is that of system 1.
        for (system, expected) in [(None, true), (Some(1), true), (Some(2), false)] {
            let source = "udp:14550".parse().expect("a source");
            let mavlink = mavlink::Params { system };
            let mut decoders = Decoders::new(&LineParams { source, protocol: Protocol::Auto, baud: None, mavlink });
            decoders.push(&HEARTBEAT, 1, &mut |_| ());
            let report = decoders.mavlink().expect("MAVLink").report();
            assert_eq!(report.systems[0].is_followed, expected, "{system:?}");
            assert_eq!(report.missing[0] == mavlink::Missing::NamedSystem, !expected, "{:?}", report.missing);
        }
    }
}
