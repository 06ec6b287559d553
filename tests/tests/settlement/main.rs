//! The settlement program as it is deployed, step by step, honest and hostile. One binary: it links a whole runtime.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects, reason = "test code")]

mod accept;
mod attacks_doc;
mod authority;
mod bonds;
mod challenges;
mod claims;
mod counterfeits;
mod delivery;
mod draws;
mod errors;
mod events;
mod every_kernel;
mod fairness;
mod frozen;
mod halts;
mod hot_path;
mod jobs;
mod layout;
mod markets_and_kernels;
mod matrix;
mod mints;
mod openings;
mod queue;
mod retire;
mod signers;
mod six_refusals;
mod step_refusals;
mod stepped;
mod swapped_accounts;
mod swapped_disputes;
mod vaults;
mod waive;
mod walks;
mod whole_jobs;
mod zoo;
