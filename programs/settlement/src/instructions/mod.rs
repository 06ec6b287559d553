//! The handlers: load, check who and what, call the rules, move, emit. One file for each thing that people do.

pub mod adjudicate;
pub mod challenge;
pub mod claim;
pub mod close;
pub mod delivery;
pub mod draw;
pub mod evidence;
pub mod job;
pub mod kernel;
pub mod market;
pub mod money;
pub mod provider;
pub mod retire;
pub mod step;

pub use adjudicate::*;
pub use challenge::*;
pub use claim::*;
pub use close::*;
pub use delivery::*;
pub use draw::*;
pub use evidence::*;
pub use job::*;
pub use kernel::*;
pub use market::*;
pub use money::*;
pub use provider::*;
pub use retire::*;
pub use step::*;
