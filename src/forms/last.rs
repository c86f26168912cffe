//! The inspection before this one: its members and photos, as they are kept, and what it says about a place.

use serde::{Deserialize, Serialize};

use super::damage::Damage;
use super::place::{Place, PlaceKey};
use crate::journal::{JournalError, Reader};

/// Member or photo of the inspection before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    Member(LastMember),
    Photo(LastPhoto),
}

/// Member with its ratings by the inspection before. A text is empty if nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastMember {
    pub span: String,
    pub member: String,
    pub element: String,
    pub damage: String,
    /// Degree of damage, a to e.
    pub degree: String,
    /// Soundness, I to IV in any spelling.
    pub grade: String,
    pub measure: String,
    pub finding: String,
    /// Numbers of its photos.
    pub photos: String,
}

/// Photo of the inspection before. A text is empty if nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastPhoto {
    pub number: String,
    pub taken: String,
    pub span: String,
    pub member: String,
    pub element: String,
    pub damage: String,
    pub degree: String,
    pub grade: String,
    pub memo: String,
}

/// What is known about the inspection before, with the id under which a photo's picture is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastCycle {
    pub members: Vec<LastMember>,
    pub photos: Vec<(LastPhoto, Option<i64>)>,
}

impl LastMember {
    pub fn place(&self) -> Place {
        Place::named(&self.span, &self.member, &self.element)
    }
}

impl LastPhoto {
    pub fn place(&self) -> Place {
        Place::named(&self.span, &self.member, &self.element)
    }
}

impl LastCycle {
    /// Reads what is kept about a bridge. Entries of a newer program are left out.
    pub fn read(reader: &Reader, bridge: &str) -> Result<Self, JournalError> {
        let mut cycle = LastCycle::default();
        for stored in reader.last_cycle(bridge)? {
            match serde_json::from_str(&stored.entry) {
                Ok(Entry::Member(member)) => cycle.members.push(member),
                Ok(Entry::Photo(photo)) => cycle.photos.push((photo, stored.has_picture.then_some(stored.id))),
                Err(_) => (),
            }
        }
        Ok(cycle)
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.photos.is_empty()
    }

    /// Returns the member of a place.
    pub fn member(&self, place: &Place) -> Option<&LastMember> {
        let of = |key: Option<PlaceKey>| {
            let key = key?;
            self.members.iter().find(|member| member.place().key().as_ref() == Some(&key))
        };
        // A list of members without elements says the same of all elements of a member.
        of(place.key()).or_else(|| of(place.member_key()))
    }

    /// Returns the photo of a place: one with the same damage first.
    pub fn photo(&self, place: &Place, damages: &[Damage]) -> Option<&(LastPhoto, Option<i64>)> {
        let key = place.key()?;
        let mut here = self.photos.iter().filter(|(photo, _)| photo.place().key().as_ref() == Some(&key));
        let first = here.clone().next();
        let same = |photo: &LastPhoto| Damage::parse(&photo.damage).is_some_and(|damage| damages.contains(&damage));
        here.find(|(photo, _)| same(photo)).or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Category, CategoryLabels};

    fn photo(element: &str, damage: &str, degree: &str) -> (LastPhoto, Option<i64>) {
        let text = str::to_owned;
        let photo =
            LastPhoto { element: text(element), damage: text(damage), degree: text(degree), ..LastPhoto::default() };
        (photo, None)
    }

    #[test]
    fn what_was_said_is_found_by_place_and_damage() {
        let corrosion = CategoryLabels::new(Category::DamageType, Category::DamageType.class_index("corrosion"));
        let damages = Damage::of(&corrosion, &CategoryLabels::default());
        let last = LastCycle {
            members: vec![
                LastMember { member: "主桁".into(), grade: "Ⅱ".into(), ..LastMember::default() },
                LastMember { element: "Mg0102".into(), grade: "Ⅲ".into(), ..LastMember::default() },
            ],
            photos: vec![photo("Mg0101", "ひびわれ", "b"), photo("Mg0101", "①腐食", "d"), photo("Mg0102", "腐食", "e")],
        };
        let place = |element: &str| Place::named("", "主桁", element);
        let degree = |element: &str, damages: &[Damage]| {
            last.photo(&place(element), damages).map(|(photo, _)| photo.degree.as_str())
        };
        assert_eq!(degree("Mg0101", &damages), Some("d"));
        assert_eq!(degree("Mg0101", &[]), Some("b"));
        assert_eq!(degree("Mg0103", &damages), None);
        assert_eq!(last.member(&place("Mg0102")).map(|member| member.grade.as_str()), Some("Ⅲ"));
        assert_eq!(last.member(&place("Mg0101")).map(|member| member.grade.as_str()), Some("Ⅱ"), "of all main girders");
    }
}
