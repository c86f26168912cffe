//! Versions that can be compared.

use std::str::FromStr;

/// A version of one to four whole numbers separated by dots, as in `1.4.0`. `1.4` and `1.4.0` are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u32; 4]);

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = [0; 4];
        let mut parts = text.split('.');
        for (number, part) in numbers.iter_mut().zip(&mut parts) {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            *number = part.parse().ok().filter(|_| digits).ok_or(())?;
        }
        if parts.next().is_some() { Err(()) } else { Ok(Version(numbers)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let version = |text: &str| text.parse::<Version>().expect(text);
        assert!(version("1.10.0") > version("1.9.9"));
        assert!(version("2") > version("1.99"));
        assert_eq!(version("1.4"), version("1.4.0"));
        for wrong in ["", "1.", "v1", "1.0-beta", "1.+2", "1.2.3.4.5", "99999999999"] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
    }
}
