//! Times of answers: from an embedding to the verdict by each rule, and from those of many photos to a member's answer.

use anyhow::Result;
use serde::Serialize;

use super::times::{Times, WARM_UP, queries, timed};
use crate::classify::{Engine, Observation, Params};
use crate::domain::{Embedding, Rule, Sha256};
use crate::package::Package;
use crate::pipeline::{Answerer, fitted};

/// Number of photos of the member.
const MEMBER_PHOTOS: usize = 50;
/// Number of photos that are answered in turn.
const PHOTOS: usize = 256;

#[derive(Serialize)]
pub struct AnswersReport {
    /// Number of labelled photos.
    pub photos: usize,
    /// One photo by each rule that the reference has. The rules take turns, so that they meet the same noise.
    pub rules: Vec<RuleReport>,
    pub member_photos: usize,
    /// A member's answer by the last of these rules, with all searches.
    pub member: Times,
}

#[derive(Serialize)]
pub struct RuleReport {
    pub rule: Rule,
    #[serde(flatten)]
    pub times: Times,
    /// Median of the ratios to the published rule for the same photo.
    pub ratio: f64,
}

pub fn report(repeat: u32, package: &Package) -> Result<AnswersReport> {
    let mut answerer = Answerer::load(package, Params::default())?;
    let dim = answerer.reference.dim();
    let mut engines = Vec::new();
    for rule in [Rule::Published, Rule::Balanced, Rule::Fused] {
        let engine = Engine::new(Params { rule, ..Params::default() }, fitted(&answerer.reference)?, dim);
        engines.extend(engine.ok().map(|engine| (rule, engine)));
    }
    let photos = queries(&answerer.reference, PHOTOS)?;
    let mut turns = photos.iter().cycle();
    let (mut times, mut ratios) = (vec![Vec::new(); engines.len()], vec![Vec::new(); engines.len()]);
    for round in 0..WARM_UP + repeat as usize {
        let photo = turns.next().expect("at least one photo");
        // The rule that begins changes, because the first search of a photo warms the caches for the others.
        let mut round_times = vec![0.0; engines.len()];
        for step in 0..engines.len() {
            let number = (round + step) % engines.len();
            std::mem::swap(&mut answerer.engine, &mut engines[number].1);
            let time = timed(|| Ok(answerer.verdict(photo, None)?));
            std::mem::swap(&mut answerer.engine, &mut engines[number].1);
            round_times[number] = time?.1;
        }
        if round >= WARM_UP {
            for (number, time) in round_times.iter().enumerate() {
                times[number].push(*time);
                ratios[number].push(time / round_times[0]);
            }
        }
    }
    let rules = engines.iter().map(|(rule, _)| *rule).zip(times.into_iter().zip(ratios));
    let rules = rules.map(|(rule, (times, ratios))| RuleReport {
        rule,
        times: Times::of(times),
        ratio: Times::of(ratios).median_ms,
    });
    let rules = rules.collect();
    answerer.engine = engines.pop().expect("the published rule").1;
    let member = member(repeat, &answerer, &photos[..MEMBER_PHOTOS])?;
    Ok(AnswersReport { photos: answerer.reference.len(), rules, member_photos: MEMBER_PHOTOS, member })
}

fn member(repeat: u32, answerer: &Answerer, photos: &[Embedding]) -> Result<Times> {
    let mut times = Vec::new();
    for _ in 0..repeat {
        let answer =
            timed(|| {
                let evidence = answerer.evidence(photos)?;
                let photos = photos.iter().zip(&evidence).zip(1..).map(|((embedding, evidence), capture)| {
                    Observation { capture, sha256: Sha256([0; 32]), embedding, evidence, inspected: None }
                });
                Ok(answerer.engine.member(&photos.collect::<Vec<_>>()))
            });
        times.push(answer?.1);
    }
    Ok(Times::of(times))
}
