//! The inspection sheet: one HTML file for printing on A4, without scripts and without network requests.
//!
//! Photos are grouped by bridge, span and member, but they are not stored in that order. So there are two passes: the
//! first makes a [`Plan`] of a few bytes per photo, and the second fetches one photo after another in the plan's order.

mod member;
mod parts;
mod photo;
mod plan;

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::Offset;

use self::parts::{clock, fact};
pub use self::photo::Photo;
pub use self::plan::{Group, Plan};
use super::{ExportError, Filter, TagFilter};

use crate::domain::{Category, MemberAnswer};
use crate::markup::{escape, section, table};
use crate::texts::{Lang, Text};

const STYLE: &str = include_str!("html/style.css");

/// Content policy that allows only the pictures and the style within the page.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// Content of the sheet's heading.
#[derive(Clone, Debug)]
pub struct Heading {
    /// Site and name of the device.
    pub device: String,
    pub made_at: Timestamp,
    /// Time zone of the device's location.
    pub zone: Offset,
    /// Conditions that selected the photos.
    pub filter: Filter,
}

/// Writes the sheet. `photos` follow the order of [`Plan::photos`]; a photo that has gone meanwhile is `None`.
pub fn write(
    mut out: impl Write,
    plan: &Plan,
    heading: &Heading,
    lang: Lang,
    mut photos: impl Iterator<Item = Result<Option<Photo>, ExportError>>,
) -> Result<(), ExportError> {
    write!(out, "{}", top(plan, heading, lang))?;
    let mut bridge = None;
    for group in plan.groups() {
        if bridge != Some(&group.bridge) {
            bridge = Some(&group.bridge);
            writeln!(out, "<h2>{}</h2>", escape(&title(Text::Bridge, group.bridge.as_deref(), Text::NoBridge, lang)))?;
        }
        writeln!(out, "<h3>{}</h3>", escape(&place(group, lang)))?;
        write!(out, "{}", group.answer.as_deref().map(|answer| member::answer(answer, lang)).unwrap_or_default())?;
        if group.photos.is_empty() {
            writeln!(out, "<p class=\"notice\">{}</p>", escape(Text::NoPhotoYet.say(lang)))?;
        }
        for photo in photos.by_ref().take(group.photos.len()) {
            if let Some(photo) = photo? {
                write!(out, "{}", photo::article(&photo, lang))?;
            }
        }
    }
    writeln!(out, "</body>\n</html>")?;
    Ok(out.flush()?)
}

fn top(plan: &Plan, heading: &Heading, lang: Lang) -> String {
    let (say, title) = (|text: Text| text.say(lang), escape(Text::SheetTitle.say(lang)));
    let body = match plan.is_empty() {
        true => format!("<p>{}</p>\n", escape(say(Text::NoPhotos))),
        false => section(say(Text::Summary), &summary(plan, lang)),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n<p class=\"notice\">{}</p>\n<dl class=\"facts\">\n{}</dl>\n{body}",
        lang.tag(),
        escape(say(Text::SheetNotice)),
        facts(plan, heading, lang),
    )
}

fn facts(plan: &Plan, heading: &Heading, lang: Lang) -> String {
    let day = |at| clock(at, heading.zone);
    let period = plan.period().map(|(first, last)| format!("{} – {}", day(first), day(last)));
    let facts = [
        (Text::Device, heading.device.clone()),
        (Text::Period, period.unwrap_or_default()),
        (Text::Selection, selection(&heading.filter, heading.zone, lang)),
        (Text::MadeAt, day(heading.made_at)),
        (Text::MadeWith, concat!("BridgeCLIP Edge ", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    facts.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| fact(*name, value, lang)).collect()
}

/// Describes the conditions in words.
fn selection(filter: &Filter, zone: Offset, lang: Lang) -> String {
    let named = |text: Text, value: String| format!("{}: {value}", text.say(lang));
    let since = filter.since.map(|at| named(Text::From, clock(at, zone)));
    let until = filter.until.map(|at| named(Text::Before, clock(at, zone)));
    let labels = filter.labels.0.iter().map(|condition| {
        named(Text::of_category(condition.category), lang.class(condition.category.class(condition.class)))
    });
    let TagFilter { bridge, span, member } = filter.place.clone();
    let place = [(Text::Bridge, bridge), (Text::Span, span), (Text::Member, member)];
    let place = place.into_iter().filter_map(|(text, name)| Some(named(text, name?)));
    let urgent = filter.urgent.then(|| Text::UrgentPhotos.say(lang).to_owned());
    let conditions: Vec<String> = since.into_iter().chain(until).chain(labels).chain(place).chain(urgent).collect();
    if conditions.is_empty() { Text::Everything.say(lang).to_owned() } else { conditions.join("; ") }
}

fn title(kind: Text, name: Option<&str>, missing: Text, lang: Lang) -> String {
    name.map_or_else(|| missing.say(lang).to_owned(), |name| format!("{} {name}", kind.say(lang)))
}

fn place(group: &Group, lang: Lang) -> String {
    let span = title(Text::Span, group.span.as_deref(), Text::NoSpan, lang);
    let member = title(Text::Member, group.member.as_deref(), Text::NoMember, lang);
    format!("{span} / {member}")
}

fn summary(plan: &Plan, lang: Lang) -> String {
    let head = [
        Text::Bridge,
        Text::Span,
        Text::Member,
        Text::Photos,
        Text::UrgentPhotos,
        Text::DoubtfulPhotos,
        Text::DamageSeen,
        Text::WorstSoundness,
        Text::MemberRating,
    ];
    let head = head.map(|text| text.say(lang).to_owned());
    table(&head, plan.groups().iter().map(|group| summary_row(group, lang)).chain([total(plan, lang)]))
}

fn summary_row(group: &Group, lang: Lang) -> Vec<String> {
    let name = |name: &Option<String>, missing: Text| name.clone().unwrap_or_else(|| missing.say(lang).to_owned());
    let places =
        [name(&group.bridge, Text::NoBridge), name(&group.span, Text::NoSpan), name(&group.member, Text::NoMember)];
    let counts = [group.photos.len() as u64, group.urgent, group.doubtful].map(|count| count.to_string());
    places
        .into_iter()
        .chain(counts)
        .chain([damage(group, lang), worst(group.worst_soundness, lang), rating(group, lang)])
        .collect()
}

fn damage(group: &Group, lang: Lang) -> String {
    let count = |(&index, count): (&u8, &u64)| format!("{} ({count})", lang.class(Category::DamageType.class(index)));
    group.damage.iter().map(count).collect::<Vec<_>>().join(", ")
}

fn worst(soundness: Option<u8>, lang: Lang) -> String {
    soundness.map_or("-".to_owned(), |index| lang.class(Category::Soundness.class(index)))
}

/// Returns the rating of the member by all of its photos together.
fn rating(group: &Group, lang: Lang) -> String {
    worst(group.answer.as_deref().and_then(MemberAnswer::rating), lang)
}

fn total(plan: &Plan, lang: Lang) -> Vec<String> {
    let sum = |of: fn(&Group) -> u64| plan.groups().iter().map(of).sum::<u64>().to_string();
    let name = [Text::Total.say(lang).to_owned(), String::new(), String::new()];
    let counts = [sum(|group| group.photos.len() as u64), sum(|group| group.urgent), sum(|group| group.doubtful)];
    let soundness = plan.groups().iter().filter_map(|group| group.worst_soundness).max();
    name.into_iter().chain(counts).chain([String::new(), worst(soundness, lang), String::new()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Record;
    use crate::export::record::{bare_example, example, inspected_example};
    use crate::markup::assert_balanced;
    use crate::search;

    fn heading() -> Heading {
        Heading {
            device: "site/unit".to_owned(),
            made_at: Timestamp::UNIX_EPOCH,
            zone: Offset::constant(9),
            filter: Filter {
                since: Some(Timestamp::UNIX_EPOCH),
                labels: search::Filter(vec!["soundness=III".parse().expect("a condition")]),
                place: TagFilter { bridge: Some("<B>".to_owned()), ..TagFilter::default() },
                ..Filter::default()
            },
        }
    }

    fn sheet(records: &[Record], lang: Lang) -> String {
        let plan = Plan::of(records.iter().cloned().map(Ok), std::iter::empty()).expect("a plan");
        let record = |id| records.iter().find(|record| record.capture.id == id).expect("planned").clone();
        let photo = |id| Photo { record: record(id), thumbnail: (id % 2 == 1).then(|| b"\xff\xd8jpeg".to_vec()) };
        let mut out = Vec::new();
        write(&mut out, &plan, &heading(), lang, plan.photos().map(|id| Ok(Some(photo(id))))).expect("written");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_sheet_says_what_an_inspector_needs_in_both_languages() {
        for lang in Lang::ALL {
            let page = sheet(&[example(1), bare_example(2)], lang);
            let texts = [
                Text::SheetNotice,
                Text::Summary,
                Text::NoBridge,
                Text::NearTie,
                Text::Blurred,
                Text::ReviewFirst,
                Text::SimilarSoundnessIv,
                Text::TimeGps,
                Text::PositionSerialGps,
                Text::FixDifferential,
                Text::PositionUnknown,
                Text::Remark,
                Text::Signature,
                Text::NoPicture,
                Text::NoAnswer,
            ];
            for text in texts {
                assert!(page.contains(&escape(text.say(lang))), "{text}");
            }
            for part in ["B-12", "2026-05-09 10:02:03 +09:00", "35.5000000, 139.2500000", "DJI_0001.JPG", "60 %"] {
                assert!(page.contains(part), "{part}");
            }
            assert!(page.contains(&format!("<html lang=\"{}\"", lang.tag())));
            assert!(page.find("B-12") < page.rfind(&escape(Text::NoBridge.say(lang))), "untagged photos come last");
        }
        let page = sheet(&[example(1)], Lang::Ja);
        assert!(page.contains("開始: 1970-01-01 09:00:00 +09:00; 健全性の判定区分: Ⅲ; 橋梁: "));
        assert!(page.contains("ひびわれ") && page.contains("橋脚") && !page.contains("cracking"));
    }

    #[test]
    fn an_inspectors_word_is_not_shown_as_the_models() {
        let page = sheet(&[inspected_example(1)], Lang::En);
        assert!(page.contains("Corrected by an inspector: A. Sato, 2026-05-10 09:30:00 +09:00"));
        assert!(page.contains("IV (emergency-action stage") && page.contains("<li>Soundness IV</li>"));
        for text in [Text::ConfidenceUncalibrated, Text::SimilarSoundnessIv, Text::LookAgain] {
            assert!(!page.contains(&escape(text.say(Lang::En))), "{text}");
        }
        assert!(!page.contains(" %</i>"));
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        let mut record = example(1);
        record.capture.facts.image.path = "/media/<script>alert(1)<script>.jpg".into();
        record.capture.facts.image.camera.model = Some("\"onload='x'".to_owned());
        record.capture.facts.tag = r#"{"bridge": "</h2><b>", "member": "a&b"}"#.parse().ok();
        let page = sheet(&[record], Lang::En);
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("\"onload"));
        assert!(
            page.contains("&lt;/h2&gt;&lt;b&gt;") && page.contains("a&amp;b") && page.contains("Bridge: &lt;B&gt;")
        );
        assert_balanced(&page, &["article", "table", "section", "dl", "h2", "ul", "tr", "td", "figure"]);
    }

    #[test]
    fn nothing_is_requested_from_elsewhere() {
        let page = sheet(&[example(1), bare_example(2)], Lang::En);
        for forbidden in ["http:", "https:", "href=", "@import", "url(", "<script", "<link", "<iframe"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert_eq!(page.matches("src=\"").count(), page.matches("src=\"data:image/jpeg;base64,").count());
        assert_eq!(page.matches("<img ").count(), 1);
    }

    #[test]
    fn no_photos_make_a_sheet_too_and_one_that_is_gone_is_left_out() {
        assert!(sheet(&[], Lang::En).contains(Text::NoPhotos.say(Lang::En)));
        let plan = Plan::of([Ok(example(1))].into_iter(), std::iter::empty()).expect("a plan");
        let mut out = Vec::new();
        write(&mut out, &plan, &heading(), Lang::En, [Ok(None)].into_iter()).expect("written");
        let page = String::from_utf8(out).expect("UTF-8");
        assert!(page.ends_with("</html>\n") && !page.contains("<article"));
    }
}
