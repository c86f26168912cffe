//! From what the methods say of a photo to the verdict.

use bridgeclip_domain::{Category, CategoryVerdict, Method, PhotoQuality, Rule, ScoredClass, Verdict};

use super::{Answers, Circumstances, Neighbour, Rules, Source, UrgencyRule, published_vote, second_look};

/// Votes by which an answer of the published vote is ahead that is nearly tied, where nothing was fitted: a neighbour
/// more or less decides. Half a vote more, for rounding.
const NEAR_TIE_VOTES: f32 = 1.5;
/// Likewise the probability by which an answer of the linear heads is ahead. One vote of ten.
const NEAR_TIE_PROBABILITY: f32 = 0.1;

/// How to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    pub method: Method,
    pub rule: Rule,
    /// Neighbours of the published vote, and of the evidence; at least 1.
    pub neighbours: usize,
}

impl Default for Params {
    /// As published.
    fn default() -> Self {
        Params { method: Method::Knn, rule: Rule::Published, neighbours: 10 }
    }
}

/// What the methods say of a photo that need no neighbours, as far as they are there.
#[derive(Clone, Debug, Default)]
pub struct Opinions {
    pub linear: Option<Answers>,
    pub zero_shot: Option<Answers>,
}

/// Chooses the answers of one method, calibrates them, and says what to look at first and again.
#[derive(Clone, Debug)]
pub struct Judge {
    pub params: Params,
    /// Must be there for the balanced rule.
    pub rules: Option<Rules>,
    pub source: Source,
}

impl Judge {
    /// Neighbours that a verdict needs.
    pub fn neighbourhood(&self) -> usize {
        let votes = match (self.params.rule, &self.rules) {
            (Rule::Balanced, Some(rules)) => rules.balanced_vote.neighbours(),
            _ => 0,
        };
        votes.max(self.urgency().weighting.neighbours).max(self.params.neighbours)
    }

    /// The answers of the method, before calibration. `neighbours` are the [`Self::neighbourhood`], most similar first.
    ///
    /// # Panics
    /// If the opinion of the method is missing.
    pub fn answers(&self, opinions: &Opinions, neighbours: &[Neighbour]) -> Answers {
        match self.params.method {
            Method::Knn => self.vote(neighbours),
            Method::Linear => opinions.linear.clone().expect("the opinion of the linear heads"),
            Method::ZeroShot => opinions.zero_shot.clone().expect("the opinion of the prompts"),
        }
    }

    /// The verdict without its evidence.
    ///
    /// # Panics
    /// As [`Self::answers`].
    pub fn verdict(&self, opinions: &Opinions, neighbours: &[Neighbour], quality: Option<&PhotoQuality>) -> Verdict {
        let Params { method, rule, .. } = self.params;
        let answers = &self.answers(opinions, neighbours);
        let knn = self.vote(neighbours);
        let certainty = self.rules.as_ref().and_then(|rules| rules.certainty(method, rule, &self.source));
        let circumstances = Circumstances {
            nearest: neighbours.first().map(|nearest| nearest.similarity),
            far_below: self.rules.as_ref().map(|rules| rules.far_below),
            answers,
            near_tie: certainty.map(|certainty| certainty.near_tie).or_else(|| self.near_tie()),
            knn_and_linear: opinions.linear.as_ref().map(|linear| (&knn, linear)),
            quality,
        };
        Verdict {
            categories: Category::ALL.map(|category| {
                let map = certainty.map(|certainty| &certainty.confidence[category as usize]);
                let calibrated = |own| map.map_or(own, |map| map.apply(own));
                with_confidence(&answers[category as usize].verdict, calibrated)
            }),
            method,
            rule: (method == Method::Knn).then_some(rule),
            by_inspector: false,
            confidence_calibrated: certainty.is_some(),
            urgency: self.urgency().judge(neighbours),
            second_look: second_look(&circumstances),
            evidence: Vec::new(),
        }
    }

    fn vote(&self, neighbours: &[Neighbour]) -> Answers {
        match (self.params.rule, &self.rules) {
            (Rule::Balanced, Some(rules)) => rules.balanced_vote.answers(neighbours),
            _ => published_vote(&neighbours[..self.params.neighbours.min(neighbours.len())]),
        }
    }

    /// The fitted rule of urgency, or the one without a fit.
    pub fn urgency(&self) -> UrgencyRule {
        self.rules.as_ref().map_or(UrgencyRule::any_of(self.params.neighbours), |rules| rules.urgency)
    }

    /// Where nothing was fitted. What the prompts say has no such limit: their probabilities lie close together.
    fn near_tie(&self) -> Option<[f32; 4]> {
        match (self.params.method, self.params.rule) {
            (Method::Knn, Rule::Published) => Some([NEAR_TIE_VOTES / self.params.neighbours as f32; 4]),
            (Method::Linear, _) => Some([NEAR_TIE_PROBABILITY; 4]),
            (Method::Knn, Rule::Balanced) | (Method::ZeroShot, _) => None,
        }
    }
}

fn with_confidence(verdict: &CategoryVerdict, confidence: impl Fn(f32) -> f32) -> CategoryVerdict {
    let class = |class: &ScoredClass| ScoredClass { confidence: confidence(class.confidence), ..*class };
    CategoryVerdict { classes: verdict.classes.iter().map(class).collect() }
}
