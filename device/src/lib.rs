//! Graphics cards in processes of their own. The process that holds keys never loads a driver: it starts one process
//! for each card, gives it jobs through a pipe and kills it when it hangs.
//!
//! - `frame`, `message`: the protocol: a greeting with version and build, then frames of bounded length.
//! - `child`: the process that computes. It has no keys, no chain and next to no environment. `cards`: what it finds.
//!   `split`: less at a time where a card has too little memory.
//! - `program`, `limits`: how such a process is started, and what it may take. `process`: one of them under its
//!   watchdog. `lane`: a card, whichever process serves it now: known answers, restarts. `job`: a run, checked. `devices`: all cards as one
//!   backend.
//! - `known`: the known answers.
// Tests count and panic as they like; the library itself is linted in its build without them.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used))]

mod cards;
pub mod child;
mod devices;
pub mod frame;
mod job;
mod known;
mod lane;
mod limits;
pub mod message;
mod process;
mod program;
mod split;

pub use devices::{Choice, Devices, Found};
pub use known::known_answers;
pub use lane::Lane;
pub use limits::Limits;
pub use message::{Card, Kind};
pub use program::Program;
pub use split::Splitting;
