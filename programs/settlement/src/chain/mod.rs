//! What the handlers need of the runtime: sysvars, program-derived accounts, token moves, calls to verifiers.

pub mod account;
pub mod sysvar;
pub mod token;
pub mod vault;
pub mod verifier;
