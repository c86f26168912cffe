//! Progress of long work, on standard error and only on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar with rate and time left.
pub fn bar(length: usize, unit: &'static str) -> ProgressBar {
    let template = format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left  {{msg}}");
    let style = ProgressStyle::with_template(&template).expect("a valid template");
    ProgressBar::new(length as u64).with_style(style)
}
