//! What can go wrong between this machine and a chain, said for people: what happened, what it means for the money,
//! what to do. Each kind has a code that stays the same, for `--json` and scripts.

use solana_pubkey::Pubkey;
use solana_rpc_client_api::{
    client_error::{Error as RpcClientError, ErrorKind, TransactionError, reqwest},
    request::RpcError,
};
use solana_signature::Signature;
use thiserror::Error;

/// An error of talking to a chain. Unless its text says otherwise nothing was sent and nothing was paid.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The cluster's address can't be used.
    #[error("\"{given}\" is not a cluster: {why}. Give localhost, devnet, testnet, mainnet-beta or an http(s):// URL")]
    BadClusterUrl {
        /// What was given, without what may be a key.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers there.
    #[error(
        "the chain at {url} can't be reached: {why}. Nothing was sent or paid. Check the URL and the network, then try again"
    )]
    ChainUnreachable {
        /// The endpoint, without path and query.
        url: String,
        /// What the connection reported.
        why: String,
    },
    /// The node answered, with a refusal or with something that is no answer.
    #[error("the node at {url} refused {method}: {why}. Nothing was sent or paid")]
    RpcRefused {
        /// The endpoint, without path and query.
        url: String,
        /// The JSON-RPC method.
        method: String,
        /// The node's words.
        why: String,
        /// The JSON-RPC error code, where there is one.
        rpc_code: Option<i64>,
    },
    /// The fee payer can't pay fee and rent.
    #[error(
        "{payer} has {lamports} lamports, too little for this transaction's fee and deposits ({why}). Nothing was sent or paid. Fund that account with SOL and try again"
    )]
    InsufficientSol {
        /// The fee payer.
        payer: Pubkey,
        /// Its balance in lamports.
        lamports: u64,
        /// What the chain reported.
        why: String,
    },
    /// More bytes than a packet takes.
    #[error(
        "the transaction has {bytes} bytes, a packet takes {limit}. Nothing was sent or paid. Split its instructions or put the data into an evidence account"
    )]
    TransactionTooLarge {
        /// Its size on the wire, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The instructions don't make a transaction.
    #[error("these instructions don't make a transaction: {why}. Nothing was sent or paid")]
    TransactionInvalid {
        /// What is wrong.
        why: String,
    },
    /// A signature is missing or a signer refused.
    #[error("{signer} did not sign: {why}. Nothing was sent or paid")]
    SigningFailed {
        /// The account whose signature is missing.
        signer: Pubkey,
        /// What the signer reported.
        why: String,
    },
    /// The transaction would fail, or did.
    #[error("{}", failed_text(signature, error))]
    TransactionFailed {
        /// None: it failed in simulation and was never sent. Some: it failed on chain and cost its fee.
        signature: Option<Signature>,
        /// The chain's error.
        error: Box<TransactionError>,
        /// The programs' logs, empty where the node gave none.
        logs: Vec<String>,
        /// Index of the failing instruction among those given, and its program's error code.
        custom: Option<(u8, u32)>,
    },
    /// It never landed and can't any more.
    #[error(
        "transaction {signature} expired before it landed. It can't land any more and cost nothing: it is safe to send again"
    )]
    TransactionExpired {
        /// Its signature.
        signature: Signature,
    },
    /// Whether it landed could not be found out.
    #[error(
        "whether transaction {signature} landed is not known: {why}. It may have taken effect: look it up before doing this again"
    )]
    TransactionUnknown {
        /// Its signature.
        signature: Signature,
        /// Why the chain could not be asked.
        why: String,
    },
    /// An account holds what it should not, or is missing.
    #[error("{what}")]
    UnexpectedAccount {
        /// Which account, and what is wrong with it.
        what: String,
    },
    /// A result on disk can't be read.
    #[error("the result can't be read: {why}")]
    ResultUnreadable {
        /// What the system reported.
        why: String,
    },
    /// The bytes of a result are not those any more of which its tree was made.
    #[error("the result's bytes have changed since it was committed to: nothing is proven from them")]
    ResultChanged,
}

impl ClientError {
    /// A short name of the kind of error that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadClusterUrl { .. } => "bad-cluster-url",
            Self::ChainUnreachable { .. } => "chain-unreachable",
            Self::RpcRefused { .. } => "rpc-refused",
            Self::InsufficientSol { .. } => "insufficient-sol",
            Self::TransactionTooLarge { .. } => "transaction-too-large",
            Self::TransactionInvalid { .. } => "transaction-invalid",
            Self::SigningFailed { .. } => "signing-failed",
            Self::TransactionFailed { .. } => "transaction-failed",
            Self::TransactionExpired { .. } => "transaction-expired",
            Self::TransactionUnknown { .. } => "transaction-unknown",
            Self::UnexpectedAccount { .. } => "unexpected-account",
            Self::ResultUnreadable { .. } => "result-unreadable",
            Self::ResultChanged => "result-changed",
        }
    }
}

fn failed_text(signature: &Option<Signature>, error: &TransactionError) -> String {
    match signature {
        None => format!("the transaction would fail: {error}. It was not sent and cost nothing"),
        Some(signature) => {
            format!("transaction {signature} failed on chain: {error}. It changed nothing but cost its network fee")
        }
    }
}

/// How a failed request is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The request never left: no connection was made.
    NotSent,
    /// It may have arrived, no usable answer came.
    Silent,
    /// The node answered that it can't do it now.
    Busy,
    /// The node answered no.
    Refused,
}

/// The node can't answer now, though it or another could a moment later: block not available, unhealthy, minimum
/// context slot not reached, internal error.
const BUSY_CODES: [i64; 4] = [-32004, -32005, -32016, -32603];

/// Sorts an RPC error by what may be done after it.
pub(crate) fn trouble(error: &RpcClientError) -> Trouble {
    match error.kind() {
        ErrorKind::Reqwest(error) if error.is_connect() || error.is_builder() => Trouble::NotSent,
        ErrorKind::Reqwest(error) if error.status() == Some(reqwest::StatusCode::TOO_MANY_REQUESTS) => Trouble::Busy,
        ErrorKind::RpcError(RpcError::RpcResponseError { code, .. }) if BUSY_CODES.contains(code) => Trouble::Busy,
        ErrorKind::RpcError(RpcError::RpcResponseError { .. }) => Trouble::Refused,
        _ => Trouble::Silent,
    }
}

/// What an RPC error says, without the URL: a key may be part of it.
pub(crate) fn told(error: &RpcClientError) -> String {
    match error.kind() {
        ErrorKind::Reqwest(error) => {
            if error.is_timeout() {
                "no answer in time".to_owned()
            } else if let Some(status) = error.status() {
                format!("HTTP status {status}")
            } else {
                // The innermost cause ("connection refused") is what helps; the outer ones name the URL.
                let mut cause: &dyn std::error::Error = error;
                while let Some(inner) = cause.source() {
                    cause = inner;
                }
                if std::ptr::eq(cause, error as &dyn std::error::Error) {
                    "the connection failed".to_owned()
                } else {
                    cause.to_string()
                }
            }
        }
        ErrorKind::Middleware(_) => "the HTTP client failed".to_owned(),
        ErrorKind::RpcError(RpcError::RpcResponseError { code, message, .. }) => format!("{message} ({code})"),
        other => other.to_string(),
    }
}
