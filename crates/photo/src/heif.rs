//! Walks a HEIF file (ISO/IEC 23008-12) and decodes its photo: one picture, or a grid of pictures as phones write it.
//!
//! The photo is the primary item, with the crop, turn and mirroring of its properties applied. Thumbnails, alpha, depth
//! and gain maps are other items, which nothing here reads.

mod canvas;
mod color;
mod hevc;
mod items;
mod place;

use canvas::{Canvas, SCALE_MAX};
use color::{Coding, Conversion};
use hevc::{Config, Fault, Shape};
use items::{DataFault, ENTRIES_MAX, Items, Kind};
use place::Placement;

use super::boxes::{Atom, Atoms, Fields};
use super::limits::{Decoding, Limits, Memory, check_pixels};
use super::{Blocks, PhotoError, Raster, jpeg};

const HEIC: &str = "HEIC";
/// Brands of files that may hold a photo coded with HEVC (ISO/IEC 23008-12, annex B, and section 10.2).
const BRANDS: [&[u8; 4]; 9] = [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"];
/// Boxes that a file consists of. One of these that is cut means that the file is still growing; anything else after
/// the last box is a trailer that some phones write.
const PARTS: [&[u8; 4]; 8] = [b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid", b"sefd"];
/// Maximum number of derivations between the primary item and a coded picture.
const DERIVATIONS_MAX: usize = 4;
/// Bytes of coded data for each pixel that are read beyond the size of the file: as much as the largest samples take.
const DATA_BYTES_PER_PIXEL: u64 = 6;

/// A photo whose structure is known and whose pixels have not been decoded.
#[derive(Debug)]
pub struct Photo<'a> {
    items: Items<'a>,
    grid: Grid,
    /// Items of the pictures, row by row.
    tiles: Vec<u32>,
    tile: Shape,
    placement: Placement,
    coding: Option<Coding>,
    /// Bytes of a picture's data that are copied while it is decoded, at most.
    copied: u64,
    /// Stored pixels across and down that become one pixel: 1, 2, 4 or 8.
    scale: u32,
}

/// Arrangement of pictures of one size (ISO/IEC 23008-12, section 6.6.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    columns: u32,
    rows: u32,
    /// Width and height of the photo before it is placed.
    size: [u32; 2],
}

/// Reports whether a file starts like a HEIF file that may hold HEVC pictures.
pub fn is_heif(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"ftyp") && BRANDS.iter().any(|&brand| bytes.get(8..12) == Some(brand))
}

/// Returns the EXIF and XMP block that describe the photo.
pub fn blocks(bytes: &[u8]) -> Blocks<'_> {
    let items = Atoms::new(bytes).find(b"meta").and_then(|meta| Items::new(bytes, meta));
    let Some(items) = items else { return Blocks::default() };
    let block = |wanted: fn(&Kind) -> bool| items.whole(items.describing(items.primary(), wanted)?);
    let exif = block(|kind| &kind.kind == b"Exif").and_then(exif);
    Blocks { exif, xmp: block(|kind| &kind.kind == b"mime" && kind.media == b"application/rdf+xml") }
}

/// Returns the EXIF block of an item: a number says how many bytes come before it (annex A.2.1).
fn exif(data: &[u8]) -> Option<&[u8]> {
    let mut fields = Fields::new(data);
    let skipped = fields.u32()?;
    let block = usize::try_from(skipped).ok().and_then(|skipped| fields.rest().get(skipped..));
    // Some programs leave out the name that the number skips, or the number itself.
    let starts = |block: &&[u8]| block.starts_with(b"II*\0") || block.starts_with(b"MM\0*");
    let named = |data: &'_ [u8]| memchr::memmem::find(&data[..data.len().min(64)], jpeg::EXIF_NAME);
    block.filter(starts).or_else(|| data.get(named(data)? + jpeg::EXIF_NAME.len()..).filter(starts))
}

impl<'a> Photo<'a> {
    /// Reads the structure of a file. Allocates nothing of the photo's size.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, PhotoError> {
        let items = open(bytes)?;
        let (item, placing) = coded(&items)?;
        let kind = items.kind(item).ok_or_else(|| broken("its primary item is missing"))?;
        let tiles = match &kind.kind {
            b"grid" => items.references(b"dimg", item).into_iter().flatten().take(ENTRIES_MAX as usize + 1).collect(),
            b"hvc1" | b"hev1" => vec![item],
            other => return Err(unsupported(*other)),
        };
        let tile = shape(&items, &tiles, limits)?;
        let grid = match &kind.kind {
            b"grid" => Grid::read(&data(bytes, items.data(item))?, &tiles, tile)?,
            _ => Grid { columns: 1, rows: 1, size: tile.size },
        };
        check_pixels(grid.size, HEIC, limits)?;
        grid.check_time(tile, limits)?;
        let whole = Some(Placement::whole(grid.size));
        let placement = placing
            .iter()
            .flat_map(|&item| items.properties(item))
            .fold(whole, |placement, property| placement.and_then(|placement| placement.then(&property)));
        let placement = placement.ok_or_else(|| broken("its crop leaves nothing"))?;
        let codings = placing.iter().rev().chain(tiles.first());
        let coding = codings.flat_map(|&item| items.properties(item)).find_map(|property| coding(&property));
        let copied = copied(bytes, &items, &tiles, tile)?;
        Ok(Photo { items, grid, tiles, tile, placement, coding, copied, scale: 1 }.within(limits))
    }

    /// Returns the photo at the largest scale that fits the memory, as long as it keeps the pixels that are needed. If
    /// none fits, the scale stays as it is.
    fn within(self, limits: &Limits) -> Self {
        let Decoding::Scaled { short_side_min } = limits.decoding else { return self };
        let aligned = self.tiles.len() == 1 || self.tile.size.iter().all(|side| side.is_multiple_of(SCALE_MAX));
        let [width, height] = self.placement.size();
        let enough = |scale: &u32| *scale == 1 || width.min(height) / scale >= short_side_min;
        let scales = [1, 2, 4, SCALE_MAX].into_iter().take_while(enough);
        let mut scales = scales.take_while(|&scale| scale == 1 || (aligned && self.placement.fits(SCALE_MAX)));
        let scale = scales.find(|&scale| self.memory_at(scale).check(limits).is_ok());
        Photo { scale: scale.unwrap_or(1), ..self }
    }

    /// Returns the memory that decoding takes: the photo and one picture of the grid.
    pub fn memory(&self) -> Memory {
        self.memory_at(self.scale)
    }

    fn memory_at(&self, scale: u32) -> Memory {
        let [width, height] = self.placement.size().map(|side| u64::from(side.div_ceil(scale)));
        let raster = 3 * width * height;
        Memory { decoding: raster + self.tile.memory() + self.copied, raster }
    }

    /// Decodes the pixels as they are to be seen.
    pub fn decode(&self) -> Result<Raster, PhotoError> {
        let mut canvas = Canvas::new(self.placement, self.scale);
        for (number, &tile) in (0..).zip(&self.tiles) {
            let place = [number % self.grid.columns, number / self.grid.columns];
            let origin = [0, 1].map(|axis| place[axis] * self.tile.size[axis]);
            self.paint(tile, origin, &mut canvas)?;
        }
        Ok(canvas.finish())
    }

    /// Decodes one picture and puts it where it belongs.
    fn paint(&self, tile: u32, origin: [u32; 2], canvas: &mut Canvas) -> Result<(), PhotoError> {
        let config = Config::new(configuration(&self.items, tile)?, self.tile.coded())?;
        let data = self.items.data(tile).map_err(|_| broken("a picture of the grid is missing"))?;
        let frame = config.decode(&data)?;
        let conversion = Conversion::new(&frame, self.coding);
        let conversion = conversion.ok_or(PhotoError::Unsupported { what: "a HEIC with unusual colours" })?;
        canvas.paint(origin, self.tile.size, |left, y, line| conversion.convert(&frame, left, y, line));
        Ok(())
    }
}

/// Returns the bytes that are copied of a picture's data, at most. All pictures of a grid may be the same bytes of the
/// file; an error if reading them would take longer than their pixels and the size of the file explain.
fn copied(bytes: &[u8], items: &Items, tiles: &[u32], tile: Shape) -> Result<u64, PhotoError> {
    let (mut longest, mut sum) = (0, 0_u64);
    for &tile in tiles {
        let copied = data(bytes, items.copied_bytes(tile))?;
        (longest, sum) = (copied.max(longest), sum.saturating_add(copied));
    }
    let pixels = tile.coded().saturating_mul(tiles.len() as u64);
    match sum > 2 * bytes.len() as u64 + pixels.saturating_mul(DATA_BYTES_PER_PIXEL) {
        true => Err(broken("the data of its pictures are longer than their pixels")),
        false => Ok(longest),
    }
}

/// Finds the tables of a file that is whole.
fn open(bytes: &[u8]) -> Result<Items<'_>, PhotoError> {
    let truncated = PhotoError::Truncated { format: HEIC, end: bytes.len() };
    let atoms = Atoms::new(bytes);
    if atoms.clone().torn().is_some_and(|torn| PARTS.contains(&&torn.kind)) {
        return Err(truncated);
    }
    match atoms.clone().find(b"meta") {
        Some(meta) => Items::new(bytes, meta).ok_or_else(|| broken("its tables of items are broken")),
        None if atoms.clone().find(b"moov").is_some() => Err(PhotoError::Unsupported { what: "a HEIF sequence" }),
        None => Err(truncated),
    }
}

/// Follows the primary item to the one whose pixels it shows. Returns that item, and the items whose properties place
/// them, the innermost first.
fn coded(items: &Items) -> Result<(u32, Vec<u32>), PhotoError> {
    let mut placing = vec![items.primary()];
    for _ in 0..DERIVATIONS_MAX {
        let item = placing[placing.len() - 1];
        if items.kind(item).is_none_or(|kind| &kind.kind != b"iden") {
            placing.reverse();
            return Ok((item, placing));
        }
        let source = items.references(b"dimg", item).and_then(|mut sources| sources.next());
        placing.push(source.ok_or_else(|| broken("its primary item shows nothing"))?);
    }
    Err(broken("its primary item is derived too often"))
}

/// Returns the shape that all pictures share.
fn shape(items: &Items, tiles: &[u32], limits: &Limits) -> Result<Shape, PhotoError> {
    let mut shared: Option<(Shape, &[u8])> = None;
    if tiles.len() > ENTRIES_MAX as usize {
        return Err(broken("it has too many pictures"));
    }
    for &tile in tiles {
        let property = configuration(items, tile)?;
        if shared.is_some_and(|(_, same)| same.as_ptr() == property.as_ptr()) {
            continue;
        }
        let shape = Config::new(property, limits.pixels_max)?.shape()?;
        if shared.is_some_and(|(other, _)| other != shape) {
            return Err(broken("its pictures differ in size"));
        }
        shared = Some((shape, property));
    }
    shared.map(|(shape, _)| shape).ok_or_else(|| broken("it has no picture"))
}

/// Returns the decoder configuration of a coded picture.
fn configuration<'a>(items: &Items<'a>, item: u32) -> Result<&'a [u8], PhotoError> {
    let kind = items.kind(item).ok_or_else(|| broken("a picture of the grid is missing"))?;
    if !matches!(&kind.kind, b"hvc1" | b"hev1") {
        return Err(unsupported(kind.kind));
    }
    let found = items.properties(item).find(|property| &property.kind == b"hvcC");
    found.map(|property| property.body).ok_or_else(|| broken("a picture has no decoder configuration"))
}

fn coding(property: &Atom) -> Option<Coding> {
    (&property.kind == b"colr").then(|| Coding::new(property.body)).flatten()
}

impl Grid {
    /// Reads the data of a grid. Its pictures must cover the photo, and none of them may lie outside it.
    fn read(data: &[u8], tiles: &[u32], tile: Shape) -> Result<Self, PhotoError> {
        let grid = Self::parse(data).ok_or_else(|| broken("its grid is cut"))?;
        if u64::from(grid.columns) * u64::from(grid.rows) != tiles.len() as u64 {
            return Err(broken("its grid has another number of pictures"));
        }
        let counts = [grid.columns, grid.rows];
        let covered = |axis: usize| {
            let (count, side, whole) =
                (u64::from(counts[axis]), u64::from(tile.size[axis]), u64::from(grid.size[axis]));
            whole <= count * side && (count - 1) * side < whole
        };
        if covered(0) && covered(1) { Ok(grid) } else { Err(broken("its grid does not fit its pictures")) }
    }

    /// Returns an error if the coded pixels of all pictures together are more than the limit. Most of a coded picture
    /// may be cropped away, and all pictures may be the same bytes of the file.
    fn check_time(self, tile: Shape, limits: &Limits) -> Result<(), PhotoError> {
        let counts = [self.columns, self.rows];
        let [width, height] = [0, 1].map(|axis| tile.coded_size()[axis].saturating_mul(counts[axis]));
        check_pixels([width, height], HEIC, limits)
    }

    fn parse(data: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(data);
        let (version, flags) = (fields.u8()?, fields.u8()?);
        let [rows, columns] = [u32::from(fields.u8()?) + 1, u32::from(fields.u8()?) + 1];
        let size = [fields.id(flags & 1 != 0)?, fields.id(flags & 1 != 0)?];
        (version == 0).then_some(Grid { columns, rows, size })
    }
}

fn broken(reason: &str) -> PhotoError {
    PhotoError::Broken { format: HEIC, reason: reason.to_owned() }
}

/// Returns the error for data that cannot be read; a file that ends too early may still be growing.
fn data<T>(bytes: &[u8], result: Result<T, DataFault>) -> Result<T, PhotoError> {
    result.map_err(|fault| match fault {
        DataFault::Beyond => PhotoError::Truncated { format: HEIC, end: bytes.len() },
        DataFault::Broken => broken("its table of data is broken"),
    })
}

/// Returns the error for an item of a type that is not decoded.
fn unsupported(kind: [u8; 4]) -> PhotoError {
    let what = match &kind {
        b"av01" => "AVIF",
        b"iovl" => "a HEIC that overlays several pictures",
        b"jpeg" | b"avc1" | b"j2k1" | b"vvc1" | b"unci" => "a HEIF photo that is not coded with HEVC",
        _ => "a HEIC of an unusual structure",
    };
    PhotoError::Unsupported { what }
}

impl From<Fault> for PhotoError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Broken(reason) => broken(reason),
            Fault::Unsupported(_) => PhotoError::Unsupported { what: "a HEIC that uses unusual tools of HEVC" },
            Fault::TooManyPixels([width, height], limit) => PhotoError::TooManyPixels { width, height, limit },
            Fault::Undecodable(reason) => PhotoError::Undecodable { format: HEIC, reason },
        }
    }
}

#[cfg(test)]
mod tests;
