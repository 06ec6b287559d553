//! What can go wrong in a worker, said for people, each kind with a code that stays the same.

use std::path::PathBuf;

use assay_client::client_error::ClientError;
use solana_pubkey::Pubkey;
use thiserror::Error;

/// An error of a provider or validator daemon.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The chain: nothing was sent unless its text says otherwise.
    #[error(transparent)]
    Chain(#[from] ClientError),
    /// The configuration contradicts itself or the chain.
    #[error("the worker's configuration is wrong: {why}")]
    Config {
        /// What is wrong, and what to do.
        why: String,
    },
    /// Another worker uses the data folder.
    #[error(
        "another worker uses {folder}: two workers on one folder would answer for each other. Stop it, or choose another folder"
    )]
    Locked {
        /// The data folder.
        folder: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The journal's database failed.
    #[error(
        "the journal can't be used: {0}. Free disk space or restore the file. Nothing new is claimed meanwhile; what is owed goes on as far as it can"
    )]
    Journal(#[from] rusqlite::Error),
    /// The journal was written by a newer version, or is not one.
    #[error("the journal has schema {found}, this version knows up to {known}. Use the version that wrote it")]
    JournalVersion {
        /// Schema found.
        found: i64,
        /// Newest schema known.
        known: i64,
    },
    /// Bytes could not be had from a URL.
    #[error("{url} could not be fetched: {why}")]
    Fetch {
        /// The URL without user info and query.
        url: String,
        /// Why.
        why: String,
    },
    /// Bytes were had and are not the ones that the root fixes.
    #[error("{url} serves other bytes than those that were committed to: {why}")]
    FetchMismatch {
        /// The URL without user info and query.
        url: String,
        /// What differs.
        why: String,
    },
    /// The backend failed.
    #[error("the backend could not compute the shard: {why}")]
    Backend {
        /// What it reported.
        why: String,
        /// True when nothing that it computes from here on is to be trusted.
        broken: bool,
    },
    /// The backend's device failed and was started anew, or will be. What it had computed was thrown away; trying again
    /// may go well.
    #[error("{why}. Nothing of it was committed; it is computed again")]
    Interrupted {
        /// What happened.
        why: String,
    },
    /// The backend's bytes are not the reference's. They were not committed.
    #[error(
        "the backend computed a wrong cell (leaf {leaf}, cell {cell}): nothing was committed. Check the device and its driver"
    )]
    SelfCheck {
        /// Job-wide leaf.
        leaf: u64,
        /// Cell inside the leaf.
        cell: u32,
    },
    /// At the pace of the computation so far the result would come after the deadline.
    #[error("computing the shard would take another {seconds} seconds, more than its claim has left")]
    TooSlow {
        /// Seconds that the rest would take.
        seconds: u64,
    },
    /// The worker stops: a computation ended between two of its parts.
    #[error("the worker stops")]
    Stopped,
    /// Too many claims ended without a commitment.
    #[error(
        "{count} claims ended without a commitment within an hour: nothing is claimed until fewer have. Check the backend, the node and the jobs that were claimed"
    )]
    TooManyLosses {
        /// Claims that ended so.
        count: u64,
    },
    /// The verifier on chain finds right what this machine finds wrong.
    #[error(
        "the verifier on chain disagrees with this machine about leaf {leaf}, cell {cell}: the accusation was refused. The shard is left alone; check the device and the verifier's address"
    )]
    VerifierDisagrees {
        /// Job-wide leaf.
        leaf: u64,
        /// Cell inside the leaf.
        cell: u32,
    },
    /// A job that this worker's kernels understand differently from the chain.
    #[error("job {job} can't be worked on: {why}")]
    Job {
        /// The job.
        job: Pubkey,
        /// What is wrong.
        why: String,
    },
    /// An account that must be there is not.
    #[error("there is no {kind} account {address}. {todo}")]
    NoAccount {
        /// What it should be.
        kind: &'static str,
        /// Its address.
        address: Pubkey,
        /// What to do.
        todo: &'static str,
    },
    /// A committed result can't be proven: its bytes are lost and computing them again gives another root.
    #[error(
        "the bytes of committed shard {shard} are lost, and computed again they give another root: it can't be proven"
    )]
    ResultLost {
        /// The shard.
        shard: Pubkey,
    },
    /// What was written to disk is not what was computed.
    #[error(
        "the bytes of shard {shard} on disk are not those that were computed: nothing was committed, it is computed again. Check the disk and the device"
    )]
    ResultDamaged {
        /// The shard.
        shard: Pubkey,
    },
    /// The server could not listen.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// A task of the worker ended in a way it must not.
    #[error("a part of the worker failed: {0}")]
    Internal(String),
}

impl WorkerError {
    /// A short name of the kind of error that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Chain(error) => error.code(),
            Self::Config { .. } => "worker-config",
            Self::Locked { .. } => "worker-locked",
            Self::Io { .. } => "worker-io",
            Self::Journal(_) => "journal",
            Self::JournalVersion { .. } => "journal-version",
            Self::Fetch { .. } => "fetch",
            Self::FetchMismatch { .. } => "fetch-mismatch",
            Self::Backend { .. } => "backend",
            Self::Interrupted { .. } => "device-interrupted",
            Self::SelfCheck { .. } => "self-check",
            Self::TooSlow { .. } => "too-slow",
            Self::Stopped => "stopped",
            Self::TooManyLosses { .. } => "too-many-losses",
            Self::VerifierDisagrees { .. } => "verifier-disagrees",
            Self::Job { .. } => "job",
            Self::NoAccount { .. } => "no-account",
            Self::ResultLost { .. } => "result-lost",
            Self::ResultDamaged { .. } => "result-damaged",
            Self::Listen { .. } => "listen",
            Self::Internal(_) => "internal",
        }
    }

    /// The program's own error code, where the chain refused a transaction with one.
    pub fn program_code(&self) -> Option<u32> {
        match self {
            Self::Chain(ClientError::TransactionFailed { custom, .. }) => custom.map(|(_, code)| code),
            _ => None,
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// Result of a worker's step.
pub type Result<T, E = WorkerError> = core::result::Result<T, E>;
