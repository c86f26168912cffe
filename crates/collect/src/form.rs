//! A check for JSON that every database and every consumer can hold.
//!
//! JSON's grammar allows more than programs can handle: unlimited nesting, numbers beyond a double, unpaired
//! surrogates, and the character NUL, which PostgreSQL cannot store. Whatever passes here becomes somebody else's
//! problem later.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

/// Maximum depth of nesting. A device's deepest event has seven levels; recursive consumers manage far more than 32.
const DEPTH_MAX: u32 = 32;

/// Checks that the text is one JSON value, nested at most [`DEPTH_MAX`] levels deep.
///
/// Its numbers must be finite as doubles, and its strings must be Unicode without the character NUL.
pub fn check(text: &str) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Plain { levels: DEPTH_MAX }.deserialize(&mut reader)?;
    reader.end()
}

/// Visitor that decodes any value and discards it.
#[derive(Clone, Copy)]
struct Plain {
    /// Levels of nesting that may still open below this value.
    levels: u32,
}

impl Plain {
    fn below<E: Error>(self) -> Result<Plain, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Plain { levels }),
            None => Err(E::custom(format_args!("it is nested deeper than {DEPTH_MAX} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Plain {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        // Decodes every string and number; `IgnoredAny` would skip them unchecked.
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match memchr::memchr(0, text.as_bytes()) {
            None => Ok(()),
            Some(_) => Err(E::custom("a text has the character NUL")),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let below = self.below()?;
        while list.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let below = self.below()?;
        while object.next_key_seed(below)?.is_some() {
            object.next_value_seed(below)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_can_hold_passes() {
        let deepest = format!("{}{}", "[".repeat(DEPTH_MAX as usize), "]".repeat(DEPTH_MAX as usize));
        let largest = "[1e308,-1.5,0,9223372036854775807,18446744073709551615,1e40,null,true]";
        for text in [&*deepest, largest, r#"{"a":{"b":"\ud83d\ude00 \uffff 橋"}}"#, " 7 "] {
            assert!(check(text).is_ok(), "{text}: {:?}", check(text));
        }
    }

    #[test]
    fn what_somebody_cannot_hold_is_named() {
        let deep = |open: &str, levels: usize| open.repeat(levels);
        let cases = [
            (deep("[", DEPTH_MAX as usize + 1), "nested deeper"),
            (deep("[", 1_000_000), "nested deeper"),
            (deep("{\"a\":", 7_000), "nested deeper"),
            (r#"{"a":"x\u0000y"}"#.to_owned(), "NUL"),
            (r#"{"a\u0000":1}"#.to_owned(), "NUL"),
            (r#"{"a":"\ud800"}"#.to_owned(), "hex escape"),
            (r#"{"a":"\udc00\ud800"}"#.to_owned(), "surrogate"),
            (r#"{"a":[1e999]}"#.to_owned(), "number out of range"),
            (format!("[{}]", "9".repeat(400)), "number out of range"),
            ("[1] [2]".to_owned(), "trailing"),
            ("[1".to_owned(), "EOF"),
            ("\u{feff}[1]".to_owned(), "expected value"),
            ("[NaN]".to_owned(), "expected"),
            (String::new(), "EOF"),
        ];
        for (text, expected) in cases {
            let error = check(&text).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
