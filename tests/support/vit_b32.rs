//! A package of a full ViT-B/32: the committed graphs, with weights that are made again from their names.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use bridgeclip::domain::Sha256;
use bridgeclip::package::files;
use serde::Deserialize;

use super::{data, float_demo_package, read_json, seeded_values};

/// Contents of `vit_b32/goldens.json`: the weights as a rule.
#[derive(Deserialize)]
struct Goldens {
    tensors: Vec<SeededTensor>,
}

#[derive(Deserialize)]
struct SeededTensor {
    graph: String,
    name: String,
    shape: Vec<usize>,
    byte_offset: usize,
    offset: f32,
    scale: f32,
}

/// Enlarges a few channels of every layer norm in the blocks by this factor, and shrinks the weights that multiply them
/// by the same. The encoder stays the same function; its activations get the outliers of trained ones.
#[derive(Clone, Copy, Debug)]
pub struct Outliers(pub f32);

impl Outliers {
    const CHANNELS: [usize; 4] = [5, 100, 333, 500];

    /// Returns the factor of each channel of a tensor that is changed; channels are its last axis.
    fn factor(self, name: &str) -> Option<f32> {
        const NORMS: [&str; 4] = [".ln_1.weight", ".ln_1.bias", ".ln_2.weight", ".ln_2.bias"];
        const NEXT: [&str; 2] = [".attn.in_proj_weight", ".mlp.c_fc.weight"];
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        match name.contains("resblocks") {
            true if ends(&NORMS) => Some(self.0),
            true if ends(&NEXT) => Some(1.0 / self.0),
            _ => None,
        }
    }
}

/// Writes the package into an empty folder.
pub fn write_vit_b32_package(dir: &Path, outliers: Option<Outliers>) {
    let goldens: Goldens = read_json("vit_b32/goldens.json");
    let mut found = HashMap::new();
    for (graph, weights) in [(files::IMAGE_GRAPH, files::IMAGE_WEIGHTS), (files::TEXT_GRAPH, files::TEXT_WEIGHTS)] {
        fs::copy(data("vit_b32").join(graph), dir.join(graph)).expect("copy");
        let mut file = BufWriter::new(File::create(dir.join(weights)).expect("create"));
        let mut written = 0;
        for tensor in goldens.tensors.iter().filter(|tensor| tensor.graph == graph) {
            file.write_all(&vec![0; tensor.byte_offset - written]).expect("write");
            let (width, count) = (*tensor.shape.last().unwrap_or(&1), tensor.shape.iter().product());
            let factor = outliers.and_then(|outliers| outliers.factor(&tensor.name));
            *found.entry(factor.is_some()).or_insert(0) += 1;
            let values = seeded_values(&tensor.name, count, tensor.offset, tensor.scale);
            for (index, value) in values.enumerate() {
                let outlier = factor.filter(|_| Outliers::CHANNELS.contains(&(index % width)));
                file.write_all(&(value * outlier.unwrap_or(1.0)).to_le_bytes()).expect("write");
            }
            written = tensor.byte_offset + count * size_of::<f32>();
        }
        file.flush().expect("flush");
    }
    let blocks = 12 + 12;
    assert_eq!(found.get(&true).copied(), outliers.map(|_| 6 * blocks), "tensors with outliers");
    fs::copy(float_demo_package().join(files::TOKENIZER), dir.join(files::TOKENIZER)).expect("copy");
    fs::write(dir.join(files::MANIFEST), manifest(dir)).expect("write");
}

fn manifest(dir: &Path) -> String {
    let mut text = format!(
        "format = 1\nname = \"vit-b-32-seeded\"\nversion = \"1.0.0\"\ndescription = \"Seeded random weights.\"\n\
         architecture = \"ViT-B-32\"\nprecision = \"f32\"\nembedding_dim = 512\ncaption_language = \"en\"\n\
         label_version = \"xroad-1\"\nlicence = \"MIT OR Apache-2.0\"\n\
         [checkpoint]\nfile = \"none\"\nsha256 = \"{}\"\n\
         [image]\nsize = 224\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\napply_orientation = false\n\
         [text]\ncontext_length = 77\n",
        "0".repeat(64)
    );
    let names = [files::IMAGE_GRAPH, files::IMAGE_WEIGHTS, files::TEXT_GRAPH, files::TEXT_WEIGHTS, files::TOKENIZER];
    for name in names {
        let bytes = fs::read(dir.join(name)).expect("read");
        text += &format!("[files.\"{name}\"]\nsha256 = \"{}\"\nbytes = {}\n", Sha256::of(&bytes), bytes.len());
    }
    text
}
