//! The chain from outside.
//!
//! - `cluster`, `rpc`, `send`: where the chain is, reading it, and one send that knows what became of a transaction.
//!   `wire`: the forms of a transaction and their sizes.
//! - `ix`, `accounts`, `token`: the settlement program's instructions and accounts, and SPL Token.
//! - `answer`: what adjudication of a cell needs, `proof`: in one go or in steps. `posting`: what posting a leaf needs.
//!   `result`: a shard's result under its tree. `naming`: which cells a renter names. `explain`: error codes back to sentences.

pub mod accounts;
pub mod answer;
pub mod client_error;
pub mod cluster;
pub mod explain;
pub mod ix;
pub mod naming;
pub mod outcome;
pub mod posting;
pub mod proof;
pub mod result;
pub mod rpc;
pub mod send;
pub mod token;
mod watch;
pub mod wire;

pub use accounts::Reader;
pub use client_error::ClientError;
pub use cluster::Cluster;
pub use explain::{ProgramFault, explain};
pub use rpc::Rpc;
