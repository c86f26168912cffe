//! Output of one run of the program.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::{bridgeclip, exit_code};

/// Runs the program with arguments that may be paths or texts.
pub fn run(words: &[&dyn AsRef<Path>]) -> Output {
    let words: Vec<&str> = words.iter().map(|word| word.as_ref().to_str().expect("UTF-8")).collect();
    bridgeclip(&words)
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the JSON on standard output, null if there is none. Fails unless the program ended well.
pub fn good(output: &Output) -> Value {
    assert_eq!(exit_code(output.status), 0, "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Returns the message of a program that ended with 1.
pub fn refusal(output: &Output) -> String {
    assert_eq!(exit_code(output.status), 1, "{output:?}");
    stderr(output)
}
