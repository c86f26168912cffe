//! Checks drafts of findings on 500 held-out pictures: every sentence is stated by each photo that it names.

use std::collections::HashMap;

use bridgeclip::classify::{Observation, Params};
use bridgeclip::domain::{
    Category, CategoryLabels, Clause, Draft, Embedding, Evidence, Labels, Sha256, Unknown, read_finding,
};
use bridgeclip::package::Package;
use bridgeclip::pipeline::Answerer;
use rusqlite::Connection;

use crate::support::{data, demo_package, read_npy};

/// Labels of all photos of the reference, as its file has them, without the program's own search.
fn labelled() -> HashMap<i64, Labels> {
    let connection = Connection::open(demo_package().join("reference.db")).expect("the reference");
    let mut rows = connection
        .prepare("SELECT id, soundness, measure, damage_type, damage_location FROM photo")
        .expect("the table of photos");
    let mut labels = HashMap::new();
    let mut rows = rows.query([]).expect("photos");
    while let Some(row) = rows.next().expect("a photo") {
        let set = |category: Category| {
            let indexes: Vec<u8> = row.get(1 + category as usize).expect("labels");
            CategoryLabels::new(category, indexes)
        };
        labels.insert(row.get(0).expect("an id"), Labels::new(set));
    }
    labels
}

fn states(labels: &Labels, says: &Labels) -> bool {
    let all =
        |category: Category| says.get(category).indexes().iter().all(|i| labels.get(category).indexes().contains(i));
    Category::ALL.into_iter().all(all)
}

/// Fails if a clause says nothing, or if a photo that it names does not say it.
fn check(clause: &Clause, labelled: &HashMap<i64, Labels>) {
    assert!(Category::ALL.into_iter().any(|category| !clause.says.get(category).is_empty()), "{clause:?}");
    assert!(clause.references.len() >= 2, "{clause:?}");
    for id in &clause.references {
        assert!(states(&labelled[id], &clause.says), "{clause:?}: photo {id} has {:?}", labelled[id]);
    }
}

/// Reads the labels back from a text.
fn read(text: &str) -> Labels {
    read_finding(text, Unknown::LeaveOut).labels
}

fn joined(draft: &Draft) -> Labels {
    Labels::new(|category| {
        let indexes = draft.clauses.iter().flat_map(|clause| clause.says.get(category).indexes().iter().copied());
        CategoryLabels::new(category, indexes.collect::<Vec<_>>())
    })
}

#[test]
fn every_sentence_of_500_drafts_is_stated_by_each_photo_that_it_names() {
    let package = Package::open(&demo_package()).expect("a good package");
    let answerer = Answerer::load(&package, Params::default()).expect("loads");
    let labelled = labelled();
    let photos: Vec<Embedding> = read_npy(&data("demo/val_embeddings.npy"))
        .into_iter()
        .take(500)
        .map(|row| Embedding::normalise(row).expect("a vector"))
        .collect();
    assert_eq!(photos.len(), 500);
    let (mut sentences, mut empty) = (0, 0);
    for photo in &photos {
        let verdict = answerer.verdict(photo, None).expect("a verdict");
        sentences += verdict.draft.clauses.len();
        empty += usize::from(verdict.draft.is_empty());
        verdict.draft.clauses.iter().for_each(|clause| check(clause, &labelled));
        for clause in &verdict.draft.clauses {
            assert!(states(&verdict.labels(), &clause.says), "nothing is drafted that was not answered");
        }
        let said = joined(&verdict.draft);
        assert_eq!((read(&verdict.draft.en()), read(&verdict.draft.ja())), (said.clone(), said));
    }
    assert!(sentences >= 1_000 && empty < 25, "{sentences} sentences, {empty} empty drafts");
    for (number, photos) in photos.chunks(5).enumerate() {
        let evidence: Vec<Vec<Evidence>> = answerer.evidence(photos).expect("evidence");
        let observations = photos.iter().zip(&evidence).zip(1..).map(|((embedding, evidence), capture)| Observation {
            capture,
            sha256: Sha256::of(&[number as u8]),
            embedding,
            evidence,
            inspected: None,
        });
        let answer = answerer.engine.member(&observations.collect::<Vec<_>>());
        for clause in &answer.draft.clauses {
            check(clause, &labelled);
            assert!(!clause.captures.is_empty());
            for &capture in &clause.captures {
                let own = &evidence[capture as usize - 1][..Params::default().neighbours];
                assert!(own.iter().filter(|photo| states(&photo.labels, &clause.says)).count() >= 2, "{clause:?}");
            }
        }
    }
}
