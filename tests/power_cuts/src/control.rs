//! Controls, which show that the bench finds what it looks for.

use crate::bench::{Bench, Plan};
use crate::check::Kind;
use crate::models::{Forgotten, Syncs};
use crate::run_plan;

/// Kinds of violation that must be found if no sync takes effect. Each one proves that its check works.
const WANTED: [Kind; 13] = [
    Kind::Result,
    Kind::Correction,
    Kind::Upload,
    Kind::Key,
    Kind::Tag,
    Kind::Settings,
    Kind::Visitor,
    Kind::Package,
    Kind::Command,
    Kind::Bundle,
    Kind::Event,
    Kind::Bytes,
    Kind::Count,
];

/// Maximum number of states in the search for a forgotten sync; a few usually suffice.
const SEARCHED_MAX: usize = 200;

/// Reports whether the bench finds violations of every kind without syncs, and some violation for each file or folder
/// whose syncs are forgotten.
pub fn proves(bench: &Bench, plan: &Plan) -> bool {
    let none = run_plan("control, without syncs", bench, &Plan { syncs: Syncs::None, ..*plan });
    let missing: Vec<_> = WANTED.iter().filter(|kind| !none.kinds.contains_key(kind)).collect();
    if !missing.is_empty() {
        println!("  the control proves nothing: it found no violation of {missing:?}");
    }
    println!("\ncontrol, with forgotten syncs:");
    let found = Forgotten::ALL.into_iter().filter(|forgotten| finds(bench, plan, *forgotten)).count();
    missing.is_empty() && none.faults.is_empty() && found == Forgotten::ALL.len()
}

fn finds(bench: &Bench, plan: &Plan, forgotten: Forgotten) -> bool {
    let plan = Plan { syncs: Syncs::But(forgotten), states: SEARCHED_MAX, is_search: true, ..*plan };
    let tally = bench.run(&plan);
    let kinds: Vec<_> = tally.kinds.keys().collect();
    let is_found = tally.violations() > 0 && tally.faults.is_empty();
    let what = if is_found { "found" } else { "the control proves nothing: not found" };
    println!("  {:28} {what} after {} states: {kinds:?}", forgotten.name, tally.states());
    tally.faults.iter().for_each(|fault| println!("  the bench failed: {fault}"));
    is_found
}
