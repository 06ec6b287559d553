//! The daemons: a provider that claims, computes, commits, proves and is paid; a validator that checks others.
//!
//! - `provider`: the provider daemon and its handle. `validator`: the validator daemon.
//! - `config`, `events`, `error`: what goes in and what comes out.
//! - `eligibility` (which jobs), `effort` (how long they take), `step` (what next for a shard): the decisions, as plain
//!   functions.
//! - `claim`, `execute`, `obligation`, `prove`, `answer`: what is done. `failing`: what a failing device has computed. `gate`, `tries`: in which order, and when again. `search`: what was overlooked or is left over. `purse`:
//!   lamports. `troubles`: what is wrong. `journal`, `store`: what is kept. `fetch`, `server`, `doorkeeper`: bytes in
//!   and out. `chain`, `wake`: the chain.

mod answer;
mod chain;
mod claim;
pub mod config;
mod context;
mod doorkeeper;
pub mod effort;
pub mod eligibility;
pub mod error;
pub mod events;
mod execute;
mod failing;
pub mod fetch;
pub mod gate;
pub mod journal;
mod obligation;
mod prove;
pub mod provider;
mod purse;
mod runs;
mod search;
pub mod server;
pub mod step;
pub mod store;
mod tries;
mod troubles;
pub mod validator;
mod wake;

pub use config::{AcceptAttested, Cranks, Pace, ProviderConfig, ValidatorConfig};
pub use error::WorkerError;
pub use events::{Action, Event, Events, ShardRef, What};
pub use provider::{Handle, Provider, Status};
pub use validator::{Validator, ValidatorHandle};
