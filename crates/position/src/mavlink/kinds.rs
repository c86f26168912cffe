//! Lists the messages that can be verified: those that are read, and those that flight controllers, cameras and ground
//! stations usually send, so that a report can name them.
//!
//! Numbers, lengths and seeds follow from `minimal.xml`, `standard.xml`, `common.xml` and `ardupilotmega.xml` in
//! <https://github.com/mavlink/mavlink>, by the algorithm of
//! <https://mavlink.io/en/guide/serialization.html#crc_extra>.

/// Layout of a message.
#[derive(Debug)]
pub struct Kind {
    /// Number of the message.
    pub id: u32,
    /// Name of the message in the definitions.
    pub name: &'static str,
    /// Seed that is part of the checksum, so that both sides agree on the fields (CRC_EXTRA).
    pub seed: u8,
    /// Bytes of the fields in version 1.
    pub base: usize,
}

impl Kind {
    const fn new(id: u32, name: &'static str, seed: u8, base: usize) -> Self {
        Kind { id, name, seed, base }
    }

    /// Reports whether a payload may have this length. Newer senders may have added fields in version 2.
    pub fn allows(&self, first_version: bool, length: usize) -> bool {
        if first_version { length == self.base } else { length >= 1 }
    }
}

pub const HEARTBEAT: u32 = 0;
pub const SYSTEM_TIME: u32 = 2;
pub const GPS_RAW_INT: u32 = 24;
pub const GLOBAL_POSITION_INT: u32 = 33;
pub const CAMERA_TRIGGER: u32 = 112;
pub const CAMERA_FEEDBACK: u32 = 180;
pub const CAMERA_IMAGE_CAPTURED: u32 = 263;

/// Messages that can be verified, by their numbers.
pub static KINDS: [Kind; 64] = [
    Kind::new(0, "HEARTBEAT", 50, 9),
    Kind::new(1, "SYS_STATUS", 124, 31),
    Kind::new(2, "SYSTEM_TIME", 137, 12),
    Kind::new(4, "PING", 237, 14),
    Kind::new(22, "PARAM_VALUE", 220, 25),
    Kind::new(24, "GPS_RAW_INT", 24, 30),
    Kind::new(27, "RAW_IMU", 144, 26),
    Kind::new(29, "SCALED_PRESSURE", 115, 14),
    Kind::new(30, "ATTITUDE", 39, 28),
    Kind::new(31, "ATTITUDE_QUATERNION", 246, 32),
    Kind::new(32, "LOCAL_POSITION_NED", 185, 28),
    Kind::new(33, "GLOBAL_POSITION_INT", 104, 28),
    Kind::new(35, "RC_CHANNELS_RAW", 244, 22),
    Kind::new(36, "SERVO_OUTPUT_RAW", 222, 21),
    Kind::new(42, "MISSION_CURRENT", 28, 2),
    Kind::new(46, "MISSION_ITEM_REACHED", 11, 2),
    Kind::new(62, "NAV_CONTROLLER_OUTPUT", 183, 26),
    Kind::new(65, "RC_CHANNELS", 118, 42),
    Kind::new(66, "REQUEST_DATA_STREAM", 148, 6),
    Kind::new(69, "MANUAL_CONTROL", 243, 11),
    Kind::new(74, "VFR_HUD", 20, 20),
    Kind::new(75, "COMMAND_INT", 158, 35),
    Kind::new(76, "COMMAND_LONG", 152, 33),
    Kind::new(77, "COMMAND_ACK", 143, 3),
    Kind::new(83, "ATTITUDE_TARGET", 22, 37),
    Kind::new(85, "POSITION_TARGET_LOCAL_NED", 140, 51),
    Kind::new(87, "POSITION_TARGET_GLOBAL_INT", 150, 51),
    Kind::new(105, "HIGHRES_IMU", 93, 62),
    Kind::new(109, "RADIO_STATUS", 185, 9),
    Kind::new(110, "FILE_TRANSFER_PROTOCOL", 84, 254),
    Kind::new(111, "TIMESYNC", 34, 16),
    Kind::new(112, "CAMERA_TRIGGER", 174, 12),
    Kind::new(113, "HIL_GPS", 124, 36),
    Kind::new(116, "SCALED_IMU2", 76, 22),
    Kind::new(124, "GPS2_RAW", 87, 35),
    Kind::new(125, "POWER_STATUS", 203, 6),
    Kind::new(126, "SERIAL_CONTROL", 220, 79),
    Kind::new(127, "GPS_RTK", 25, 35),
    Kind::new(129, "SCALED_IMU3", 46, 22),
    Kind::new(132, "DISTANCE_SENSOR", 85, 14),
    Kind::new(136, "TERRAIN_REPORT", 1, 22),
    Kind::new(137, "SCALED_PRESSURE2", 195, 14),
    Kind::new(141, "ALTITUDE", 47, 32),
    Kind::new(147, "BATTERY_STATUS", 154, 36),
    Kind::new(148, "AUTOPILOT_VERSION", 178, 60),
    Kind::new(152, "MEMINFO", 208, 4),
    Kind::new(158, "MOUNT_STATUS", 134, 14),
    Kind::new(163, "AHRS", 127, 28),
    Kind::new(165, "HWSTATUS", 21, 3),
    Kind::new(168, "WIND", 1, 12),
    Kind::new(178, "AHRS2", 47, 24),
    Kind::new(180, "CAMERA_FEEDBACK", 52, 45),
    Kind::new(193, "EKF_STATUS_REPORT", 71, 22),
    Kind::new(230, "ESTIMATOR_STATUS", 163, 42),
    Kind::new(241, "VIBRATION", 90, 32),
    Kind::new(242, "HOME_POSITION", 104, 52),
    Kind::new(245, "EXTENDED_SYS_STATE", 130, 2),
    Kind::new(246, "ADSB_VEHICLE", 184, 38),
    Kind::new(253, "STATUSTEXT", 83, 51),
    Kind::new(259, "CAMERA_INFORMATION", 92, 235),
    Kind::new(262, "CAMERA_CAPTURE_STATUS", 12, 18),
    Kind::new(263, "CAMERA_IMAGE_CAPTURED", 133, 255),
    Kind::new(265, "MOUNT_ORIENTATION", 26, 16),
    Kind::new(285, "GIMBAL_DEVICE_ATTITUDE_STATUS", 137, 40),
];

/// Place that stands for none.
const NONE: u8 = u8::MAX;

/// Places in [`KINDS`] by the numbers of the messages, because a search would be most of the work on a noisy line.
static PLACES: [u8; 512] = places();

const fn places() -> [u8; 512] {
    let mut places = [NONE; 512];
    let mut at = 0;
    while at < KINDS.len() {
        places[KINDS[at].id as usize] = at as u8;
        at += 1;
    }
    places
}

/// Returns the place in [`KINDS`] of a message, or `None` if it is unknown here.
pub fn find(id: u32) -> Option<usize> {
    let place = PLACES.get(id as usize).filter(|place| **place != NONE)?;
    Some(usize::from(*place))
}

#[cfg(test)]
mod tests {
    use super::super::frame::checksum;
    use super::*;

    #[test]
    fn the_numbers_ascend() {
        assert!(KINDS.is_sorted_by(|a, b| a.id < b.id));
        let found: Vec<u32> = (0..=u32::from(u16::MAX)).filter_map(find).map(|at| KINDS[at].id).collect();
        assert_eq!(found, KINDS.iter().map(|kind| kind.id).collect::<Vec<_>>());
        assert_eq!((find(3), find(u32::MAX)), (None, None));
    }

    /// Fields of the messages that are read, as the wire orders them, without the extensions of version 2. A number
    /// after a field's name is the length of an array.
    const FIELDS: [(u32, &str); 7] = [
        (
            HEARTBEAT,
            "uint32_t custom_mode uint8_t type uint8_t autopilot uint8_t base_mode uint8_t system_status \
             uint8_t mavlink_version",
        ),
        (SYSTEM_TIME, "uint64_t time_unix_usec uint32_t time_boot_ms"),
        (
            GPS_RAW_INT,
            "uint64_t time_usec int32_t lat int32_t lon int32_t alt uint16_t eph uint16_t epv uint16_t vel \
             uint16_t cog uint8_t fix_type uint8_t satellites_visible",
        ),
        (
            GLOBAL_POSITION_INT,
            "uint32_t time_boot_ms int32_t lat int32_t lon int32_t alt int32_t relative_alt int16_t vx int16_t vy \
             int16_t vz uint16_t hdg",
        ),
        (CAMERA_TRIGGER, "uint64_t time_usec uint32_t seq"),
        (
            CAMERA_FEEDBACK,
            "uint64_t time_usec int32_t lat int32_t lng float alt_msl float alt_rel float roll float pitch float yaw \
             float foc_len uint16_t img_idx uint8_t target_system uint8_t cam_idx uint8_t flags",
        ),
        (
            CAMERA_IMAGE_CAPTURED,
            "uint64_t time_utc uint32_t time_boot_ms int32_t lat int32_t lon int32_t alt int32_t relative_alt \
             float q 4 int32_t image_index uint8_t camera_id int8_t capture_result char file_url 205",
        ),
    ];

    /// Computes the seed of a message from its definition: a checksum over its name and its fields, folded to a byte.
    fn seed(name: &str, fields: &str) -> u8 {
        let mut text = format!("{name} ").into_bytes();
        for word in fields.split_whitespace() {
            match word.parse::<u8>() {
                Ok(length) => text.push(length),
                Err(_) => text.extend(format!("{word} ").into_bytes()),
            }
        }
        let last = text.pop().expect("a text");
        let sum = checksum(&text, last);
        sum as u8 ^ (sum >> 8) as u8
    }

    #[test]
    fn the_seeds_follow_from_the_definitions() {
        for (id, fields) in FIELDS {
            let kind = &KINDS[find(id).expect("known")];
            assert_eq!(seed(kind.name, fields), kind.seed, "{}", kind.name);
            assert_eq!(length(fields), kind.base, "{}", kind.name);
        }
    }

    /// Returns the bytes of the fields.
    fn length(fields: &str) -> usize {
        let words: Vec<&str> = fields.split_whitespace().collect();
        let mut total = 0;
        for (at, word) in words.iter().enumerate() {
            let size = match *word {
                "uint64_t" => 8,
                "uint32_t" | "int32_t" | "float" => 4,
                "uint16_t" | "int16_t" => 2,
                "uint8_t" | "int8_t" | "char" => 1,
                _ => continue,
            };
            let count = words.get(at + 2).and_then(|word| word.parse::<usize>().ok()).unwrap_or(1);
            total += size * count;
        }
        total
    }
}
