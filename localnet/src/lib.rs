//! Chains on this machine, for the demo, development and tests: [`Embedded`] runs in this process and needs nothing
//! installed; [`TestValidator`] is the genuine Agave test validator as a child process. Both load programs at their
//! declared ids and otherwise start empty: mint, wallets and market are made over JSON-RPC, as on any cluster.
//!
//! What differs from a public cluster is said at each.

pub mod embedded;
pub mod ports;
pub mod program;
pub mod validator;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use assay_client::{client_error::ClientError, cluster::Cluster, rpc::Rpc};
pub use embedded::{Embedded, EmbeddedOptions};
pub use program::Program;
use solana_pubkey::Pubkey;
use thiserror::Error;
use tokio::time::sleep;
pub use validator::TestValidator;

/// How long an airdrop may take to be confirmed.
const AIRDROP_PATIENCE: Duration = Duration::from_secs(30);
/// How often a chain that is starting, or an airdrop under way, is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// What keeps a local chain from running.
#[derive(Debug, Error)]
pub enum LocalnetError {
    /// Something else listens there.
    #[error("port {port} is taken: another chain may be running. Stop it or choose another port")]
    PortTaken {
        /// The port on 127.0.0.1.
        port: u16,
    },
    /// No free ports were found.
    #[error("no free ports were found on 127.0.0.1")]
    NoPorts,
    /// The chain did not start.
    #[error("the local chain did not start: {why}")]
    NotStarted {
        /// What it reported.
        why: String,
    },
    /// The validator's process could not be started, or ended, or did not become healthy.
    #[error("the test validator {what}. Its log ({log}) ends with:\n{tail}")]
    Validator {
        /// What happened.
        what: String,
        /// Its log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A file could not be written or read.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// SOL did not arrive.
    #[error("an airdrop of {lamports} lamports to {to} was not confirmed within {} seconds", AIRDROP_PATIENCE.as_secs())]
    NoAirdrop {
        /// The account.
        to: Pubkey,
        /// The amount in lamports.
        lamports: u64,
    },
    /// The chain could not be talked to.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl LocalnetError {
    /// A short name of the kind of error that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PortTaken { .. } => "port-taken",
            Self::NoPorts => "no-free-ports",
            Self::NotStarted { .. } => "localnet-not-started",
            Self::Validator { .. } => "test-validator-failed",
            Self::Io { .. } => "localnet-io",
            Self::NoAirdrop { .. } => "airdrop-not-confirmed",
            Self::Client(error) => error.code(),
        }
    }
}

/// A chain on this machine. Dropping it stops it.
pub enum Chain {
    /// Surfpool in this process.
    Embedded(Embedded),
    /// The genuine Agave test validator.
    TestValidator(TestValidator),
}

impl Chain {
    /// Where it answers.
    pub fn cluster(&self) -> &Cluster {
        match self {
            Self::Embedded(chain) => chain.cluster(),
            Self::TestValidator(chain) => chain.cluster(),
        }
    }

    /// Its JSON-RPC endpoint.
    pub fn rpc_url(&self) -> &str {
        &self.cluster().rpc_url
    }

    /// Its WebSocket endpoint.
    pub fn ws_url(&self) -> &str {
        &self.cluster().ws_url
    }

    /// Gives an account SOL out of nothing and waits until that is confirmed.
    ///
    /// # Errors
    /// [`LocalnetError::NoAirdrop`], or [`LocalnetError::Client`] where the chain does not answer or refuses.
    pub async fn airdrop(&self, to: &Pubkey, lamports: u64) -> Result<(), LocalnetError> {
        airdrop(self.cluster(), to, lamports).await
    }

    /// Stops it and waits until it is gone. An embedded chain loses its state; so does the validator, whose ledger is
    /// a temporary folder.
    pub fn stop(self) {
        drop(self);
    }
}

/// [`Chain::airdrop`] for any cluster with a faucet.
///
/// # Errors
/// As [`Chain::airdrop`].
pub async fn airdrop(cluster: &Cluster, to: &Pubkey, lamports: u64) -> Result<(), LocalnetError> {
    let rpc = Rpc::new(cluster);
    let before = rpc.balance(to).await?;
    let started = Instant::now();
    rpc.request_airdrop(to, lamports).await?;
    loop {
        if rpc.balance(to).await? > before {
            return Ok(());
        }
        if started.elapsed() > AIRDROP_PATIENCE {
            return Err(LocalnetError::NoAirdrop { to: *to, lamports });
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until JSON-RPC says healthy and a slot is confirmed. None: not within `patience`, or `gone` said that
/// waiting is in vain.
async fn healthy(rpc: &Rpc, patience: Duration, mut gone: impl FnMut() -> bool) -> Option<()> {
    let started = Instant::now();
    while started.elapsed() < patience && !gone() {
        if rpc.health().await.is_ok() && rpc.raw().get_slot().await.is_ok_and(|slot| slot > 0) {
            return Some(());
        }
        sleep(LOOK_EVERY).await;
    }
    None
}
