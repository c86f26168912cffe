//! Compares quantised packages with the float packages from which they were made.

use std::fs;

use bridgeclip::classify::Params;
use bridgeclip::domain::{Category, Embedding};
use bridgeclip::encoder::{Aim, EncodeImage, ImageEncoder, TextEncoder, pictures, quantize};
use bridgeclip::kernels::Threads;
use bridgeclip::package::Package;
use bridgeclip::photo::{Limits, decode, tensor};
use bridgeclip::pipeline::{self, Classifier};
use rayon::prelude::*;

use crate::support::{
    Outliers, bridgeclip, demo_package, demo_photos, float_demo_package, read_json, write_vit_b32_package,
};

/// Promised cosine for photos that calibration has not seen: mean and worst.
const PROMISED: [f64; 2] = [0.999, 0.997];
const PHOTOS: usize = 200;
/// Number of synthetic pictures that the quantiser is given.
const CALIBRATION: usize = 32;

/// Cosines to the float package, of images and of captions.
struct Fidelity {
    images: Vec<f64>,
    texts: Vec<f64>,
}

impl Fidelity {
    fn measure(float: &Package, int8: &Package) -> Self {
        let size = float.preprocess().size as usize;
        let photo = |path| {
            let raster = decode(&fs::read(path).expect("read"), &Limits::default()).expect("a photo");
            tensor(&raster, &float.preprocess())
        };
        let mut inputs: Vec<Vec<f32>> = demo_photos().into_iter().map(photo).collect();
        let rest = PHOTOS - inputs.len();
        inputs.extend(pictures(CALIBRATION + rest, size).split_off(CALIBRATION));
        let encoders = [float, int8].map(|package| ImageEncoder::load(package, &Threads::default()).expect("loads"));
        let images = cosines(&inputs, |which, input| encoders[which].encode(input).expect("encodes"));
        let captions: Vec<String> = read_json("demo/captions.json");
        let encoders = [float, int8].map(|package| TextEncoder::load(package, &Threads::default()).expect("loads"));
        let texts = cosines(&captions, |which, caption| encoders[which].encode(caption).expect("encodes"));
        Fidelity { images, texts }
    }

    fn expect_promised(&self, what: &str) {
        for (encoder, cosines) in [("image", &self.images), ("text", &self.texts)] {
            let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
            let worst = cosines.iter().copied().fold(1.0, f64::min);
            println!("{what}, {encoder}: {} inputs, mean {mean:.5}, worst {worst:.5}", cosines.len());
            assert!(mean >= PROMISED[0] && worst >= PROMISED[1], "{what}, {encoder}: mean {mean}, worst {worst}");
        }
    }
}

/// Returns the cosine between the results of encoder 0 and encoder 1, for each input.
fn cosines<T: Sync>(inputs: &[T], encode: impl Fn(usize, &T) -> Embedding + Sync) -> Vec<f64> {
    let values = |embedding: Embedding| embedding.values().to_vec();
    let cosine = |input| {
        let (a, b) = (values(encode(0, input)), values(encode(1, input)));
        a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    inputs.par_iter().map(cosine).collect()
}

fn open(dir: &std::path::Path) -> Package {
    Package::open(dir).expect("a good package")
}

#[test]
fn the_demo_package_is_as_good_as_its_float_original() {
    let (float, int8) = (open(&float_demo_package()), open(&demo_package()));
    assert_eq!(int8.embedding_space(), float.embedding_space());
    Fidelity::measure(&float, &int8).expect_promised("demo package");
}

#[test]
fn sample_photos_get_the_labels_of_the_float_package() {
    let limits = pipeline::Limits::default();
    let load =
        |package: &Package| Classifier::load(package, limits, Params::default(), &Threads::default()).expect("loads");
    let classifiers = [load(&open(&float_demo_package())), load(&open(&demo_package()))];
    let mut different = Vec::new();
    for path in demo_photos() {
        let bytes = fs::read(&path).expect("read");
        let [float, int8] = [0, 1].map(|which: usize| classifiers[which].classify(&bytes).expect("classifies").1);
        for category in Category::ALL {
            let labels = [&float, &int8].map(|verdict| verdict.get(category).names(category).collect::<Vec<_>>());
            if labels[0] != labels[1] {
                different.push(format!("{}: {category} {:?}, {:?}", path.display(), labels[0], labels[1]));
            }
        }
    }
    assert!(different.len() <= 1, "of {} verdicts:\n{}", 4 * demo_photos().len(), different.join("\n"));
}

/// Tests one full ViT-B/32 after the other, because each needs a gigabyte.
#[test]
fn a_full_vit_b32_keeps_its_embeddings_also_with_outlier_channels() {
    for outliers in [None, Some(Outliers(30.0)), Some(Outliers(60.0))] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (float, int8) = (dir.path().join("float"), dir.path().join("int8"));
        fs::create_dir(&float).expect("create");
        write_vit_b32_package(&float, outliers);
        let float = open(&float);
        let size = float.preprocess().size as usize;
        let threads = Threads::new(2).expect("threads");
        let report =
            quantize(&float, &int8, pictures(CALIBRATION, size), Aim::default(), &threads, &|_| ()).expect("quantises");
        let in_float = |layers: &[bridgeclip::encoder::LayerReport]| {
            layers.iter().filter(|layer| layer.precision == "float").map(|layer| layer.name.clone()).collect::<Vec<_>>()
        };
        println!("{outliers:?}: in float {:?} {:?}", in_float(&report.image.layers), in_float(&report.text.layers));
        let int8 = open(&int8);
        let bytes = int8.manifest().files["image.weights"].bytes;
        assert!(bytes <= 95_000_000, "image.weights has {bytes} bytes");
        Fidelity::measure(&float, &int8).expect_promised(&format!("{outliers:?}"));
    }
}

#[test]
fn a_higher_aim_keeps_the_layers_in_float_that_cost_most() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let float = open(&float_demo_package());
    let pictures = pictures(8, float.preprocess().size as usize);
    let threads = Threads::new(2).expect("threads");
    let quantize = |name: &str, aim: Aim| {
        let out = dir.path().join(name);
        let report = quantize(&float, &out, pictures.clone(), aim, &threads, &|_| ()).expect("quantises");
        open(&out);
        report.image
    };
    let (low, high) =
        (quantize("low", Aim { mean: 0.99, worst: 0.9 }), quantize("high", Aim { mean: 0.99999, worst: 0.9999 }));
    assert!(low.layers.iter().all(|layer| layer.precision == "int8" && layer.cosine_loss.is_none()));
    let loss = |precision: &str| {
        let of = high.layers.iter().filter(|layer| layer.precision == precision);
        of.map(|layer| layer.cosine_loss.expect("scanned")).collect::<Vec<_>>()
    };
    let (in_float, in_int8) = (loss("float"), loss("int8"));
    let (least, most) = (in_float.into_iter().fold(1.0, f64::min), in_int8.into_iter().fold(0.0, f64::max));
    assert!(least < 1.0 && least >= most, "{least} {most}");
    assert!(
        high.fidelity.mean >= 0.99999 && high.fidelity.mean > low.fidelity.mean,
        "{:?} {:?}",
        high.fidelity,
        low.fidelity
    );
    assert!(high.bytes_after > low.bytes_after);
}

#[test]
fn quantising_again_or_over_something_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (package, float) = (demo_package(), float_demo_package());
    let quantize = |source: &std::path::Path, out: &std::path::Path| {
        bridgeclip(&["package", "quantize", &source.to_string_lossy(), "--out", &out.to_string_lossy()])
    };
    let again = quantize(&package, &dir.path().join("out"));
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("is int8 already"), "{again:?}");
    assert!(!dir.path().join("out").exists());
    let over = quantize(&float, dir.path());
    assert!(!over.status.success() && String::from_utf8_lossy(&over.stderr).contains("exists already"), "{over:?}");
}

#[test]
fn a_forced_kernel_gives_the_same_bits_and_an_unknown_one_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let photo = demo_photos().remove(0);
    let embed = |kernel: &str, out: &str| {
        let out = dir.path().join(out);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_bridgeclip"))
            .env("BRIDGECLIP_KERNEL", kernel)
            .arg("embed")
            .arg(&photo)
            .arg("--out")
            .arg(&out)
            .output()
            .expect("starts");
        (output, fs::read(out).ok())
    };
    let (best, scalar, wrong) = (embed("", "best.npy"), embed("scalar", "scalar.npy"), embed("abacus", "none.npy"));
    assert!(best.1.is_some() && best.1 == scalar.1, "{:?} {:?}", best.0, scalar.0);
    let message = String::from_utf8_lossy(&wrong.0.stderr).into_owned();
    assert!(!wrong.0.status.success() && message.contains("no kernel `abacus`; it has"), "{message}");
}
