//! Prompts with their embeddings, as stored in a reference.

use bridgeclip_domain::{Category, Embedding, EmbeddingError};

use super::{Prompts, ZeroShot};

/// Every text of [`Prompts`] with its unit-length embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptEmbeddings {
    dim: usize,
    /// The texts of each class with their embeddings, by category and class.
    classes: [Vec<Vec<(String, Embedding)>>; 4],
}

/// Reason why bytes are not embeddings of prompts for these classes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PromptEmbeddingsError {
    #[error("not embeddings of prompts: the data does not start with `BCPROMP1`")]
    Magic,
    #[error("the data of the prompts' embeddings ends too early or goes on too long")]
    Length,
    #[error("there are prompts for {found} classes of {category}; this program knows {expected}")]
    Classes { category: Category, expected: usize, found: u32 },
    #[error("a prompt is not UTF-8")]
    Text,
    #[error("prompt `{prompt}`: {source}")]
    Embedding { prompt: String, source: EmbeddingError },
}

const MAGIC: &[u8; 8] = b"BCPROMP1";

impl PromptEmbeddings {
    /// Embeds every text with `embed`, category by category. Stops at the first error.
    ///
    /// # Panics
    /// If embeddings have different lengths.
    pub fn new<E>(prompts: &Prompts, mut embed: impl FnMut(&str) -> Result<Embedding, E>) -> Result<Self, E> {
        let mut classes: [Vec<Vec<(String, Embedding)>>; 4] = Default::default();
        for category in Category::ALL {
            for index in 0..category.classes().len() as u8 {
                let texts = prompts.get(category, index).iter();
                let embedded = texts.map(|text| Ok((text.clone(), embed(text)?))).collect::<Result<_, E>>()?;
                classes[category as usize].push(embedded);
            }
        }
        let mut dims = classes.iter().flatten().flatten().map(|(_, embedding)| embedding.values().len());
        let dim = dims.next().unwrap_or(0);
        assert!(dims.all(|other| other == dim), "embeddings of one length");
        Ok(PromptEmbeddings { dim, classes })
    }

    /// Number of values of an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.classes.iter().flatten().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the classifier. Fails if the prompts of a class cancel each other out.
    pub fn zero_shot(&self) -> Result<ZeroShot, EmbeddingError> {
        ZeroShot::new(|category, index| {
            let prompts = &self.classes[category as usize][usize::from(index)];
            prompts.iter().map(|(_, embedding)| embedding.clone()).collect()
        })
    }

    /// Returns the stored form, little-endian: `BCPROMP1`, the dimension (u32); per category the number of classes
    /// (u32); per class the number of prompts (u32); per prompt its length in bytes (u32), its text in UTF-8, its
    /// embedding (f32).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let number = |bytes: &mut Vec<u8>, number: usize| bytes.extend((number as u32).to_le_bytes());
        number(&mut bytes, self.dim);
        for classes in &self.classes {
            number(&mut bytes, classes.len());
            for prompts in classes {
                number(&mut bytes, prompts.len());
                for (text, embedding) in prompts {
                    number(&mut bytes, text.len());
                    bytes.extend(text.as_bytes());
                    bytes.extend(embedding.to_bytes());
                }
            }
        }
        bytes
    }

    /// Reads the form that [`Self::to_bytes`] writes. Checks lengths, numbers of classes, and that all values are
    /// finite.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PromptEmbeddingsError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(PromptEmbeddingsError::Magic)?;
        let dim = number(&mut rest)? as usize;
        let mut classes: [Vec<Vec<(String, Embedding)>>; 4] = Default::default();
        for category in Category::ALL {
            let (found, expected) = (number(&mut rest)?, category.classes().len());
            if found as usize != expected {
                return Err(PromptEmbeddingsError::Classes { category, expected, found });
            }
            for _ in 0..expected {
                classes[category as usize].push(class_prompts(&mut rest, dim)?);
            }
        }
        match rest.is_empty() {
            true => Ok(PromptEmbeddings { dim, classes }),
            false => Err(PromptEmbeddingsError::Length),
        }
    }
}

fn class_prompts(rest: &mut &[u8], dim: usize) -> Result<Vec<(String, Embedding)>, PromptEmbeddingsError> {
    let mut prompts = Vec::new();
    for _ in 0..number(rest)? {
        let length = number(rest)? as usize;
        let text = std::str::from_utf8(take(rest, length)?).map_err(|_| PromptEmbeddingsError::Text)?.to_owned();
        let values = take(rest, dim.checked_mul(4).ok_or(PromptEmbeddingsError::Length)?)?;
        let values = values.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        match Embedding::normalise(values) {
            Ok(embedding) => prompts.push((text, embedding)),
            Err(source) => return Err(PromptEmbeddingsError::Embedding { prompt: text, source }),
        }
    }
    Ok(prompts)
}

fn number(rest: &mut &[u8]) -> Result<u32, PromptEmbeddingsError> {
    let bytes = take(rest, 4)?;
    Ok(u32::from_le_bytes(std::array::from_fn(|index| bytes[index])))
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], PromptEmbeddingsError> {
    let (taken, left) = rest.split_at_checked(count).ok_or(PromptEmbeddingsError::Length)?;
    *rest = left;
    Ok(taken)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Returns the built-in prompts, each in the direction of an axis and of length exactly 1.
    pub fn prompts(dim: usize) -> PromptEmbeddings {
        let mut count = 0;
        let embed = |_: &str| {
            count += 1;
            Embedding::normalise((0..dim).map(|axis| f32::from(u8::from(axis == count % dim))).collect())
        };
        PromptEmbeddings::new(&Prompts::default(), embed).expect("directions")
    }

    #[test]
    fn the_stored_form_is_read_back_and_damage_is_refused() {
        let prompts = prompts(5);
        let bytes = prompts.to_bytes();
        assert_eq!(PromptEmbeddings::from_bytes(&bytes), Ok(prompts));
        let changed = |place: usize, with: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[place..place + with.len()].copy_from_slice(with);
            PromptEmbeddings::from_bytes(&bytes).expect_err("refused").to_string()
        };
        let end = bytes.len();
        let cases = [
            (changed(0, b"NOPE"), "does not start"),
            (changed(8, &6u32.to_le_bytes()), "ends too early"),
            (changed(8, &u32::MAX.to_le_bytes()), "ends too early"),
            (changed(12, &3u32.to_le_bytes()), "prompts for 3 classes of soundness; this program knows 4"),
            (changed(16, &u32::MAX.to_le_bytes()), "ends too early"),
            (changed(24, &[0xff]), "not UTF-8"),
            (changed(end - 4, &f32::NAN.to_le_bytes()), "of the embedding is NaN"),
        ];
        for (message, expected) in cases {
            assert!(message.contains(expected), "{message}, expected {expected}");
        }
        for end in 0..bytes.len() {
            assert!(PromptEmbeddings::from_bytes(&bytes[..end]).is_err(), "{end} bytes");
        }
        assert!(PromptEmbeddings::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    }
}
