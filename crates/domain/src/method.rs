//! Methods of classification, and the rules by which neighbours vote.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Method that turns a photo's embedding into an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Vote of the nearest labelled photos.
    #[default]
    Knn,
    /// Linear heads, trained on the labelled photos.
    Linear,
    /// Texts that describe the classes.
    ZeroShot,
}

/// Rule by which the neighbours vote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// One vote for each neighbour; the majority wins.
    #[default]
    Published,
    /// Fitted weights: near neighbours count more, and rare classes need fewer votes.
    Balanced,
    /// The votes and the linear heads joined by fitted weights.
    Fused,
}

/// Error for a word that is not the name of a method or rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no {what}; known: {known}")]
pub struct UnknownName {
    what: &'static str,
    found: String,
    known: String,
}

impl Method {
    /// All methods.
    pub const ALL: [Method; 3] = [Method::Knn, Method::Linear, Method::ZeroShot];

    /// Returns the name in settings, arguments and results.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Knn => "knn",
            Method::Linear => "linear",
            Method::ZeroShot => "zero-shot",
        }
    }
}

impl Rule {
    /// All rules.
    pub const ALL: [Rule; 3] = [Rule::Published, Rule::Balanced, Rule::Fused];

    /// Returns the name in settings, arguments and results.
    pub const fn name(self) -> &'static str {
        match self {
            Rule::Published => "published",
            Rule::Balanced => "balanced",
            Rule::Fused => "fused",
        }
    }
}

impl FromStr for Method {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        find("method", &Self::ALL, Self::name, name)
    }
}

impl FromStr for Rule {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        find("rule", &Self::ALL, Self::name, name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn find<T: Copy>(
    what: &'static str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
    found: &str,
) -> Result<T, UnknownName> {
    let unknown = || {
        let known = all.iter().map(|item| name(*item)).collect::<Vec<_>>().join(", ");
        UnknownName { what, found: found.to_owned(), known }
    };
    all.iter().copied().find(|item| name(*item) == found).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_everywhere() {
        for method in Method::ALL {
            assert_eq!(method.name().parse(), Ok(method));
            assert_eq!(serde_json::to_value(method).expect("JSON"), method.name());
        }
        for rule in Rule::ALL {
            assert_eq!(rule.name().parse(), Ok(rule));
            assert_eq!(serde_json::to_value(rule).expect("JSON"), rule.name());
        }
        let message = "knnn".parse::<Method>().unwrap_err().to_string();
        assert_eq!(message, "`knnn` is no method; known: knn, linear, zero-shot");
    }
}
