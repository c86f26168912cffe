//! The same messages as lines of text, as ground stations convert them: the name and the fields, in their units,
//! separated by commas.

use std::collections::BTreeMap;
use std::io::Read;

use super::messages::{Ardupilot, Topic};
use crate::error::TrackError;
use crate::gather::Gather;
use crate::layout::Row;
use crate::pictures::Picture;
use crate::report::Note;
use crate::sample::Sample;
use crate::window::Window;

/// Number of fields of a message that are read; the format has sixteen letters.
const FIELDS_MAX: usize = 16;
/// Number of fields of an FMT line before the names of a kind's fields: number, length, name and letters.
const FMT_FIELDS: usize = 4;

/// Reports whether a file that begins with `head` is a log as text: its first definition is among the first lines, and
/// ground stations put lines of their own before it.
pub fn is_text(head: &[u8]) -> bool {
    head.split(|byte| *byte == b'\n').take(20).any(|line| {
        let text = str::from_utf8(line).unwrap_or_default();
        let mut cells = text.split(',').map(str::trim);
        cells.next() == Some("FMT") && cells.next().is_some_and(|number| number.parse::<u8>().is_ok())
    })
}

/// Reads a log.
pub fn read(window: &mut Window<impl Read>, gather: &mut Gather) -> Result<(Vec<Sample>, Vec<Picture>), TrackError> {
    let mut names: BTreeMap<Topic, Vec<String>> = BTreeMap::new();
    let mut log = Ardupilot::new(gather);
    loop {
        let length = window.line()?;
        if length == 0 {
            break;
        }
        // A line without an end may be torn within a number.
        match window.peek(length)?[..length].strip_suffix(b"\n") {
            Some(line) => hear(str::from_utf8(line).unwrap_or_default(), &mut names, &mut log, gather)?,
            None => gather.note(Note::EndsEarly),
        }
        window.consume(length);
    }
    log.finish(gather)
}

fn hear(
    line: &str,
    names: &mut BTreeMap<Topic, Vec<String>>,
    log: &mut Ardupilot,
    gather: &mut Gather,
) -> Result<(), TrackError> {
    let (name, fields) = line.split_once(',').unwrap_or((line, ""));
    let mut cells = fields.split(',').map(str::trim);
    if name.trim() == "FMT" {
        let topic = cells.nth(FMT_FIELDS - 2).and_then(Topic::named);
        if let Some(topic) = topic {
            names.insert(topic, cells.skip(1).take(FIELDS_MAX).map(str::to_owned).collect());
        }
        return Ok(());
    }
    let Some((topic, columns)) = Topic::named(name.trim()).and_then(|topic| Some((topic, names.get(&topic)?))) else {
        return Ok(());
    };
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let cells: Vec<&str> = cells.take(FIELDS_MAX).collect();
    log.hear(topic, &Row::Text { columns: &columns, cells: &cells }, gather)
}
