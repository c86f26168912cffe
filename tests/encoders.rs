//! Checks the float encoders against PyTorch, by goldens that `bridgeclip-models goldens --out tests/data` makes.

use std::fs::{self, File};

use bridgeclip::domain::{Embedding, Sha256};
use bridgeclip::encoder::{EncodeImage, ImageEncoder, TextEncoder, Tokenizer};
use bridgeclip::kernels::Threads;
use bridgeclip::package::{Package, files};
use bridgeclip::pipeline::{Embedder, Limits};
use serde::Deserialize;

use crate::support::{
    copy_of_demo_package, data, demo_photos, float_demo_package, read_json, seeded_values, write_vit_b32_package,
};

/// Least cosine to PyTorch of a float encoder on the same input.
const SAME: f32 = 0.99999;
/// Least cosine to PyTorch of a float encoder that decodes and resizes photos by itself, where PyTorch uses Pillow.
const SAME_PHOTO: f32 = 0.9999;

#[derive(Deserialize)]
struct Tokens {
    text: String,
    tokens: Vec<u32>,
}

#[test]
fn tokens_are_those_of_open_clip() {
    let tokenizer = Tokenizer::load(&float_demo_package().join(files::TOKENIZER)).expect("loads");
    let goldens: Vec<Tokens> = read_json("tokens.json");
    let wrong: Vec<String> = goldens
        .iter()
        .map(|golden| (golden, tokenizer.tokens(&golden.text).expect("tokens")))
        .filter(|(golden, tokens)| tokens[..] != golden.tokens[..])
        .map(|(golden, tokens)| format!("{:?}:\n  ours   {tokens:?}\n  theirs {:?}", golden.text, golden.tokens))
        .collect();
    assert!(goldens.len() >= 60);
    assert!(wrong.is_empty(), "{} of {} texts differ:\n{}", wrong.len(), goldens.len(), wrong.join("\n"));
}

/// Contents of `vit_b32/goldens.json`: inputs and results. For the weights see [`support::write_vit_b32_package`].
#[derive(Deserialize)]
struct VitB32 {
    images: Vec<SeededImage>,
    texts: Vec<EncodedTokens>,
}

#[derive(Deserialize)]
struct SeededImage {
    name: String,
    shape: Vec<usize>,
    offset: f32,
    scale: f32,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct EncodedTokens {
    tokens: Vec<u32>,
    embedding: Vec<f32>,
}

#[test]
fn a_full_vit_b32_agrees_with_pytorch() {
    let goldens: VitB32 = read_json("vit_b32/goldens.json");
    let dir = tempfile::tempdir().expect("a temporary folder");
    write_vit_b32_package(dir.path(), None);
    let package = Package::open(dir.path()).expect("a good package");
    let encoder = ImageEncoder::load(&package, &Threads::default()).expect("loads");
    for image in &goldens.images {
        let count = image.shape.iter().product();
        let tensor: Vec<f32> = seeded_values(&image.name, count, image.offset, image.scale).collect();
        expect_same(&image.name, &encoder.encode(&tensor).expect("encodes"), &image.embedding, SAME);
    }
    let encoder = TextEncoder::load(&package, &Threads::default()).expect("loads");
    for (index, text) in goldens.texts.iter().enumerate() {
        let tokens = text.tokens[..].try_into().expect("77 tokens");
        let embedding = encoder.encode_tokens(&tokens).expect("encodes");
        expect_same(&format!("text {index}"), &embedding, &text.embedding, SAME);
    }
}

#[derive(Deserialize)]
struct GoldenPhoto {
    file: String,
    sha256: String,
}

#[test]
fn the_demo_image_encoder_agrees_with_pytorch() {
    let package = Package::open(&float_demo_package()).expect("a good package");
    let encoder = ImageEncoder::load(&package, &Threads::default()).expect("loads");
    let inputs: Vec<SeededImage> = read_json("demo/inputs.json");
    for input in &inputs {
        let count = input.shape.iter().product();
        let tensor: Vec<f32> = seeded_values(&input.name, count, input.offset, input.scale).collect();
        expect_same(&input.name, &encoder.encode(&tensor).expect("encodes"), &input.embedding, SAME);
    }
}

#[test]
fn sample_photos_get_the_embeddings_of_pytorch_and_pillow() {
    let package = Package::open(&float_demo_package()).expect("a good package");
    let embedder = Embedder::load(&package, Limits::default(), &Threads::default()).expect("loads");
    let photos: Vec<GoldenPhoto> = read_json("demo/photos.json");
    assert_eq!(photos.len(), demo_photos().len());
    for (photo, expected) in photos.iter().zip(read_rows("demo/photos.npy")) {
        let path = demo_photos().into_iter().find(|path| path.ends_with(&photo.file)).expect(&photo.file);
        let bytes = fs::read(path).expect("read");
        assert_eq!(Sha256::of(&bytes).to_string(), photo.sha256, "{}: goldens of other photos", photo.file);
        let embedded = embedder.embed(&bytes).expect("embeds");
        expect_same(&photo.file, &embedded.embedding, &expected, SAME_PHOTO);
    }
}

#[test]
fn captions_get_the_embeddings_of_pytorch() {
    let package = Package::open(&float_demo_package()).expect("a good package");
    let encoder = TextEncoder::load(&package, &Threads::default()).expect("loads");
    let captions: Vec<String> = read_json("demo/captions.json");
    for (caption, expected) in captions.iter().zip(read_rows("demo/captions.npy")) {
        expect_same(caption, &encoder.encode(caption).expect("encodes"), &expected, SAME);
    }
}

#[test]
fn a_package_of_the_wrong_shape_is_refused() {
    let cases =
        [("size = 224", "size = 256", "the input"), ("embedding_dim = 128", "embedding_dim = 512", "the output")];
    for (good, wrong, expected) in cases {
        let dir = copy_of_demo_package();
        let manifest = dir.path().join(files::MANIFEST);
        let text = fs::read_to_string(&manifest).expect("read");
        fs::write(&manifest, text.replacen(good, wrong, 1)).expect("write");
        let package = Package::open(dir.path()).expect("its files are whole");
        let message = ImageEncoder::load(&package, &Threads::default()).expect_err("refused").to_string();
        assert!(message.contains(expected) && message.contains("image.onnx"), "{message}");
    }
}

fn expect_same(what: &str, ours: &Embedding, theirs: &[f32], least: f32) {
    let theirs = Embedding::normalise(theirs.to_vec()).expect("a vector");
    let cosine = ours.cosine(&theirs);
    assert!(cosine >= least, "{what}: cosine {cosine} to PyTorch");
}

fn read_rows(name: &str) -> Vec<Vec<f32>> {
    let file = npyz::NpyFile::new(File::open(data(name)).expect(name)).expect(name);
    let dim = file.shape()[1] as usize;
    file.into_vec::<f32>().expect(name).chunks(dim).map(<[f32]>::to_vec).collect()
}
