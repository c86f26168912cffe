//! One photo of the inspection sheet.

use base64ct::{Base64, Encoding};

use super::parts::{clock, fact};
use crate::domain::{Category, Inspection, Position, ScoredClass, UrgentSign, Verdict};
use crate::export::Record;
use crate::markup::escape;
use crate::texts::{Lang, Text};

/// Photo of the plan with its thumbnail.
#[derive(Clone, Debug)]
pub struct Photo {
    pub record: Record,
    /// Small JPEG.
    pub thumbnail: Option<Vec<u8>>,
}

pub fn article(photo: &Photo, lang: Lang) -> String {
    let Photo { record, thumbnail } = photo;
    format!(
        "<article>\n<h4>{} {}</h4>\n<div class=\"side\">\n{}<div>\n{}{}{}{}</div>\n</div>\n{}</article>\n",
        escape(Text::Photo.say(lang)),
        record.capture.id,
        picture(thumbnail.as_deref(), lang),
        urgency(record, lang),
        doubts(&record.capture.verdict, lang),
        answers(record, lang),
        facts(record, lang),
        lines(lang),
    )
}

fn picture(thumbnail: Option<&[u8]>, lang: Lang) -> String {
    let picture = match thumbnail {
        Some(jpeg) => format!("<img alt=\"\" src=\"data:image/jpeg;base64,{}\">", Base64::encode_string(jpeg)),
        None => format!("<p>{}</p>", escape(Text::NoPicture.say(lang))),
    };
    format!("<figure>{picture}</figure>\n")
}

/// Returns the reasons to see the photo first. After an inspection these are the inspector's own labels, not those of
/// similar photos.
fn urgency(record: &Record, lang: Lang) -> String {
    let urgency = &record.capture.verdict.urgency;
    let sign = |&sign: &UrgentSign| match record.capture.inspection {
        Some(_) => {
            let (category, label) = sign.label();
            format!("{} {label}", Text::of_category(category).say(lang))
        }
        None => Text::of_sign(sign).say(lang).to_owned(),
    };
    match urgency.review {
        true => notes("urgent", Text::ReviewFirst.say(lang), urgency.signs.iter().map(sign)),
        false => String::new(),
    }
}

fn doubts(verdict: &Verdict, lang: Lang) -> String {
    let reasons = verdict.second_look.iter().map(|&reason| Text::of_doubt(reason).say(lang).to_owned());
    match verdict.second_look.is_empty() {
        true => String::new(),
        false => notes("doubtful", Text::LookAgain.say(lang), reasons),
    }
}

fn notes(class: &str, title: &str, notes: impl Iterator<Item = String>) -> String {
    let items: String = notes.map(|note| format!("<li>{}</li>\n", escape(&note))).collect();
    format!("<div class=\"{class}\">{}\n<ul>\n{items}</ul>\n</div>\n", escape(title))
}

/// Returns the table of answers. Only the model's answers have percentages; an inspector's judgement has none.
fn answers(record: &Record, lang: Lang) -> String {
    let row = |category: Category| {
        let class = |scored: &ScoredClass| {
            let class = escape(&lang.class(category.class(scored.index)));
            match record.capture.verdict.by_inspector {
                true => class,
                false => format!("{class} <i>{:.0} %</i>", scored.confidence * 100.0),
            }
        };
        let answer = match record.classes(category).iter().map(class).collect::<Vec<_>>() {
            none if none.is_empty() => escape(Text::NoAnswer.say(lang)),
            classes => classes.join("<br>"),
        };
        let (heading, others) = (escape(Text::of_category(category).say(lang)), not_excluded(record, category, lang));
        format!("<tr><th scope=\"row\">{heading}</th><td>{answer}{others}</td></tr>\n")
    };
    let (rows, draft) = (Category::ALL.map(row).concat(), draft(&record.capture.verdict, lang));
    format!(
        "<table>\n<tbody>\n{rows}</tbody>\n</table>\n<p class=\"small\">{}</p>\n{draft}",
        escape(&basis(record, lang))
    )
}

/// Returns the draft of a finding, marked as one.
fn draft(verdict: &Verdict, lang: Lang) -> String {
    let text = lang.draft(&verdict.draft);
    match verdict.draft.is_empty() {
        true => String::new(),
        false => format!("<p><strong>{}</strong> {}</p>\n", escape(Text::DraftFinding.say(lang)), escape(&text)),
    }
}

/// Returns the classes that were not answered but cannot be excluded.
fn not_excluded(record: &Record, category: Category, lang: Lang) -> String {
    let others = record.capture.verdict.others_not_excluded(category);
    let others: Vec<String> = others.map(|index| escape(&lang.class(category.class(index)))).collect();
    match others.is_empty() {
        true => String::new(),
        false => format!("<br><small>{} {}</small>", escape(Text::NotExcluded.say(lang)), others.join(", ")),
    }
}

/// Explains the basis of the answers.
fn basis(record: &Record, lang: Lang) -> String {
    let text = match &record.capture.inspection {
        Some(inspection) => {
            let text = if inspection.is_acceptance() { Text::Accepted } else { Text::Corrected };
            let word = format!("{} {}, {}", text.say(lang), inspection.by.as_str(), clock(inspection.at, record.zone));
            return if inspection.is_acceptance() {
                word
            } else {
                format!("{word}. {}", device_said(inspection, lang))
            };
        }
        None if record.capture.verdict.confidence_calibrated => Text::ConfidenceCalibrated,
        None => Text::ConfidenceUncalibrated,
    };
    text.say(lang).to_owned()
}

fn device_said(inspection: &Inspection, lang: Lang) -> String {
    let answer = |category: Category| {
        let classes = inspection.device.get(category).indexes().iter().map(|&index| lang.class(category.class(index)));
        classes.collect::<Vec<_>>().join(", ")
    };
    format!("{} {}", Text::ItWas.say(lang), Category::ALL.map(answer).join(" · "))
}

fn facts(record: &Record, lang: Lang) -> String {
    let capture = record.facts();
    let time = format!("{} ({})", clock(capture.taken.at, record.zone), Text::of_time(capture.taken.quality).say(lang));
    let altitude = capture.position.as_ref().and_then(|position| position.altitude_m);
    let camera: Vec<&str> =
        [&capture.image.camera.make, &capture.image.camera.model].into_iter().flatten().map(String::as_str).collect();
    let facts = [
        (Text::TakenAt, Some(time)),
        (Text::Position, Some(position(capture.position.as_ref(), lang))),
        (Text::Altitude, altitude.map(|metres| format!("{metres:.1} m"))),
        (Text::File, record.file()),
        (Text::Camera, Some(camera.join(" ")).filter(|camera| !camera.is_empty())),
        (Text::BurstFrame, capture.burst.map(|burst| burst.frame.to_string())),
    ];
    let facts = facts.iter().filter_map(|(name, value)| Some(fact(*name, value.as_ref()?, lang)));
    format!("<dl class=\"facts\">\n{}</dl>\n", facts.collect::<String>())
}

/// Formats a position to seven decimals, which is a centimetre, and adds how far it can be trusted.
fn position(position: Option<&Position>, lang: Lang) -> String {
    let Some(position) = position else { return Text::PositionUnknown.say(lang).to_owned() };
    let Position { latitude_deg, longitude_deg, source, quality, hdop, std_m, age_s, error_m, .. } = position;
    let number = |name: Text, value: Option<String>| value.map(|value| format!("{} {value}", name.say(lang)));
    let trust = [
        Some(Text::of_source(*source).say(lang).to_owned()),
        quality.map(|quality| Text::of_fix(quality).say(lang).to_owned()),
        number(Text::StandardDeviation, std_m.map(|metres| format!("{metres:.2} m"))),
        number(Text::Hdop, hdop.map(|hdop| format!("{hdop:.1}"))),
        number(Text::RightWithin, error_m.map(|metres| format!("{metres:.1} m"))),
        number(Text::FixAge, age_s.map(|seconds| format!("{seconds:.0} s"))),
    ];
    let trust: Vec<String> = trust.into_iter().flatten().collect();
    format!("{latitude_deg:.7}, {longitude_deg:.7} ({})", trust.join(", "))
}

/// Returns the blank lines for the inspector's remarks and signature.
fn lines(lang: Lang) -> String {
    let line = |class: &str, text: Text| format!("<div class=\"{class}\">{}</div>\n", escape(text.say(lang)));
    let signed = line("line", Text::Signature) + &line("line", Text::SignedOn);
    format!("{}<div class=\"signed\">\n{signed}</div>\n", line("line remark", Text::Remark))
}
