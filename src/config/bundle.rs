//! The section `[bundle]`: devices whose bundles are imported.

use serde::Deserialize;

use crate::bundle::Trusted;

/// Signing keys that are trusted, each for certain devices.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    #[serde(default)]
    pub trusted: Vec<Trusted>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Bundle, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_trusted_key_names_its_devices() {
        let key = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqo"; // not a key
        let whole = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        let bundle = read(&format!("[[trusted]]\nkey = \"{whole}\"\ndevices = [\"kita/unit-1\", \"minami/*\"]"));
        assert_eq!(bundle.expect("read").trusted[0].devices.len(), 2);
        let cases = [
            (format!("trusted = [\"{whole}\"]"), "write [[bundle.trusted]]"),
            (format!("[[trusted]]\nkey = \"{whole}\"\ndevices = []"), "write [[bundle.trusted]]"),
            (format!("[[trusted]]\nkey = \"{whole}\""), "devices"),
            (format!("[[trusted]]\nkey = \"{key}\"\ndevices = [\"kita/unit-1\"]"), "is not an Ed25519 public key"),
            (format!("[[trusted]]\nkey = \"{whole}\"\ndevices = [\"unit-1\"]"), "names no device"),
            (format!("[[trusted]]\nkey = \"{whole}\"\ndevices = [\"a/b\"]\nuntil = 1"), "unknown field `until`"),
        ];
        for (text, expected) in cases {
            let error = read(&text).expect_err(expected);
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
