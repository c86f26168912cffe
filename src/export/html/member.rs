//! The answer about a member on the inspection sheet.

use super::parts::fact;
use crate::domain::{Category, MemberAnswer};
use crate::markup::escape;
use crate::texts::{Lang, Text};

/// Returns the answer that all photos of a member give together, marked as a suggestion.
pub fn answer(answer: &MemberAnswer, lang: Lang) -> String {
    let classes = |category: Category, indexes: &[u8]| {
        indexes.iter().map(|&index| lang.class(category.class(index))).collect::<Vec<_>>().join(", ")
    };
    let answered = Category::ALL.map(|category| {
        let indexes: Vec<u8> = answer.get(category).classes.iter().map(|class| class.index).collect();
        (Text::of_category(category), classes(category, &indexes))
    });
    let worst = answer.worst_credible().filter(|worst| Some(*worst) != answer.rating());
    let carriers: Vec<String> = answer.carriers().iter().map(|photo| photo.capture.to_string()).collect();
    let more = [
        (Text::NotExcluded, worst.map(|worst| classes(Category::Soundness, &[worst])).unwrap_or_default()),
        (Text::MemberSingle, classes(Category::DamageType, answer.single_damage.indexes())),
        (Text::MemberCarried, carriers.join(", ")),
        (Text::DraftFinding, lang.draft(&answer.draft)),
    ];
    let facts = answered.into_iter().chain(more).filter(|(_, value)| !value.is_empty());
    let facts: String = facts.map(|(name, value)| fact(name, &value, lang)).collect();
    let (title, note) = (escape(Text::MemberAnswer.say(lang)), escape(Text::MemberNote.say(lang)));
    format!(
        "<section class=\"member\">\n<h4>{title}</h4>\n<dl class=\"facts\">\n{facts}</dl>\n<p class=\"small\">{note}</p>\n</section>\n"
    )
}
