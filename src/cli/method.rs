//! Arguments that select how photos are answered.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::classify::Params;
use crate::domain::{Method, Rule};

/// Method, rule and neighbours.
#[derive(Debug, clap::Args)]
pub struct MethodArgs {
    /// How photos are answered: by the vote of the nearest labelled photos, by linear heads, or by texts that describe
    /// the classes. What the last two need is fitted with `bridgeclip reference`.
    #[arg(long, default_value_t = Method::default(), value_parser = methods())]
    method: Method,
    /// How the neighbours vote: as published, balanced, which finds more of the rare classes and needs fitted rules, or
    /// fused with the linear heads, which needs those too.
    #[arg(long, default_value_t = Rule::default(), value_parser = rules())]
    rule: Rule,
    #[command(flatten)]
    neighbours: NeighboursArgs,
}

/// The number of neighbours.
#[derive(Debug, clap::Args)]
pub struct NeighboursArgs {
    /// Labelled photos that vote by the published rule, and that are the evidence.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    neighbours: u16,
}

impl MethodArgs {
    /// Returns the parameters given.
    pub fn params(&self) -> Params {
        Params { method: self.method, rule: self.rule, neighbours: self.neighbours.count() }
    }
}

impl NeighboursArgs {
    pub fn count(&self) -> usize {
        self.neighbours.into()
    }
}

fn methods() -> impl TypedValueParser<Value = Method> {
    PossibleValuesParser::new(Method::ALL.map(Method::name)).try_map(|name| name.parse::<Method>())
}

fn rules() -> impl TypedValueParser<Value = Rule> {
    PossibleValuesParser::new(Rule::ALL.map(Rule::name)).try_map(|name| name.parse::<Rule>())
}

/// Returns the way of answering in words, for a report.
pub fn describe(params: &Params) -> String {
    match (params.method, params.rule) {
        (Method::Knn, Rule::Published) => format!("k-NN, {} neighbours, published rule", params.neighbours),
        (Method::Knn, Rule::Balanced) => "k-NN, balanced rule".to_owned(),
        (Method::Knn, Rule::Fused) => "k-NN and linear heads, fused rule".to_owned(),
        (Method::Linear, _) => "linear heads".to_owned(),
        (Method::ZeroShot, _) => "zero-shot".to_owned(),
    }
}
