//! Two kinds of randomness: a seeded stream of numbers that is the same on every machine, and bytes that nobody can
//! guess.

mod secret;
mod seeded;

pub use secret::secret;
pub use seeded::Random;
