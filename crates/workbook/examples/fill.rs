//! Fills a template from a file of facts, and checks or reads back workbooks:
//! `fill TEMPLATE FACTS.json OUT`, `fill --check TEMPLATE FACTS.json`, `fill --read FILLED TEMPLATE`.
//!
//! Facts: `{"single": {"bridge.name": "…"}, "lists": {"photo": [{"number": 1, "picture": {"picture": "FILE"},
//! "date": {"date": "2026-11-30"}}]}}`. A picture is a file beside the file of facts.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use bridgeclip_workbook::{Facts, Limits, Record, Value, Vocabulary, Workbook, check, fill, read_back};
use serde_json::Value as Json;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--check", template, facts] => {
            let facts = read_facts(facts)?;
            for mark in check(&open(template)?, &Vocabulary::of(&facts))? {
                println!("{}!{} {} {:?}", mark.sheet, mark.cell, mark.mark, mark.state);
            }
        }
        ["--read", filled, template] => println!("{:#?}", read_back(&open(filled)?, &open(template)?)?),
        ["--refill", filled, template, out] => {
            let (template, filled) = (open(template)?, open(filled)?);
            let facts = read_back(&filled, &template)?.facts;
            let file = BufWriter::new(File::create(out)?);
            let mut picture = |part: &str| filled.part(part).map_err(std::io::Error::other);
            let (_, report) = fill(&template, &Vocabulary::of(&facts), &facts, &mut picture, file)?;
            println!("{report:?}");
        }
        [template, facts, out] => {
            let folder = Path::new(facts).parent().unwrap_or(Path::new(".")).to_owned();
            let facts = read_facts(facts)?;
            let file = BufWriter::new(File::create(out)?);
            let mut picture = |key: &str| fs::read(folder.join(key));
            let (_, report) = fill(&open(template)?, &Vocabulary::of(&facts), &facts, &mut picture, file)?;
            println!("{report:?}");
        }
        _ => return Err("usage: fill TEMPLATE FACTS.json OUT".into()),
    }
    Ok(())
}

fn open(path: &str) -> Result<Workbook, Box<dyn Error>> {
    Ok(Workbook::open(fs::read(path)?, &Limits::default())?)
}

fn read_facts(path: &str) -> Result<Facts, Box<dyn Error>> {
    let json: Json = serde_json::from_slice(&fs::read(path)?)?;
    let mut lists = BTreeMap::new();
    for (name, records) in json["lists"].as_object().into_iter().flatten() {
        let records = records.as_array().ok_or("a list is no array")?;
        lists.insert(name.clone(), records.iter().map(record).collect::<Result<_, _>>()?);
    }
    Ok(Facts { single: record(&json["single"])?, lists })
}

fn record(json: &Json) -> Result<Record, Box<dyn Error>> {
    let fields = json.as_object().into_iter().flatten();
    fields.map(|(name, value)| Ok((name.clone(), fact(value)?))).collect()
}

fn fact(json: &Json) -> Result<Value, Box<dyn Error>> {
    Ok(match json {
        Json::Null => Value::Empty,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Number(number.as_f64().ok_or("a number is too large")?),
        Json::String(text) => Value::Text(text.clone()),
        Json::Object(fields) => match (fields.get("picture"), fields.get("date")) {
            (Some(Json::String(key)), _) => Value::Picture(key.clone()),
            (_, Some(Json::String(date))) => Value::Date(date.parse()?),
            _ => return Err("a fact is neither a picture nor a date".into()),
        },
        Json::Array(_) => return Err("a fact is no list".into()),
    })
}
