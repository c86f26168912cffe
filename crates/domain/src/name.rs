//! Names that appear in topics.

/// Maximum length of a name in bytes.
const BYTES_MAX: usize = 64;

/// Reports whether a text can be the name of a site, a device, a collector or a command: 1 to 64 ASCII letters, digits,
/// `.`, `_` or `-`. Such a name is one level of an MQTT topic.
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let longest = "x".repeat(BYTES_MAX);
        assert!(["a", "unit-1", "A.b_C", &longest].into_iter().all(is_name));
        let longer = "x".repeat(BYTES_MAX + 1);
        assert!(!["", "a/b", "a b", "+", "#", "橋", "a\0", &longer].into_iter().any(is_name));
    }
}
