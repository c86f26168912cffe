//! Turns the answers of the methods into the verdict.

use bridgeclip_domain::{
    Category, CategoryVerdict, Draft, Method, PhotoQuality, PredictionSets, Rule, ScoredClass, Scores, Verdict,
};

use super::answer::linear_answer;
use super::zero_shot::zero_shot_answer;
use super::{
    Answers, CategoryFusion, Circumstances, Neighbour, Prediction, Rules, Source, UrgencyRule, Weighting, decide,
    published_vote, second_look,
};

/// Largest lead, in votes, of a published vote that counts as nearly tied when no limit was fitted. At a lead of one
/// vote a single neighbour decides; half a vote more allows for rounding.
const NEAR_TIE_VOTES: f32 = 1.5;
/// Largest lead, as a probability, of an answer of the linear heads that counts as nearly tied when no limit was
/// fitted. It equals one vote of ten.
const NEAR_TIE_PROBABILITY: f32 = 0.1;

/// Method, rule and number of neighbours that answer photos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    pub method: Method,
    pub rule: Rule,
    /// Number of neighbours of the published vote and of the evidence, at least 1.
    pub neighbours: usize,
}

impl Default for Params {
    /// Returns the published parameters: the published k-NN vote of ten neighbours.
    fn default() -> Self {
        Params { method: Method::Knn, rule: Rule::Published, neighbours: 10 }
    }
}

/// Answers of the methods that need no neighbours; `None` for a method that is not available.
#[derive(Clone, Debug, Default)]
pub struct Opinions {
    /// Answers of the linear heads.
    pub linear: Option<Answers>,
    /// Probabilities by the linear heads, from which [`Self::linear`] follows.
    pub linear_scores: Option<Scores>,
    /// Answers of the prompts.
    pub zero_shot: Option<Answers>,
    /// Probabilities by the prompts, from which [`Self::zero_shot`] follows.
    pub zero_shot_scores: Option<Scores>,
}

/// Chooses the answers of one method, calibrates them, and decides which photos are urgent or need a second look.
#[derive(Clone, Debug)]
pub struct Judge {
    /// Method, rule and number of neighbours.
    pub params: Params,
    /// Fitted rules. Required for [`Rule::Balanced`] and [`Rule::Fused`].
    pub rules: Option<Rules>,
    /// Origin of the answers, which decides whether a calibration applies.
    pub source: Source,
}

impl Judge {
    /// Returns the number of neighbours that a verdict needs.
    pub fn neighbourhood(&self) -> usize {
        let votes = match (self.params.rule, &self.rules) {
            (Rule::Balanced, Some(rules)) => rules.balanced_vote.neighbours(),
            (Rule::Fused, Some(Rules { fused: Some(fused), .. })) => fused.vote.neighbours(),
            _ => 0,
        };
        let sets = self.prediction().map_or(0, Prediction::neighbours);
        votes.max(sets).max(self.urgency().weighting.neighbours).max(self.params.neighbours)
    }

    /// Returns the answers of the method before calibration. `neighbours` is the [`Self::neighbourhood`], most similar
    /// first.
    ///
    /// # Panics
    /// If the opinion of the method is missing.
    pub fn answers(&self, opinions: &Opinions, neighbours: &[Neighbour]) -> Answers {
        match self.params.method {
            Method::Knn => self.vote(opinions, neighbours),
            Method::Linear => opinions.linear.clone().expect("the opinion of the linear heads"),
            Method::ZeroShot => opinions.zero_shot.clone().expect("the opinion of the prompts"),
        }
    }

    /// Returns what the method decides by: a value in [0, 1] for every class. These are shares of the votes or
    /// probabilities, before calibration. A vote without neighbours gives 0 for every class.
    ///
    /// # Panics
    /// If the opinion of the method is missing.
    pub(super) fn class_values(&self, opinions: &Opinions, neighbours: &[Neighbour]) -> Scores {
        let published = Weighting { neighbours: self.params.neighbours, power: 0.0 };
        let vote = |category: Category| match (self.params.rule, &self.rules) {
            (Rule::Balanced, Some(rules)) => rules.balanced_vote.0[category as usize].weighting,
            _ => published,
        };
        match self.params.method {
            Method::Linear => opinions.linear_scores.clone().expect("the opinion of the linear heads"),
            Method::ZeroShot => opinions.zero_shot_scores.clone().expect("the opinion of the prompts"),
            Method::Knn => Scores::new(|category| match self.fusion(category).filter(|_| !neighbours.is_empty()) {
                Some(fusion) => {
                    let linear = opinions.linear_scores.as_ref().expect("the probabilities by the linear heads");
                    fusion.logits.of_neighbours(category, neighbours, Some(linear.get(category)))
                }
                None if neighbours.is_empty() => vec![0.0; category.classes().len()],
                None => {
                    vote(category).class_shares(category, neighbours).into_iter().map(|share| share.min(1.0)).collect()
                }
            }),
        }
    }

    /// Answers a category from values as [`Self::class_values`] gives them. Among equal values, the class order decides,
    /// because values do not tell which neighbour is the nearest. No class is answered if all values are 0.
    pub(super) fn decide(&self, category: Category, values: &[f32]) -> CategoryVerdict {
        if values.iter().all(|value| *value == 0.0) {
            return CategoryVerdict::default();
        }
        let answer = match (self.params.method, self.params.rule, &self.rules) {
            (Method::Linear, ..) => linear_answer(category, values),
            (Method::ZeroShot, ..) => zero_shot_answer(category, values),
            (Method::Knn, Rule::Balanced, Some(rules)) => {
                rules.balanced_vote.0[category as usize].answer(category, values)
            }
            (Method::Knn, ..) => match self.fusion(category) {
                Some(fusion) => fusion.answer(category, values),
                None => decide(category, values, |share| share >= 0.5),
            },
        };
        answer.verdict
    }

    /// Returns the fusion of a category, if the fused rule answers it.
    fn fusion(&self, category: Category) -> Option<&CategoryFusion> {
        let fused = self.rules.as_ref().filter(|_| self.params.rule == Rule::Fused)?.fused.as_ref()?;
        fused.vote.0[category as usize].as_ref()
    }

    /// Returns the verdict without its evidence and its draft. `neighbours` is the [`Self::neighbourhood`], most similar first.
    ///
    /// # Panics
    /// If the opinion of the method is missing.
    pub fn verdict(&self, opinions: &Opinions, neighbours: &[Neighbour], quality: Option<&PhotoQuality>) -> Verdict {
        let Params { method, rule, .. } = self.params;
        let answers = &self.answers(opinions, neighbours);
        let vote = (method != Method::Knn).then(|| self.vote(opinions, neighbours));
        let knn = vote.as_ref().unwrap_or(answers);
        let certainty = self.rules.as_ref().and_then(|rules| rules.certainty(method, rule, &self.source));
        let circumstances = Circumstances {
            nearest: neighbours.first().map(|nearest| nearest.similarity),
            far_below: self.rules.as_ref().map(|rules| rules.far_below),
            answers,
            near_tie: certainty.map(|certainty| certainty.near_tie).or_else(|| self.near_tie()),
            knn_and_linear: opinions.linear.as_ref().map(|linear| (knn, linear)),
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
            not_excluded: self.not_excluded(opinions, neighbours),
            draft: Draft::default(),
            evidence: Vec::new(),
        }
    }

    fn not_excluded(&self, opinions: &Opinions, neighbours: &[Neighbour]) -> Option<PredictionSets> {
        self.prediction()?.sets(neighbours, opinions.linear_scores.as_ref(), self.source.heads)
    }

    /// Returns the limits of the prediction sets.
    pub(super) fn prediction(&self) -> Option<&Prediction> {
        self.rules.as_ref()?.prediction.as_ref()
    }

    fn vote(&self, opinions: &Opinions, neighbours: &[Neighbour]) -> Answers {
        match (self.params.rule, &self.rules) {
            (Rule::Balanced, Some(rules)) => rules.balanced_vote.answers(neighbours),
            (Rule::Fused, Some(Rules { fused: Some(fused), .. })) => {
                let linear = opinions.linear_scores.as_ref().expect("the probabilities by the linear heads");
                fused.vote.answers(neighbours, linear, self.params.neighbours)
            }
            _ => published_vote(&neighbours[..self.params.neighbours.min(neighbours.len())]),
        }
    }

    /// Returns the fitted rule of urgency, or the default rule if none was fitted.
    pub fn urgency(&self) -> UrgencyRule {
        self.rules.as_ref().map_or(UrgencyRule::any_of(self.params.neighbours), |rules| rules.urgency)
    }

    /// Returns the limits of near ties to use when none were fitted. Prompts have none, because their probabilities are
    /// close together.
    fn near_tie(&self) -> Option<[f32; 4]> {
        match (self.params.method, self.params.rule) {
            (Method::Knn, Rule::Published) => Some([NEAR_TIE_VOTES / self.params.neighbours as f32; 4]),
            (Method::Linear, _) => Some([NEAR_TIE_PROBABILITY; 4]),
            (Method::Knn, Rule::Balanced | Rule::Fused) | (Method::ZeroShot, _) => None,
        }
    }
}

fn with_confidence(verdict: &CategoryVerdict, confidence: impl Fn(f32) -> f32) -> CategoryVerdict {
    let class = |class: &ScoredClass| ScoredClass { confidence: confidence(class.confidence), ..*class };
    CategoryVerdict { classes: verdict.classes.iter().map(class).collect() }
}
