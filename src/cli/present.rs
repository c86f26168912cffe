//! Results in words, for a person at a terminal.

use std::borrow::Cow;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::domain::{Category, Clause, Draft, Method, PredictionSets, Urgency, UrgentSign, Verdict, caption};
use crate::evaluate::UrgencyScores;
use crate::texts::{Lang, Text};

/// Returns the verdict on one line: `soundness II, measure C1, cracking on pier; review first: rating IV among similar
/// photos`.
pub fn line(verdict: &Verdict) -> String {
    let names = |category: Category| match verdict.get(category).names(category).collect::<Vec<_>>() {
        names if names.is_empty() => "?".to_owned(),
        names => names.join(" + "),
    };
    let review = match verdict.urgency.review {
        true => format!("; review first: {} among similar photos", signs(&verdict.urgency)),
        false => String::new(),
    };
    let doubt = if verdict.second_look.is_empty() { "" } else { "; look again" };
    format!(
        "soundness {}, measure {}, {} on {}{review}{doubt}",
        names(Category::Soundness),
        names(Category::Measure),
        names(Category::DamageType),
        names(Category::DamageLocation),
    )
}

/// Returns the verdict with confidences, urgency, doubts and the evidence, one item a line.
pub fn paragraph(verdict: &Verdict) -> String {
    let mut text = String::new();
    for category in Category::ALL {
        let classes = verdict.get(category).classes.iter().map(|class| {
            let label = category.class(class.index);
            let meaning = if label.meaning.is_empty() { String::new() } else { format!(", {}", label.meaning) };
            format!("{} ({:.0} %{meaning})", label.en, class.confidence * 100.0)
        });
        let classes = match classes.collect::<Vec<_>>() {
            classes if classes.is_empty() => "?".to_owned(),
            classes => classes.join(", "),
        };
        text += &format!("  {:<16} {classes}\n", category.id());
    }
    text += &format!("  {:<16} {}\n", "confidence", confidence(verdict));
    text += &not_excluded(verdict);
    text += &draft(&verdict.draft);
    if verdict.urgency.review {
        let (signs, share) = (signs(&verdict.urgency), verdict.urgency.score * 100.0);
        let note = format!("an engineer decides: {signs} among similar photos ({share:.0} %)");
        text += &format!("  {:<16} {note}\n", "review first");
    }
    for reason in &verdict.second_look {
        text += &format!("  {:<16} {}\n", "look again", Text::of_doubt(*reason).say(Lang::En));
    }
    for neighbour in &verdict.evidence {
        text += &format!("  {:.4}  {}  {}\n", neighbour.similarity, neighbour.source, neighbour.caption);
    }
    text
}

/// Returns a line about the classes that were not answered but cannot be excluded.
fn not_excluded(verdict: &Verdict) -> String {
    let others = |category: Category| {
        let names: Vec<&str> = verdict.others_not_excluded(category).map(|index| category.class(index).en).collect();
        (!names.is_empty()).then(|| format!("{} {}", category.id(), names.join(", ")))
    };
    let Some(sets) = &verdict.not_excluded else { return String::new() };
    let others: Vec<String> = PredictionSets::CATEGORIES.into_iter().filter_map(others).collect();
    let others = if others.is_empty() { "nothing else".to_owned() } else { others.join("; ") };
    let promise = sets.coverage * 100.0;
    format!("  {:<16} {others} (a class is missed in at most {:.0} % of its photos)\n", "not excluded", 100.0 - promise)
}

/// Returns a line for each clause of a draft, with the photos that say it; empty if the draft is.
pub fn draft(draft: &Draft) -> String {
    let ids = |what: &str, ids: &[i64]| {
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        (!ids.is_empty()).then(|| format!("{what} {}", ids.join(", ")))
    };
    let line = |clause: &Clause| {
        let photos = [ids("captures", &clause.captures), ids("labelled photos", &clause.references)];
        let photos = photos.into_iter().flatten().collect::<Vec<_>>().join("; ");
        format!("  {:<16} {} ({photos})\n", "draft finding", caption(&clause.says))
    };
    draft.clauses.iter().map(line).collect()
}

/// Returns a line for each part of the queue that the broker does not accept for now. `daemon` is the running daemon's
/// status.
pub fn held(daemon: &Value) -> Vec<String> {
    let more = daemon["held_more"].as_u64().map(|more| format!("{more} more parts"));
    daemon["held"].as_array().into_iter().flatten().map(held_part).chain(more).collect()
}

/// Returns a line about a part of the queue: `bridge/v1/a/b/capture/thumb/#, for 12 min, next try in 40 s: the broker
/// ...`.
fn held_part(part: &Value) -> String {
    let text = |key: &str| part[key].as_str().unwrap_or("?");
    let span = |key: &str| duration(part[key].as_u64().unwrap_or(0));
    let single = part["events"].as_u64().map(|events| format!("{events} events on ")).unwrap_or_default();
    let (what, reason) = (text("what"), text("reason"));
    format!("{single}{what}, for {}, next try in {}: {reason}", span("for_s"), span("next_try_s"))
}

/// Returns a duration in the unit that suits it best.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Explains the percentages.
fn confidence(verdict: &Verdict) -> &'static str {
    match (verdict.confidence_calibrated, verdict.method) {
        (true, _) => "how often such answers were right on labelled photos",
        (false, Method::Knn) => "share of the similar photos; not calibrated",
        (false, Method::Linear | Method::ZeroShot) => "probability by the method itself; not calibrated",
    }
}

/// Returns a line about urgent photos that a method found and about its false alarms.
pub fn urgency_scores(scores: &UrgencyScores) -> String {
    let UrgencyScores { urgent, found, recall, false_alarms_per_100_photos, .. } = scores;
    format!(
        "urgent photos: {found} of {urgent} put forward (recall {recall:.4}), {false_alarms_per_100_photos:.2} false \
         alarms per 100 photos\n"
    )
}

/// Returns the last part of a path for a message; empty if there is none.
pub fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

fn signs(urgency: &Urgency) -> String {
    let words = |sign: &UrgentSign| match sign.label() {
        (Category::Soundness, label) => format!("rating {label}"),
        (_, label) => format!("measure {label}"),
    };
    urgency.signs.iter().map(words).collect::<Vec<_>>().join(", ")
}

/// Returns the time since a moment, in the unit that suits it best.
pub fn age(since: Timestamp) -> String {
    duration(Timestamp::now().duration_since(since).as_secs().try_into().unwrap_or(0))
}

/// Returns a line about the receiver: `/dev/ttyACM0, following, nmea, 12 satellites, last fix 0.4 s ago`.
pub fn receiver(receiver: &Map<String, Value>) -> String {
    let text = |key: &str| receiver.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |key: &str| receiver.get(key).and_then(Value::as_f64);
    let parts = [
        text("source"),
        text("state"),
        text("protocol"),
        number("satellites").map(|count| format!("{count} satellites")),
        number("last_fix_s").map(|age_s| format!("last fix {age_s:.1} s ago")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CategoryLabels, CategoryVerdict, ScoredClass, SecondLook, testing};

    #[test]
    fn a_duration_is_told_in_the_unit_that_suits_it() {
        let durations = [0, 119, 120, 7_199, 7_200, 172_799, 172_800, 2_505_600].map(duration);
        assert_eq!(durations, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days", "29 days"]);
    }

    #[test]
    fn people_read_what_to_look_at_in_plain_words() {
        let answer = |index| CategoryVerdict { classes: vec![ScoredClass { index, confidence: 0.75 }] };
        let urgency =
            Urgency { review: true, score: 0.12, signs: vec![UrgentSign::SoundnessIv, UrgentSign::MeasureE2] };
        let mut verdict = Verdict {
            categories: [1, 2, 0, 6].map(answer),
            method: Method::Knn,
            rule: None,
            by_inspector: false,
            confidence_calibrated: false,
            urgency,
            second_look: vec![SecondLook::NearTie],
            not_excluded: Some(PredictionSets {
                coverage: 0.95,
                soundness: CategoryLabels::new(Category::Soundness, [1, 3]),
                measure: CategoryLabels::new(Category::Measure, [2]),
            }),
            draft: testing::draft(),
            evidence: Vec::new(),
        };
        let expected = "soundness II, measure C1, cracking on pier; \
            review first: rating IV, measure E2 among similar photos; look again";
        assert_eq!(line(&verdict), expected);
        let text = paragraph(&verdict);
        for part in [
            "II (75 %, preventive",
            "not calibrated",
            "not excluded     soundness IV (a class is missed in at most 5 % of its photos)",
            "draft finding    Cracking is observed in the pier. (labelled photos 7, 12)",
            "an engineer decides: rating IV",
            "(12 %)",
            "nearly as likely",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        (verdict.urgency, verdict.second_look) = (Urgency::default(), Vec::new());
        assert_eq!(line(&verdict), "soundness II, measure C1, cracking on pier");
        assert!(!paragraph(&verdict).contains("look again"));
    }
}
