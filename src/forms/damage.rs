//! Damage as the national inspection manual of 2019 numbers it, ① to ㉖.

use crate::domain::CategoryLabels;
use crate::texts::Lang;

/// Kinds of damage by their number, in both languages.
const KINDS: [(&str, &str); 26] = [
    ("腐食", "corrosion"),
    ("亀裂", "fatigue cracking"),
    ("ゆるみ・脱落", "loosening / dislodgement"),
    ("破断", "fracture"),
    ("防食機能の劣化", "deterioration of anti-corrosion function"),
    ("ひびわれ", "cracking"),
    ("剥離・鉄筋露出", "spalling / rebar exposure"),
    ("漏水・遊離石灰", "water leakage / efflorescence"),
    ("抜け落ち", "falling out of concrete"),
    ("補修・補強材の損傷", "damage of repair and strengthening"),
    ("床版ひびわれ", "deck slab cracking"),
    ("うき", "delamination"),
    ("遊間の異常", "abnormal gap"),
    ("路面の凹凸", "unevenness of the road surface"),
    ("舗装の異常", "pavement defect"),
    ("支承部の機能障害", "bearing dysfunction"),
    ("その他", "other"),
    ("定着部の異常", "anchorage defect"),
    ("変色・劣化", "discolouration / deterioration"),
    ("漏水・滞水", "leakage / standing water"),
    ("異常な音・振動", "abnormal sound / vibration"),
    ("異常なたわみ", "abnormal deflection"),
    ("変形・欠損", "deformation / defect"),
    ("土砂詰まり", "soil/debris clogging"),
    ("沈下・移動・傾斜", "settlement / movement / tilt"),
    ("洗掘", "scour"),
];

/// Numbers of the classes of `Category::DamageType`, in their order.
const OF_CLASSES: [u8; 15] = [6, 7, 1, 12, 8, 23, 24, 3, 5, 16, 4, 2, 15, 26, 17];

/// Index of the class for cracks, and the number of cracks in a deck slab, which the manual counts apart.
const CRACKING: u8 = 0;
const DECK_CRACKING: u8 = 11;
/// Index of the deck slab among the classes of `Category::DamageLocation`.
const DECK_SLAB: u8 = 2;

/// Number of a kind of damage, 1 to 26.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage(u8);

impl Damage {
    /// Returns the kinds of damage that labels name, by ascending number. Cracks are cracks of the deck slab if the
    /// labels name no other place.
    pub fn of(kinds: &CategoryLabels, places: &CategoryLabels) -> Vec<Self> {
        let is_deck = places.indexes() == [DECK_SLAB];
        let number = |class: &u8| match *class {
            CRACKING if is_deck => DECK_CRACKING,
            class => OF_CLASSES[class as usize],
        };
        let mut damages: Vec<_> = kinds.indexes().iter().map(number).map(Damage).collect();
        damages.sort_unstable();
        damages
    }

    /// Reads a number or a name, as in `①腐食`, `1`, `腐食-d` or `corrosion`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let circled = text.chars().next().and_then(|first| (1..=26).find(|number| circled(*number) == first));
        if let Some(number) = circled {
            return Some(Damage(number));
        }
        let digits = text.trim_matches(|letter: char| !letter.is_ascii_digit());
        if let Some(number) =
            digits.parse().ok().filter(|number| (1..=26).contains(number) && digits.len() == text.len())
        {
            return Some(Damage(number));
        }
        // The longest name that the text begins with: deck slab cracking is no cracking.
        let begins = |name: &str| text.starts_with(name) || text.to_lowercase().starts_with(name);
        let found = (1..).zip(KINDS).filter(|(_, (ja, en))| begins(ja) || begins(en));
        found.max_by_key(|(_, (ja, _))| ja.len()).map(|(number, _)| Damage(number))
    }

    /// Returns the circled number, ① to ㉖.
    pub fn circled(self) -> char {
        circled(self.0)
    }

    pub fn name(self, lang: Lang) -> &'static str {
        let (ja, en) = KINDS[self.0 as usize - 1];
        if lang == Lang::Ja { ja } else { en }
    }

    /// Returns number and name, as in `①腐食` and `① corrosion`.
    pub fn text(self, lang: Lang) -> String {
        let space = if lang == Lang::Ja { "" } else { " " };
        format!("{}{space}{}", self.circled(), self.name(lang))
    }
}

/// Returns a number in a circle: 1 to 20 and 21 to 35 are in two blocks of Unicode.
fn circled(number: u8) -> char {
    let first = if number <= 20 { 0x2460 - 1 } else { 0x3251 - 21 };
    char::from_u32(first + u32::from(number)).unwrap_or('?')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Category;

    fn labels(category: Category, names: &[&str]) -> CategoryLabels {
        CategoryLabels::new(category, names.iter().map(|name| category.class_index(name).expect("a class")))
    }

    #[test]
    fn each_class_has_the_number_of_the_manual() {
        for (name, number) in Category::DamageType.classes().iter().map(|class| class.ja).zip(OF_CLASSES) {
            let of_manual = KINDS[number as usize - 1].0;
            let same = [("き裂", "亀裂"), ("支承の機能障害", "支承部の機能障害")];
            assert!(name == of_manual || same.contains(&(name, of_manual)), "{name} {of_manual}");
        }
        assert_eq!(Category::DamageLocation.class(DECK_SLAB).ja, "床版");
        let texts: Vec<String> = (1..=26).map(|number| Damage(number).text(Lang::Ja)).collect();
        assert_eq!((texts[0].as_str(), texts[16].as_str(), texts[25].as_str()), ("①腐食", "⑰その他", "㉖洗掘"));
        assert_eq!((texts[19].chars().next(), texts[20].chars().next()), (Some('⑳'), Some('㉑')));
    }

    #[test]
    fn cracks_of_a_deck_slab_are_counted_apart() {
        let kinds = labels(Category::DamageType, &["cracking", "corrosion"]);
        let of = |places: &[&str]| Damage::of(&kinds, &labels(Category::DamageLocation, places));
        assert_eq!(of(&["deck slab"]), [Damage(1), Damage(11)]);
        assert_eq!(of(&["deck slab", "pier"]), [Damage(1), Damage(6)]);
        assert_eq!(of(&[]), [Damage(1), Damage(6)]);
    }

    #[test]
    fn numbers_and_names_are_read() {
        for (text, number) in
            [("①腐食", 1), ("㉖", 26), ("腐食-d", 1), (" 12 ", 12), ("床版ひびわれ-c", 11), ("Corrosion", 1)]
        {
            assert_eq!(Damage::parse(text), Some(Damage(number)), "{text}");
        }
        for text in ["", "27", "0", "良好", "d"] {
            assert_eq!(Damage::parse(text), None, "{text}");
        }
    }
}
