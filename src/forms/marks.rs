//! The marks that a form may have, what they mean, and what they are filled with: one table for each list.

use std::collections::BTreeMap;

use super::content::{Content, Member, Photo, Span};
use super::facts::GIVEN;
use crate::domain::{Category, Position};
use crate::texts::{Lang, Text};
use crate::workbook::{Facts, Record, Value, Vocabulary};

/// A mark: its name, its meaning in English and Japanese, and its value.
pub struct Mark<T> {
    pub name: &'static str,
    pub meaning: [&'static str; 2],
    pub value: T,
}

/// A mark as lists show it.
pub struct MarkLine {
    /// As it is written between the braces.
    pub name: String,
    pub meaning: [&'static str; 2],
}

type OfBridge = fn(&Content) -> Value;
type OfPhoto = fn(&Content, &Photo) -> Value;
type OfMember = fn(&Content, &Member) -> Value;
type OfSpan = fn(&Content, &Span) -> Value;

const fn mark<T>(name: &'static str, en: &'static str, ja: &'static str, value: T) -> Mark<T> {
    Mark { name, meaning: [en, ja], value }
}

/// Facts that follow from the photos.
pub const BRIDGE: &[Mark<OfBridge>] = &[
    mark("bridge.id", "Bridge of the tags", "タグの橋梁", |c| text(&c.bridge)),
    mark(
        "bridge.soundness",
        "Worst soundness of the photos, as a draft: the bridge's is the inspector's",
        "写真の最も悪い判定区分（案）",
        |c| {
            let all: Vec<usize> = (0..c.photos.len()).collect();
            filled(c.draft(c.grade_text(c.worst(&all).0), true))
        },
    ),
    mark("bridge.measure", "Measures that the photos name, as a draft", "写真の対策区分（案）", |c| {
        let mut measures: Vec<u8> =
            c.photos.iter().flat_map(|photo| photo.labels().get(Category::Measure).indexes().to_vec()).collect();
        measures.sort_unstable();
        measures.dedup();
        let names: Vec<&str> = measures.iter().map(|index| Category::Measure.class(*index).en).collect();
        filled(c.draft(names.join(", "), true))
    }),
    mark(
        "bridge.finding",
        "Damage by member with photo numbers, as a draft",
        "部材ごとの損傷と写真番号（案）",
        |c| filled(c.draft(findings(c), true)),
    ),
    mark(
        "bridge.picture",
        "Picture of the first photo whose tag names no member",
        "部材のない最初の写真",
        |c| {
            let general = c.photos.iter().find(|photo| photo.place.key().is_none() && photo.has_picture);
            general.map_or(Value::Empty, picture)
        },
    ),
    mark("inspection.first", "Day of the first photo", "最初の撮影日", |c| {
        day(c, c.photos.iter().map(|p| taken(c, p)).min())
    }),
    mark("inspection.last_photo", "Day of the last photo", "最後の撮影日", |c| {
        day(c, c.photos.iter().map(|p| taken(c, p)).max())
    }),
    mark("photo_count", "Number of photos", "写真枚数", |c| count(c.photos.len())),
    mark("member_count", "Number of members", "部材数", |c| count(c.members.len())),
    mark("members_without_photos", "Number of members without photos", "写真のない部材数", |c| {
        count(c.members.iter().filter(|member| member.photos.is_empty()).count())
    }),
    mark(
        "span_count",
        "Number of spans with photos or members",
        "径間数（写真または部材のある径間）",
        |c| count(c.spans.len()),
    ),
    mark("judged_count", "Number of photos that an inspector has judged", "点検者が確認した写真数", |c| {
        count(c.photos.iter().filter(|photo| photo.is_judged()).count())
    }),
    mark("notice", "What drafts are", "案の説明", |c| text(Text::SheetNotice.say(c.lang))),
    mark("device", "Site and name of the device", "撮影機器", |c| text(&c.device)),
];

/// Facts about a photo.
pub const PHOTO: &[Mark<OfPhoto>] = &[
    mark("number", "Number that the photo keeps", "写真番号", |_, p| Value::Number(p.number.into())),
    mark("picture", "The picture", "写真", |_, p| if p.has_picture { picture(p) } else { Value::Empty }),
    mark("taken", "Day of exposure", "撮影日", |c, p| Value::Date(taken(c, p).date())),
    mark("taken_at", "Day and time of exposure", "撮影日時", |c, p| Value::DateTime(taken(c, p))),
    mark("span", "Span", "径間番号", |_, p| number_or_text(&p.place.span)),
    mark("member", "Name of the member", "部材名", |_, p| text(&p.place.member)),
    mark("element", "Number of the element, as in Mg0101", "要素番号", |_, p| text(&p.place.element)),
    mark(
        "damage",
        "Damage with its number, as in ①腐食; a draft unless an inspector has judged",
        "損傷の種類（番号と名称）",
        |c, p| filled(c.draft(c.damage_text(&p.damages()), !p.is_judged())),
    ),
    mark("damage_number", "Number of the damage, ① to ㉖", "損傷の番号", |_, p| {
        filled(p.damages().iter().map(|damage| damage.circled()).collect())
    }),
    mark("damage_name", "Name of the damage", "損傷の名称", |c, p| {
        let names: Vec<&str> = p.damages().iter().map(|damage| damage.name(c.lang)).collect();
        filled(names.join(if c.lang == Lang::Ja { "、" } else { ", " }))
    }),
    mark(
        "degree",
        "Degree of damage, a to e: left open, it is the inspector's",
        "損傷程度 a〜e（点検者が記入）",
        |_, _| Value::Empty,
    ),
    mark("last_degree", "Degree at this place by the inspection before", "前回の損傷程度", |c, p| {
        last_photo(c, p, |photo| &photo.degree).or_else(|| last_member(c, &p.place, |member| &member.degree)).into()
    }),
    mark("grade", "Soundness of the photo; a draft unless an inspector has judged", "判定区分", |c, p| {
        filled(c.draft(c.grade_text(p.grade()), !p.is_judged()))
    }),
    mark("last_grade", "Soundness of the member by the inspection before", "前回の判定区分", |c, p| {
        last_member(c, &p.place, |member| &member.grade).or_else(|| last_photo(c, p, |photo| &photo.grade)).into()
    }),
    mark("measure", "Measure classification; a draft unless an inspector has judged", "対策区分", |c, p| {
        let labels = p.labels();
        let names: Vec<&str> = labels.get(Category::Measure).names(Category::Measure).collect();
        filled(c.draft(names.join(", "), !p.is_judged()))
    }),
    mark("memo", "Sentence about the damage, as a draft", "メモ（所見の案）", |c, p| {
        filled(c.draft(c.finding(&p.record), true))
    }),
    mark("finding", "The same as memo", "所見の案", |c, p| filled(c.draft(c.finding(&p.record), true))),
    mark("judged_by", "Who judged", "判定者", |c, p| match p.record.inspection() {
        Some((inspection, _)) => text(inspection.by.as_str()),
        None => text(Text::JudgedByModel.say(c.lang)),
    }),
    mark("direction", "Where the camera looked, if it wrote that", "撮影方向", |c, p| {
        let yaw = p.record.facts().drone.as_ref().and_then(|drone| drone.gimbal.yaw_deg);
        yaw.map_or(Value::Empty, |yaw| text(direction(yaw, c.lang)))
    }),
    mark("scale", "Millimetres of the subject in a pixel, if they are known", "縮尺 (mm/px)", |_, p| {
        let scale = p.record.facts().image.quality.and_then(|quality| quality.millimetres_per_pixel);
        scale.map_or(Value::Empty, |scale| text(&format!("{scale:.2} mm/px")))
    }),
    mark("latitude", "Latitude in degrees", "緯度", |_, p| position(p, |position| position.latitude_deg)),
    mark("longitude", "Longitude in degrees", "経度", |_, p| position(p, |position| position.longitude_deg)),
    mark("last_number", "Photo number at this place by the inspection before", "前回の写真番号", |c, p| {
        last_photo(c, p, |photo| &photo.number).into()
    }),
    mark("last_memo", "Memo at this place by the inspection before", "前回のメモ", |c, p| {
        last_photo(c, p, |photo| &photo.memo).into()
    }),
    mark("last_picture", "Picture of this place by the inspection before", "前回の写真", |c, p| {
        let found = c.last.photo(&p.place, &p.damages()).and_then(|(_, id)| *id);
        found.map_or(Value::Empty, |id| Value::Picture(format!("last:{id}")))
    }),
    mark("file", "File name of the photo", "ファイル名", |_, p| filled(p.record.file().unwrap_or_default())),
    mark("sha256", "Hash of the photo file", "写真ファイルのSHA-256", |_, p| {
        filled(p.record.facts().image.sha256.to_string())
    }),
];

/// Facts about a member.
pub const MEMBER: &[Mark<OfMember>] = &[
    mark("span", "Span", "径間番号", |_, m| number_or_text(&m.place.span)),
    mark("name", "Name of the member", "部材名", |_, m| text(&m.place.member)),
    mark("element", "Number of the element, as in Mg0101", "要素番号", |_, m| text(&m.place.element)),
    mark(
        "damage",
        "Damage of all photos; a draft unless an inspector has judged all of them",
        "損傷の種類",
        |c, m| {
            let (damages, is_judged) = c.damages_of(&m.photos);
            filled(c.draft(c.damage_text(&damages), !is_judged))
        },
    ),
    mark(
        "degree",
        "Degree of damage, a to e: left open, it is the inspector's",
        "損傷程度 a〜e（点検者が記入）",
        |_, _| Value::Empty,
    ),
    mark("last_degree", "Degree by the inspection before", "前回の損傷程度", |c, m| {
        let of_photo = || c.last.photo(&m.place, &c.damages_of(&m.photos).0).map(|(photo, _)| photo.degree.clone());
        last_member(c, &m.place, |member| &member.degree).or_else(of_photo).into()
    }),
    mark("grade", "Worst soundness of the photos; a draft unless an inspector gave it", "判定区分", |c, m| {
        let (grade, is_judged) = c.worst(&m.photos);
        filled(c.draft(c.grade_text(grade), !is_judged))
    }),
    mark("last_grade", "Soundness by the inspection before", "前回の判定区分", |c, m| {
        last_member(c, &m.place, |member| &member.grade).into()
    }),
    mark("photos", "Numbers of its photos", "写真番号", |c, m| filled(c.numbers(&m.photos))),
    mark("photo_count", "Number of its photos", "写真枚数", |_, m| count(m.photos.len())),
    mark("finding", "Sentence about the most telling photo, as a draft", "所見の案", |c, m| {
        let telling = c.telling(&m.photos).map(|photo| c.finding(&photo.record));
        filled(c.draft(telling.unwrap_or_default(), true))
    }),
    mark("last_finding", "Finding by the inspection before", "前回の所見", |c, m| {
        last_member(c, &m.place, |member| &member.finding).into()
    }),
    mark("picture", "The most telling picture", "代表写真", |c, m| {
        c.telling(&m.photos).map_or(Value::Empty, picture)
    }),
    mark("last_picture", "Picture by the inspection before", "前回の写真", |c, m| {
        let found = c.last.photo(&m.place, &c.damages_of(&m.photos).0).and_then(|(_, id)| *id);
        found.map_or(Value::Empty, |id| Value::Picture(format!("last:{id}")))
    }),
];

/// Facts about a span.
pub const SPAN: &[Mark<OfSpan>] = &[
    mark("number", "Span", "径間番号", |_, s| number_or_text(&s.name)),
    mark("photos", "Numbers of its photos", "写真番号", |c, s| filled(c.numbers(&s.photos))),
    mark("photo_count", "Number of its photos", "写真枚数", |_, s| count(s.photos.len())),
    mark("member_count", "Number of its members", "部材数", |_, s| count(s.members.len())),
    mark(
        "damage",
        "Damage of all photos; a draft unless an inspector has judged all of them",
        "損傷の種類",
        |c, s| {
            let (damages, is_judged) = c.damages_of(&s.photos);
            filled(c.draft(c.damage_text(&damages), !is_judged))
        },
    ),
    mark("grade", "Worst soundness of the photos; a draft unless an inspector gave it", "判定区分", |c, s| {
        let (grade, is_judged) = c.worst(&s.photos);
        filled(c.draft(c.grade_text(grade), !is_judged))
    }),
    mark("picture", "The most telling picture", "代表写真", |c, s| {
        c.telling(&s.photos).map_or(Value::Empty, picture)
    }),
];

/// Returns every mark that a form may have, in the order of the tables.
pub fn lines() -> Vec<MarkLine> {
    let given = GIVEN.iter().map(|known| MarkLine { name: known.name.to_owned(), meaning: known.meaning });
    let of_bridge = BRIDGE.iter().map(|mark| MarkLine { name: mark.name.to_owned(), meaning: mark.meaning });
    let paper = [
        ("page", ["Number of the page", "頁"]),
        ("pages", ["Number of pages", "総頁数"]),
        (
            "#photo",
            ["Begins what repeats for each photo; {{/photo}} ends it", "写真ごとの繰り返しの始まり（{{/photo}} まで）"],
        ),
        ("#member", ["Begins what repeats for each member", "部材ごとの繰り返しの始まり"]),
        ("#span", ["Begins what repeats for each span", "径間ごとの繰り返しの始まり"]),
    ];
    let paper = paper.into_iter().map(|(name, meaning)| MarkLine { name: name.to_owned(), meaning });
    let line = |list: &str, name: &str, meaning| MarkLine { name: format!("{list}.{name}"), meaning };
    let photo = PHOTO.iter().map(|mark| line("photo", mark.name, mark.meaning));
    let member = MEMBER.iter().map(|mark| line("member", mark.name, mark.meaning));
    let span = SPAN.iter().map(|mark| line("span", mark.name, mark.meaning));
    given.chain(of_bridge).chain(paper).chain(photo).chain(member).chain(span).collect()
}

/// Returns the names of all marks, by which a template is checked.
pub fn vocabulary() -> Vocabulary {
    let single = GIVEN.iter().map(|known| known.name).chain(BRIDGE.iter().map(|mark| mark.name));
    let names = |names: &mut dyn Iterator<Item = &'static str>| names.map(str::to_owned).collect();
    let lists = [
        ("photo", names(&mut PHOTO.iter().map(|mark| mark.name))),
        ("member", names(&mut MEMBER.iter().map(|mark| mark.name))),
        ("span", names(&mut SPAN.iter().map(|mark| mark.name))),
    ];
    Vocabulary {
        single: single.map(str::to_owned).collect(),
        lists: lists.into_iter().map(|(list, names)| (list.to_owned(), names)).collect(),
    }
}

/// Returns what fills a form.
pub fn fill(content: &Content) -> Facts {
    let mut single: Record = BRIDGE.iter().map(|mark| (mark.name.to_owned(), (mark.value)(content))).collect();
    for known in GIVEN {
        let given = content.facts.get(known.name).map(super::facts::Fact::value);
        let value = given.unwrap_or_else(|| match known.name {
            "bridge.name" => text(&content.bridge),
            "inspection.date" => single.get("inspection.last_photo").cloned().unwrap_or_default(),
            _ => Value::Empty,
        });
        single.insert(known.name.to_owned(), value);
    }
    let photos = content
        .photos
        .iter()
        .map(|photo| PHOTO.iter().map(|mark| (mark.name.to_owned(), (mark.value)(content, photo))).collect());
    let members = content
        .members
        .iter()
        .map(|member| MEMBER.iter().map(|mark| (mark.name.to_owned(), (mark.value)(content, member))).collect());
    let spans = content
        .spans
        .iter()
        .map(|span| SPAN.iter().map(|mark| (mark.name.to_owned(), (mark.value)(content, span))).collect());
    let lists = [("photo", photos.collect()), ("member", members.collect()), ("span", spans.collect())];
    let lists: BTreeMap<String, Vec<Record>> =
        lists.into_iter().map(|(list, records)| (list.to_owned(), records)).collect();
    Facts { single, lists }
}

fn text(text: &str) -> Value {
    filled(text.to_owned())
}

/// Returns a text as a cell gets it; an empty one leaves the cell empty.
fn filled(text: String) -> Value {
    Value::from(Some(text))
}

fn count(number: usize) -> Value {
    Value::Number(number as f64)
}

/// Returns a whole number as one, so that a spreadsheet sorts spans as people count.
fn number_or_text(name: &str) -> Value {
    let is_number = !name.starts_with('0') && name.len() <= 9 && name.bytes().all(|digit| digit.is_ascii_digit());
    name.parse().ok().filter(|_| is_number).map_or_else(|| text(name), Value::Number)
}

fn picture(photo: &Photo) -> Value {
    Value::Picture(format!("photo:{}", photo.record.capture.id))
}

fn taken(content: &Content, photo: &Photo) -> jiff::civil::DateTime {
    let moment = content.zone.to_datetime(photo.record.facts().taken.at);
    moment.with().subsec_nanosecond(0).build().unwrap_or(moment)
}

fn day(_: &Content, moment: Option<jiff::civil::DateTime>) -> Value {
    moment.map_or(Value::Empty, |moment| Value::Date(moment.date()))
}

fn position(photo: &Photo, value: fn(&Position) -> f64) -> Value {
    photo.record.facts().position.as_ref().map_or(Value::Empty, |position| Value::Number(value(position)))
}

fn last_photo(content: &Content, photo: &Photo, field: fn(&super::last::LastPhoto) -> &String) -> Option<String> {
    let found = content.last.photo(&photo.place, &photo.damages())?;
    Some(field(&found.0).clone()).filter(|text| !text.is_empty())
}

fn last_member(
    content: &Content,
    place: &super::place::Place,
    field: fn(&super::last::LastMember) -> &String,
) -> Option<String> {
    Some(field(content.last.member(place)?).clone()).filter(|text| !text.is_empty())
}

/// Returns the eighth of the horizon in which a bearing lies.
fn direction(yaw_deg: f64, lang: Lang) -> &'static str {
    use Text::{
        EastShort, NorthEastShort, NorthShort, NorthWestShort, SouthEastShort, SouthShort, SouthWestShort, WestShort,
    };
    let names =
        [NorthShort, NorthEastShort, EastShort, SouthEastShort, SouthShort, SouthWestShort, WestShort, NorthWestShort];
    names[(yaw_deg.rem_euclid(360.0) / 45.0).round() as usize % 8].say(lang)
}

/// Returns a line for each member with damage.
fn findings(content: &Content) -> String {
    const LINES_MAX: usize = 40;
    let damaged = content.members.iter().filter_map(|member| {
        let damages = content.damages_of(&member.photos).0;
        let name = [member.place.span.as_str(), &member.place.member, &member.place.element];
        let name: Vec<&str> = name.into_iter().filter(|part| !part.is_empty()).collect();
        let (numbers, damage) = (content.numbers(&member.photos), content.damage_text(&damages));
        (!damages.is_empty()).then(|| match content.lang {
            Lang::Ja => format!("{}：{damage}（写真{numbers}）", name.join(" ")),
            Lang::En => format!("{}: {damage} (photos {numbers})", name.join(" ")),
        })
    });
    let mut lines: Vec<String> = damaged.take(LINES_MAX + 1).collect();
    if lines.len() > LINES_MAX {
        lines[LINES_MAX] = "…".to_owned();
    }
    lines.join("\n")
}
