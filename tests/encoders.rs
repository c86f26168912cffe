//! The encoders against PyTorch, by goldens that `bridgeclip-models goldens` makes.

use std::fs;

use bridgeclip::encoder::Tokenizer;
use serde::Deserialize;

use crate::support::{data, demo_package};

#[derive(Deserialize)]
struct Tokens {
    text: String,
    tokens: Vec<u32>,
}

#[test]
fn tokens_are_those_of_open_clip() {
    let tokenizer = Tokenizer::load(&demo_package().join("tokenizer.json")).expect("loads");
    let goldens: Vec<Tokens> =
        serde_json::from_slice(&fs::read(data("tokens_tmp.json")).expect("read")).expect("JSON");
    let wrong: Vec<String> = goldens
        .iter()
        .map(|golden| (golden, tokenizer.tokens(&golden.text).expect("tokens")))
        .filter(|(golden, tokens)| tokens[..] != golden.tokens[..])
        .map(|(golden, tokens)| format!("{:?}:\n  ours   {tokens:?}\n  theirs {:?}", golden.text, golden.tokens))
        .collect();
    assert!(wrong.is_empty(), "{} of {} texts differ:\n{}", wrong.len(), goldens.len(), wrong.join("\n"));
}
