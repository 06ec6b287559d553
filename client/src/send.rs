//! Sending a transaction and knowing what became of it. A transaction is signed once and only its bytes are sent
//! again: whatever happens here, it can take effect at most once.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use solana_commitment_config::CommitmentConfig;
use solana_instruction::Instruction;
use solana_message::VersionedMessage;
use solana_pubkey::Pubkey;
pub use solana_rpc_client_api::client_error::TransactionError;
use solana_rpc_client_api::{
    client_error::{Error as RpcClientError, ErrorKind},
    request::{RpcError, RpcResponseErrorData},
};
use solana_signature::Signature;
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;
use tokio::{
    sync::oneshot,
    time::{sleep, sleep_until},
};
use tracing::debug;

pub use crate::outcome::{Outcome, failing_program};
pub use crate::wire::{MAX_COMPUTE_UNITS, PACKET_BYTES, Wire};
use crate::{
    client_error::{ClientError, Trouble, told, trouble},
    cluster::Cluster,
    rpc::{RecentBlockhash, Rpc},
    watch::{Notice, Watcher},
    wire::{Known, compile, required_signers, unsigned, wire_bytes, with_margin},
};

/// The same bytes are sent again this often until the transaction is confirmed or expired.
const REBROADCAST: Duration = Duration::from_secs(2);
/// The chain is asked this often while no notification can come.
const POLL: Duration = Duration::from_millis(400);

/// How to send. `Default` is right for most transactions.
#[derive(Clone, Copy, Debug)]
pub struct SendOptions {
    /// Compute units to ask for. None: simulate, and ask for what that used plus a margin; a transaction that fails
    /// in the simulation is not sent.
    pub compute_unit_limit: Option<u32>,
    /// Price per compute unit asked for, in micro-lamports. None: no priority fee.
    pub priority_micro_lamports: Option<u64>,
    /// Blockhash to sign with. None: a fresh one.
    pub blockhash: Option<RecentBlockhash>,
    /// The largest form that it may have. Version 1 is used only for what does not fit version 0, and only where the
    /// cluster takes it: see [`Sender::largest`].
    pub largest: Wire,
    /// Where `compute_unit_limit` is given: whether the node simulates before it broadcasts.
    pub preflight: bool,
    /// After so long without any answer from the node the outcome is unknown.
    pub silence: Duration,
    /// After so long the outcome is unknown even though the node answers: the chain stands still.
    pub patience: Duration,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self {
            compute_unit_limit: None,
            priority_micro_lamports: None,
            blockhash: None,
            largest: Wire::V0,
            preflight: true,
            silence: Duration::from_secs(30),
            patience: Duration::from_secs(300),
        }
    }
}

/// A signed transaction. Its signature is known before it is sent, so it can be written down first.
#[derive(Clone, Debug)]
pub struct Signed {
    transaction: VersionedTransaction,
    signature: Signature,
    last_valid_block_height: u64,
    preflight: bool,
}

impl Signed {
    /// The first signature, which names the transaction.
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// Last block height at which it can land.
    pub fn last_valid_block_height(&self) -> u64 {
        self.last_valid_block_height
    }

    /// The form that it was written in.
    pub fn wire(&self) -> Wire {
        Wire::of(&self.transaction.message)
    }

    /// Its bytes on the wire.
    pub fn bytes(&self) -> usize {
        wire_bytes(&self.transaction.message)
    }
}

/// What [`Sender::prepare`] made.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// Signed and ready to be submitted.
    Ready(Signed),
    /// It failed in simulation and was not signed: an [`Outcome::Failed`] without a signature.
    WouldFail(Outcome),
}

/// Signs, sends and follows transactions on one cluster; cheap to clone, and clones share one WebSocket.
#[derive(Clone)]
pub struct Sender {
    rpc: Rpc,
    watcher: Arc<Watcher>,
    /// None: version 0 only.
    known: Option<Arc<Known>>,
}

/// What one attempt to hand over the transaction showed.
enum Handover {
    /// The node has it, or may have it.
    MaybeOut,
    /// This attempt did not bring it out; a later one can.
    NotNow(String),
    /// It fails in preflight.
    WouldFail(TransactionError, Vec<String>),
    /// The node will not have it.
    Refused(ClientError),
}

/// What one look at the chain showed.
enum Look {
    Done(Outcome),
    Pending,
    NoAnswer(String),
}

impl Sender {
    /// A sender for this cluster. Nothing connects before the first transaction.
    pub fn new(cluster: &Cluster) -> Self {
        Self {
            rpc: Rpc::new(cluster),
            watcher: Arc::new(Watcher::new(cluster.ws_url.clone())),
            known: (!cluster.v0_only).then(Arc::default),
        }
    }

    /// The same cluster's reads.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The largest form of transaction that this cluster takes. It is asked once, by a simulation in the name of
    /// `payer`, which costs nothing and must be an account with SOL; where no usable answer comes, it is version 0
    /// and the next call asks again.
    pub async fn largest(&self, payer: &Pubkey) -> Wire {
        match &self.known {
            Some(known) => known.largest(&self.rpc, payer).await,
            None => Wire::V0,
        }
    }

    /// Signs with `signers` (the first pays the fees), sends, and waits until the transaction is confirmed, failed or
    /// expired. Compute budget instructions for limit and price are added behind the given ones, so that instruction
    /// indices in errors stay the caller's; don't give them yourself.
    ///
    /// # Errors
    /// An `Err` means that nothing was sent: [`ClientError::ChainUnreachable`], [`ClientError::RpcRefused`],
    /// [`ClientError::InsufficientSol`], [`ClientError::TransactionTooLarge`], [`ClientError::TransactionInvalid`],
    /// [`ClientError::SigningFailed`]. Once anything may have left this machine the answer is an [`Outcome`].
    pub async fn send(
        &self,
        instructions: &[Instruction],
        signers: &[&(dyn Signer + Sync)],
        options: SendOptions,
    ) -> Result<Outcome, ClientError> {
        match self.prepare(instructions, signers, options).await? {
            Prepared::Ready(signed) => self.submit(&signed, options).await,
            Prepared::WouldFail(outcome) => Ok(outcome),
        }
    }

    /// The first half of [`Sender::send`]: simulates where no limit is given, checks the size, signs. Sends nothing.
    ///
    /// # Errors
    /// As [`Sender::send`].
    pub async fn prepare(
        &self,
        instructions: &[Instruction],
        signers: &[&(dyn Signer + Sync)],
        options: SendOptions,
    ) -> Result<Prepared, ClientError> {
        let mut keys = Vec::with_capacity(signers.len());
        for signer in signers {
            keys.push(
                signer.try_pubkey().map_err(|error| ClientError::SigningFailed {
                    signer: Pubkey::default(),
                    why: error.to_string(),
                })?,
            );
        }
        let payer =
            *keys.first().ok_or_else(|| ClientError::TransactionInvalid { why: "nobody pays its fee".to_owned() })?;
        let blockhash = match options.blockhash {
            Some(blockhash) => blockhash,
            None => self.rpc.recent_blockhash().await?,
        };
        let build_as =
            |wire, limit| compile(instructions, &payer, blockhash, limit, options.priority_micro_lamports, wire);
        // Sizes don't depend on the limit.
        let too_large = matches!(build_as(Wire::V0, MAX_COMPUTE_UNITS), Err(ClientError::TransactionTooLarge { .. }));
        let wire = if too_large && options.largest == Wire::V1 { self.largest(&payer).await } else { Wire::V0 };
        let build = |limit: u32| build_as(wire, limit);
        let limit = match options.compute_unit_limit {
            Some(limit) => limit,
            None => match self.measure(build(MAX_COMPUTE_UNITS)?, &payer).await? {
                Ok(units) => with_margin(units),
                Err(outcome) => return Ok(Prepared::WouldFail(outcome)),
            },
        };
        let message = build(limit)?;
        let bytes = message.serialize();
        let mut signatures = Vec::with_capacity(signers.len());
        for key in required_signers(&message) {
            let signer = keys.iter().zip(signers).find(|(known, _)| *known == key).map(|(_, signer)| signer);
            let refused = |why: String| ClientError::SigningFailed { signer: *key, why };
            let signer = signer.ok_or_else(|| refused("it was not given as a signer".to_owned()))?;
            signatures.push(signer.try_sign_message(&bytes).map_err(|error| refused(error.to_string()))?);
        }
        let signature =
            *signatures.first().ok_or_else(|| ClientError::TransactionInvalid { why: "nobody signs it".to_owned() })?;
        Ok(Prepared::Ready(Signed {
            transaction: VersionedTransaction { signatures, message },
            signature,
            last_valid_block_height: blockhash.last_valid_block_height,
            // What was just simulated here need not be simulated again by the node.
            preflight: options.preflight && options.compute_unit_limit.is_some(),
        }))
    }

    /// Compute units that a message uses, or the failure it runs into.
    async fn measure(&self, message: VersionedMessage, payer: &Pubkey) -> Result<Result<u64, Outcome>, ClientError> {
        let wire = Wire::of(&message);
        let result = match self.rpc.simulate(&unsigned(message)).await {
            Err(error) => {
                self.refused(wire).await;
                return Err(error);
            }
            Ok(result) => result,
        };
        let Some(error) = result.err.map(TransactionError::from) else {
            return Ok(Ok(result.units_consumed.unwrap_or(u64::from(MAX_COMPUTE_UNITS))));
        };
        if error == TransactionError::UnsupportedVersion {
            self.refused(wire).await;
        }
        self.lacks_sol(payer, &error).await?;
        Ok(Err(Outcome::failed(None, error, result.logs.unwrap_or_default())))
    }

    /// Where a transaction of version 1 was refused, the cluster is asked again whether it takes them: another node may
    /// answer now.
    async fn refused(&self, wire: Wire) {
        if wire == Wire::V1
            && let Some(known) = &self.known
        {
            known.doubt().await;
        }
    }

    /// Turns the errors of a fee payer without funds into one that says so.
    async fn lacks_sol(&self, payer: &Pubkey, error: &TransactionError) -> Result<(), ClientError> {
        let payers_fault = match error {
            TransactionError::AccountNotFound | TransactionError::InsufficientFundsForFee => true,
            TransactionError::InsufficientFundsForRent { account_index } => *account_index == 0,
            _ => false,
        };
        if !payers_fault {
            return Ok(());
        }
        let lamports = self.rpc.balance(payer).await?;
        Err(ClientError::InsufficientSol { payer: *payer, lamports, why: error.to_string() })
    }

    /// The second half of [`Sender::send`]: sends the signed bytes, again every 2 seconds, until their fate is known.
    /// May be called again with the same bytes, also at the same time: they take effect once, and each call tells
    /// their fate.
    ///
    /// # Errors
    /// As [`Sender::send`]: an `Err` means that this call sent nothing.
    pub async fn submit(&self, signed: &Signed, options: SendOptions) -> Result<Outcome, ClientError> {
        let signature = signed.signature;
        let started = Instant::now();
        // Subscribed before anything is sent, so that no notification is missed.
        let mut notices = self.watcher.watch(signature).await;
        let mut heard = Instant::now();
        let mut maybe_out = false;
        let mut trouble = String::new();
        loop {
            let handed = tokio::select! {
                notice = notified(&mut notices) => match notice {
                    Some(notice) => return Ok(self.noticed(signature, notice).await),
                    None => continue,
                },
                handed = self.hand_over(signed, maybe_out) => handed,
            };
            match handed {
                Ok(Handover::MaybeOut) => {
                    maybe_out = true;
                    heard = Instant::now();
                }
                Ok(Handover::NotNow(why)) => {
                    trouble = why;
                    heard = Instant::now();
                }
                Ok(Handover::WouldFail(error, logs)) => {
                    if error == TransactionError::UnsupportedVersion {
                        self.refused(signed.wire()).await;
                    }
                    if let Some(payer) = signed.transaction.message.static_account_keys().first() {
                        self.lacks_sol(payer, &error).await?;
                    }
                    return Ok(Outcome::failed(None, error, logs));
                }
                Ok(Handover::Refused(error)) => {
                    self.refused(signed.wire()).await;
                    return Err(error);
                }
                Err((sent, why)) => {
                    maybe_out |= sent;
                    trouble = why;
                }
            }
            let now = tokio::time::Instant::now();
            let again = now.checked_add(REBROADCAST).unwrap_or(now);
            // Until the next rebroadcast: wait for the notification, and look at the chain (often where no
            // notification can come, once where one should: sockets die silently).
            loop {
                let pause = if notices.is_some() { REBROADCAST } else { POLL };
                let now = tokio::time::Instant::now();
                let next = again.min(now.checked_add(pause).unwrap_or(now));
                tokio::select! {
                    notice = notified(&mut notices) => match notice {
                        Some(notice) => return Ok(self.noticed(signature, notice).await),
                        None => continue,
                    },
                    () = sleep_until(next) => {}
                }
                match self.look(signed).await {
                    Look::Done(outcome) => return Ok(outcome),
                    Look::Pending => heard = Instant::now(),
                    Look::NoAnswer(why) => trouble = why,
                }
                if heard.elapsed() > options.silence {
                    let why = format!(
                        "the node at {} has not answered for {} seconds ({trouble})",
                        self.rpc.shown(),
                        options.silence.as_secs()
                    );
                    return if maybe_out {
                        Ok(Outcome::Unknown { signature, why })
                    } else {
                        Err(ClientError::ChainUnreachable { url: self.rpc.shown().to_owned(), why })
                    };
                }
                if started.elapsed() > options.patience {
                    let why = format!(
                        "neither confirmed nor expired after {} seconds: the chain stands still ({trouble})",
                        options.patience.as_secs()
                    );
                    return Ok(Outcome::Unknown { signature, why });
                }
                if tokio::time::Instant::now() >= again {
                    break;
                }
            }
        }
    }

    /// One attempt to hand the bytes over. `Err((maybe sent, why))`: no usable answer.
    async fn hand_over(&self, signed: &Signed, maybe_out: bool) -> Result<Handover, (bool, String)> {
        // Once it may be out, what preflight says of it is no verdict any more.
        let preflight = signed.preflight && !maybe_out;
        let Err(error) = self.rpc.send_once(&signed.transaction, preflight).await else {
            return Ok(Handover::MaybeOut);
        };
        debug!(signature = %signed.signature, error = %told(&error), "sendTransaction");
        match trouble(&error) {
            Trouble::NotSent => return Err((false, told(&error))),
            Trouble::Silent => return Err((true, told(&error))),
            Trouble::Busy => return Ok(Handover::NotNow(told(&error))),
            Trouble::Refused => {}
        }
        match preflight_failure(&error) {
            Some((TransactionError::AlreadyProcessed, _)) => Ok(Handover::MaybeOut),
            // This node does not know the blockhash: it lags, or the hash ran out, which the block height will show.
            Some((error @ TransactionError::BlockhashNotFound, _)) => Ok(Handover::NotNow(error.to_string())),
            Some((error, logs)) if preflight => Ok(Handover::WouldFail(error, logs)),
            // Refused, or executed and failed (a local chain tells so here even without preflight): the chain's own
            // status decides.
            Some(_) => Ok(Handover::MaybeOut),
            None if maybe_out || self.is_known(signed, &error).await => Ok(Handover::MaybeOut),
            None => Ok(Handover::Refused(self.rpc.fault("sendTransaction", &error))),
        }
    }

    /// Whether a transaction that the node refused is on the chain: sent by an earlier `submit`, maybe before a
    /// restart of this program.
    async fn is_known(&self, signed: &Signed, refusal: &RpcClientError) -> bool {
        // Some nodes say so in words only.
        told(refusal).contains(&TransactionError::AlreadyProcessed.to_string())
            || matches!(self.rpc.status(&signed.signature, true).await, Ok((_, Some(_))))
    }

    async fn look(&self, signed: &Signed) -> Look {
        // The height is asked first: a status that is missing afterwards, from a node at least as far, is final.
        let height = match self.rpc.height().await {
            Ok(height) => height,
            Err(error) => return Look::NoAnswer(told(&error)),
        };
        let expired = height.block_height > signed.last_valid_block_height;
        match self.rpc.status(&signed.signature, expired).await {
            Err(error) => Look::NoAnswer(told(&error)),
            Ok((_, Some(status))) if status.satisfies_commitment(CommitmentConfig::confirmed()) => {
                let notice = Notice { slot: status.slot, error: status.err };
                Look::Done(self.noticed(signed.signature, notice).await)
            }
            Ok((slot, None)) if expired && slot >= height.slot => {
                Look::Done(Outcome::Expired { signature: signed.signature })
            }
            Ok(_) => Look::Pending,
        }
    }

    async fn noticed(&self, signature: Signature, notice: Notice) -> Outcome {
        match notice.error {
            None => Outcome::Landed { signature, slot: notice.slot },
            // No block holds such a transaction; the embedded chain gives one a status all the same.
            Some(TransactionError::BlockhashNotFound) => Outcome::Expired { signature },
            Some(error) => Outcome::failed(Some(signature), error, self.logs(&signature).await),
        }
    }

    /// Logs of a failed transaction, which help but are not worth failing or waiting long for.
    async fn logs(&self, signature: &Signature) -> Vec<String> {
        for _ in 0..5 {
            match self.rpc.receipt(signature).await {
                Ok(Some(receipt)) => return receipt.logs,
                // A node can know the status a moment before it serves the transaction.
                Ok(None) => sleep(POLL).await,
                Err(_) => break,
            }
        }
        Vec::new()
    }
}

/// The next notice. Where the subscription is lost it clears it and returns None; without one it waits forever.
async fn notified(notices: &mut Option<oneshot::Receiver<Notice>>) -> Option<Notice> {
    match notices {
        None => std::future::pending().await,
        Some(receiver) => {
            let notice = receiver.await.ok();
            *notices = None;
            notice
        }
    }
}

fn preflight_failure(error: &RpcClientError) -> Option<(TransactionError, Vec<String>)> {
    match error.kind() {
        ErrorKind::RpcError(RpcError::RpcResponseError {
            data: RpcResponseErrorData::SendTransactionPreflightFailure(result),
            ..
        }) => {
            let error = result.err.clone().map(TransactionError::from)?;
            Some((error, result.logs.clone().unwrap_or_default()))
        }
        _ => None,
    }
}
