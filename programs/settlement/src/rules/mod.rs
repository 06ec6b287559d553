//! The mechanism as plain functions: money, time, windows, draws and the life of a shard. No framework types, no
//! account loading, no transfers: handlers load, call these, transfer and emit.

pub mod draw;
pub mod money;
pub mod opening;
pub mod shard;
pub mod terms;
pub mod time;
pub mod window;
