//! What a form about one bridge says: its photos by their numbers, its members, its spans.

use std::collections::BTreeMap;

use jiff::tz::Offset;

use super::damage::Damage;
use super::facts::Facts;
use super::last::LastCycle;
use super::place::{Place, PlaceKey};
use crate::domain::{Category, Labels, Tag, TagOrder};
use crate::export::Record;
use crate::texts::{Lang, Text};

/// Everything that a form about one bridge can say.
pub struct Content {
    /// Name of the bridge in the tags; empty for photos whose tag names none.
    pub bridge: String,
    pub facts: Facts,
    /// Photos by ascending number.
    pub photos: Vec<Photo>,
    pub members: Vec<Member>,
    pub spans: Vec<Span>,
    pub last: LastCycle,
    pub device: String,
    pub lang: Lang,
    /// Time zone of the device's location.
    pub zone: Offset,
}

/// Photo with the number that it keeps.
pub struct Photo {
    pub number: u32,
    pub record: Record,
    pub place: Place,
    /// Whether its file or its thumbnail is at hand.
    pub has_picture: bool,
}

/// Member of the bridge, with photos or without.
#[derive(Default)]
pub struct Member {
    pub place: Place,
    /// Indexes of its photos.
    pub photos: Vec<usize>,
}

/// Span of the bridge.
#[derive(Default)]
pub struct Span {
    pub name: String,
    /// Indexes of its photos and members.
    pub photos: Vec<usize>,
    pub members: Vec<usize>,
}

impl Photo {
    /// Whether an inspector has judged it.
    pub fn is_judged(&self) -> bool {
        self.record.capture.inspection.is_some()
    }

    pub fn labels(&self) -> Labels {
        self.record.capture.verdict.labels()
    }

    /// Returns the kinds of damage that it shows.
    pub fn damages(&self) -> Vec<Damage> {
        let labels = self.labels();
        Damage::of(labels.get(Category::DamageType), labels.get(Category::DamageLocation))
    }

    /// Returns the index of its soundness rating.
    pub fn grade(&self) -> Option<u8> {
        self.labels().get(Category::Soundness).indexes().first().copied()
    }
}

impl Content {
    /// Puts together what a form says. `listed` are members that need photos, from a list that was made beforehand.
    pub fn new(
        bridge: &str,
        facts: Facts,
        mut photos: Vec<Photo>,
        listed: &[Tag],
        last: LastCycle,
        (device, lang, zone): (String, Lang, Offset),
    ) -> Self {
        photos.sort_by_key(|photo| photo.number);
        let members = members(&photos, listed, &last);
        let spans = spans(&photos, &members);
        Content { bridge: bridge.to_owned(), facts, photos, members, spans, last, device, lang, zone }
    }

    /// Returns a text with the mark of a draft, if it is one and not empty.
    pub fn draft(&self, text: String, is_draft: bool) -> String {
        match is_draft && !text.is_empty() {
            true if self.lang == Lang::En => format!("{text} {}", Text::Draft.say(self.lang)),
            true => text + Text::Draft.say(self.lang),
            false => text,
        }
    }

    /// Returns kinds of damage as forms list them.
    pub fn damage_text(&self, damages: &[Damage]) -> String {
        let texts: Vec<String> = damages.iter().map(|damage| damage.text(self.lang)).collect();
        texts.join(if self.lang == Lang::Ja { "、" } else { ", " })
    }

    /// Returns a soundness rating as forms write it.
    pub fn grade_text(&self, grade: Option<u8>) -> String {
        let class = grade.map(|index| Category::Soundness.class(index));
        class.map_or(String::new(), |class| if self.lang == Lang::Ja { class.ja } else { class.en }.to_owned())
    }

    /// Returns what an inspector has said about a photo, or the draft of the verdict.
    pub fn finding(&self, record: &Record) -> String {
        let verdict = &record.capture.verdict;
        if verdict.by_inspector { self.sentence(&verdict.labels()) } else { self.lang.draft(&verdict.draft) }
    }

    /// Returns a sentence about what labels say: a draft of a finding. Empty if they name no damage.
    pub fn sentence(&self, labels: &Labels) -> String {
        let names = |category: Category| -> Vec<&str> {
            let classes = labels.get(category).indexes().iter().map(|index| category.class(*index));
            classes.map(|class| if self.lang == Lang::Ja { class.ja } else { class.en }).collect()
        };
        let (damage, place) = (names(Category::DamageType), names(Category::DamageLocation));
        match (damage.len(), place.len(), self.lang) {
            (0, ..) => String::new(),
            (_, 0, Lang::Ja) => format!("{}が見られます。", damage.join("、")),
            (_, _, Lang::Ja) => format!("{}において{}が見られます。", place.join("、"), damage.join("、")),
            (count, places, Lang::En) => {
                let verb = if count == 1 { "is" } else { "are" };
                let text = format!("{} {verb} observed", damage.join(" and "));
                let text = if places == 0 { text } else { format!("{text} in the {}", place.join(" and ")) };
                let mut letters = text.chars();
                let first = letters.next().into_iter().flat_map(char::to_uppercase);
                first.chain(letters).chain(['.']).collect()
            }
        }
    }

    /// Returns the numbers of photos, as in `1–3, 7`.
    pub fn numbers(&self, photos: &[usize]) -> String {
        let mut numbers: Vec<u32> = photos.iter().map(|index| self.photos[*index].number).collect();
        numbers.sort_unstable();
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for number in numbers {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                _ => runs.push((number, number)),
            }
        }
        let run = |&(first, last): &(u32, u32)| match last - first {
            0 => first.to_string(),
            1 => format!("{first}, {last}"),
            _ => format!("{first}–{last}"),
        };
        runs.iter().map(run).collect::<Vec<_>>().join(", ")
    }

    /// Returns the kinds of damage that photos show, and whether all were judged by an inspector.
    pub fn damages_of(&self, photos: &[usize]) -> (Vec<Damage>, bool) {
        let mut damages: Vec<Damage> = photos.iter().flat_map(|index| self.photos[*index].damages()).collect();
        damages.sort_unstable();
        damages.dedup();
        (damages, photos.iter().all(|index| self.photos[*index].is_judged()))
    }

    /// Returns the worst rating of photos, and whether an inspector gave it and none of the others could be worse.
    pub fn worst(&self, photos: &[usize]) -> (Option<u8>, bool) {
        let worst = photos.iter().filter_map(|index| self.photos[*index].grade()).max();
        let mut of_worst = photos.iter().filter(|index| self.photos[**index].grade() == worst);
        (worst, of_worst.any(|index| self.photos[*index].is_judged()))
    }

    /// Returns the photo of some that shows the worst, the one that an inspector has judged first.
    pub fn telling(&self, photos: &[usize]) -> Option<&Photo> {
        let with_picture = photos.iter().map(|index| &self.photos[*index]).filter(|photo| photo.has_picture);
        with_picture.max_by_key(|photo| (photo.grade(), photo.is_judged(), std::cmp::Reverse(photo.number)))
    }
}

/// Returns the members that photos, the list and the inspection before name, in the order of their names.
fn members(photos: &[Photo], listed: &[Tag], last: &LastCycle) -> Vec<Member> {
    let mut found: BTreeMap<PlaceKey, Member> = BTreeMap::new();
    for (index, photo) in photos.iter().enumerate() {
        if let Some(key) = photo.place.key() {
            let member = found.entry(key).or_insert_with(|| Member { place: photo.place.clone(), photos: Vec::new() });
            member.photos.push(index);
        }
    }
    let before = last.members.iter().map(super::last::LastMember::place);
    for place in listed.iter().map(|tag| Place::of(Some(tag))).chain(before) {
        // A whole member is no member of its own beside its elements.
        let is_whole =
            place.element.is_empty() && found.values().any(|member| member.place.member_key() == place.key());
        if let Some(key) = place.key().filter(|_| !is_whole) {
            found.entry(key).or_insert_with(|| Member { place, photos: Vec::new() });
        }
    }
    let mut members: Vec<Member> = found.into_values().collect();
    members.sort_by_key(|member| order(&member.place));
    members
}

/// Returns a key that sorts places as people count.
pub fn order(place: &Place) -> TagOrder {
    let name = |text: &str| text.parse().ok();
    let member = if place.element.is_empty() { &place.member } else { &place.element };
    Tag { bridge: None, span: name(&place.span), member: name(member) }.order()
}

fn spans(photos: &[Photo], members: &[Member]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut of = |place: &Place, add: &mut dyn FnMut(&mut Span)| {
        if place.span.is_empty() {
            return;
        }
        match spans.iter_mut().find(|span| span.name == place.span) {
            Some(span) => add(span),
            None => {
                let mut span = Span { name: place.span.clone(), ..Span::default() };
                add(&mut span);
                spans.push(span);
            }
        }
    };
    for (index, photo) in photos.iter().enumerate() {
        of(&photo.place, &mut |span| span.photos.push(index));
    }
    for (index, member) in members.iter().enumerate() {
        of(&member.place, &mut |span| span.members.push(index));
    }
    spans.sort_by_key(|span| order(&Place { span: span.name.clone(), ..Place::default() }));
    spans
}

/// Returns a bridge with three photos of two members, and one member without photos, for tests.
#[cfg(test)]
pub fn example(lang: Lang) -> Content {
    use super::last::{LastMember, LastPhoto};
    use crate::export::{example_record, inspected_example_record};

    let tagged = |mut record: Record, member: &str| {
        record.capture.facts.tag = format!("bridgeclip:bridge=B-12;span=3;member={member}").parse().ok();
        record
    };
    let records = [
        tagged(example_record(1), "主桁 Mg0101"),
        tagged(inspected_example_record(2), "主桁 Mg0101"),
        tagged(example_record(3), "Ds0101"),
    ];
    let photos = (1..).zip(records).map(|(number, record)| Photo {
        number,
        place: Place::of(record.facts().tag.as_ref()),
        record,
        has_picture: true,
    });
    let member =
        LastMember { span: "3".into(), element: "Mg0101".into(), grade: "Ⅱ".into(), ..LastMember::default() };
    let other = LastMember { span: "3".into(), member: "支承".into(), element: "Bh0101".into(), ..member.clone() };
    let photo = LastPhoto {
        number: "7".into(),
        span: "3".into(),
        element: "Mg0101".into(),
        damage: "①腐食".into(),
        degree: "c".into(),
        ..LastPhoto::default()
    };
    let last = LastCycle { members: vec![member, other], photos: vec![(photo, Some(4))] };
    let whole = ("kita/unit-1".to_owned(), lang, Offset::constant(9));
    Content::new("B-12", Facts::new(), photos.collect(), &[], last, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_spans_are_those_of_photos_and_of_the_inspection_before() {
        let content = example(Lang::Ja);
        let names: Vec<_> = content.members.iter().map(|member| member.place.element.as_str()).collect();
        assert_eq!(names, ["Bh0101", "Ds0101", "Mg0101"]);
        assert_eq!(content.members.iter().map(|member| member.photos.len()).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(content.spans.len(), 1);
        assert_eq!((content.spans[0].photos.len(), content.spans[0].members.len()), (3, 3));
    }

    #[test]
    fn what_no_inspector_said_is_a_draft() {
        let content = example(Lang::Ja);
        // The device says III; the inspector says IV about the second photo.
        assert_eq!(content.worst(&[0, 1]), (Some(3), true));
        assert_eq!(content.worst(&[0]), (Some(2), false));
        assert_eq!(content.draft("Ⅲ".into(), true), "Ⅲ（案）");
        assert_eq!(content.draft(String::new(), true), "");
        assert_eq!(content.numbers(&[2, 0, 1]), "1–3");
        assert_eq!(content.numbers(&[0, 2]), "1, 3");
        assert_eq!(content.sentence(&content.photos[0].labels()), "橋脚においてひびわれ、腐食が見られます。");
        let english = example(Lang::En);
        assert_eq!(english.sentence(&english.photos[0].labels()), "Cracking and corrosion are observed in the pier.");
    }
}
