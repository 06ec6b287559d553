//! The programs as they are deployed, in a Solana virtual machine inside the test process: a [`World`] with a market,
//! kernels, actors and a clock that tests move. Everything that goes in is a signed transaction of at most 1,232 bytes,
//! and after each one the books are checked ([`books`]). [`verifier`] has the verifier alone.

// A harness for tests: where it cannot go on it panics, and its sums are of test amounts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects, reason = "test code")]

pub mod artifacts;
pub mod books;
pub mod chain;
mod disputes;
pub mod scripted;
#[cfg(feature = "chains")]
pub mod stage;
mod steps;
pub mod tape;
pub mod tokens;
pub mod vault;
pub mod verifier;
pub mod work;
pub mod world;

pub use chain::{Actor, Chain, Receipt, Refusal};
pub use tape::Tape;
pub use work::{Spec, Task, Work};
pub use world::{Provider, World, experimental_terms};
