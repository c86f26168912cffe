//! Random bytes that nobody can guess, for keys, tokens and codes.

use std::fs::File;
use std::io::{self, Read};

/// Returns bytes from the kernel's generator.
pub fn secret<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        assert_ne!(secret::<16>().expect("bytes"), secret::<16>().expect("bytes"));
    }
}
