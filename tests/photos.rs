//! Checks decoding and resizing against Pillow and open_clip, by goldens that `bridgeclip-models goldens --out
//! tests/data` makes; what a photo may cost; and the corpus of the fuzz targets.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bridgeclip::encoder::{EncodeImage, ImageEncoder};
use bridgeclip::kernels::Threads;
use bridgeclip::package::Package;
use bridgeclip::photo::{self, Decoding, EncoderInput, Limits, PhotoError, Preprocess, Raster, decode, tensor};
use mozjpeg::{ColorSpace, Compress};
use serde::Deserialize;
use serde_json::Value;

use crate::support::results::waiting;
use crate::support::{Device, data, demo_photos, eventually, read_json, seeded_values, write_vit_b32_package};

#[path = "../fuzz/bodies.rs"]
mod bodies;

/// A picture and the result of decoding it with Pillow. One of `seeded`, `file` and `photo` names it.
#[derive(Debug, Deserialize)]
struct Case {
    /// Name of seeded noise.
    seeded: Option<String>,
    pixels: Option<[u32; 2]>,
    /// File beside the goldens.
    file: Option<String>,
    /// Sample photo of the demo.
    photo: Option<String>,
    /// Side of the encoder's input. If it is absent, the case covers all decoded pixels.
    size: Option<u32>,
    #[serde(default)]
    upright: bool,
    /// Count of numbers in the file of expected ones that belong to this case.
    values: usize,
}

const EXACT: Limits = Limits {
    decoding: Decoding::Exact,
    pixels_max: 64_000_000,
    memory_bytes_max: 400_000_000,
    coefficient_bytes_max: 200_000_000,
};

fn encoder_input(bytes: &[u8], preprocess: &Preprocess, limits: &Limits) -> Result<EncoderInput, PhotoError> {
    photo::encoder_input(&photo::open(bytes, preprocess, limits)?, preprocess, None)
}

#[test]
fn pixels_and_tensors_are_those_of_pillow() {
    let cases: Vec<Case> = read_json("photos/cases.json");
    let file = npyz::NpyFile::new(File::open(data("photos/expected.npy")).expect("goldens")).expect("NumPy");
    let expected = file.into_vec::<u8>().expect("bytes");
    let mut rest = expected.as_slice();
    let mut wrong = Vec::new();
    for case in &cases {
        let (theirs, after) = rest.split_at(case.values);
        rest = after;
        let ours = case.values();
        assert_eq!(ours.len(), theirs.len(), "{case:?}");
        let far = ours.iter().zip(theirs).filter(|(ours, theirs)| ours.abs_diff(**theirs) > 1).count();
        // 99.9 % of the values are within one grey level.
        if far * 1000 > case.values {
            wrong.push(format!("{far} of {} values differ by more than 1: {case:?}", case.values));
        }
    }
    assert!(rest.is_empty() && cases.len() >= 60);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Case {
    /// Returns the values of the full decoding path.
    fn values(&self) -> Vec<u8> {
        let bytes = || fs::read(self.path()).expect("a file");
        let Some(size) = self.size else { return decode(&bytes(), &EXACT).expect("decodes").rgb };
        // Grey levels, unchanged.
        let preprocess =
            Preprocess { resize: size, size, mean: [0.0; 3], std: [1.0 / 255.0; 3], apply_orientation: self.upright };
        let tensor = match &self.seeded {
            Some(name) => tensor(&seeded_picture(name, self.pixels.expect("a size")), &preprocess),
            None => encoder_input(&bytes(), &preprocess, &EXACT).expect("decodes").tensor,
        };
        tensor.into_iter().map(|value| value.round() as u8).collect()
    }

    fn path(&self) -> PathBuf {
        match (&self.file, &self.photo) {
            (Some(file), _) => data("photos").join(file),
            (None, Some(photo)) => {
                demo_photos().into_iter().find(|path| path.ends_with(photo)).expect("a sample photo")
            }
            (None, None) => panic!("{self:?} names no file"),
        }
    }
}

fn seeded_picture(name: &str, [width, height]: [u32; 2]) -> Raster {
    let values = seeded_values(name, (width * height * 3) as usize, 128.0, 128.0);
    Raster::whole(width, height, values.map(|value| value.min(255.0) as u8).collect())
}

/// Returns a JPEG of this width, height and kind, with texture at all scales, as concrete has.
pub fn textured_jpeg(width: usize, height: usize, progressive: bool) -> Vec<u8> {
    let mut settings = Compress::new(ColorSpace::JCS_RGB);
    settings.set_fastest_defaults();
    settings.set_size(width, height);
    settings.set_quality(90.0);
    if progressive {
        settings.set_progressive_mode();
    }
    let mut jpeg = settings.start_compress(Vec::new()).expect("starts");
    let octaves: Vec<Vec<f32>> =
        (0..7).map(|octave| seeded_values(&format!("texture/{octave}"), 64 * 64, 0.0, 1.0).collect()).collect();
    let mut row = vec![0; width * 3];
    for y in 0..height {
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            // Patches of 512, 256, ... 8 pixels; each finer layer is a little weaker.
            let layer = |octave: usize| {
                let cell = 512 >> octave;
                octaves[octave][(y / cell % 64) * 64 + x / cell % 64] * 0.85_f32.powi(octave as i32)
            };
            let sum: f32 = (0..7).map(layer).sum();
            let fine = octaves[0][(y % 64) * 64 + x % 64];
            let grey = 128.0 + 18.0 * sum + 8.0 * fine;
            pixel.copy_from_slice(&[grey, grey - 6.0, grey - 14.0].map(|value| value.clamp(0.0, 255.0) as u8));
        }
        jpeg.write_scanlines(&row).expect("writes");
    }
    jpeg.finish().expect("ends")
}

#[test]
fn a_scaled_photo_gets_the_embedding_of_the_whole_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_vit_b32_package(dir.path(), None);
    let package = Package::open(dir.path()).expect("a good package");
    let encoder = ImageEncoder::load(&package, &Threads::default()).expect("loads");
    let embed = |bytes: &[u8], limits: &Limits| {
        let input = encoder_input(bytes, &package.preprocess(), limits).expect("decodes");
        (input.raster.eighths, encoder.encode(&input.tensor).expect("encodes"))
    };
    let textured = [(4000, 3000), (1600, 1200), (900, 1400)].map(|(width, height)| textured_jpeg(width, height, false));
    let samples = demo_photos().into_iter().rev().take(3).map(|path| fs::read(path).expect("a photo"));
    for photo in textured.into_iter().chain(samples) {
        let (eighths, scaled) = embed(&photo, &Limits::default());
        let (_, exact) = embed(&photo, &EXACT);
        let cosine = scaled.cosine(&exact);
        println!("{} bytes at {eighths}/8: cosine {cosine}", photo.len());
        assert!(cosine >= 0.999, "{} bytes at {eighths}/8: cosine {cosine}", photo.len());
    }
}

#[test]
fn a_photo_torn_at_every_1_kib_is_classified_once_it_is_whole() {
    let mut device = Device::new(None);
    let whole = fs::read(&demo_photos()[0]).expect("read");
    let file = |length: usize| device.camera().join(format!("torn-{length:06}.jpg"));
    let lengths: Vec<usize> = (0..whole.len()).step_by(1024).collect();
    for &length in &lengths {
        fs::write(file(length), &whole[..length]).expect("write");
    }
    let files: Vec<PathBuf> = lengths.iter().map(|&length| file(length)).collect();
    device.start();
    device.wait_for_failures(lengths.len());
    let journal = device.journal();
    assert_eq!(journal.captures().expect("a count"), 0, "no result from partial data");
    for file in files {
        fs::write(file, &whole).expect("write");
    }
    eventually("all are whole", || journal.failures().expect("a list").is_empty());
    assert_eq!(journal.captures().expect("a count"), 1, "one photo under many names");
}

#[test]
fn a_drones_photo_tells_where_its_laser_pointed() {
    let mut device = Device::new(None);
    let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/photo/drone.jpg");
    device.take(&photo);
    device.start();
    device.wait_for_captures(1);
    let events = waiting(&device.journal());
    let event: Value = serde_json::from_slice(&events[0].payload).expect("JSON");
    let data = &event["data"];
    assert_eq!(data["position"]["source"], "laser_target");
    assert_eq!(data["position"]["latitude_deg"], 35.6894120);
    assert_eq!(data["drone"]["gimbal"]["pitch_deg"], -24.5);
    assert_eq!(data["drone"]["laser_distance_m"], 9.103);
    assert_eq!(data["image"]["exposure"]["focal_length_35mm_mm"], 24.0);
    assert_eq!(data["image"]["camera"]["serial"], "1581F");
    assert_eq!(data["taken"]["at"], "2026-05-08T22:30:33.25Z");
    let quality = &data["image"]["quality"];
    assert!(quality["sharpness"].as_f64().is_some_and(|sharpness| sharpness > 1.0), "{quality}");
    // 9.103 m at 24 mm, over the 50 pixels of the diagonal of 40 x 30.
    let millimetres = quality["millimetres_per_pixel"].as_f64().expect("known");
    assert!((millimetres - 9103.0 * 43.267 / 24.0 / 50.0).abs() < 0.1, "{millimetres}");
}

#[test]
fn the_corpus_of_the_fuzz_targets_gives_no_finding() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let targets =
        [("photo", bodies::photo as fn(&[u8])), ("heic", bodies::heic), ("exif", bodies::exif), ("xmp", bodies::xmp)];
    for (target, body) in targets {
        let files: Vec<_> = fs::read_dir(corpus.join(target)).expect(target).collect();
        assert!(files.len() >= 4, "{target}: {} files", files.len());
        for file in files {
            body(&fs::read(file.expect("a file").path()).expect("read"));
        }
    }
}
