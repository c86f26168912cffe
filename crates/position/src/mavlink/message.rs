//! Reads the few messages that matter here. Their fields are ordered by size, as the wire format requires.

/// Layout of a message.
#[derive(Debug)]
pub struct Kind {
    /// Number of the message.
    pub id: u32,
    /// Seed that is part of the checksum, so that both sides agree on the fields (CRC_EXTRA).
    pub seed: u8,
    /// Bytes of the fields in version 1.
    base: usize,
    /// Bytes including the fields that version 2 added.
    full: usize,
}

impl Kind {
    const fn new(id: u32, seed: u8, base: usize, full: usize) -> Self {
        Kind { id, seed, base, full }
    }

    /// Reports whether a payload may have this length. Newer senders may have added fields in version 2.
    pub fn allows(&self, first_version: bool, length: usize) -> bool {
        if first_version { length == self.base } else { length >= 1 }
    }
}

const HEARTBEAT: u32 = 0;
const SYSTEM_TIME: u32 = 2;
const GPS_RAW_INT: u32 = 24;
const GLOBAL_POSITION_INT: u32 = 33;
const CAMERA_IMAGE_CAPTURED: u32 = 263;

/// Messages that are recognised. Every flight controller sends HEARTBEAT each second, so the line is recognised before
/// any position arrives.
static KINDS: [Kind; 5] = [
    Kind::new(HEARTBEAT, 50, 9, 9),
    Kind::new(SYSTEM_TIME, 137, 12, 12),
    Kind::new(GPS_RAW_INT, 24, 30, 52),
    Kind::new(GLOBAL_POSITION_INT, 104, 28, 28),
    Kind::new(CAMERA_IMAGE_CAPTURED, 133, 255, 255),
];

/// Returns the layout of a message, or `None` if it is unknown here.
pub fn kind(id: u32) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.id == id)
}

/// Contents of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Clock of the flight controller.
    SystemTime {
        /// Microseconds since 1970; 0 while the controller does not know the time.
        unix_us: u64,
        /// Milliseconds since the controller started.
        boot_ms: u32,
    },
    GpsRaw(GpsRaw),
    Position(GlobalPosition),
    Image(ImageCaptured),
}

/// Fix of the controller's own receiver, as it reports it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpsRaw {
    /// Kind of fix, a value of `GPS_FIX_TYPE`.
    pub fix_type: u8,
    /// HDOP times 100; 65,535 if unknown.
    pub hdop_centi: u16,
    /// Number of visible satellites; 255 if unknown.
    pub satellites: u8,
    /// Horizontal uncertainty in millimetres; 0 from senders that do not know it.
    pub accuracy_mm: u32,
}

/// Position estimated by the controller's filter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalPosition {
    /// Milliseconds since the controller started.
    pub boot_ms: u32,
    pub position: RawPosition,
    /// Speed to the north and to the east, in centimetres per second.
    pub speed_cms: [i16; 2],
}

/// Report that the camera took a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageCaptured {
    /// Microseconds since 1970; 0 if unknown.
    pub unix_us: u64,
    /// Milliseconds since the controller started.
    pub boot_ms: u32,
    pub position: RawPosition,
    /// 1 if there is a picture.
    pub result: i8,
    /// Path or URL of the picture on the camera.
    pub url: String,
}

/// Coordinates in the units of the wire format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawPosition {
    /// Latitude in degrees times 10^7.
    pub latitude: i32,
    /// Longitude in degrees times 10^7.
    pub longitude: i32,
    /// Altitude above mean sea level in millimetres.
    pub altitude_mm: i32,
}

impl Message {
    /// Reads a payload with a correct checksum. `None` for messages that have no use here.
    pub fn read(id: u32, payload: &[u8]) -> Option<Self> {
        let mut whole = [0; 255];
        let kind = kind(id)?;
        let known = payload.len().min(kind.full);
        whole[..known].copy_from_slice(&payload[..known]);
        let mut fields = Fields(&whole);
        match id {
            SYSTEM_TIME => Some(Message::SystemTime { unix_us: fields.u64(), boot_ms: fields.u32() }),
            GPS_RAW_INT => Some(Message::GpsRaw(gps_raw(&mut fields))),
            GLOBAL_POSITION_INT => Some(Message::Position(position(&mut fields))),
            CAMERA_IMAGE_CAPTURED => Some(Message::Image(image(&mut fields))),
            _ => None,
        }
    }
}

/// Reads time_usec, lat, lon, alt, eph, epv, vel, cog, fix_type, satellites_visible; alt_ellipsoid, h_acc, ...
fn gps_raw(fields: &mut Fields) -> GpsRaw {
    fields.skip(8 + 3 * 4);
    let hdop_centi = fields.u16();
    fields.skip(3 * 2);
    let [fix_type, satellites] = fields.take();
    fields.skip(4);
    GpsRaw { fix_type, hdop_centi, satellites, accuracy_mm: fields.u32() }
}

/// Reads time_boot_ms, lat, lon, alt, relative_alt, vx, vy, vz, hdg.
fn position(fields: &mut Fields) -> GlobalPosition {
    let (boot_ms, position) = (fields.u32(), fields.position());
    fields.skip(4);
    GlobalPosition { boot_ms, position, speed_cms: [fields.i16(), fields.i16()] }
}

/// Reads time_utc, time_boot_ms, lat, lon, alt, relative_alt, q[4], image_index, camera_id, capture_result,
/// file_url[205].
fn image(fields: &mut Fields) -> ImageCaptured {
    let (unix_us, boot_ms, position) = (fields.u64(), fields.u32(), fields.position());
    fields.skip(4 + 4 * 4 + 4 + 1);
    let [result] = fields.take();
    let url: [u8; 205] = fields.take();
    let text = url.split(|byte| *byte == 0).next().unwrap_or_default();
    ImageCaptured { unix_us, boot_ms, position, result: result as i8, url: String::from_utf8_lossy(text).into_owned() }
}

/// Reader of consecutive little-endian numbers. Callers stay within 255 bytes.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the layouts end within 255 bytes");
        self.0 = rest;
        *field
    }

    fn skip(&mut self, count: usize) {
        self.0 = &self.0[count..];
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn i32(&mut self) -> i32 {
        i32::from_le_bytes(self.take())
    }

    fn i16(&mut self) -> i16 {
        i16::from_le_bytes(self.take())
    }

    fn position(&mut self) -> RawPosition {
        RawPosition { latitude: self.i32(), longitude: self.i32(), altitude_mm: self.i32() }
    }
}
