//! One engine for all methods, which turns a photo's embedding and its neighbourhood into the verdict.

use bridgeclip_domain::{Embedding, EmbeddingError, Evidence, Method, PhotoQuality, Rule, Verdict};

use super::draft::draft;
use super::zero_shot::zero_shot_answers;
use super::{Fitted, Judge, Neighbour, Opinions, Params, Rules, Source, Stored, ZeroShot, linear_answers};
use crate::heads::Heads;

/// Answers photos by one method and rule, with the values fitted to a reference.
#[derive(Clone, Debug)]
pub struct Engine {
    judge: Judge,
    heads: Option<Heads>,
    zero_shot: Option<ZeroShot>,
}

/// Reason why a method or a rule cannot be used with a reference.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EngineError {
    #[error("the reference has no linear heads; make them with `bridgeclip reference fit-heads` or `import-heads`")]
    NoHeads,
    #[error("the reference has no embeddings of prompts; make them with `bridgeclip reference fit-prompts`")]
    NoPrompts,
    #[error(
        "the reference has no fitted rules; fit the balanced vote with `bridgeclip reference fit-rules`, or use the rule \
         `published`"
    )]
    NoRules,
    #[error(
        "the fitted rules of the reference have no fused vote for its linear heads; make heads with `bridgeclip reference \
         fit-heads`, then fit the rules again with `bridgeclip reference fit-rules`"
    )]
    NoFused,
    #[error("the {what} of the reference take embeddings of {found} values, its own have {expected}; make them again")]
    Dimension { what: &'static str, found: usize, expected: usize },
    #[error("the prompts of the reference: {0}; make them again with `bridgeclip reference fit-prompts`")]
    Prompts(#[from] EmbeddingError),
}

impl Engine {
    /// Returns an engine for a reference whose embeddings have `dim` values and whose fitted values are `fitted`. Fails
    /// if a value that the method or the rule needs is missing or has another dimension.
    pub fn new(params: Params, fitted: Fitted, dim: usize) -> Result<Self, EngineError> {
        let source = fitted.source(params.neighbours);
        let Fitted { heads, prompts, rules } = fitted;
        let heads = heads.map(|stored| stored.value);
        check_dim("linear heads", heads.as_ref().map(Heads::dim), dim)?;
        check_dim("prompts", prompts.as_ref().map(|stored| stored.value.dim()), dim)?;
        let zero_shot = prompts.map(|Stored { value, .. }| value.zero_shot()).transpose()?;
        match (params.method, params.rule) {
            (Method::Linear, _) if heads.is_none() => Err(EngineError::NoHeads),
            (Method::ZeroShot, _) if zero_shot.is_none() => Err(EngineError::NoPrompts),
            (_, Rule::Balanced | Rule::Fused) if rules.is_none() => Err(EngineError::NoRules),
            (_, Rule::Fused) if !has_fused(rules.as_ref(), &source) => Err(EngineError::NoFused),
            _ => Ok(Engine { judge: Judge { params, rules, source }, heads, zero_shot }),
        }
    }

    /// Returns the judge that makes the verdicts.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// Returns the number of neighbours that a verdict needs.
    pub fn neighbourhood(&self) -> usize {
        self.judge.neighbourhood()
    }

    /// Returns the answers of the methods that need no neighbours.
    ///
    /// # Panics
    /// If the embedding has another dimension than those of the reference.
    pub fn opinions(&self, photo: &Embedding) -> Opinions {
        let linear_scores = self.heads.as_ref().map(|heads| heads.scores(photo));
        let zero_shot_scores = self.zero_shot.as_ref().map(|zero_shot| zero_shot.scores(photo));
        Opinions {
            linear: linear_scores.as_ref().map(linear_answers),
            linear_scores,
            zero_shot: zero_shot_scores.as_ref().map(zero_shot_answers),
            zero_shot_scores,
        }
    }

    /// Returns the verdict on a photo. `evidence` is its [`Self::neighbourhood`], most similar first; `quality` is that
    /// of the photo, if it is known.
    ///
    /// # Panics
    /// If the embedding has another dimension than those of the reference.
    pub fn verdict(&self, photo: &Embedding, mut evidence: Vec<Evidence>, quality: Option<&PhotoQuality>) -> Verdict {
        let neighbours: Vec<Neighbour> = evidence.iter().map(Neighbour::from).collect();
        let verdict = self.judge.verdict(&self.opinions(photo), &neighbours, quality);
        evidence.truncate(self.judge.params.neighbours);
        Verdict { draft: draft(&verdict.labels(), &evidence), evidence, ..verdict }
    }
}

/// Reports whether the rules have a fused vote that was fitted with the reference's linear heads.
fn has_fused(rules: Option<&Rules>, source: &Source) -> bool {
    let fused = rules.and_then(|rules| rules.fused.as_ref());
    source.heads.is_some() && fused.is_some_and(|fused| fused.certainty.made_for == source.heads)
}

fn check_dim(what: &'static str, found: Option<usize>, expected: usize) -> Result<(), EngineError> {
    match found {
        Some(found) if found != expected => Err(EngineError::Dimension { what, found, expected }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::{Category, CategoryLabels, Labels, SecondLook, UrgentSign};

    use super::*;
    use crate::classify::prompt_embeddings::tests::prompts;
    use crate::classify::rules::tests::rules;

    const DIM: usize = 5;

    fn evidence(cells: &[(&str, &str)]) -> Vec<Evidence> {
        let labels = |(soundness, measure): &(&str, &str)| {
            Labels::new(|category| match category {
                Category::Soundness => CategoryLabels::parse(category, soundness).expect("labels"),
                Category::Measure => CategoryLabels::parse(category, measure).expect("labels"),
                _ => CategoryLabels::new(category, [1]),
            })
        };
        let found = cells.iter().zip(1..).map(|(cell, reference_id)| Evidence {
            reference_id,
            similarity: 1.0 - reference_id as f32 / 100.0,
            source: format!("{reference_id}.jpg"),
            caption: String::new(),
            labels: labels(cell),
        });
        found.collect()
    }

    fn photo() -> Embedding {
        Embedding::normalise(vec![1.0; DIM]).expect("a direction")
    }

    fn with_rules() -> Fitted {
        Fitted { rules: Some(rules()), ..Fitted::default() }
    }

    #[test]
    fn what_must_be_fitted_first_is_said() {
        let prompts = Fitted::decode(None, Some(&prompts(DIM).to_bytes()), None).expect("decodes");
        let default = Params::default();
        let cases: [(Params, Fitted, &str); 6] = [
            (Params { method: Method::Linear, ..default }, Fitted::default(), "reference fit-heads"),
            (Params { method: Method::ZeroShot, ..default }, Fitted::default(), "reference fit-prompts"),
            (Params { rule: Rule::Balanced, ..default }, Fitted::default(), "reference fit-rules"),
            (Params { rule: Rule::Fused, ..default }, Fitted::default(), "reference fit-rules"),
            (Params { rule: Rule::Fused, ..default }, with_rules(), "no fused vote for its linear heads"),
            (default, prompts, "prompts of the reference take embeddings of 5 values, its own have 6"),
        ];
        for (params, fitted, expected) in cases {
            let message = Engine::new(params, fitted, DIM + 1).expect_err(expected).to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn the_published_vote_and_the_evidence_are_of_the_nearest_however_many_are_looked_at() {
        let params = Params { neighbours: 3, ..Params::default() };
        let engine = Engine::new(params, with_rules(), DIM).expect("an engine");
        assert_eq!(engine.neighbourhood(), 20);
        let found = evidence(&[("I", "A"), ("II", "B"), ("II", "B"), ("IV", "E1"), ("IV", "E1"), ("IV", "E1")]);
        let verdict = engine.verdict(&photo(), found, None);
        assert_eq!(verdict.get(Category::Soundness).names(Category::Soundness).collect::<Vec<_>>(), ["II"]);
        assert_eq!((verdict.evidence.len(), verdict.rule), (3, Some(Rule::Published)));
        // The rules were fitted for ten neighbours, so they do not calibrate confidences of three.
        assert!(!verdict.confidence_calibrated);
        assert!((verdict.get(Category::Soundness).classes[0].confidence - 2.0 / 3.0).abs() < 1e-6);
        assert!(verdict.urgency.review && verdict.urgency.signs == [UrgentSign::SoundnessIv, UrgentSign::MeasureE1]);
        assert_eq!(verdict.second_look, [SecondLook::NearTie]);
    }

    #[test]
    fn calibrated_confidences_are_those_of_the_rules() {
        let engine = Engine::new(Params::default(), with_rules(), DIM).expect("an engine");
        let verdict = engine.verdict(&photo(), evidence(&[("II", "B"); 10]), None);
        assert!(verdict.confidence_calibrated && !verdict.urgency.review);
        assert_eq!(verdict.get(Category::Soundness).classes[0].confidence, 0.5);
        let balanced = Engine::new(Params { rule: Rule::Balanced, ..Params::default() }, with_rules(), DIM);
        let verdict = balanced.expect("an engine").verdict(&photo(), evidence(&[("II", "B"); 30]), None);
        assert_eq!((verdict.evidence.len(), verdict.confidence_calibrated), (10, true));
    }

    #[test]
    fn other_methods_show_the_neighbours_too() {
        let fitted = Fitted::decode(None, Some(&prompts(DIM).to_bytes()), None).expect("decodes");
        let params = Params { method: Method::ZeroShot, ..Params::default() };
        let verdict =
            Engine::new(params, fitted, DIM).expect("an engine").verdict(&photo(), evidence(&[("II", "E2")]), None);
        assert_eq!((verdict.evidence.len(), verdict.rule, verdict.method), (1, None, Method::ZeroShot));
        assert_eq!(verdict.urgency.signs, [UrgentSign::MeasureE2]);
    }
}
