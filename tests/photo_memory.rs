//! Checks the memory that decoding a photo takes, by comparing the promised amount with the peak of a separate process.

use std::env;
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use bridgeclip::photo::{
    self, Decoding, OpenPhoto, Orientation, Preprocess, encoder_input, quality, read_metadata, read_tag, thumbnail,
};
use bridgeclip::pipeline::{self, read_file};
use image::{ExtendedColorType, ImageEncoder};

use crate::photos::textured_jpeg;
use crate::support::data;
use crate::support::pictures::{Png, Tiff};

const MB: u64 = 1_000_000;
/// Allowance for stacks, tables of Huffman codes and what the allocator keeps for itself.
const SLACK: u64 = 6 * MB;

/// Environment variable with the photo for [`a_process_of_its_own`].
const PHOTO: &str = "BRIDGECLIP_TEST_PHOTO";
/// Environment variable that is set if every pixel must be decoded.
const EXACT: &str = "BRIDGECLIP_TEST_EXACT";

#[test]
#[ignore = "started by the other tests of this file"]
fn a_process_of_its_own() {
    let path = PathBuf::from(env::var_os(PHOTO).expect("a photo"));
    let idle = memory_peak();
    let mut limits = pipeline::Limits::default();
    if env::var_os(EXACT).is_some() {
        limits.photo.decoding = Decoding::Exact;
    }
    let bytes = read_file(&path, &limits).expect("a file");
    read_metadata(&bytes);
    let preprocess = Preprocess { resize: 224, size: 224, mean: [0.5; 3], std: [0.5; 3], apply_orientation: true };
    let opened = photo::open(&bytes, &preprocess, &limits.photo);
    let promised = opened.as_ref().map_or(0, |photo| photo.memory(true));
    let outcome = opened.and_then(|photo: OpenPhoto| encoder_input(&photo, &preprocess, None)).map(|input| {
        thumbnail(&input.raster, Orientation::UPRIGHT, NonZeroU32::new(320).expect("some"));
        read_tag(&input.raster);
        (input.pixels, quality(&input.raster))
    });
    println!("{outcome:?} grown {} {promised} {}", memory_peak() - idle, bytes.len());
}

/// Returns the peak of this process's resident memory in bytes, as Linux reports it.
fn memory_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a high-water mark");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

/// Outcome for a photo, from reading the file to the thumbnail.
struct Grown {
    outcome: String,
    /// Bytes by which the photo makes a process grow.
    grown: u64,
    /// Bytes that were promised beforehand, beside the file.
    promised: u64,
    file: u64,
}

impl Grown {
    fn over(photo: &Path, exact: bool) -> Self {
        let mut command = Command::new(env::current_exe().expect("this binary"));
        command.args(["photo_memory::a_process_of_its_own", "--exact", "--ignored", "--nocapture"]).env(PHOTO, photo);
        if exact {
            command.env(EXACT, "1");
        }
        let output = command.output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find_map(|line| line.rsplit_once(" grown "));
        let (outcome, numbers) = line.unwrap_or_else(|| panic!("{}: {output:?}", photo.display()));
        let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().expect("a number")).collect();
        Grown { outcome: outcome.to_owned(), grown: numbers[0], promised: numbers[1], file: numbers[2] }
    }

    /// Reports whether the photo took no more memory than promised, beside the file.
    fn is_kept(&self) -> bool {
        self.grown <= self.promised + self.file + SLACK
    }
}

#[test]
fn decoding_a_48_megapixel_photo_takes_little_memory() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("photo.jpg");
    let mut sizes = Vec::new();
    for progressive in [false, true] {
        let jpeg = textured_jpeg(8000, 6000, progressive);
        fs::write(&path, &jpeg).expect("write");
        let Grown { outcome, grown, .. } = Grown::over(&path, false);
        assert!(outcome.contains("Ok(([8000, 6000]"), "{outcome}");
        sizes.push((jpeg.len() as u64, grown));
    }
    println!("sizes of the files, and growth: {sizes:?}");
    let [baseline, progressive] = sizes[..] else { unreachable!("two kinds") };
    assert!(baseline.0 > 5 * MB, "the file of a camera has {} bytes or more", baseline.0);
    assert!(baseline.1 <= 60 * MB, "baseline: {} bytes in a file of {}", baseline.1, baseline.0);
    // Its coefficients, which are announced beforehand: 48 million for luma and 24 for chroma, two bytes each.
    let announced = 144 * MB + 60 * MB;
    assert!(progressive.1 <= announced, "progressive: {} bytes in a file of {}", progressive.1, progressive.0);
}

#[test]
fn bombs_are_refused_within_the_memory_of_a_photo() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut bombs: Vec<(PathBuf, &str)> = ["jpg", "png", "tif", "webp"]
        .map(|suffix| (corpus.join("photo/bomb").with_extension(suffix), "TooManyPixels"))
        .into();
    // The picture itself is small; the data around it unpacks to 24 MB or claims to be large.
    bombs.extend(["icc-bomb.png", "data-bomb.png"].map(|name| (corpus.join("photo").join(name), "Ok(([8, 8]")));
    bombs.push((corpus.join("exif/gigabyte.tif"), "Err("));
    let entities = fs::read(corpus.join("xmp/entities.xml")).expect("read");
    for (name, packet) in [("entities", entities), ("deep", b"<x>".repeat(21_000)), ("long", b"x".repeat(65_000))] {
        let path = dir.path().join(name);
        let photo = fs::read(corpus.join("photo/rgb.jpg")).expect("read");
        fs::write(&path, with_xmp(&photo, &packet)).expect("write");
        bombs.push((path, "Ok("));
    }
    for (bomb, expected) in bombs {
        let Grown { outcome, grown, .. } = Grown::over(&bomb, false);
        assert!(outcome.contains(expected), "{}: {outcome}", bomb.display());
        // A photo of 48 megapixels may take the same amount.
        assert!(grown <= 60_000_000, "{}: {grown} bytes", bomb.display());
    }
}

/// Returns the photo with this XMP packet in front.
fn with_xmp(photo: &[u8], packet: &[u8]) -> Vec<u8> {
    let block = [&b"http://ns.adobe.com/xap/1.0/\0"[..], packet].concat();
    let length = u16::try_from(block.len() + 2).expect("one segment").to_be_bytes();
    [&photo[..2], b"\xff\xe1", &length, &block, &photo[2..]].concat()
}

/// A picture as a file, with a name that describes it.
type Picture = (String, Vec<u8>);

/// Returns five shapes of about `pixels` pixels.
fn shapes(pixels: u32) -> [(u32, u32); 5] {
    let side = pixels.isqrt();
    [(1, pixels), (pixels, 1), (side, side), (100, pixels / 100), (pixels / 100, 100)]
}

fn pngs(pixels: u32) -> impl Iterator<Item = Picture> {
    // Colour type and depth, as the standard numbers them.
    let kinds = [(0, 1), (0, 8), (0, 16), (2, 8), (2, 16), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8), (6, 16)];
    let layouts =
        shapes(pixels).into_iter().map(|shape| (shape, false)).chain([((pixels.isqrt(), pixels.isqrt()), true)]);
    layouts.flat_map(move |((width, height), interlaced)| {
        kinds.into_iter().map(move |(color, depth)| {
            let png = Png { width, height, color, depth, interlaced, text_bytes: 0 };
            (format!("{width}x{height} colour {color} of {depth} bits, interlaced {interlaced}.png"), png.file())
        })
    })
}

fn tiffs(pixels: u32) -> impl Iterator<Item = Picture> {
    // Samples, bits, and whether they are floats.
    let kinds =
        [(1, 8, false), (1, 16, false), (3, 8, false), (4, 8, false), (3, 16, false), (4, 16, false), (3, 32, true)];
    let side = pixels.isqrt();
    // Width, height, and the size of a part, which is a strip if it is as wide as the picture.
    let layouts = [
        (1, pixels, 1, pixels.div_ceil(1000)),
        (pixels, 1, pixels, 1),
        (side, side, side, side),
        (side, side, side, 1),
        (side, side, 256, 256),
        (100, pixels / 100, 100, 64),
    ];
    layouts.into_iter().flat_map(move |(width, height, part_width, part_height)| {
        kinds.into_iter().flat_map(move |(samples, bits, float)| {
            [false, true].into_iter().map(move |planar| {
                let tiff = Tiff { width, height, part_width, part_height, samples, bits, float, planar };
                let name = format!(
                    "{width}x{height} in {part_width}x{part_height}, {samples} of {bits} bits, float {float}, planar {planar}.tif"
                );
                (name, tiff.file())
            })
        })
    })
}

fn lossless_webps() -> impl Iterator<Item = Picture> {
    let kinds = [(ExtendedColorType::Rgb8, 3), (ExtendedColorType::Rgba8, 4), (ExtendedColorType::L8, 1)];
    let shapes = [(1, 16_000), (16_000, 1), (3000, 3000), (100, 16_000)];
    shapes.into_iter().flat_map(move |(width, height)| {
        kinds.into_iter().map(move |(color, size)| {
            let (mut file, samples) = (Vec::new(), vec![90; (width * height * size) as usize]);
            let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut file);
            encoder.write_image(&samples, width, height, color).expect("encodes");
            (format!("{width}x{height} {color:?}.webp"), file)
        })
    })
}

fn lossy_webps() -> impl Iterator<Item = Picture> {
    ["flat.webp", "flat-alpha.webp"]
        .into_iter()
        .map(|name| (name.to_owned(), fs::read(data("photos").join(name)).expect("a file")))
}

/// One picture with and without halved chroma, and a grid of pictures, each of 12 megapixels in one colour.
fn heics() -> impl Iterator<Item = Picture> {
    ["flat.heic", "flat-444.heic", "flat-grid.heic"]
        .into_iter()
        .map(|name| (name.to_owned(), fs::read(data("photos").join(name)).expect("a file")))
}

fn jpegs() -> impl Iterator<Item = Picture> {
    let shapes = [(4000, 3000), (8, 60_000), (60_000, 8)];
    shapes.into_iter().flat_map(|(width, height)| {
        [false, true].map(|progressive| {
            (format!("{width}x{height} progressive {progressive}.jpg"), textured_jpeg(width, height, progressive))
        })
    })
}

/// Measures pictures one by one and returns how many were accepted.
fn measure(pictures: impl Iterator<Item = Picture>, exact: bool) -> usize {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (mut accepted, mut wrong) = (0, Vec::new());
    for (name, bytes) in pictures {
        let path = dir.path().join("picture");
        fs::write(&path, bytes).expect("write");
        let begin = Instant::now();
        let grown = Grown::over(&path, exact);
        accepted += usize::from(grown.outcome.starts_with("Ok("));
        let Grown { outcome, grown: taken, promised, file } = &grown;
        let outcome = outcome.get(..60).unwrap_or(outcome);
        let line = format!("{taken:>10} of {promised:>10} + {file:>9} in {:.1?}: {name}: {outcome}", begin.elapsed());
        println!("{line}");
        if !grown.is_kept() {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "more memory than promised:\n{}", wrong.join("\n"));
    accepted
}

#[test]
fn pictures_of_every_layout_take_no_more_memory_than_promised() {
    assert_eq!(measure(pngs(4_000_000), false), 66);
    assert_eq!(measure(tiffs(4_000_000), false), 84);
    assert_eq!(measure(lossless_webps(), false), 12);
    assert_eq!(measure(lossy_webps(), false), 2);
    assert_eq!(measure(heics(), false), 3);
    assert_eq!(measure(jpegs(), false), 6);
    assert_eq!(measure(jpegs(), true), 6);
}

/// Measures pictures at the limit. It takes minutes; run it with `--ignored --nocapture`.
#[test]
#[ignore = "takes minutes; a smaller matrix is in CI"]
fn large_pictures_of_every_layout_take_no_more_memory_than_promised() {
    for pixels in [16_000_000, 60_000_000, 120_000_000] {
        println!("{} PNG of {pixels} pixels accepted", measure(pngs(pixels), false));
        println!("{} TIFF of {pixels} pixels accepted", measure(tiffs(pixels), false));
    }
}

#[test]
fn pictures_beyond_the_budget_are_refused_before_they_are_decoded() {
    let (side, long) = (8000, 64_000_000);
    let png = |width, height, color, depth, text_bytes| {
        let png = Png { width, height, color, depth, interlaced: false, text_bytes };
        (format!("{width}x{height} {color} {depth}"), png.file())
    };
    let strips = |width, height, part_height| {
        let parts = (width, part_height);
        let tiff =
            Tiff { width, height, part_width: parts.0, part_height, samples: 1, bits: 8, float: false, planar: false };
        (format!("{width}x{height} in {parts:?}"), tiff.file())
    };
    // Pictures that once stopped devices. The first four and one with much text are within the budget now.
    let found = [
        png(1, long, 0, 8, 0),
        png(100, 640_000, 0, 8, 0),
        strips(1, 60_000_000, 60_000),
        png(side, side, 2, 8, 0),
        png(long, 1, 2, 8, 0),
        png(side, side, 2, 8, 90 << 20),
        png(long, 1, 6, 16, 0),
        png(side, side, 6, 16, 90 << 20),
        png(side, side, 6, 16, 0),
        strips(1, 6_000_000, 1),
    ];
    assert_eq!(measure(found.into_iter(), false), 5);
}
