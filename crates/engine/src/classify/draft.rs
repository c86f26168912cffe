//! Composes drafts of findings from what was answered and what labelled photos or inspectors say.

use bridgeclip_domain::{Category, CategoryLabels, Clause, Draft, Evidence, Labels};

use super::observation::Observation;

/// Number of labelled photos that must say the same before a draft says it. The finding of one photo may be a slip.
const AGREEING: usize = 2;

/// Maximum number of labelled photos that a clause names.
const NAMED_MAX: usize = 10;

/// What is said about one photo of a member, or about the only photo.
#[derive(Clone, Copy)]
struct Voice<'a> {
    /// Id of the photo's capture.
    capture: i64,
    /// Labelled photos nearest to the photo, most similar first.
    evidence: &'a [Evidence],
    /// Labels of an inspector's judgement, which then count instead of the labelled photos.
    inspected: Option<&'a Labels>,
}

/// Composes the draft about one photo from the answer and the labelled photos nearest to it.
pub fn draft(answer: &Labels, evidence: &[Evidence]) -> Draft {
    let mut draft = compose(answer, &[Voice { capture: 0, evidence, inspected: None }]);
    draft.clauses.iter_mut().for_each(|clause| clause.captures.clear());
    draft
}

/// Composes the draft about the member that all photos show. `answer` is the member's, and a photo speaks by the first
/// `neighbours` of its evidence.
pub fn member_draft(answer: &Labels, photos: &[Observation], neighbours: usize) -> Draft {
    let voice = |photo| {
        let Observation { capture, evidence, inspected, .. }: &Observation = photo;
        Voice { capture: *capture, evidence: &evidence[..neighbours.min(evidence.len())], inspected: *inspected }
    };
    compose(answer, &photos.iter().map(voice).collect::<Vec<_>>())
}

fn compose(answer: &Labels, photos: &[Voice]) -> Draft {
    let mut clauses = Vec::new();
    for &location in answer.get(Category::DamageLocation).indexes() {
        clauses.extend(damage_in(location, answer.get(Category::DamageType), photos));
    }
    for category in [Category::Soundness, Category::Measure] {
        let says = only(category, answer.get(category));
        clauses.extend((!answer.get(category).is_empty()).then(|| clause(says, photos)).flatten());
    }
    Draft { clauses }
}

/// Returns the clauses about damage in one location. Types that the same photos show there share a clause.
fn damage_in(location: u8, damage: &CategoryLabels, photos: &[Voice]) -> Vec<Clause> {
    let mut clauses: Vec<(Vec<u8>, Clause)> = Vec::new();
    for &index in damage.indexes() {
        let with = |types: &[u8]| clause(seen(&[types, &[index]].concat(), location), photos);
        let same_photos = |(number, (types, other)): (usize, &(Vec<u8>, Clause))| {
            with(types).filter(|clause| clause.captures == other.captures).map(|clause| (number, clause))
        };
        let joined = clauses.iter().enumerate().find_map(same_photos);
        match joined {
            Some((number, clause)) => {
                clauses[number].0.push(index);
                clauses[number].1 = clause;
            }
            None => clauses.extend(with(&[]).map(|clause| (vec![index], clause))),
        }
    }
    clauses.into_iter().map(|(_, clause)| clause).collect()
}

fn seen(damage: &[u8], location: u8) -> Labels {
    Labels::new(|category| match category {
        Category::DamageType => CategoryLabels::new(category, damage.iter().copied()),
        Category::DamageLocation => CategoryLabels::new(category, [location]),
        Category::Soundness | Category::Measure => CategoryLabels::default(),
    })
}

fn only(category: Category, labels: &CategoryLabels) -> Labels {
    Labels::new(|other| if other == category { labels.clone() } else { CategoryLabels::default() })
}

/// Returns the clause with the photos that say it; `None` if no photo does.
fn clause(says: Labels, photos: &[Voice]) -> Option<Clause> {
    let mut found: Vec<&Evidence> = Vec::new();
    let mut captures = Vec::new();
    for photo in photos {
        let agreeing: Vec<&Evidence> =
            photo.evidence.iter().filter(|evidence| states(&evidence.labels, &says)).collect();
        match photo.inspected {
            Some(labels) if states(labels, &says) => captures.push(photo.capture),
            None if agreeing.len() >= AGREEING => {
                captures.push(photo.capture);
                found.extend(agreeing);
            }
            _ => (),
        }
    }
    // The sort is stable, so that equally similar photos keep their order.
    found.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
    let mut references = Vec::new();
    for evidence in found {
        if references.len() < NAMED_MAX && !references.contains(&evidence.reference_id) {
            references.push(evidence.reference_id);
        }
    }
    captures.sort_unstable();
    (!captures.is_empty()).then_some(Clause { says, references, captures })
}

/// Reports whether labels contain everything that a clause says.
fn states(labels: &Labels, says: &Labels) -> bool {
    let contains = |category: Category| {
        says.get(category).indexes().iter().all(|index| labels.get(category).indexes().contains(index))
    };
    Category::ALL.into_iter().all(contains)
}

#[cfg(test)]
mod tests {
    use bridgeclip_random::Random;

    use super::*;

    fn labels(cells: [&str; 4]) -> Labels {
        Labels::new(|category| CategoryLabels::parse(category, cells[category as usize]).expect("labels"))
    }

    fn evidence(cells: &[[&str; 4]]) -> Vec<Evidence> {
        let found = cells.iter().zip(1..).map(|(cells, reference_id)| Evidence {
            reference_id,
            similarity: 1.0 - reference_id as f32 / 100.0,
            source: String::new(),
            caption: String::new(),
            labels: labels(*cells),
        });
        found.collect()
    }

    const RUST: [&str; 4] = ["III", "C2", "corrosion", "bearing"];

    #[test]
    fn a_draft_says_what_labelled_photos_agree_on_and_names_them() {
        let found = evidence(&[RUST, RUST, ["III", "C1", "cracking", "pier"], ["II", "C1", "corrosion", "pier"]]);
        let draft = draft(&labels(["III", "C1", "corrosion|cracking", "bearing|pier"]), &found);
        assert_eq!(
            draft.en(),
            "Corrosion is observed in the bearing. The soundness rating is Ⅲ. The component-wise measure classification \
             is C1."
        );
        let named: Vec<&[i64]> = draft.clauses.iter().map(|clause| &clause.references[..]).collect();
        assert_eq!(named, [&[1, 2][..], &[1, 2, 3], &[3, 4]]);
        assert!(draft.clauses.iter().all(|clause| clause.captures.is_empty()));
    }

    #[test]
    fn damage_that_different_photos_show_in_one_place_is_told_apart() {
        let [rust, crack] = [["II", "B", "corrosion", "bearing"], ["II", "B", "cracking", "bearing"]];
        let both = ["II", "B", "corrosion|cracking", "bearing"];
        let answer = labels(both);
        let sentences = |cells: &[[&str; 4]]| draft(&answer, &evidence(cells)).clauses.len();
        assert_eq!((sentences(&[rust, rust, crack, crack]), sentences(&[both, both, rust])), (4, 3));
        assert_eq!(draft(&answer, &evidence(&[rust])), Draft::default());
    }

    #[test]
    fn a_clause_about_a_member_names_captures_and_an_inspectors_word_needs_no_labelled_photo() {
        let [rust, sound] = [evidence(&[RUST, RUST]), evidence(&[["I", "A", "corrosion", "bearing"]; 3])];
        let word = labels(["IV", "E1", "corrosion", "bearing"]);
        let photos = [
            Voice { capture: 9, evidence: &rust, inspected: None },
            Voice { capture: 4, evidence: &sound, inspected: Some(&word) },
        ];
        let draft = compose(&word, &photos);
        let named: Vec<(&[i64], &[i64])> =
            draft.clauses.iter().map(|clause| (&clause.captures[..], &clause.references[..])).collect();
        assert_eq!(named, [(&[4, 9][..], &[1, 2][..]), (&[4], &[]), (&[4], &[])]);
    }

    #[test]
    fn each_clause_of_random_drafts_is_said_by_every_photo_that_it_names() {
        let mut random = Random::splitmix64(21);
        let mut sentences = 0;
        for _ in 0..500 {
            let mut some = |category: Category| {
                let count = if category.is_multi() { 1 + random.below(3) } else { 1 };
                let classes = category.classes().len().min(4);
                CategoryLabels::new(category, (0..count).map(|_| random.below(classes) as u8).collect::<Vec<_>>())
            };
            let found: Vec<Evidence> = evidence(&[RUST; 10])
                .into_iter()
                .map(|evidence| Evidence { labels: Labels::new(&mut some), ..evidence })
                .collect();
            let answer = Labels::new(&mut some);
            for clause in draft(&answer, &found).clauses {
                sentences += 1;
                assert!(clause.references.len() >= AGREEING && states(&answer, &clause.says));
                for id in clause.references {
                    let said_by = found.iter().find(|evidence| evidence.reference_id == id).expect("a neighbour");
                    assert!(states(&said_by.labels, &clause.says));
                }
            }
        }
        assert!(sentences > 500, "{sentences}");
    }
}
