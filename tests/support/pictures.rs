//! Pictures of zeros in every layout that PNG and TIFF have. Large ones make small files and take no time.

use std::io::Write;

use miniz_oxide::deflate::compress_to_vec_zlib;

/// A PNG (W3C Portable Network Graphics, third edition).
pub struct Png {
    pub width: u32,
    pub height: u32,
    /// Colour type as the standard numbers it: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha.
    pub color: u8,
    pub depth: u8,
    pub interlaced: bool,
    /// Size of a text chunk in front of the pixels; 0 for none.
    pub text_bytes: usize,
}

impl Png {
    pub fn file(&self) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let size = [self.width.to_be_bytes(), self.height.to_be_bytes()].concat();
        chunk(&mut file, b"IHDR", &[&size[..], &[self.depth, self.color, 0, 0, self.interlaced.into()]].concat());
        if self.color == 3 {
            chunk(&mut file, b"PLTE", &[50; 3]);
        }
        if self.text_bytes > 0 {
            chunk(&mut file, b"tEXt", &[b"Comment\0", &vec![b'x'; self.text_bytes][..]].concat());
        }
        chunk(&mut file, b"IDAT", &compress_to_vec_zlib(&vec![0; self.raw_bytes()], 1));
        chunk(&mut file, b"IEND", b"");
        file
    }

    /// Returns the size of all rows with their filter bytes.
    fn raw_bytes(&self) -> usize {
        let samples = [1, 0, 3, 1, 2, 0, 4][usize::from(self.color)] as usize;
        let bits = samples * usize::from(self.depth);
        let rows = |width: usize, height: usize| if width == 0 { 0 } else { height * (1 + (width * bits).div_ceil(8)) };
        let (width, height) = (self.width as usize, self.height as usize);
        if !self.interlaced {
            return rows(width, height);
        }
        // Adam7: first column and row, and their steps.
        let passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
        let part = |(x, y, dx, dy): (usize, usize, usize, usize)| {
            rows(width.saturating_sub(x).div_ceil(dx), height.saturating_sub(y).div_ceil(dy))
        };
        passes.into_iter().map(part).sum()
    }
}

fn chunk(file: &mut Vec<u8>, name: &[u8; 4], body: &[u8]) {
    let mut sum = crc32fast::Hasher::new();
    sum.update(name);
    sum.update(body);
    file.extend((body.len() as u32).to_be_bytes());
    file.extend_from_slice(name);
    file.extend_from_slice(body);
    file.extend(sum.finalize().to_be_bytes());
}

/// A TIFF of strips or tiles, which share their bytes in the file (TIFF 6.0, with deflate).
pub struct Tiff {
    pub width: u32,
    pub height: u32,
    /// Width of a part in pixels: the picture's for a strip, less for a tile.
    pub part_width: u32,
    pub part_height: u32,
    pub samples: u16,
    pub bits: u16,
    pub float: bool,
    /// Stores each kind of sample in parts of its own.
    pub planar: bool,
}

impl Tiff {
    pub fn file(&self) -> Vec<u8> {
        let is_tiled = self.part_width != self.width;
        let planes = if self.planar { u32::from(self.samples) } else { 1 };
        let parts = self.width.div_ceil(self.part_width) * self.height.div_ceil(self.part_height) * planes;
        let samples = if self.planar { 1 } else { usize::from(self.samples) };
        let bytes = self.part_width as usize * self.part_height as usize * samples * usize::from(self.bits) / 8;
        let data = compress_to_vec_zlib(&vec![0; bytes], 1);
        let photometric = if self.samples == 1 { 1 } else { 2 };
        let each = |value: u16| vec![value; self.samples.into()];
        let (offsets, counts) = if is_tiled { (324, 325) } else { (273, 279) };
        let mut fields: Vec<(u16, Vec<u8>, u16)> = vec![
            long(256, &[self.width]),
            long(257, &[self.height]),
            short(258, &each(self.bits)),
            short(259, &[8]),
            short(262, &[photometric]),
            long(offsets, &vec![8; parts as usize]),
            short(277, &[self.samples]),
            long(counts, &vec![data.len() as u32; parts as usize]),
            short(284, &[if self.planar { 2 } else { 1 }]),
            short(339, &each(if self.float { 3 } else { 1 })),
        ];
        if self.samples == 4 {
            fields.push(short(338, &[2]));
        }
        match is_tiled {
            true => fields.extend([long(322, &[self.part_width]), long(323, &[self.part_height])]),
            false => fields.push(long(278, &[self.part_height])),
        }
        fields.sort_by_key(|(tag, ..)| *tag);
        written(&data, &fields)
    }
}

fn long(tag: u16, values: &[u32]) -> (u16, Vec<u8>, u16) {
    (tag, values.iter().flat_map(|value| value.to_le_bytes()).collect(), 4)
}

fn short(tag: u16, values: &[u16]) -> (u16, Vec<u8>, u16) {
    (tag, values.iter().flat_map(|value| value.to_le_bytes()).collect(), 3)
}

/// Returns a file: header, data, values that are too long for their fields, and the directory.
fn written(data: &[u8], fields: &[(u16, Vec<u8>, u16)]) -> Vec<u8> {
    let mut file = b"II*\0\0\0\0\0".to_vec();
    file.extend_from_slice(data);
    let mut directory = (fields.len() as u16).to_le_bytes().to_vec();
    for (tag, values, kind) in fields {
        let count = values.len() / if *kind == 4 { 4 } else { 2 };
        directory.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        directory.extend((count as u32).to_le_bytes());
        if values.len() <= 4 {
            directory.write_all(&[&values[..], &[0; 4][values.len()..]].concat()).expect("memory");
        } else {
            directory.extend((file.len() as u32).to_le_bytes());
            file.extend_from_slice(values);
        }
    }
    let at = file.len() as u32;
    file[4..8].copy_from_slice(&at.to_le_bytes());
    file.extend(directory);
    file.extend([0; 4]);
    file
}
