//! Turns text into tokens identical to those of open_clip's `SimpleTokenizer`. The only file that names the tokenizers
//! library.

use std::path::{Path, PathBuf};

use super::clean::clean;

/// Number of tokens of a text, including start, end and padding.
pub const CONTEXT_LENGTH: usize = 77;

const START: u32 = 49406;
const END: u32 = 49407;
const PADDING: u32 = 0;
/// Upper limit on the size of an input text. A longer one is cut before cleaning, which in practice cannot change its
/// first 77 tokens.
const TEXT_BYTES_MAX: usize = 1 << 16;

/// Byte-pair encoding with open_clip's vocabulary.
#[derive(Debug)]
pub struct Tokenizer {
    engine: tokenizers::Tokenizer,
}

/// Reason why a text cannot be turned into tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error("{}: not a usable tokenizer: {reason}", path.display())]
    Load { path: PathBuf, reason: String },
    #[error("{}: {reason}; CLIP's vocabulary is expected, export the package again", path.display())]
    Vocabulary { path: PathBuf, reason: String },
    #[error("cannot tokenize the text: {0}")]
    Encode(String),
}

impl Tokenizer {
    /// Loads a `tokenizer.json`. Fails unless it has CLIP's start and end tokens.
    pub fn load(path: &Path) -> Result<Self, TokenizerError> {
        let engine = tokenizers::Tokenizer::from_file(path)
            .map_err(|error| TokenizerError::Load { path: path.to_owned(), reason: error.to_string() })?;
        for (name, id) in [("<start_of_text>", START), ("<end_of_text>", END)] {
            if engine.token_to_id(name) != Some(id) {
                let reason = format!("{name} is not token {id}");
                return Err(TokenizerError::Vocabulary { path: path.to_owned(), reason });
            }
        }
        Ok(Tokenizer { engine })
    }

    /// Returns the tokens of `text`: start, body, end, then padding. A text that is too long keeps its first 76 tokens,
    /// start included, and gets the end token as its last.
    pub fn tokens(&self, text: &str) -> Result<[u32; CONTEXT_LENGTH], TokenizerError> {
        let text = clean(&text[..text.floor_char_boundary(TEXT_BYTES_MAX)]);
        let encoding =
            self.engine.encode_fast(text, false).map_err(|error| TokenizerError::Encode(error.to_string()))?;
        let body = encoding.get_ids();
        let body = &body[..body.len().min(CONTEXT_LENGTH - 2)];
        let mut tokens = [PADDING; CONTEXT_LENGTH];
        tokens[0] = START;
        tokens[1..=body.len()].copy_from_slice(body);
        tokens[body.len() + 1] = END;
        Ok(tokens)
    }
}
