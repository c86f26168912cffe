//! Items of a HEIF file (ISO/IEC 23008-12, section 6): where their data lie, what they refer to, and their properties.
//!
//! Nothing is copied from the tables of the file: every question walks them, and [`ENTRIES_MAX`] bounds the walk.

use std::borrow::Cow;

use crate::boxes::{Atom, Atoms, Fields};

/// Maximum number of entries in a table of the file. A picture of 200 megapixels has 800 tiles.
pub const ENTRIES_MAX: u32 = 4096;
/// Maximum number of properties of one item.
const PROPERTIES_MAX: usize = 32;
/// Maximum number of parts that the data of one item may have; libheif has the same limit.
const PARTS_MAX: u16 = 32;

/// Tables of a file's `meta` box.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a> {
    file: &'a [u8],
    primary: u32,
    infos: &'a [u8],
    locations: &'a [u8],
    references: &'a [u8],
    properties: &'a [u8],
    associations: &'a [u8],
    inside: &'a [u8],
}

/// Type of an item, and its media type if the type is `mime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind<'a> {
    pub kind: [u8; 4],
    pub media: &'a [u8],
}

/// Data of an item that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataFault {
    /// They lie beyond the end of the file.
    Beyond,
    /// The table that says where they lie is broken, or says that they lie in another file.
    Broken,
}

impl<'a> Items<'a> {
    /// Reads the body of a `meta` box. Returns `None` if a table is missing or if the file has no primary item.
    pub fn new(file: &'a [u8], meta: &'a [u8]) -> Option<Self> {
        let (_, _, fields) = Fields::full(meta)?;
        let tables = Atoms::new(fields.rest());
        let table = |kind| tables.clone().find(kind);
        let (version, _, mut primary) = Fields::full(table(b"pitm")?)?;
        let iprp = Atoms::new(table(b"iprp").unwrap_or_default());
        Some(Items {
            file,
            primary: primary.id(version > 0)?,
            infos: table(b"iinf")?,
            locations: table(b"iloc")?,
            references: table(b"iref").unwrap_or_default(),
            properties: iprp.clone().find(b"ipco").unwrap_or_default(),
            associations: iprp.find(b"ipma").unwrap_or_default(),
            inside: table(b"idat").unwrap_or_default(),
        })
    }

    /// Returns the identifier of the primary item, which is the photo.
    pub fn primary(&self) -> u32 {
        self.primary
    }

    /// Returns the type of an item.
    pub fn kind(&self, item: u32) -> Option<Kind<'a>> {
        self.kinds()?.find(|(id, _)| *id == item).map(|(_, kind)| kind)
    }

    /// Returns the first item that describes `item` and passes the check, or else the first one that passes and
    /// describes nothing.
    pub fn describing(&self, item: u32, wanted: impl Fn(&Kind) -> bool) -> Option<u32> {
        let found = || self.kinds().into_iter().flatten().filter(|(_, kind)| wanted(kind)).map(|(id, _)| id);
        let described = |id: u32| self.references(b"cdsc", id);
        let mine = found().find(|&id| described(id).is_some_and(|mut targets| targets.any(|target| target == item)));
        mine.or_else(|| found().find(|&id| described(id).is_none()))
    }

    /// Returns the items that `item` refers to for this purpose, in the order of the file.
    pub fn references(&self, purpose: &[u8; 4], item: u32) -> Option<impl Iterator<Item = u32> + use<'a>> {
        let (version, _, fields) = Fields::full(self.references)?;
        let long = version > 0;
        let tables = Atoms::new(fields.rest()).take(ENTRIES_MAX as usize).filter(|atom| &atom.kind == purpose);
        let mut targets = tables.filter_map(|atom| {
            let mut fields = Fields::new(atom.body);
            (fields.id(long)? == item).then_some(fields)
        });
        let mut targets = targets.next()?;
        let count = targets.u16()?;
        Some((0..count).map_while(move |_| targets.id(long)))
    }

    /// Returns the properties of an item, in the order in which they apply.
    pub fn properties(&self, item: u32) -> impl Iterator<Item = Atom<'a>> + use<'a> {
        let all = Atoms::new(self.properties);
        let numbers = self.property_numbers(item);
        let numbers = numbers.into_iter().flatten().take(PROPERTIES_MAX);
        let numbers = numbers.filter(|&number| u32::from(number) <= ENTRIES_MAX);
        numbers.filter_map(move |number| all.clone().nth(usize::from(number).checked_sub(1)?))
    }

    /// Returns the numbers of an item's properties, counted from 1.
    fn property_numbers(&self, item: u32) -> Option<impl Iterator<Item = u16> + use<'a>> {
        let (version, flags, mut fields) = Fields::full(self.associations)?;
        let wide = flags & 1 != 0;
        for _ in 0..fields.u32()?.min(ENTRIES_MAX) {
            let (id, count) = (fields.id(version > 0)?, fields.u8()?);
            let numbers = fields.take(usize::from(count) << u8::from(wide))?;
            if id == item {
                let mut numbers = Fields::new(numbers);
                // The highest bit says that a reader must understand the property.
                return Some((0..count).map_while(move |_| match wide {
                    true => numbers.u16().map(|number| number & 0x7FFF),
                    false => numbers.u8().map(|number| u16::from(number & 0x7F)),
                }));
            }
        }
        None
    }

    /// Returns the data of an item. They are copied only if they lie in several parts of the file.
    pub fn data(&self, item: u32) -> Result<Cow<'a, [u8]>, DataFault> {
        let mut parts = self.parts(item)?;
        let first = parts.next().ok_or(DataFault::Broken)??;
        let mut data = Cow::Borrowed(first);
        for part in parts {
            let part = part?;
            if data.len() + part.len() > self.file.len() {
                return Err(DataFault::Broken);
            }
            data.to_mut().extend(part);
        }
        Ok(data)
    }

    /// Returns the bytes that reading the data of an item copies, and that a decoder copies of them: all of them once,
    /// and twice if they lie in several parts of the file.
    pub fn copied_bytes(&self, item: u32) -> Result<u64, DataFault> {
        let (mut bytes, mut parts) = (0, 0);
        for part in self.parts(item)? {
            bytes += part?.len() as u64;
            parts += 1;
        }
        Ok(if parts > 1 { 2 * bytes } else { bytes })
    }

    /// Returns the data of an item that lie in one part of the file.
    pub fn whole(&self, item: u32) -> Option<&'a [u8]> {
        let mut parts = self.parts(item).ok()?;
        let first = parts.next()?.ok()?;
        parts.next().is_none().then_some(first)
    }

    /// Returns the parts of an item's data.
    fn parts(&self, item: u32) -> Result<impl Iterator<Item = Result<&'a [u8], DataFault>> + use<'a>, DataFault> {
        let (source, base, count, mut extents, sizes) = self.location(item).ok_or(DataFault::Broken)?;
        let source = match source {
            Source::File => self.file,
            Source::Inside => self.inside,
        };
        Ok((0..count).map(move |_| {
            let [index, offset, length] = sizes.map(|size| extents.uint(size));
            index.ok_or(DataFault::Broken)?;
            let (offset, length) = (offset.ok_or(DataFault::Broken)?, length.ok_or(DataFault::Broken)?);
            let start = base.checked_add(offset).and_then(|start| usize::try_from(start).ok());
            let rest = start.and_then(|start| source.get(start..)).ok_or(DataFault::Beyond)?;
            // A length of 0 means everything that follows.
            let length = usize::try_from(length).map_err(|_| DataFault::Beyond)?;
            if length == 0 { Ok(rest) } else { rest.get(..length).ok_or(DataFault::Beyond) }
        }))
    }

    /// Returns where an item's data lie: what they are counted in, from which base, and the table of their parts.
    fn location(&self, item: u32) -> Option<(Source, u64, u16, Fields<'a>, [usize; 3])> {
        let (version, _, mut fields) = Fields::full(self.locations)?;
        let sizes = fields.u16()?;
        let size = |shift: u16| usize::from(sizes >> shift & 0xF);
        let (offset, length, base) = (size(12), size(8), size(4));
        let index = if version > 0 { size(0) } else { 0 };
        let count = fields.id(version > 1)?;
        for _ in 0..count.min(ENTRIES_MAX) {
            let id = fields.id(version > 1)?;
            let method = if version > 0 { fields.u16()? & 0xF } else { 0 };
            let other_file = fields.u16()?;
            let base = fields.uint(base)?;
            let parts = fields.u16()?;
            let extents = fields.take(usize::from(parts) * (index + offset + length))?;
            if id == item {
                let source = match (method, other_file) {
                    (0, 0) => Source::File,
                    (1, 0) => Source::Inside,
                    _ => return None,
                };
                let sizes = [index, offset, length];
                return (parts <= PARTS_MAX).then_some((source, base, parts, Fields::new(extents), sizes));
            }
        }
        None
    }

    /// Returns identifier and type of every item.
    fn kinds(&self) -> Option<impl Iterator<Item = (u32, Kind<'a>)> + use<'a>> {
        let (version, _, mut fields) = Fields::full(self.infos)?;
        fields.id(version > 0)?;
        let entries = Atoms::new(fields.rest()).take(ENTRIES_MAX as usize).filter(|atom| &atom.kind == b"infe");
        Some(entries.filter_map(|entry| kind(entry.body)))
    }
}

/// What the positions of an item's data are counted in.
#[derive(Clone, Copy, Debug)]
enum Source {
    File,
    /// The `idat` box beside the tables.
    Inside,
}

/// Reads identifier and type of an item. Older versions of the entry have no type, and no photo uses them.
fn kind(entry: &[u8]) -> Option<(u32, Kind<'_>)> {
    let (version, _, mut fields) = Fields::full(entry)?;
    if version < 2 {
        return None;
    }
    let id = fields.id(version > 2)?;
    fields.u16()?; // its protection
    let kind = fields.array()?;
    let media = match &kind {
        b"mime" => fields.text().and_then(|_| fields.text()).unwrap_or_default(),
        _ => b"",
    };
    Some((id, Kind { kind, media }))
}
