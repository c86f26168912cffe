//! Results in words for a person at a terminal.

use crate::domain::{Category, Verdict};

/// The verdict on one line: `II  C1  cracking + corrosion  on  pier`.
pub fn line(verdict: &Verdict) -> String {
    let names = |category: Category| match verdict.get(category).names(category).collect::<Vec<_>>() {
        names if names.is_empty() => "?".to_owned(),
        names => names.join(" + "),
    };
    format!(
        "soundness {}, measure {}, {} on {}",
        names(Category::Soundness),
        names(Category::Measure),
        names(Category::DamageType),
        names(Category::DamageLocation),
    )
}

/// The verdict with confidences and evidence, one item a line.
pub fn paragraph(verdict: &Verdict) -> String {
    let mut text = String::new();
    for category in Category::ALL {
        let classes = verdict.get(category).classes.iter().map(|class| {
            let label = category.class(class.index);
            let meaning = if label.meaning.is_empty() { String::new() } else { format!(", {}", label.meaning) };
            format!("{} ({:.0} %{meaning})", label.en, class.confidence * 100.0)
        });
        text += &format!("  {:<16} {}\n", category.id(), classes.collect::<Vec<_>>().join(", "));
    }
    for neighbour in &verdict.evidence {
        text += &format!("  {:.4}  {}  {}\n", neighbour.similarity, neighbour.source, neighbour.caption);
    }
    text
}
