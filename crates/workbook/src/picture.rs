//! Pictures: their kind and size by their first bytes, and how they fit into cells.

use crate::area::Area;
use crate::geometry::Lengths;

/// A picture's kind and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureSize {
    /// Extension of the part: `jpeg` or `png`.
    pub extension: &'static str,
    pub width: u32,
    pub height: u32,
}

/// Where a picture lies: the cell of its upper left corner, and lengths in EMU (914,400 to the inch).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Row and column, counted from 0.
    pub row: u32,
    pub column: u32,
    pub row_offset: u64,
    pub column_offset: u64,
    pub width: u64,
    pub height: u64,
}

/// Returns the kind and the size of a JPEG or PNG picture.
///
/// # Errors
/// The reason, if the bytes are neither, or damaged.
pub fn size(bytes: &[u8]) -> Result<PictureSize, String> {
    let size = match bytes {
        [0xff, 0xd8, 0xff, ..] => jpeg(bytes).map(|(width, height)| ("jpeg", width, height)),
        [0x89, b'P', b'N', b'G', ..] => png(bytes).map(|(width, height)| ("png", width, height)),
        _ => return Err("it is neither JPEG nor PNG".to_owned()),
    };
    match size {
        Some((extension, width, height)) if width > 0 && height > 0 => Ok(PictureSize { extension, width, height }),
        _ => Err("its size cannot be read; the file is damaged".to_owned()),
    }
}

fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    (bytes.get(12..16)? == b"IHDR").then_some((number(16)?, number(20)?))
}

/// Walks over the segments of a JPEG to its frame header.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let [0xff, marker] = *bytes.get(at..at + 2)? else { return None };
        let number =
            |offset: usize| Some(u16::from_be_bytes(bytes.get(at + offset..at + offset + 2)?.try_into().ok()?));
        match marker {
            0xff => at += 1,
            0x01 | 0xd0..=0xd7 => at += 2,
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((u32::from(number(7)?), u32::from(number(5)?)));
            }
            0xd9 | 0xda => return None,
            _ => at += 2 + usize::from(number(2)?).max(2),
        }
    }
}

/// Returns where a picture lies that fills an area of the sheet as far as its proportions allow, in its middle; `None`
/// if the area is hidden or has no room.
pub fn fitted(size: PictureSize, area: Area, lengths: &Lengths) -> Option<Anchor> {
    /// Two pixels between the picture and the frame.
    const MARGIN: u64 = 2 * 9_525;
    let Lengths { columns, rows } = lengths;
    let (box_width, box_height): (u64, u64) = (columns.iter().sum(), rows.iter().sum());
    let inner = |length: u64| length.checked_sub(2 * MARGIN).filter(|length| *length > 0);
    let (inner_width, inner_height) = (inner(box_width)?, inner(box_height)?);
    let (width, height) = (u64::from(size.width), u64::from(size.height));
    let (width, height) = match inner_width * height <= inner_height * width {
        true => (inner_width, (inner_width * height / width).max(1)),
        false => ((inner_height * width / height).max(1), inner_height),
    };
    let (column, column_offset) = position((box_width - width) / 2, columns);
    let (row, row_offset) = position((box_height - height) / 2, rows);
    Some(Anchor {
        row: area.first.row - 1 + row,
        column: area.first.column - 1 + column,
        row_offset,
        column_offset,
        width,
        height,
    })
}

/// Returns in which of some lengths a distance from their beginning lies, and how far from its beginning.
fn position(mut distance: u64, lengths: &[u64]) -> (u32, u64) {
    for (index, length) in (0..).zip(lengths) {
        if distance < *length {
            return (index, distance);
        }
        distance -= length;
    }
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_the_first_bytes() {
        let jpeg = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 11, 8, 0x02, 0xd0, 0x05, 0x00, 3];
        assert_eq!(size(&jpeg), Ok(PictureSize { extension: "jpeg", width: 1280, height: 720 }));
        for length in 0..jpeg.len() - 1 {
            assert!(size(&jpeg[..length]).is_err(), "{length}");
        }
        assert!(size(b"GIF89a").is_err());
    }
}
