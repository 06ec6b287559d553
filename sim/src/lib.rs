//! The economics of the protocol as a program: cheaters, griefers, watchers and honest providers against a market's
//! terms. Every shard is played through the settlement program's own rules (`assay_settlement::rules`), with money in
//! base units; beside each played figure stands the closed form that it must agree with.
//!
//! - `assume`: what is not in the terms (SOL price, cost of work). `deal`: terms, price and cells of a shard.
//! - `life`: one shard, from claim to the last payment. `wrong`: which of its cells are wrong.
//! - `closed`: the formulas. `stats`: means, errors, distances in standard errors.
//! - `scenes`: the attacks, one file each. `report`: tables and JSON.
//!
//! Amounts of the closed forms are in prices: 1 is the price of the shard.

pub mod assume;
pub mod closed;
pub mod deal;
pub mod life;
pub mod report;
pub mod scenes;
pub mod stats;
pub mod wrong;

// The very terms that markets are opened with, without the crate around them, which brings an RPC client.
#[path = "../../migrations/src/terms.rs"]
pub mod terms;

use assay_settlement::error::AssayError;

/// A rule refused a step: the simulation asked for something the program would not do.
pub type Result<T> = core::result::Result<T, AssayError>;
