//! Stored form of payloads: deflated where that makes them smaller. A result of 4 KB needs about 1.3 KB.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// Largest payload in bytes that is read back. A broken length must not fill the memory.
pub const PAYLOAD_BYTES_MAX: usize = 4 << 20;

/// Compression level, zlib's own default. Higher levels gain 2 % for three times the time.
const LEVEL: u8 = 6;

const AS_IS: u8 = 0;
const DEFLATED: u8 = 1;

/// Returns the stored form: a byte that names the form, then the payload.
pub fn pack(payload: &[u8]) -> Vec<u8> {
    let deflated = compress_to_vec(payload, LEVEL);
    let (form, bytes) = if deflated.len() < payload.len() { (DEFLATED, deflated.as_slice()) } else { (AS_IS, payload) };
    [&[form], bytes].concat()
}

/// Returns the payload of a stored form; `None` if `stored` is none.
pub fn unpack(stored: &[u8]) -> Option<Vec<u8>> {
    match stored.split_first()? {
        (&AS_IS, payload) => Some(payload.to_vec()),
        (&DEFLATED, deflated) => decompress_to_vec_with_limit(deflated, PAYLOAD_BYTES_MAX).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_the_same() {
        let text =
            br#"{"label":"II","confidence":0.7},{"label":"III","confidence":0.3},{"label":"II","confidence":0.1}"#;
        let noise: Vec<u8> = (0..25_u8).flat_map(|n| bridgeclip_domain::Sha256::of(&[n]).0).collect();
        for payload in [&text[..], &noise, b"", b"x"] {
            assert_eq!(unpack(&pack(payload)).as_deref(), Some(payload));
        }
        assert!(pack(text).len() < text.len());
        assert_eq!(pack(&noise).len(), noise.len() + 1);
    }

    #[test]
    fn what_is_no_stored_form_is_refused() {
        let bomb = [&[DEFLATED], compress_to_vec(&vec![0; PAYLOAD_BYTES_MAX + 1], LEVEL).as_slice()].concat();
        for stored in [&b""[..], b"\x02abc", b"\x01abc", &bomb] {
            assert_eq!(unpack(stored), None);
        }
    }
}
