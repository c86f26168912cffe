//! Reads the few messages that matter here. Their fields are ordered by size, as the wire format requires.

use super::kinds::{
    CAMERA_FEEDBACK, CAMERA_IMAGE_CAPTURED, CAMERA_TRIGGER, GLOBAL_POSITION_INT, GPS_RAW_INT, HEARTBEAT, Kind,
    SYSTEM_TIME,
};

/// Contents of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Heartbeat(Heartbeat),
    /// Clock of the sender.
    SystemTime {
        /// Microseconds since 1970; 0 while the sender does not know the time.
        unix_us: u64,
        /// Milliseconds since the sender started; 0 from senders that do not count.
        boot_ms: u32,
    },
    GpsRaw(GpsRaw),
    Position(GlobalPosition),
    Trigger(Trigger),
    Feedback(Feedback),
    Image(ImageCaptured),
}

/// Sender's statement of what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heartbeat {
    /// Value of `MAV_TYPE`.
    pub kind: u8,
    /// Value of `MAV_AUTOPILOT`.
    pub autopilot: u8,
}

/// Fix of the controller's own receiver, as it reports it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GpsRaw {
    /// Microseconds since 1970 or since the controller started.
    pub time_us: u64,
    pub position: RawPosition,
    /// HDOP times 100; 65,535 if unknown.
    pub hdop_centi: u16,
    /// Speed over ground in centimetres per second; 65,535 if unknown.
    pub speed_cms: u16,
    /// Direction of movement in hundredths of a degree; 65,535 if unknown.
    pub course_centi: u16,
    /// Kind of fix, a value of `GPS_FIX_TYPE`.
    pub fix_type: u8,
    /// Number of visible satellites; 255 if unknown.
    pub satellites: u8,
    /// Horizontal uncertainty in millimetres; 0 from senders that do not know it.
    pub accuracy_mm: u32,
}

/// Position estimated by the controller's filter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalPosition {
    /// Milliseconds since the controller started; 0 from senders that do not count.
    pub boot_ms: u32,
    pub position: RawPosition,
    /// Speed to the north and to the east, in centimetres per second.
    pub speed_cms: [i16; 2],
}

/// Report that the camera was triggered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trigger {
    /// Microseconds since 1970 or since the controller started.
    pub time_us: u64,
    /// Number of the picture.
    pub sequence: u32,
}

/// Report of a picture by ArduPilot, with the place of the vehicle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Feedback {
    /// Microseconds since 1970 or since the controller started; in the second case the lower 32 bits of them.
    pub time_us: u64,
    pub position: RawPosition,
    /// Number of the picture.
    pub index: u16,
    /// Value of `CAMERA_FEEDBACK_FLAGS`.
    pub flags: u8,
}

/// Report that the camera took a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageCaptured {
    /// Microseconds since 1970; 0 if unknown.
    pub unix_us: u64,
    /// Milliseconds since the sender started.
    pub boot_ms: u32,
    pub position: RawPosition,
    /// Number of the picture, from 0; negative if unknown.
    pub index: i32,
    /// 1 if there is a picture.
    pub result: i8,
    /// Path or URL of the picture on the camera; may be empty.
    pub url: String,
}

/// Coordinates in the units of the wire format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawPosition {
    /// Latitude in degrees times 10^7.
    pub latitude: i32,
    /// Longitude in degrees times 10^7.
    pub longitude: i32,
    /// Altitude above mean sea level in metres. It may be any number.
    pub altitude_m: f64,
}

impl Message {
    /// Reads a payload with a correct checksum; it may have more fields than are known here. `None` for messages that
    /// have no use here.
    pub fn read(kind: &Kind, payload: &[u8]) -> Option<Self> {
        let read: fn(&mut Fields) -> Message = match kind.id {
            HEARTBEAT => heartbeat,
            SYSTEM_TIME => |fields| Message::SystemTime { unix_us: fields.u64(), boot_ms: fields.u32() },
            GPS_RAW_INT => gps_raw,
            GLOBAL_POSITION_INT => position,
            CAMERA_TRIGGER => |fields| Message::Trigger(Trigger { time_us: fields.u64(), sequence: fields.u32() }),
            CAMERA_FEEDBACK => feedback,
            CAMERA_IMAGE_CAPTURED => image,
            _ => return None,
        };
        Some(read(&mut Fields(payload)))
    }
}

/// Reads custom_mode, type, autopilot, base_mode, system_status, mavlink_version.
fn heartbeat(fields: &mut Fields) -> Message {
    fields.skip(4);
    let [kind, autopilot] = fields.take();
    Message::Heartbeat(Heartbeat { kind, autopilot })
}

/// Reads time_usec, lat, lon, alt, eph, epv, vel, cog, fix_type, satellites_visible; alt_ellipsoid, h_acc, ...
fn gps_raw(fields: &mut Fields) -> Message {
    let (time_us, position) = (fields.u64(), fields.position());
    let [hdop_centi, _, speed_cms, course_centi] = [(); 4].map(|()| fields.u16());
    let [fix_type, satellites] = fields.take();
    fields.skip(4);
    let accuracy_mm = fields.u32();
    Message::GpsRaw(GpsRaw {
        time_us,
        position,
        hdop_centi,
        speed_cms,
        course_centi,
        fix_type,
        satellites,
        accuracy_mm,
    })
}

/// Reads time_boot_ms, lat, lon, alt, relative_alt, vx, vy, vz, hdg.
fn position(fields: &mut Fields) -> Message {
    let (boot_ms, position) = (fields.u32(), fields.position());
    fields.skip(4);
    Message::Position(GlobalPosition { boot_ms, position, speed_cms: [fields.i16(), fields.i16()] })
}

/// Reads time_usec, lat, lng, alt_msl, alt_rel, roll, pitch, yaw, foc_len, img_idx, target_system, cam_idx, flags;
/// completed_captures.
fn feedback(fields: &mut Fields) -> Message {
    let time_us = fields.u64();
    let (latitude, longitude, altitude_m) = (fields.i32(), fields.i32(), f64::from(fields.f32()));
    fields.skip(5 * 4);
    let index = fields.u16();
    let [_target, _camera, flags] = fields.take();
    Message::Feedback(Feedback { time_us, position: RawPosition { latitude, longitude, altitude_m }, index, flags })
}

/// Reads time_utc, time_boot_ms, lat, lon, alt, relative_alt, q[4], image_index, camera_id, capture_result,
/// file_url[205].
fn image(fields: &mut Fields) -> Message {
    let (unix_us, boot_ms, position) = (fields.u64(), fields.u32(), fields.position());
    fields.skip(4 + 4 * 4);
    let index = fields.i32();
    let [_camera, result] = fields.take();
    let url: [u8; 205] = fields.take();
    let text = url.split(|byte| *byte == 0).next().unwrap_or_default();
    let url = String::from_utf8_lossy(text).into_owned();
    Message::Image(ImageCaptured { unix_us, boot_ms, position, index, result: result as i8, url })
}

/// Reader of consecutive little-endian numbers. Behind the end of a payload are zeros, which version 2 does not send.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        if let Some((field, rest)) = self.0.split_first_chunk() {
            self.0 = rest;
            return *field;
        }
        let mut field = [0; N];
        field[..self.0.len()].copy_from_slice(self.0);
        self.0 = &[];
        field
    }

    fn skip(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
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

    fn f32(&mut self) -> f32 {
        f32::from_le_bytes(self.take())
    }

    /// Reads latitude, longitude, and an altitude in millimetres.
    fn position(&mut self) -> RawPosition {
        RawPosition { latitude: self.i32(), longitude: self.i32(), altitude_m: f64::from(self.i32()) / 1e3 }
    }
}
