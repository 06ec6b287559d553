//! The settlement program as it is deployed, step by step, honest and hostile. One binary: it links a whole runtime.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects, reason = "test code")]

mod claims;
mod draws;
mod errors;
mod events;
mod frozen;
mod halts;
mod jobs;
mod markets_and_kernels;
mod openings;
mod signers;
mod six_refusals;
mod swapped_accounts;
mod walks;
mod whole_jobs;
