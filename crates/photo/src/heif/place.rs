//! Where stored pixels belong in the photo: cropping, turning and mirroring (ISO/IEC 23008-12, section 6.5).

use std::ops::Range;

use crate::boxes::{Atom, Fields};

/// The part of the stored picture that is seen, and how it is turned: rows and columns are exchanged, then mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// First stored column and row that is seen.
    start: [u32; 2],
    /// Number of stored columns and rows that are seen.
    size: [u32; 2],
    transposed: bool,
    /// Whether columns, and rows, are reversed at the end.
    mirrored: [bool; 2],
}

impl Placement {
    /// The placement of pixels that are stored as they are seen.
    pub fn whole(size: [u32; 2]) -> Self {
        Placement { start: [0; 2], size, transposed: false, mirrored: [false; 2] }
    }

    /// Returns width and height of the photo.
    pub fn size(&self) -> [u32; 2] {
        let [width, height] = self.size;
        if self.transposed { [height, width] } else { self.size }
    }

    /// Returns whether columns, and rows, are reversed at the end.
    pub fn mirrors(&self) -> [bool; 2] {
        self.mirrored
    }

    /// Reports whether the crop begins at multiples of `scale`.
    pub fn fits(&self, scale: u32) -> bool {
        self.start.iter().all(|start| start.is_multiple_of(scale))
    }

    /// Returns the placement of cells of `scale` x `scale` stored pixels, without mirroring.
    pub fn shrunk(&self, scale: u32) -> Self {
        let (start, size) = (self.start.map(|start| start / scale), self.size.map(|side| side.div_ceil(scale)));
        Placement { start, size, mirrored: [false; 2], ..*self }
    }

    /// Applies a property of the item after those before it. Returns `None` if it leaves nothing to be seen.
    pub fn then(self, property: &Atom) -> Option<Self> {
        match &property.kind {
            b"irot" => Some((0..*property.body.first()? & 3).fold(self, |placement, _| placement.turned())),
            b"imir" => Some(self.mirrored(usize::from(*property.body.first()? & 1 == 0))),
            b"clap" => self.cropped(property.body),
            _ => Some(self),
        }
    }

    /// Turns the photo to the left by a quarter.
    fn turned(self) -> Self {
        let [across, down] = self.mirrored;
        Placement { transposed: !self.transposed, mirrored: [down, across], ..self }.mirrored(1)
    }

    /// Reverses columns (axis 0) or rows (axis 1).
    fn mirrored(mut self, axis: usize) -> Self {
        self.mirrored[axis] ^= true;
        self
    }

    /// Crops to a clean aperture: width, height, and how far its centre lies from the centre of the picture. Each is a
    /// fraction of two numbers.
    fn cropped(self, aperture: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(aperture);
        let mut fraction = || {
            let (over, under) = (fields.u32()?, fields.u32()?);
            (under != 0).then(|| f64::from(over as i32) / f64::from(under as i32))
        };
        let [wide, high, across, down] = [fraction()?, fraction()?, fraction()?, fraction()?];
        let size = self.size();
        let span = |length: f64, offset: f64, whole: u32| {
            let whole = f64::from(whole);
            // Halves round up, as in libheif.
            let start = (offset + (whole - length) / 2.0 + 0.5).floor();
            let (first, last) = (start.max(0.0), (start + length - 0.5).ceil().min(whole));
            (first < last).then_some((first as u32, (last - first) as u32))
        };
        let spans = [span(wide, across, size[0])?, span(high, down, size[1])?];
        let mut placement = self;
        for (seen, (first, length)) in spans.into_iter().enumerate() {
            let stored = if self.transposed { 1 - seen } else { seen };
            let before = if self.mirrored[seen] { size[seen] - first - length } else { first };
            placement.start[stored] += before;
            placement.size[stored] = length;
        }
        Some(placement)
    }

    /// Returns the part of `length` stored columns (axis 0) or rows (axis 1), counted from `origin`, that is seen.
    pub fn part(&self, axis: usize, origin: u32, length: u32) -> Option<Range<usize>> {
        let (start, end) = (u64::from(self.start[axis]), u64::from(self.start[axis]) + u64::from(self.size[axis]));
        let origin = u64::from(origin);
        let first = start.saturating_sub(origin);
        let last = end.saturating_sub(origin).min(u64::from(length));
        (first < last).then_some(first as usize..last as usize)
    }

    /// Puts a row of stored pixels, of which the first one is at `at` and all are seen, into the pixels of the photo.
    pub fn put(&self, line: &[[u8; 3]], at: [u32; 2], pixels: &mut [[u8; 3]]) {
        let width = self.size()[0] as usize;
        let start = self.index(at);
        let step = match (self.transposed, self.mirrored) {
            (false, [false, _]) => return pixels[start..start + line.len()].copy_from_slice(line),
            (false, [true, _]) => -1,
            (true, [_, false]) => width as isize,
            (true, [_, true]) => -(width as isize),
        };
        for (index, pixel) in line.iter().enumerate() {
            pixels[start.wrapping_add_signed(index as isize * step)] = *pixel;
        }
    }

    /// Returns the number of the photo's pixel that a stored pixel becomes.
    fn index(&self, at: [u32; 2]) -> usize {
        let [x, y] = [0, 1].map(|axis| at[axis] - self.start[axis]);
        let turned = if self.transposed { [y, x] } else { [x, y] };
        let [width, height] = self.size();
        let [x, y] = [(turned[0], width), (turned[1], height)];
        let place = |(place, length): (u32, u32), mirrored| if mirrored { length - 1 - place } else { place };
        place(y, self.mirrored[1]) as usize * width as usize + place(x, self.mirrored[0]) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property<'a>(kind: &[u8; 4], body: &'a [u8]) -> Atom<'a> {
        Atom { kind: *kind, body }
    }

    /// Returns the numbers of the stored pixels of a picture of three by two, as the photo shows them.
    fn seen(placement: &Placement) -> Vec<u8> {
        let [width, height] = placement.size();
        let mut pixels = vec![[9; 3]; (width * height) as usize];
        for y in placement.part(1, 0, 2).expect("rows") {
            let columns = placement.part(0, 0, 3).expect("columns");
            let line: Vec<[u8; 3]> = columns.clone().map(|x| [(3 * y + x) as u8; 3]).collect();
            placement.put(&line, [columns.start as u32, y as u32], &mut pixels);
        }
        pixels.iter().map(|pixel| pixel[0]).collect()
    }

    #[test]
    fn turns_and_mirrors_are_those_of_libheif() {
        let whole = Placement::whole([3, 2]);
        let turn = |quarters: u8| whole.then(&property(b"irot", &[quarters])).expect("seen");
        let mirror = |axis: u8| whole.then(&property(b"imir", &[axis])).expect("seen");
        let expected: [(Placement, [u32; 2], [u8; 6]); 6] = [
            (whole, [3, 2], [0, 1, 2, 3, 4, 5]),
            (turn(1), [2, 3], [2, 5, 1, 4, 0, 3]),
            (turn(2), [3, 2], [5, 4, 3, 2, 1, 0]),
            (turn(3), [2, 3], [3, 0, 4, 1, 5, 2]),
            (mirror(0), [3, 2], [3, 4, 5, 0, 1, 2]),
            (mirror(1), [3, 2], [2, 1, 0, 5, 4, 3]),
        ];
        for (placement, size, order) in expected {
            assert_eq!((placement.size(), seen(&placement)), (size, order.to_vec()), "{placement:?}");
        }
    }

    #[test]
    fn properties_apply_one_after_the_other() {
        let quarter = property(b"irot", &[1]);
        let flip = property(b"imir", &[0]);
        let placement = Placement::whole([3, 2]).then(&quarter).and_then(|one| one.then(&flip)).expect("seen");
        assert_eq!((placement.size(), seen(&placement)), ([2, 3], vec![0, 3, 1, 4, 2, 5]));
        // The first two columns of the turned picture's last row, and the row before it.
        let aperture = aperture([2, 1, 2, 1, 0, 1, 1, 2]);
        let cropped = placement.then(&property(b"clap", &aperture)).expect("seen");
        assert_eq!((cropped.size(), seen(&cropped)), ([2, 2], vec![1, 4, 2, 5]));
    }

    fn aperture(numbers: [i32; 8]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    #[test]
    fn apertures_stay_inside() {
        let crop = |numbers| Placement::whole([640, 480]).cropped(&aperture(numbers));
        let all = crop([640, 1, 480, 1, 0, 1, 0, 1]).expect("seen");
        assert_eq!(all, Placement::whole([640, 480]));
        let odd = crop([639, 1, 479, 1, -1, 2, -1, 2]).expect("seen");
        assert_eq!((odd.start, odd.size), ([0, 0], [639, 479]));
        let beyond = crop([640, 1, 480, 1, 100, 1, -100, 1]).expect("seen");
        assert_eq!((beyond.start, beyond.size), ([100, 0], [540, 380]));
        for nothing in [
            [0, 1, 480, 1, 0, 1, 0, 1],
            [640, 0, 480, 1, 0, 1, 0, 1],
            [-5, 1, 5, 1, 0, 1, 0, 1],
            [9, 1, 9, 1, i32::MAX, 1, 0, 1],
        ] {
            assert_eq!(crop(nothing), None, "{nothing:?}");
        }
        assert_eq!(Placement::whole([9, 9]).cropped(&[0; 31]), None);
    }
}
