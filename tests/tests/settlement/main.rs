//! The settlement program as it is deployed, step by step, honest and hostile. One binary: it links a whole runtime.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::arithmetic_side_effects, reason = "test code")]

mod whole_jobs;
