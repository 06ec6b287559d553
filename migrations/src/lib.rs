//! Makes a cluster ready for Assay: checks the programs, makes or checks the mint, registers the kernels, opens the
//! market. Every step looks first and acts only where something is missing, so running it twice changes nothing.
//!
//! - `programs`: are they there, are they the committed ones, can somebody still change them.
//! - `deploy`: puts a program there or replaces it, through a `buffer` account that a second run goes on with.
//! - `setup`: the steps. `terms`: what a market is opened with. `fund`: tokens of a mint that we control, for tests.

pub mod buffer;
pub mod deploy;
pub mod fund;
pub mod programs;
pub mod setup;
pub mod terms;

use assay_client::ClientError;
use serde::Serialize;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use thiserror::Error;

/// Why a cluster could not be made ready. What was done before the failing step stays and is found again next time.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// The chain: see the client's error.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A program is missing.
    #[error("the {name} program is not at {address} on this cluster. Nothing was changed. {todo}")]
    NoProgram {
        /// Which program.
        name: &'static str,
        /// Where it should be.
        address: Pubkey,
        /// How to deploy it.
        todo: String,
    },
    /// What should be replaced is not there.
    #[error(
        "there is no program at {address} on this cluster. Nothing was sent or paid. Check the address and the cluster, or deploy it"
    )]
    NothingToReplace {
        /// Where it should be.
        address: Pubkey,
    },
    /// Bytes that are no program.
    #[error("this is no program for this chain: {why}. Nothing was sent or paid")]
    BadElf {
        /// What is wrong.
        why: String,
    },
    /// Somebody else may change the program.
    #[error(
        "program {address} can be changed by {authority} only, not by {key}. Nothing was sent or paid by this step"
    )]
    NotAuthority {
        /// The program.
        address: Pubkey,
        /// Its upgrade authority.
        authority: Pubkey,
        /// Who asked.
        key: Pubkey,
    },
    /// The loader refuses, as it does with an ELF that this cluster can't execute.
    #[error(
        "the chain refuses to {doing} {address}: {why}. The program is as it was. What was uploaded lies in buffer {buffer}: the same command uses it again, `assay program reclaim` takes its lamports back"
    )]
    LoaderRefused {
        /// What was tried.
        doing: &'static str,
        /// The program.
        address: Pubkey,
        /// Where the bytes and the lamports are.
        buffer: Pubkey,
        /// The chain's words.
        why: String,
    },
    /// Transactions did not get through.
    #[error(
        "{what}. Nothing is lost: the same command goes on where this one stopped, a higher priority fee can help, `assay program reclaim` takes the lamports in the buffer back"
    )]
    Unfinished {
        /// How far it got.
        what: String,
    },
    /// What is there contradicts what was asked for.
    #[error("{what}. Nothing was changed by this step")]
    Conflict {
        /// What differs, and what to do.
        what: String,
    },
}

impl MigrationError {
    /// A short name of the kind of error that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Client(error) => error.code(),
            Self::NoProgram { .. } | Self::NothingToReplace { .. } => "program-missing",
            Self::BadElf { .. } => "not-a-program",
            Self::NotAuthority { .. } => "not-upgrade-authority",
            Self::LoaderRefused { .. } => "loader-refused",
            Self::Unfinished { .. } => "deployment-unfinished",
            Self::Conflict { .. } => "cluster-differs",
        }
    }
}

/// What a step found or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was there and right: nothing was sent.
    AlreadyThere,
    /// It was made.
    Made,
}

/// One step of a migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it is about.
    pub what: String,
    /// The account.
    #[serde(serialize_with = "text")]
    pub address: Pubkey,
    /// What was found or done.
    pub change: Change,
    /// The transaction, where one was sent.
    #[serde(serialize_with = "optional_text")]
    pub signature: Option<Signature>,
}

impl Step {
    fn found(what: impl Into<String>, address: Pubkey) -> Self {
        Self { what: what.into(), address, change: Change::AlreadyThere, signature: None }
    }

    fn made(what: impl Into<String>, address: Pubkey, signature: Signature) -> Self {
        Self { what: what.into(), address, change: Change::Made, signature: Some(signature) }
    }
}

fn text<S: serde::Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn optional_text<S: serde::Serializer>(
    value: &Option<impl std::fmt::Display>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}
