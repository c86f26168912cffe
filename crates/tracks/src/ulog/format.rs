//! Definitions of topics.

use super::topics::{self, Topic};
use crate::layout::{Column, Kind};

/// Columns of a topic that are of use.
#[derive(Clone, Debug, PartialEq)]
pub struct Format(Vec<Column>);

/// A topic under the number that its data have.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub topic: Topic,
    pub format: Format,
}

impl Format {
    /// Reads the fields of a definition: a type and a name each, separated by `;`. Ends at a field of another topic's
    /// type, whose width is not known here; the topics that are read have none.
    pub fn read(fields: &str) -> Self {
        let mut offset: usize = 0;
        let mut columns = Vec::new();
        for field in fields.split(';') {
            let Some((kind, name)) = field.trim().split_once(' ') else { break };
            let Some((width, number)) = width(kind) else { break };
            if let Some(kind) = number
                && topics::is_of_use(name)
                && !columns.iter().any(|column: &Column| column.name == name)
            {
                columns.push(Column { name: name.to_owned(), offset, kind, divisor: 1.0 });
            }
            offset = offset.saturating_add(width);
        }
        Format(columns)
    }

    pub fn columns(&self) -> &[Column] {
        &self.0
    }
}

/// Returns the width in bytes of a type, and how its number is read unless it is a text or an array.
fn width(kind: &str) -> Option<(usize, Option<Kind>)> {
    if let Some((kind, count)) = kind.split_once('[') {
        let count: u16 = count.strip_suffix(']')?.parse().ok()?;
        let (width, _) = number(kind)?;
        return Some((width * usize::from(count), None));
    }
    number(kind)
}

fn number(kind: &str) -> Option<(usize, Option<Kind>)> {
    Some(match kind {
        "int8_t" => (1, Some(Kind::I8)),
        "uint8_t" | "bool" => (1, Some(Kind::U8)),
        "char" => (1, None),
        "int16_t" => (2, Some(Kind::I16)),
        "uint16_t" => (2, Some(Kind::U16)),
        "int32_t" => (4, Some(Kind::I32)),
        "uint32_t" => (4, Some(Kind::U32)),
        "int64_t" => (8, Some(Kind::I64)),
        "uint64_t" => (8, Some(Kind::U64)),
        "float" => (4, Some(Kind::F32)),
        "double" => (8, Some(Kind::F64)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_where_the_types_before_them_end() {
        let format = Format::read(
            "uint64_t timestamp;float[4] q;char[3] s;int32_t lat;bool feedback;double lon;a b;int8_t result;",
        );
        let found: Vec<_> = format.columns().iter().map(|column| (column.name.as_str(), column.offset)).collect();
        assert_eq!(found, [("timestamp", 0), ("lat", 27), ("feedback", 31), ("lon", 32)]);
    }

    #[test]
    fn definitions_that_cannot_be_end_at_the_fault() {
        for fields in ["", ";", "uint64_t", "float[x] lat;", "float[70000] a;int32_t lat", "odd lat", "float[ lat"] {
            assert_eq!(Format::read(fields).columns(), [], "{fields}");
        }
        let long = "double[65535] a;".repeat(4_000) + "int32_t lat";
        assert_eq!(Format::read(&long).columns().len(), 1);
    }
}
