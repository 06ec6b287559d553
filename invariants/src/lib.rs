//! Everything that anybody can do to the settlement program, in random order, and what must hold always (protocol.md,
//! section 8).
//!
//! Honest and hostile renters, providers, validators and cranks act over several markets, jobs and mints while seconds and
//! slots move. Every attempt is made twice: on the program in a virtual machine, and on a [`model`] that was written from
//! the mechanism's description. Where one accepts what the other forbids, or they disagree about a token or a lamport,
//! the run fails and says with which seed it fails again.
//!
//! `cargo xtask invariants --seed S --steps N` runs it; the tests of this crate run the amount for CI.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects, reason = "test code")]

pub mod actions;
pub mod cast;
pub mod check;
pub mod episode;
pub mod exit;
mod honest;
pub mod kind;
pub mod laws;
pub mod machine;
pub mod model;
pub mod run;
#[path = "../../tests/src/scripted.rs"]
#[allow(dead_code, reason = "what the settlement tests need of it besides")]
mod scripted;
mod setup;
pub mod tally;
pub mod time;
