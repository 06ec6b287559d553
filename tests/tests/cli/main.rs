//! The command line program against a real chain in this process: what goes wrong costs nothing and is said, and a
//! renter's, a provider's and a market authority's commands do the whole round. One binary: each links a whole chain.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "test code")]

mod closings;
mod demands;
mod round;
mod scene;
