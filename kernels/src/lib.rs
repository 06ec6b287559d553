//! What a job's work *is*: one definition for the chain, the worker, the validator and the browser.
//!
//! The core is `no_std`: hashing, Merkle commitments, the verifier ABI, the kernel trait and the reference
//! implementation of each kernel. The feature `std` adds what a machine that computes whole shards needs:
//! Merkle trees with all their levels, the CPU executor on all cores, and CUDA loaded at run time.
//!
//! Terms are those of `protocol.md` section 2: a job is cut into leaves, a leaf into cells.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
// Tests count and panic as they like; the library itself is linted in its build without them.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::expect_used))]

pub mod abi;
#[cfg(feature = "std")]
pub mod executor;
#[cfg(feature = "std")]
pub mod handling;
pub mod hash;
pub mod kernel;
pub mod merkle;
#[cfg(feature = "std")]
pub mod random;
pub mod registry;

// A kernel is one folder beside `src`: parameters, reference, executors, its CUDA source and the PTX made of it.
#[path = "../align/mod.rs"]
pub mod align;
#[path = "../escape_time/mod.rs"]
pub mod escape_time;
#[path = "../gemm_i8/mod.rs"]
pub mod gemm_i8;
#[path = "../mlp_i8/mod.rs"]
pub mod mlp_i8;
#[path = "../option_risk/mod.rs"]
pub mod option_risk;
#[path = "../search/mod.rs"]
pub mod search;
