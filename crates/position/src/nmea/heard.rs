//! Keeps count of what a receiver says, so that the line can tell what is missing.

use super::fields::Fields;

/// Kinds of sentences that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gga,
    Gns,
    Rmc,
    Gll,
    UbloxPosition,
    UbloxTime,
    Gsa,
    Gsv,
    Gst,
    Vtg,
    Zda,
    Dtm,
    Txt,
    Other,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 14] = [
        Kind::Gga,
        Kind::Gns,
        Kind::Rmc,
        Kind::Gll,
        Kind::UbloxPosition,
        Kind::UbloxTime,
        Kind::Gsa,
        Kind::Gsv,
        Kind::Gst,
        Kind::Vtg,
        Kind::Zda,
        Kind::Dtm,
        Kind::Txt,
        Kind::Other,
    ];
    /// Kinds that contain a position.
    pub const PLACES: [Kind; 5] = [Kind::Gga, Kind::Gns, Kind::Rmc, Kind::Gll, Kind::UbloxPosition];
    /// Kinds that contain a date.
    pub const DATES: [Kind; 3] = [Kind::Rmc, Kind::Zda, Kind::UbloxTime];
    /// Kinds that contain altitude, satellites and HDOP beside the position.
    pub const DETAILS: [Kind; 3] = [Kind::Gga, Kind::Gns, Kind::UbloxPosition];

    fn of(text: &[u8]) -> Self {
        let mut fields = Fields::new(text);
        let address = fields.field();
        if address == b"PUBX" {
            return match fields.field() {
                b"00" => Kind::UbloxPosition,
                b"04" => Kind::UbloxTime,
                _ => Kind::Other,
            };
        }
        match address {
            [b'P', ..] => Kind::Other,
            [_, _, kind @ ..] => Self::standard(kind),
            _ => Kind::Other,
        }
    }

    fn standard(kind: &[u8]) -> Self {
        match kind {
            b"GGA" => Kind::Gga,
            b"GNS" => Kind::Gns,
            b"RMC" => Kind::Rmc,
            b"GLL" => Kind::Gll,
            b"GSA" => Kind::Gsa,
            b"GSV" => Kind::Gsv,
            b"GST" => Kind::Gst,
            b"VTG" => Kind::Vtg,
            b"ZDA" => Kind::Zda,
            b"DTM" => Kind::Dtm,
            b"TXT" => Kind::Txt,
            _ => Kind::Other,
        }
    }

    /// Returns the name in manuals.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Gga => "GGA",
            Kind::Gns => "GNS",
            Kind::Rmc => "RMC",
            Kind::Gll => "GLL",
            Kind::UbloxPosition => "PUBX,00",
            Kind::UbloxTime => "PUBX,04",
            Kind::Gsa => "GSA",
            Kind::Gsv => "GSV",
            Kind::Gst => "GST",
            Kind::Vtg => "VTG",
            Kind::Zda => "ZDA",
            Kind::Dtm => "DTM",
            Kind::Txt => "TXT",
            Kind::Other => "other",
        }
    }
}

/// What a receiver says about its antenna.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Antenna {
    Open,
    Short,
}

/// Counts of a line's sentences.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    kinds: [Count; Kind::ALL.len()],
    views: [View; VIEWS],
    antenna: Option<Antenna>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    count: u32,
    /// Monotonic arrival of the last one in whole seconds.
    last_s: u32,
}

/// Number of talkers whose satellites in view are added up.
const VIEWS: usize = 8;

/// Satellites that one system has in view.
#[derive(Clone, Copy, Debug, Default)]
struct View {
    talker: [u8; 2],
    satellites: u8,
    /// Monotonic arrival in whole seconds.
    last_s: u32,
}

/// Time in seconds after which a kind of sentence counts as no longer sent. Slow receivers send every five seconds.
const RECENT_S: u32 = 15;

impl Heard {
    /// Counts a sentence that arrived at `received_ns`, monotonic.
    pub fn note(&mut self, text: &[u8], received_ns: u64) {
        let kind = Kind::of(text);
        let Count { count, last_s } = &mut self.kinds[kind as usize];
        (*count, *last_s) = (count.saturating_add(1), seconds(received_ns));
        match kind {
            Kind::Gsv => self.note_view(text, received_ns),
            Kind::Txt => self.antenna = antenna(text).unwrap_or(self.antenna),
            _ => (),
        }
    }

    /// Reads GSV: number of sentences, number of this one, satellites in view, ...
    fn note_view(&mut self, text: &[u8], received_ns: u64) {
        let mut fields = Fields::new(text);
        let talker = match fields.field() {
            [first, second, ..] => [*first, *second],
            _ => return,
        };
        fields.skip(2);
        let Some(satellites) = fields.satellites() else { return };
        let known = self.views.iter_mut().find(|view| [talker, [0; 2]].contains(&view.talker));
        if let Some(view) = known {
            *view = View { talker, satellites, last_s: seconds(received_ns) };
        }
    }

    /// Returns the number of sentences of a kind.
    pub fn count(&self, kind: Kind) -> u64 {
        self.kinds[kind as usize].count.into()
    }

    /// Reports whether a kind was heard recently.
    pub fn is_recent(&self, kind: Kind, now_ns: u64) -> bool {
        let Count { count, last_s } = self.kinds[kind as usize];
        count > 0 && is_recent(last_s, now_ns)
    }

    /// Returns the number of satellites in view of all systems; `None` if no GSV was heard recently.
    pub fn in_view(&self, now_ns: u64) -> Option<u32> {
        let recent = |view: &&View| is_recent(view.last_s, now_ns);
        let satellites = self.views.iter().filter(recent).map(|view| u32::from(view.satellites)).sum();
        self.is_recent(Kind::Gsv, now_ns).then_some(satellites)
    }

    /// Returns a fault of the antenna that the receiver reported last.
    pub fn antenna(&self) -> Option<Antenna> {
        self.antenna
    }
}

fn is_recent(last_s: u32, now_ns: u64) -> bool {
    seconds(now_ns).saturating_sub(last_s) <= RECENT_S
}

fn seconds(ns: u64) -> u32 {
    u32::try_from(ns / 1_000_000_000).unwrap_or(u32::MAX)
}

/// Returns what a TXT sentence says about the antenna; the inner `None` means that it is well. u-blox writes
/// ANTSTATUS=OPEN, others write ANTENNA OPEN.
fn antenna(text: &[u8]) -> Option<Option<Antenna>> {
    let state = [&b"ANTSTATUS="[..], b"ANTENNA "].into_iter().find_map(|name| {
        let at = memchr::memmem::find(text, name)?;
        Some(&text[at + name.len()..])
    })?;
    match state {
        [b'O', b'P', b'E', b'N', ..] => Some(Some(Antenna::Open)),
        [b'S', b'H', b'O', b'R', b'T', ..] => Some(Some(Antenna::Short)),
        [b'O', b'K', ..] => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn heard(sentences: &[(&str, u64)]) -> Heard {
        let mut heard = Heard::default();
        sentences.iter().for_each(|(text, second)| heard.note(text.as_bytes(), second * S));
        heard
    }

    #[test]
    fn every_sentence_is_counted_once() {
        let texts = ["GPGGA,1", "GNGGA,1", "INGNS", "IIRMC", "GNGLL", "PUBX,00,1", "PUBX,04", "PUBX,03", "GPGSA"];
        let more =
            ["GLGSV,1,1,02", "GPGST", "GPVTG", "GPZDA", "GPDTM", "GPTXT", "PGRME", "HCHDG", "X", "", "PGGGA", "GPGGAX"];
        let all: Vec<_> = texts.into_iter().chain(more).map(|text| (text, 1)).collect();
        let heard = heard(&all);
        let expected = [2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7];
        for (kind, expected) in Kind::ALL.into_iter().zip(expected) {
            assert_eq!(heard.count(kind), expected, "{}", kind.name());
        }
    }

    #[test]
    fn kinds_that_are_no_longer_sent_are_noticed() {
        let heard = heard(&[("GPGGA,1", 10), ("GPGSV,1,1,02", 30)]);
        assert!(heard.is_recent(Kind::Gga, 25 * S) && !heard.is_recent(Kind::Gga, 26 * S));
        assert!(heard.is_recent(Kind::Gsv, 26 * S) && !heard.is_recent(Kind::Rmc, 10 * S));
    }

    #[test]
    fn satellites_of_all_systems_are_added_up() {
        let views = heard(&[("GPGSV,3,1,11,1", 1), ("GPGSV,3,2,11", 1), ("GLGSV,1,1,04", 1), ("GAGSV,1,1,00", 1)]);
        assert_eq!(views.in_view(2 * S), Some(15));
        assert_eq!(views.in_view(17 * S), None);
        // One system is no longer sent.
        assert_eq!(heard(&[("GLGSV,1,1,04", 1), ("GPGSV,3,1,11", 20)]).in_view(20 * S), Some(11));
        let many: Vec<_> = (b'A'..=b'Z').map(|letter| (format!("G{}GSV,1,1,01", char::from(letter)), 1)).collect();
        let many: Vec<_> = many.iter().map(|(text, second)| (text.as_str(), *second)).collect();
        assert_eq!(heard(&many).in_view(S), Some(VIEWS as u32), "bounded");
    }

    #[test]
    fn the_antenna_is_heard_of() {
        let cases = [
            ("GNTXT,01,01,02,ANTSTATUS=OPEN", Some(Antenna::Open)),
            ("GPTXT,01,01,01,ANTENNA SHORT", Some(Antenna::Short)),
            ("GNTXT,01,01,02,ANTSTATUS=OK", None),
            ("GNTXT,01,01,02,ANTSTATUS=INIT", None),
            ("GNTXT,01,01,02,u-blox AG - www.u-blox.com", None),
        ];
        for (text, expected) in cases {
            assert_eq!(heard(&[(text, 1)]).antenna(), expected, "{text}");
        }
        let repaired = heard(&[("GNTXT,01,01,02,ANTSTATUS=OPEN", 1), ("GNTXT,01,01,02,ANTSTATUS=OK", 2)]);
        assert_eq!(repaired.antenna(), None);
    }
}
