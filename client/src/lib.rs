
pub mod client_error;
pub mod cluster;
pub mod rpc;
pub mod send;
mod watch;
