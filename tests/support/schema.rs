//! Checks JSON against a schema of deploy/asyncapi.yaml. It is stricter than JSON Schema: an object may only have
//! described properties, and a keyword that is not known here fails the test.

use regex::Regex;
use serde_json::Value;

/// Returns what is wrong with `value`, each fault with its place; nothing if it fits.
pub fn mismatches(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "", &mut found);
    found
}

fn check(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    // All other keywords concern values that are there.
    if value.is_null() && schema["type"].as_array().is_some_and(|types| types.contains(&"null".into())) {
        return;
    }
    for (keyword, expected) in schema.as_object().expect("a schema is an object") {
        let fits = match keyword.as_str() {
            "$ref" => {
                check(document, resolve(document, expected), value, place, found);
                true
            }
            "type" if expected.is_array() => list(expected).iter().any(|name| is_type(value, text(name))),
            "type" => is_type(value, text(expected)),
            "const" => value == expected,
            "enum" => list(expected).contains(value),
            "pattern" => Regex::new(text(expected)).expect("a pattern").is_match(text(value)),
            "format" => has_format(text(value), text(expected)),
            "minimum" => value.as_f64() >= expected.as_f64(),
            "maximum" => value.as_f64() <= expected.as_f64(),
            "minLength" => text(value).chars().count() as u64 >= expected.as_u64().expect("a count"),
            "maxLength" => text(value).chars().count() as u64 <= expected.as_u64().expect("a count"),
            "minItems" => list(value).len() as u64 >= expected.as_u64().expect("a count"),
            "maxItems" => list(value).len() as u64 <= expected.as_u64().expect("a count"),
            "required" => list(expected).iter().all(|name| value.get(text(name)).is_some()),
            "properties" => {
                check_properties(document, schema, value, place, found);
                true
            }
            "items" => {
                for (index, item) in list(value).iter().enumerate() {
                    check(document, expected, item, &format!("{place}/{index}"), found);
                }
                true
            }
            "additionalProperties" => {
                check_properties(document, schema, value, place, found);
                true
            }
            "description" | "default" => true,
            unknown => panic!("the keyword `{unknown}` is not understood here"),
        };
        if !fits {
            found.push(format!("{place}: {value} does not fit {keyword}: {expected}"));
        }
    }
}

fn check_properties(document: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    for (name, property) in value.as_object().into_iter().flatten() {
        let place = format!("{place}/{name}");
        match schema["properties"].get(name).or(schema.get("additionalProperties")) {
            Some(schema) => check(document, schema, property, &place, found),
            None => found.push(format!("{place} is not described")),
        }
    }
}

/// Follows a reference such as `#/a/b/c`.
pub fn resolve<'a>(document: &'a Value, reference: &Value) -> &'a Value {
    let path = text(reference).strip_prefix('#').expect("a place in this document");
    document.pointer(path).unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        unknown => panic!("the type `{unknown}` is not understood here"),
    }
}

fn has_format(value: &str, name: &str) -> bool {
    match name {
        "date-time" => value.parse::<jiff::Timestamp>().is_ok(),
        // The subscriber shows bytes in this form.
        "binary" => value.chars().all(|byte| u8::try_from(byte).is_ok()),
        "uuid" => value.parse::<uuid::Uuid>().is_ok(),
        unknown => panic!("the format `{unknown}` is not understood here"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is not a list"))
}
