//! The report: a single HTML file without dependencies, with any number of runs side by side.
//!
//! It contains no scripts and loads nothing over the network. Colours follow the reader's light or dark setting.

mod charts;

use std::fmt::Display;

use self::charts::{BarGroup, Curve, bars, confusion, lines};
use super::{
    AttributeScores, CUTOFFS, CategoryScores, Classification, Direction, DirectionScores, Run, UrgencyScores, decimals,
};
use crate::domain::Category;
use crate::markup::{escape, figure, section, table};

const STYLE: &str = include_str!("report/style.css");

/// Notes that a reader needs in order to interpret the figures.
const NOTES: [&str; 6] = [
    "Each category is scored over the rows that have at least one true label of it. A class without true and answered \
     items counts 0 in the macro mean. A category without true labels does not count in the mean.",
    "Calibration error: mean distance of confidence and accuracy over ten bins, over all classes that were answered.",
    "Urgent photos have rating IV or measure E1 or E2. What is put forward is a candidate; an engineer decides. Photos \
     count whose labels tell whether they are urgent.",
    "Second look: an answer counts as wrong if the labels of at least one category were not answered exactly.",
    "Retrieval: an item is relevant if it shares at least one label of the category with the query. Items that are \
     equally similar are in an order of chance: scores are expected values, and the least and the greatest R@k are given.",
    "Falling-out of the deck, abnormal gaps, defects of anchorages and deflection have no class of their own: they are \
     within “other”.",
];

/// Returns the complete page.
pub fn html(runs: &[Run]) -> String {
    let parts = [
        inputs(runs),
        summary(runs),
        urgency(runs),
        second_look(runs),
        categories(runs),
        retrieval(runs),
        scaling(runs),
        notes(),
    ];
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>BridgeCLIP evaluation</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>BridgeCLIP evaluation</h1>\n{}</body>\n</html>\n",
        parts.concat()
    )
}

fn inputs(runs: &[Run]) -> String {
    let row = |run: &Run| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let (photos, left_out) = (run.photos.to_string(), run.left_out.to_string());
        vec![run.name.clone(), run.data.clone(), text(&run.package), text(&run.method), photos, left_out]
    };
    let head = ["run", "data", "package", "method", "rows", "left out"];
    format!("<div class=\"words\">{}</div>\n", table(&head.map(str::to_owned), runs.iter().map(row)))
}

fn notes() -> String {
    let items = NOTES.map(|note| format!("<li>{}</li>\n", escape(note)));
    section("How to read this", &format!("<ul>\n{}</ul>\n", items.concat()))
}

/// Returns the head of a table: `first`, then the name of each run.
fn head(first: &str, runs: &[&Run]) -> Vec<String> {
    [first].into_iter().chain(runs.iter().map(|run| run.name.as_str())).map(str::to_owned).collect()
}

/// Returns a row of figures, one for each run. A dash stands for a missing figure.
fn row<T>(name: impl Display, values: &[T], value: impl Fn(&T) -> Option<f64>) -> Vec<String> {
    let figure = |item| decimals(value(item), 4);
    [name.to_string()].into_iter().chain(values.iter().map(figure)).collect()
}

/// Returns the runs that have a classification, with their classifications.
fn classified(runs: &[Run]) -> Vec<(&Run, &Classification)> {
    runs.iter().filter_map(|run| Some((run, run.classification.as_ref()?))).collect()
}

fn names<'a, T>(runs: &[(&'a Run, T)]) -> Vec<&'a Run> {
    runs.iter().map(|(run, _)| *run).collect()
}

fn summary(runs: &[Run]) -> String {
    let runs = classified(runs);
    if runs.is_empty() {
        return String::new();
    }
    let category =
        |category| row(category, &runs, |(_, scores)| scores.categories.get(&category).map(|scores| scores.macro_f1));
    let mean = row("mean", &runs, |(_, scores)| Some(scores.mean_macro_f1));
    let rows = Category::ALL.into_iter().map(category).chain([mean]);
    section("Macro-F1", &table(&head("category", &names(&runs)), rows))
}

fn urgency(runs: &[Run]) -> String {
    let scored: Vec<_> = runs.iter().filter_map(|run| Some((run, run.urgency.as_ref()?))).collect();
    if scored.is_empty() {
        return String::new();
    }
    let count = |name: &str, value: fn(&UrgencyScores) -> usize| {
        [name.to_owned()].into_iter().chain(scored.iter().map(|(_, scores)| value(scores).to_string())).collect()
    };
    let rows = [
        count("urgent photos", |scores| scores.urgent),
        count("put forward of these", |scores| scores.found),
        row("recall", &scored, |(_, scores)| Some(scores.recall)),
        count("false alarms", |scores| scores.false_alarms),
        row("false alarms per 100 photos", &scored, |(_, scores)| Some(scores.false_alarms_per_100_photos)),
    ];
    section("Urgent photos", &table(&head("", &names(&scored)), rows.into_iter()))
}

fn second_look(runs: &[Run]) -> String {
    let scored = runs.iter().filter_map(|run| Some((run, run.second_look.as_ref()?)));
    let tables = scored.map(|(run, scores)| {
        let head = ["reason", "photos", "share with a wrong answer"].map(str::to_owned);
        format!("<h3>{}</h3>\n{}", escape(&run.name), table(&head, scores.rows().map(Vec::from)))
    });
    let tables: String = tables.collect();
    if tables.is_empty() { tables } else { section("Second look", &tables) }
}

fn categories(runs: &[Run]) -> String {
    let one = |category: Category| {
        let scored =
            classified(runs).into_iter().filter_map(|(run, scores)| Some((run, scores.categories.get(&category)?)));
        let scored: Vec<(&Run, &CategoryScores)> = scored.collect();
        if scored.is_empty() { String::new() } else { section(category.id(), &category_body(&scored)) }
    };
    Category::ALL.map(one).concat()
}

fn category_body(runs: &[(&Run, &CategoryScores)]) -> String {
    let matrices = runs.iter().filter_map(|(run, scores)| {
        let labels: Vec<&str> = scores.classes.iter().map(|class| class.label.as_str()).collect();
        Some(figure(
            &format!("{}: true class by row, answered class by column", run.name),
            &confusion(&labels, scores.confusion.as_ref()?),
        ))
    });
    let matrices: String = matrices.collect();
    let details: String = runs.iter().map(|(run, scores)| class_table(run, scores)).collect();
    [
        table(&head("", &names(runs)), measures(runs).into_iter()),
        figure("F1 of each class", &bars(&class_bars(runs), &run_names(runs))),
        format!("<div class=\"side\">\n{matrices}</div>\n"),
        details,
    ]
    .concat()
}

fn run_names<'a, T>(runs: &[(&'a Run, T)]) -> Vec<&'a str> {
    runs.iter().map(|(run, _)| run.name.as_str()).collect()
}

fn measures(runs: &[(&Run, &CategoryScores)]) -> Vec<Vec<String>> {
    type Measure = (&'static str, fn(&CategoryScores) -> Option<f64>);
    const MEASURES: [Measure; 11] = [
        ("macro-F1", |scores| Some(scores.macro_f1)),
        ("micro-F1", |scores| Some(scores.micro_f1)),
        ("weighted F1", |scores| Some(scores.weighted_f1)),
        ("macro precision", |scores| Some(scores.macro_precision)),
        ("macro recall", |scores| Some(scores.macro_recall)),
        ("weighted precision", |scores| Some(scores.weighted_precision)),
        ("weighted recall", |scores| Some(scores.weighted_recall)),
        ("balanced accuracy", |scores| scores.balanced_accuracy),
        ("mAP of the answers", |scores| Some(scores.mean_average_precision)),
        ("exact match", |scores| Some(scores.exact_match)),
        ("calibration error", |scores| Some(scores.calibration.as_ref()?.expected_error)),
    ];
    let photos = runs.iter().map(|(_, scores)| scores.photos.to_string());
    let photos = ["photos".to_owned()].into_iter().chain(photos).collect();
    let figures = MEASURES.iter().map(|(name, value)| row(name, runs, |(_, scores)| value(scores)));
    [photos].into_iter().chain(figures).collect()
}

/// Returns the bars of each class. Classes are matched by their index; all runs use the same class table.
fn class_bars(runs: &[(&Run, &CategoryScores)]) -> Vec<BarGroup> {
    let longest = runs.iter().map(|(_, scores)| &scores.classes).max_by_key(|classes| classes.len());
    let group = |(index, class): (usize, &super::ClassScores)| BarGroup {
        label: class.label.clone(),
        values: runs.iter().map(|(_, scores)| scores.classes.get(index).map_or(0.0, |class| class.f1)).collect(),
    };
    longest.into_iter().flatten().enumerate().map(group).collect()
}

fn class_table(run: &Run, scores: &CategoryScores) -> String {
    let head = ["class", "precision", "recall", "F1", "support", "TP", "FP", "FN", "TN"].map(str::to_owned);
    let rows = scores.classes.iter().map(|class| {
        let shares = [class.precision, class.recall, class.f1].map(|value| format!("{value:.4}"));
        let counts =
            [class.support, class.true_positives, class.false_positives, class.false_negatives, class.true_negatives];
        [class.label.clone()].into_iter().chain(shares).chain(counts.map(|count| count.to_string())).collect()
    });
    format!("<h3>{}</h3>\n{}", escape(&run.name), table(&head, rows))
}

fn retrieval(runs: &[Run]) -> String {
    let directions = [
        (Direction::ImageToText, "Photo finds text"),
        (Direction::TextToImage, "Text finds photo"),
        (Direction::ImageToImage, "Photo finds other photos"),
    ];
    let one = |(direction, title)| {
        let scored: Vec<_> = runs.iter().filter_map(|run| Some((run, run.retrieval.get(&direction)?))).collect();
        if scored.is_empty() {
            return String::new();
        }
        let recall = CUTOFFS.map(|k| row(format!("R@{k}"), &scored, |(_, scores)| scores.recall.get(&k).copied()));
        let bounds = ["least", "greatest"].into_iter().enumerate().flat_map(|(index, name)| {
            let bound = move |k| move |scores: &DirectionScores| Some(scores.recall_bounds.get(&k)?[index]);
            CUTOFFS.map(|k| row(format!("R@{k}, {name}"), &scored, |(_, scores)| bound(k)(scores)))
        });
        let bounds: Vec<_> = bounds.collect();
        let has_recall = direction != Direction::ImageToImage;
        let attributes = Category::ALL.into_iter().flat_map(|category| {
            let values: Vec<_> = scored.iter().map(|(_, scores)| scores.attributes.get(&category)).collect();
            attribute_rows(category, &values)
        });
        let rows = recall.into_iter().chain(bounds).filter(|_| has_recall).chain(attributes);
        section(title, &table(&head("", &names(&scored)), rows))
    };
    directions.map(one).concat()
}

fn attribute_rows(category: Category, values: &[Option<&AttributeScores>]) -> Vec<Vec<String>> {
    let matches = CUTOFFS.map(|k| {
        row(format!("{category}: AttrMatch@{k}"), values, |scores| scores.as_ref()?.attr_match.get(&k).copied())
    });
    let precision = row(format!("{category}: mAP"), values, |scores| Some(scores.as_ref()?.mean_average_precision));
    let gain = row(format!("{category}: NDCG@10"), values, |scores| Some(scores.as_ref()?.ndcg_at_10));
    matches.into_iter().chain([precision, gain]).collect()
}

fn scaling(runs: &[Run]) -> String {
    let charts: String = runs.iter().filter(|run| !run.scaling.is_empty()).map(scaling_chart).collect();
    match charts.is_empty() {
        true => charts,
        false => section("Size of the reference", &format!("<div class=\"side\">\n{charts}</div>\n")),
    }
}

fn scaling_chart(run: &Run) -> String {
    let line = |name: &str, value: &dyn Fn(&Classification) -> f64| Curve {
        name: name.to_owned(),
        points: run.scaling.iter().map(|point| (point.reference_photos as f64, value(&point.classification))).collect(),
    };
    let macro_f1 = |category: Category| {
        line(category.id(), &|scores| scores.categories.get(&category).map_or(0.0, |scores| scores.macro_f1))
    };
    let all: Vec<Curve> =
        Category::ALL.into_iter().map(macro_f1).chain([line("mean", &|scores| scores.mean_macro_f1)]).collect();
    let rows = run.scaling.iter().enumerate().map(|(index, point)| {
        let values = all.iter().map(|line| format!("{:.4}", line.points[index].1));
        [point.reference_photos.to_string()].into_iter().chain(values).collect()
    });
    let head: Vec<String> =
        ["reference photos"].into_iter().chain(all.iter().map(|line| line.name.as_str())).map(str::to_owned).collect();
    figure(&format!("{}: macro-F1 by photos in the reference", run.name), &(lines(&all) + &table(&head, rows)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CategoryLabels, Labels};
    use crate::evaluate::{DoubtScores, Flagged, Judged, ScalingPoint, Ties, classification, retrieval};
    use crate::markup::assert_balanced;

    fn run(name: &str) -> Run {
        let labels = Labels::new(|category| CategoryLabels::new(category, [0]));
        let scores = classification(&[Judged::by_labels(labels.clone(), &labels)]);
        let row = [crate::domain::Embedding::normalise(vec![1.0]).expect("a vector")];
        Run {
            name: name.to_owned(),
            data: "<val> & \"more\".csv".to_owned(),
            photos: 1,
            classification: Some(scores.clone()),
            urgency: Some(UrgencyScores { urgent: 3, ..UrgencyScores::default() }),
            second_look: Some(DoubtScores { all: Flagged { photos: 8, wrong: 2 }, ..DoubtScores::default() }),
            retrieval: retrieval(&row, &row, &[labels], Ties::Random),
            scaling: vec![
                ScalingPoint { reference_photos: 10, classification: scores.clone() },
                ScalingPoint { reference_photos: 20, classification: scores },
            ],
            ..Run::default()
        }
    }

    #[test]
    fn the_page_shows_all_runs_and_escapes_their_text() {
        let page = html(&[run("<script>alert(1)</script>"), run("橋 'b'")]);
        assert!(!page.contains("<script"), "nothing of the input is markup");
        assert!(page.contains("&lt;script&gt;") && page.contains("橋 &#39;b&#39;"));
        assert!(page.contains("&lt;val&gt; &amp; &quot;more&quot;.csv"));
        for part in [
            "Macro-F1",
            "Urgent photos",
            "Second look",
            "0.2500",
            "<h2>damage_location",
            "Photo finds text",
            "Size of the reference",
            "<svg",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert_balanced(&page, &["div", "table", "section", "svg", "figure", "tr", "td"]);
    }

    #[test]
    fn nothing_is_requested_from_elsewhere() {
        let page = html(&[run("a")]);
        for forbidden in ["http:", "https:", "src=", "href=", "@import", "url("] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn a_run_without_scores_is_a_page_too() {
        assert!(html(&[Run::default()]).contains("How to read this"));
    }
}
