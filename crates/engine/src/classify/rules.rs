//! Rules fitted on labelled photos that are not in the reference: the balanced vote, calibrations, thresholds.

use serde::{Deserialize, Serialize};

use bridgeclip_domain::{Category, Method, Rule, Sha256};

use super::{BalancedVote, ConfidenceMap, FusedVote, NEIGHBOURS_MAX, Prediction, UrgencyRule};

/// All rules that `bridgeclip reference fit-rules` fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Vote of [`Rule::Balanced`].
    pub balanced_vote: BalancedVote,
    /// Number of neighbours of the published vote for which `published` was fitted.
    pub neighbours: usize,
    /// Certainty of the published vote.
    pub published: Certainty,
    /// Certainty of the balanced vote.
    pub balanced: Certainty,
    /// Certainty of the linear heads. None if there were none at the time of the fit.
    pub linear: Option<Certainty>,
    /// Certainty of the prompts. None if there were none at the time of the fit.
    pub zero_shot: Option<Certainty>,
    /// The fused rule. None if there were no linear heads at the time of the fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fused: Option<Fused>,
    /// Limits of the prediction sets. None in rules that were fitted by an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<Prediction>,
    /// Rule that puts photos forward as urgent.
    pub urgency: UrgencyRule,
    /// Similarity of the nearest neighbour below which a photo counts as unlike the reference.
    pub far_below: f32,
}

/// The fused rule, with the certainty of its answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fused {
    /// How votes and heads are joined.
    pub vote: FusedVote,
    /// Certainty of the answers, made for the heads that the vote was fitted with.
    pub certainty: Certainty,
}

/// Calibration of one method's answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certainty {
    /// Hash of the stored heads or prompts that gave the answers. The calibration applies to these alone. None for a
    /// vote.
    pub made_for: Option<Sha256>,
    /// Calibration of the confidence in each category, in the order of [`Category::ALL`].
    pub confidence: [ConfidenceMap; 4],
    /// Lead up to which an answer is nearly tied, in the order of [`Category::ALL`]. Without effect in a multi-label
    /// category.
    pub near_tie: [f32; 4],
}

/// Origin of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Number of neighbours of the published vote.
    pub neighbours: usize,
    /// Hash of the stored linear heads.
    pub heads: Option<Sha256>,
    /// Hash of the stored embeddings of prompts.
    pub prompts: Option<Sha256>,
}

/// Reason why bytes are not fitted rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    #[error("not the JSON of fitted rules: {0}")]
    Json(String),
    #[error("the {0} is out of range")]
    Range(&'static str),
}

impl Rules {
    /// Returns the stored form, JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("rules have string keys and finite numbers")
    }

    /// Reads the form that [`Self::to_bytes`] writes. Checks the range of every number.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RulesError> {
        let rules: Rules = serde_json::from_slice(bytes).map_err(|error| RulesError::Json(error.to_string()))?;
        match rules.parts().into_iter().find(|(is_good, _)| !is_good) {
            Some((_, what)) => Err(RulesError::Range(what)),
            None => Ok(rules),
        }
    }

    fn parts(&self) -> [(bool, &'static str); 10] {
        let votes = &self.balanced_vote.0;
        let is_good = |certainty: &Option<Certainty>| certainty.as_ref().is_none_or(Certainty::is_good);
        [
            (Category::ALL.into_iter().zip(votes).all(|(category, vote)| vote.is_good(category)), "balanced vote"),
            ((1..=NEIGHBOURS_MAX).contains(&self.neighbours), "number of neighbours"),
            (self.published.is_good(), "certainty of the published vote"),
            (self.balanced.is_good(), "certainty of the balanced vote"),
            (is_good(&self.linear), "certainty of the linear heads"),
            (is_good(&self.zero_shot), "certainty of the prompts"),
            (self.fused.as_ref().is_none_or(Fused::is_good), "fused vote"),
            (self.prediction.as_ref().is_none_or(Prediction::is_good), "prediction sets"),
            (self.urgency.is_good(), "rule of urgency"),
            ((-1.0..=1.0).contains(&self.far_below), "similarity of far neighbours"),
        ]
    }

    /// Returns the calibration of a method with its rule. None unless it was fitted for exactly these neighbours, heads
    /// or prompts.
    pub fn certainty(&self, method: Method, rule: Rule, of: &Source) -> Option<&Certainty> {
        let (certainty, made_for) = match (method, rule) {
            (Method::Knn, Rule::Published) => ((of.neighbours == self.neighbours).then_some(&self.published)?, None),
            (Method::Knn, Rule::Balanced) => (&self.balanced, None),
            (Method::Knn, Rule::Fused) => {
                (&self.fused.as_ref().filter(|_| of.neighbours == self.neighbours)?.certainty, of.heads)
            }
            (Method::Linear, _) => (self.linear.as_ref()?, of.heads),
            (Method::ZeroShot, _) => (self.zero_shot.as_ref()?, of.prompts),
        };
        (certainty.made_for == made_for).then_some(certainty)
    }
}

impl Fused {
    fn is_good(&self) -> bool {
        self.vote.is_good() && self.certainty.is_good()
    }
}

impl Certainty {
    fn is_good(&self) -> bool {
        self.confidence.iter().all(ConfidenceMap::is_good)
            && self.near_tie.iter().all(|lead| (0.0..=1.0).contains(lead))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::classify::{CategoryVote, Weighting};

    /// Returns rules for tests: confidences are halved, and similarities below 0.5 count as far.
    pub fn rules() -> Rules {
        let map = ConfidenceMap::new(vec![(0.0, 0.0), (1.0, 0.5)]).expect("a good map");
        let certainty =
            Certainty { made_for: None, confidence: [(); 4].map(|()| map.clone()), near_tie: [0.1, 0.1, 0.0, 0.0] };
        let weighting = Weighting { neighbours: 20, power: 2.0 };
        let vote = |category: Category| CategoryVote { weighting, thresholds: vec![0.4; category.classes().len()] };
        Rules {
            balanced_vote: BalancedVote(Category::ALL.map(vote)),
            neighbours: 10,
            published: certainty.clone(),
            balanced: certainty,
            linear: None,
            zero_shot: None,
            fused: None,
            prediction: None,
            urgency: UrgencyRule { weighting, threshold: 0.1 },
            far_below: 0.5,
        }
    }

    #[test]
    fn the_stored_form_is_read_back_and_damage_is_refused() {
        let whole = rules();
        assert_eq!(Rules::from_bytes(&whole.to_bytes()), Ok(whole.clone()));
        let mut cases = [(); 6].map(|()| whole.clone());
        cases[0].balanced_vote.0[1].thresholds.pop();
        cases[1].balanced_vote.0[2].thresholds[3] = 0.0;
        cases[2].urgency.threshold = 0.0;
        cases[3].urgency.weighting.neighbours = 100_000;
        cases[4].far_below = 2.0;
        cases[5].balanced.near_tie[0] = -0.1;
        let expected =
            ["balanced vote", "balanced vote", "urgency", "urgency", "far neighbours", "certainty of the balanced"];
        for (case, expected) in cases.iter().zip(expected) {
            let message = Rules::from_bytes(&case.to_bytes()).expect_err(expected).to_string();
            assert!(message.contains(expected) && message.contains("out of range"), "{message}");
        }
        let text = String::from_utf8(whole.to_bytes()).expect("JSON");
        for (from, to) in [("far_below", "far"), ("[0.0,0.0]", "[0.0]"), ("{", ""), ("0.1", "1e99")] {
            assert!(Rules::from_bytes(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
    }

    #[test]
    fn a_certainty_holds_for_what_it_was_fitted_for() {
        let (heads, others) = (Sha256::of(b"heads"), Sha256::of(b"others"));
        let mut rules = rules();
        rules.linear = Some(Certainty { made_for: Some(heads), ..rules.published.clone() });
        let source = Source { neighbours: 10, heads: Some(heads), prompts: None };
        let known = |method, rule, source| rules.certainty(method, rule, &source).is_some();
        assert!(known(Method::Knn, Rule::Published, source) && known(Method::Linear, Rule::Published, source));
        assert!(!known(Method::Knn, Rule::Published, Source { neighbours: 9, ..source }));
        assert!(known(Method::Knn, Rule::Balanced, Source { neighbours: 9, ..source }));
        assert!(!known(Method::Linear, Rule::Published, Source { heads: Some(others), ..source }));
        assert!(!known(Method::ZeroShot, Rule::Published, source));
    }
}
