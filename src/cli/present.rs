//! Results in words for a person at a terminal.

use serde_json::Value;

use crate::domain::{Category, Method, SecondLook, Urgency, UrgentSign, Verdict};

/// The verdict on one line: `soundness II, measure C1, cracking on pier; review first: rating IV among similar photos`.
pub fn line(verdict: &Verdict) -> String {
    let names = |category: Category| verdict.get(category).names(category).collect();
    sentence(names, &verdict.urgency, !verdict.second_look.is_empty())
}

/// The same of a verdict that was stored as JSON.
pub fn stored_line(verdict: &Value) -> String {
    let items = |list: &'_ Value| list.as_array().cloned().unwrap_or_default();
    let names = |category: Category| {
        let classes = verdict[category.id()].as_array().into_iter().flatten();
        classes.filter_map(|class| class["label"].as_str()).collect()
    };
    let signs = items(&verdict["urgency"]["signs"]).into_iter().filter_map(|sign| serde_json::from_value(sign).ok());
    let urgency = Urgency {
        review: verdict["review_urgent"] == true,
        score: verdict["urgency"]["score"].as_f64().unwrap_or(0.0) as f32,
        signs: signs.collect(),
    };
    sentence(names, &urgency, !items(&verdict["second_look"]).is_empty())
}

fn sentence<'a>(names: impl Fn(Category) -> Vec<&'a str>, urgency: &Urgency, doubtful: bool) -> String {
    let names = |category| match names(category) {
        names if names.is_empty() => "?".to_owned(),
        names => names.join(" + "),
    };
    let review = match urgency.review {
        true => format!("; review first: {} among similar photos", signs(urgency)),
        false => String::new(),
    };
    format!(
        "soundness {}, measure {}, {} on {}{review}{}",
        names(Category::Soundness),
        names(Category::Measure),
        names(Category::DamageType),
        names(Category::DamageLocation),
        if doubtful { "; look again" } else { "" },
    )
}

/// The verdict with confidences, what to look at, and the evidence, one item a line.
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
    text += &format!("  {:<16} {}\n", "confidence", confidence(verdict));
    if verdict.urgency.review {
        let (signs, share) = (signs(&verdict.urgency), verdict.urgency.score * 100.0);
        let note = format!("an engineer decides: {signs} among similar photos ({share:.0} %)");
        text += &format!("  {:<16} {note}\n", "review first");
    }
    for reason in &verdict.second_look {
        text += &format!("  {:<16} {}\n", "look again", explain(*reason));
    }
    for neighbour in &verdict.evidence {
        text += &format!("  {:.4}  {}  {}\n", neighbour.similarity, neighbour.source, neighbour.caption);
    }
    text
}

/// What the percentages mean.
fn confidence(verdict: &Verdict) -> &'static str {
    match (verdict.confidence_calibrated, verdict.method) {
        (true, _) => "how often such answers were right on labelled photos",
        (false, Method::Knn) => "share of the similar photos; not calibrated",
        (false, Method::Linear | Method::ZeroShot) => "probability by the method itself; not calibrated",
    }
}

fn signs(urgency: &Urgency) -> String {
    let words = |sign: &UrgentSign| match sign.label() {
        (Category::Soundness, label) => format!("rating {label}"),
        (_, label) => format!("measure {label}"),
    };
    urgency.signs.iter().map(words).collect::<Vec<_>>().join(", ")
}

fn explain(reason: SecondLook) -> &'static str {
    match reason {
        SecondLook::FarNeighbours => "no labelled photo is like this one",
        SecondLook::NearTie => "another rating or measure is nearly as likely",
        SecondLook::MethodsDisagree => "similar photos and linear heads say different things",
        SecondLook::Blurred => "the photo is blurred, or shows a plain surface",
        SecondLook::TooDark => "the photo is too dark",
        SecondLook::TooBright => "the photo is too bright",
        SecondLook::OtherClass => {
            "\"other\" can be falling-out of the deck, an abnormal gap, a defect of an anchorage or deflection: they have \
             no class of their own"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CategoryVerdict, ScoredClass};

    #[test]
    fn people_read_what_to_look_at_in_plain_words() {
        let answer = |index| CategoryVerdict { classes: vec![ScoredClass { index, confidence: 0.75 }] };
        let urgency =
            Urgency { review: true, score: 0.12, signs: vec![UrgentSign::SoundnessIv, UrgentSign::MeasureE2] };
        let mut verdict = Verdict {
            categories: [1, 2, 0, 6].map(answer),
            method: Method::Knn,
            rule: None,
            confidence_calibrated: false,
            urgency,
            second_look: vec![SecondLook::NearTie],
            evidence: Vec::new(),
        };
        let expected = "soundness II, measure C1, cracking on pier; \
            review first: rating IV, measure E2 among similar photos; look again";
        assert_eq!(line(&verdict), expected);
        assert_eq!(stored_line(&serde_json::to_value(&verdict).expect("JSON")), expected);
        let text = paragraph(&verdict);
        for part in
            ["II (75 %, preventive", "not calibrated", "an engineer decides: rating IV", "(12 %)", "nearly as likely"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        (verdict.urgency, verdict.second_look) = (Urgency::default(), Vec::new());
        assert_eq!(line(&verdict), "soundness II, measure C1, cracking on pier");
        assert!(!paragraph(&verdict).contains("look again"));
    }
}
