//! Serves the field page from files that are part of the program. The page loads nothing from elsewhere.

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::export::lang;
use crate::domain::Category;
use crate::texts::{self, Lang, Text};
use crate::web::problem::Problem;

const INDEX: &str = include_str!("../page/index.html");

/// Files below `/page/`: name, content type and text.
const FILES: [(&str, &str, &str); 12] = [
    ("page.css", "text/css", include_str!("../page/page.css")),
    ("icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
    ("main.js", "text/javascript", include_str!("../page/main.js")),
    ("api.js", "text/javascript", include_str!("../page/api.js")),
    ("words.js", "text/javascript", include_str!("../page/words.js")),
    ("dom.js", "text/javascript", include_str!("../page/dom.js")),
    ("photos.js", "text/javascript", include_str!("../page/photos.js")),
    ("detail.js", "text/javascript", include_str!("../page/detail.js")),
    ("search.js", "text/javascript", include_str!("../page/search.js")),
    ("coverage.js", "text/javascript", include_str!("../page/coverage.js")),
    ("map.js", "text/javascript", include_str!("../page/map.js")),
    ("device.js", "text/javascript", include_str!("../page/device.js")),
];

pub async fn index() -> Response {
    of_type("text/html; charset=utf-8", INDEX)
}

pub async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(file, ..)| *file == name);
    match (found, name.as_str()) {
        (Some((_, content_type, text)), _) => Ok(of_type(content_type, *text)),
        (None, "classes.json") => Ok(of_type("application/json", classes().to_string())),
        _ => Err(Problem::not_found("the page has no such file")),
    }
}

/// Returns all texts of a language.
pub async fn words(Path(tag): Path<String>) -> Result<Response, Problem> {
    Ok(of_type("application/json", texts::json(lang(Some(&tag))?)))
}

/// Returns the description of this API, an OpenAPI 3.1 document.
pub async fn openapi() -> Response {
    of_type("application/json", include_str!("../../../deploy/openapi.json"))
}

/// Returns a text with its content type. Browsers cache it, and ask each time whether it has changed.
fn of_type(content_type: &'static str, text: impl IntoResponse) -> Response {
    let cache = HeaderValue::from_static("no-cache");
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type)), (header::CACHE_CONTROL, cache)], text)
        .into_response()
}

/// Returns the categories with their classes in both languages.
fn classes() -> Value {
    let class = |class: &crate::domain::Class| json!({ "id": class.en, "en": Lang::En.class(class), "ja": Lang::Ja.class(class) });
    let category = |category: Category| {
        let name = Text::of_category(category);
        json!({
            "id": category.id(), "multi": category.is_multi(),
            "en": name.say(Lang::En), "ja": name.say(Lang::Ja),
            "classes": category.classes().iter().map(class).collect::<Vec<_>>(),
        })
    };
    json!(Category::ALL.map(category))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use regex::Regex;

    use super::*;
    use crate::domain::{Act, Losses};

    /// Returns the text keys that the files name in full, and the prefixes of the keys that values from the device
    /// complete.
    fn named() -> (BTreeSet<String>, BTreeSet<String>) {
        let whole =
            Regex::new(r#"\bt\((?:[^()]*\? )?'([a-z_]+)'(?: : '([a-z_]+)')?\)|data-(?:text|label)="([a-z_]+)""#);
        let begun = Regex::new(r"\bt\(`([a-z]+_)\$");
        let (whole, begun) = (whole.expect("a pattern"), begun.expect("a pattern"));
        let (mut keys, mut begins) = (BTreeSet::new(), BTreeSet::new());
        for text in FILES.iter().map(|(_, _, text)| *text).chain([INDEX]) {
            keys.extend(whole.captures_iter(text).flat_map(|found| {
                found.iter().skip(1).flatten().map(|key| key.as_str().to_owned()).collect::<Vec<_>>()
            }));
            begins.extend(begun.captures_iter(text).map(|found| found[1].to_owned()));
        }
        (keys, begins)
    }

    #[test]
    fn every_word_of_the_page_is_in_the_table() {
        let table: BTreeSet<String> = Text::ALL.iter().map(Text::to_string).collect();
        let (keys, begins) = named();
        assert!(keys.len() > 60, "{} keys", keys.len());
        let missing: Vec<_> = keys.iter().filter(|key| !table.contains(*key)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let known =
            ["link_", "similar_", "time_", "position_", "fix_", "theme_", "lost_", "act_", "basis_"].map(str::to_owned);
        assert_eq!(begins, BTreeSet::from(known));
        let losses = serde_json::to_value(Losses::default()).expect("JSON");
        for loss in losses.as_object().expect("an object").keys() {
            assert!(table.contains(&format!("lost_{loss}")), "{loss}");
        }
        for act in [Act::Accepted, Act::Corrected, Act::Undone].map(|act| serde_json::to_value(act).expect("JSON")) {
            assert!(table.contains(&format!("act_{}", act.as_str().expect("a name"))), "{act}");
        }
        for basis in ["trigger", "camera", "camera_gps", "written", "arrival", "file"] {
            assert!(table.contains(&format!("basis_{basis}")), "{basis}");
        }
        for state in ["offline", "connecting", "draining", "live", "held", "refused"] {
            assert!(table.contains(&format!("link_{state}")), "{state}");
        }
    }

    #[test]
    fn the_page_is_small_and_asks_for_nothing_from_elsewhere() {
        let bytes: usize = FILES.iter().map(|(_, _, text)| text.len()).sum::<usize>() + INDEX.len();
        let words = texts::json(Lang::Ja).len() + classes().to_string().len();
        assert!(bytes + words < 150_000, "{bytes} + {words}");
        let address = Regex::new(r#"(?:https?:)?//[a-z0-9]"#).expect("a pattern");
        for (name, _, text) in FILES {
            let text = text.replace("http://www.w3.org/", "");
            assert!(!address.is_match(&text), "{name}: {:?}", address.find(&text));
        }
        assert!(!INDEX.contains("http") && !INDEX.contains("<style") && !INDEX.contains("onclick"));
    }
}
