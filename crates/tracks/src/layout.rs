//! Records of self-describing logs: named columns of numbers at known places.

/// Type of a column's number, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

/// A column of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// Bytes from the start of the record's fields.
    pub offset: usize,
    pub kind: Kind,
    /// Number by which the stored value is divided.
    pub divisor: f64,
}

/// A record with its columns.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    Bytes { columns: &'a [Column], fields: &'a [u8] },
    Text { columns: &'a [&'a str], cells: &'a [&'a str] },
}

impl Kind {
    fn read(self, bytes: &[u8]) -> Option<f64> {
        Some(match self {
            Kind::I8 => f64::from(i8::from_le_bytes(first(bytes)?)),
            Kind::U8 => f64::from(u8::from_le_bytes(first(bytes)?)),
            Kind::I16 => f64::from(i16::from_le_bytes(first(bytes)?)),
            Kind::U16 => f64::from(u16::from_le_bytes(first(bytes)?)),
            Kind::I32 => f64::from(i32::from_le_bytes(first(bytes)?)),
            Kind::U32 => f64::from(u32::from_le_bytes(first(bytes)?)),
            // Exact up to 2^53 microseconds, which is 285 years.
            Kind::I64 => i64::from_le_bytes(first(bytes)?) as f64,
            Kind::U64 => u64::from_le_bytes(first(bytes)?) as f64,
            Kind::F32 => short(f32::from_le_bytes(first(bytes)?)),
            Kind::F64 => f64::from_le_bytes(first(bytes)?),
        })
    }
}

fn first<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}

/// Returns the shortest decimal number that a 32-bit float stands for, so that 0.77 does not become 0.7699999809.
fn short(value: f32) -> f64 {
    if value.is_finite() { value.to_string().parse().unwrap_or(f64::NAN) } else { f64::NAN }
}

impl Row<'_> {
    /// Returns the finite number in a column. `None` if the record has no such column, or ends before it.
    pub fn number(&self, name: &str) -> Option<f64> {
        let value = match self {
            Row::Bytes { columns, fields } => {
                let column = columns.iter().find(|column| column.name == name)?;
                column.kind.read(fields.get(column.offset..)?)? / column.divisor
            }
            Row::Text { columns, cells } => {
                let place = columns.iter().position(|column| *column == name)?;
                cells.get(place)?.parse().ok()?
            }
        };
        value.is_finite().then_some(value)
    }

    /// Returns the whole number in a column, from 0 to 2^53.
    pub fn whole(&self, name: &str) -> Option<i64> {
        const EXACT_MAX: f64 = (1_u64 << 53) as f64;
        self.number(name).filter(|value| (0.0..=EXACT_MAX).contains(value)).map(|value| value as i64)
    }

    /// Returns the number in a column, or NaN.
    pub fn or_nan(&self, name: &str) -> f64 {
        self.number(name).unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let kinds = [
            Kind::I8,
            Kind::U8,
            Kind::I16,
            Kind::U16,
            Kind::I32,
            Kind::U32,
            Kind::I64,
            Kind::U64,
            Kind::F32,
            Kind::F64,
        ];
        let mut offset = 0;
        let column = |(index, kind): (usize, Kind)| {
            let width = [1, 1, 2, 2, 4, 4, 8, 8, 4, 8][index];
            offset += width;
            Column { name: format!("{kind:?}"), offset: offset - width, kind, divisor: 1.0 }
        };
        kinds.into_iter().enumerate().map(column).collect()
    }

    #[test]
    fn every_type_is_read_at_its_place() {
        let mut fields = vec![0xFE, 0xFE];
        fields.extend((-300_i16).to_le_bytes());
        fields.extend(65_000_u16.to_le_bytes());
        fields.extend((-353_626_277_i32).to_le_bytes());
        fields.extend(4_000_000_000_u32.to_le_bytes());
        fields.extend((-5_i64).to_le_bytes());
        fields.extend(82_049_899_u64.to_le_bytes());
        fields.extend(0.77_f32.to_le_bytes());
        fields.extend(47.397_742_2_f64.to_le_bytes());
        let columns = columns();
        let row = Row::Bytes { columns: &columns, fields: &fields };
        let values: Vec<f64> = columns.iter().map(|column| row.or_nan(&column.name)).collect();
        let expected = [-2.0, 254.0, -300.0, 65e3, -353_626_277.0, 4e9, -5.0, 82_049_899.0, 0.77, 47.397_742_2];
        assert_eq!(values, expected);
        assert_eq!((row.whole("I8"), row.whole("U64"), row.number("none")), (None, Some(82_049_899), None));
        for length in 0..fields.len() {
            let row = Row::Bytes { columns: &columns, fields: &fields[..length] };
            assert_eq!(row.number("F64"), None);
        }
    }

    #[test]
    fn text_is_read_by_the_names_of_its_columns() {
        let row = Row::Text { columns: &["TimeUS", "Lat", "Lng"], cells: &["5", "-35.5", "nan"] };
        assert_eq!((row.whole("TimeUS"), row.number("Lat"), row.number("Lng")), (Some(5), Some(-35.5), None));
        assert_eq!(Row::Text { columns: &["A", "B"], cells: &["1"] }.number("B"), None);
    }
}
