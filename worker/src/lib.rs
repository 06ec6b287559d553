//! The daemons: a provider that claims, computes, commits, proves and is paid; a validator that checks others.
//!
//! - `provider`: the provider daemon and its handle. `validator`: the validator daemon.
//! - `config`, `events`, `error`: what goes in and what comes out.
//! - `eligibility` (which jobs), `step` (what next for a shard): the decisions, as plain functions.
//! - `claim`, `execute`, `obligation`, `answer`: what is done. `journal`, `store`: what is kept. `fetch`, `server`:
//!   bytes in and out. `chain`, `wake`: the chain.

mod answer;
mod chain;
mod claim;
pub mod config;
mod context;
pub mod eligibility;
pub mod error;
pub mod events;
mod execute;
pub mod fetch;
pub mod journal;
mod obligation;
pub mod provider;
pub mod server;
pub mod step;
pub mod store;
pub mod validator;
mod wake;

pub use config::{Cranks, ProviderConfig, ValidatorConfig};
pub use error::WorkerError;
pub use events::{Action, Event, Events, ShardRef, What};
pub use provider::{Handle, Provider, Status};
pub use validator::{Validator, ValidatorHandle};
