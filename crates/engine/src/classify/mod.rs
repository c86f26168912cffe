//! Turns an embedding into a verdict, without side effects. There are three methods: the vote of the nearest reference
//! photos by one of three rules, linear heads, and texts that describe the classes (zero-shot). Besides the answers, a
//! verdict says whether the photo is urgent and whether it needs a second look.

mod answer;
mod balanced;
mod confidence;
mod draft;
mod engine;
mod fitted;
mod fused;
mod judge;
mod knn;
mod member;
mod neighbour;
mod observation;
mod prediction;
mod prompt_embeddings;
mod prompts;
mod rules;
mod second_look;
#[cfg(test)]
mod test_neighbours;
mod urgency;
mod zero_shot;

pub use answer::{Answer, Answers, decide, linear_answers};
pub use balanced::{BalancedVote, CategoryVote};
pub use confidence::ConfidenceMap;
pub use engine::{Engine, EngineError};
pub use fitted::{Fitted, FittedError, Stored};
pub use fused::{CategoryFusion, EVIDENCE, FusedVote, FusionBasis, Logits};
pub use judge::{Judge, Opinions, Params};
pub use knn::published_vote;
pub use member::MEMBER_PHOTOS_MAX;
pub use neighbour::{NEIGHBOURS_MAX, Neighbour, Weighting};
pub use observation::Observation;
pub use prediction::{CategoryPrediction, Prediction};
pub use prompt_embeddings::{PromptEmbeddings, PromptEmbeddingsError};
pub use prompts::{Prompts, PromptsError};
pub use rules::{Certainty, Fused, Rules, RulesError, Source};
pub use second_look::{Circumstances, second_look};
pub use urgency::{UrgencyRule, is_urgent};
pub use zero_shot::ZeroShot;
