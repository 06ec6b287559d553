//! A daemon's hand on the chain: one key, reads, and sends that are written down first and told afterwards.

use std::sync::Arc;

use assay_client::{
    Reader,
    client_error::ClientError,
    cluster::Cluster,
    explain::{ProgramFault, settlement_error},
    send::{Outcome, Prepared, SendOptions, Sender, Wire},
};
use assay_settlement::{error::AssayError, rules::time::Now};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use tokio::sync::watch;

use crate::{
    error::{Result, WorkerError},
    events::{Action, Events, ShardRef, What},
    gate::Gate,
    journal::{Journal, Sent},
    troubles::{Place, Troubles},
};

/// Transactions of one daemon that are under way at the same time, and those of them that no deadline hangs on.
const SENDS: usize = 32;
const ORDINARY_SENDS: usize = 24;

/// The journal in which a provider writes down what it sends.
#[derive(Clone)]
pub(crate) struct Books {
    pub journal: Journal,
    /// Where it is told when the journal can't be written.
    pub troubles: Arc<Troubles>,
}

/// Whether a transaction is one that must not wait behind many others.
fn is_urgent(action: Action) -> bool {
    matches!(
        action,
        Action::CommitResult
            | Action::RecordSeed
            | Action::DrawSamples
            | Action::RollWindow
            | Action::Adjudicate
            | Action::StepCell
            | Action::PostLeaf
            | Action::OpenChallenge
            | Action::SlashUnanswered
    )
}

/// One transaction to send.
pub(crate) struct Order<'a> {
    /// Its purpose.
    pub action: Action,
    /// The shard it is about.
    pub shard: Option<ShardRef>,
    /// What it does.
    pub instructions: &'a [solana_instruction::Instruction],
    /// Compute units where they are known; None: simulated.
    pub units: Option<u32>,
}

/// Reads and sends for one key.
pub(crate) struct Chain {
    pub reader: Reader,
    sender: Sender,
    key: Arc<Keypair>,
    books: Option<Books>,
    events: Events,
    /// All sends, by when they are due; the ordinary ones leave some of it to the urgent.
    sends: Gate,
    ordinary: Gate,
}

impl Chain {
    pub fn new(cluster: &Cluster, key: Arc<Keypair>, books: Option<Books>, events: Events) -> Self {
        let sender = Sender::new(cluster);
        let (sends, ordinary) = (Gate::new(SENDS), Gate::new(ORDINARY_SENDS));
        Self { reader: Reader::new(sender.rpc().clone()), sender, key, books, events, sends, ordinary }
    }

    /// The key that signs and pays.
    pub fn me(&self) -> Pubkey {
        self.key.pubkey()
    }

    /// The largest form of transaction that the chain takes.
    pub async fn largest(&self) -> Wire {
        self.sender.largest(&self.me()).await
    }

    /// What the chain says about time.
    pub async fn now(&self) -> Result<Now> {
        Ok(self.reader.now().await?)
    }

    /// The chain's confirmed block height, by which transactions expire.
    pub async fn block_height(&self) -> Result<u64> {
        // Trouble on the way is the caller's to try again.
        self.reader.rpc().raw().get_block_height().await.map_err(|_| {
            let url = self.reader.rpc().shown().to_owned();
            WorkerError::Chain(ClientError::ChainUnreachable { url, why: "no block height".to_owned() })
        })
    }

    /// Signs, writes the signature down where it is about a shard of the journal, sends, and returns once it landed.
    /// Everything else is an error; `TransactionUnknown` means: look at the chain before doing it again.
    ///
    /// Only a claim needs its line in the journal: everything else the chain tells again after a crash, and a full disk
    /// must not keep a deadline from being met.
    ///
    /// Comes before every answer where it must not wait behind many others (there are few of those for each shard), else
    /// after all of them.
    pub async fn send(&self, order: Order<'_>) -> Result<Signature> {
        let (_sender, rank) = watch::channel(if is_urgent(order.action) { i64::MIN } else { i64::MAX });
        self.send_ranked(order, &rank).await
    }

    /// [`Chain::send`] for a transaction of an answer: the lower `rank` comes first, of those that wait to be sent.
    pub async fn send_ranked(&self, order: Order<'_>, rank: &watch::Receiver<i64>) -> Result<Signature> {
        let _ordinary = match is_urgent(order.action) {
            true => None,
            false => Some(self.ordinary.pass_as_due(rank).await),
        };
        let _one = self.sends.pass_as_due(rank).await;
        let options = SendOptions { compute_unit_limit: order.units, largest: Wire::V1, ..SendOptions::default() };
        let signed = match self.sender.prepare(order.instructions, &[self.key.as_ref()], options).await? {
            Prepared::Ready(signed) => signed,
            Prepared::WouldFail(outcome) => return Err(failure(outcome)),
        };
        if let (Some(books), Some(shard)) = (&self.books, &order.shard) {
            let sent = Sent {
                action: order.action.name().to_owned(),
                signature: signed.signature(),
                last_valid: signed.last_valid_block_height(),
            };
            match books.journal.set_sent(&shard.shard, &sent) {
                Err(error) if order.action == Action::ClaimShard => return Err(error),
                Err(error) => books.troubles.raise(Place::Disk, None, &error),
                Ok(()) => {}
            }
        }
        let (signature, _) = self.sender.submit(&signed, options).await?.landed()?;
        self.events.tell(order.shard, Some(signature), What::Sent { action: order.action });
        Ok(signature)
    }
}

impl Chain {
    /// Whether the chain would take these instructions now; nothing is sent.
    ///
    /// # Errors
    /// What it would refuse them with.
    pub async fn rehearse(&self, instructions: &[solana_instruction::Instruction]) -> Result<()> {
        match self.sender.prepare(instructions, &[self.key.as_ref()], SendOptions::default()).await? {
            Prepared::Ready(_) => Ok(()),
            Prepared::WouldFail(outcome) => Err(failure(outcome)),
        }
    }
}

fn failure(outcome: Outcome) -> WorkerError {
    match outcome.landed() {
        Err(error) => WorkerError::Chain(error),
        Ok((signature, _)) => WorkerError::Internal(format!("transaction {signature} was taken for a failed one")),
    }
}

/// The settlement program's error that a step failed with.
pub(crate) fn refusal(error: &WorkerError) -> Option<AssayError> {
    settlement_error(error.program_code()?)
}

/// Whether a step failed because the chain has moved on: somebody else did it, or it was done already. Reading the
/// chain again is all there is to do.
pub(crate) fn overtaken(error: &WorkerError) -> bool {
    if let Some(fault) = refusal(error) {
        return matches!(
            fault,
            AssayError::WrongState
                | AssayError::WrongProvider
                | AssayError::ShardClaimed
                | AssayError::NotDemanded
                | AssayError::WrongWindow
                | AssayError::DrawStillPossible
                | AssayError::DrawTooEarly
                | AssayError::DrawAgedOut
                | AssayError::WindowOpen
                | AssayError::TooEarly
                | AssayError::NothingUnanswered
                | AssayError::NothingOwed
                | AssayError::Unanswered
                | AssayError::DeliveryOpen
                | AssayError::Accepted
                | AssayError::AlreadyAnswered
                | AssayError::AlreadyChallenged
                | AssayError::AlreadyPosted
                | AssayError::ChallengeOpen
                | AssayError::ChallengeAnswered
        );
    }
    // The system program's "account already in use": two recorded the same seed at once.
    matches!(error.program_code(), Some(0))
}

/// Whether a step failed because an account that it names is closed: somebody else did the same.
pub(crate) fn closed(error: &WorkerError) -> bool {
    // Anchor's AccountOwnedByWrongProgram and AccountNotInitialized.
    overtaken(error) || matches!(error.program_code(), Some(3_007 | 3_012))
}

/// Whether a transaction that failed with this error certainly had no effect and can have none.
pub(crate) fn had_no_effect(error: &WorkerError) -> bool {
    !matches!(error, WorkerError::Chain(ClientError::TransactionUnknown { .. }))
}

/// An error with the program's own words where it refused, for people.
pub(crate) fn told(error: &WorkerError) -> String {
    match error.program_code().and_then(ProgramFault::from_code) {
        Some(fault) => format!("the program refused with {}: {fault}", fault.name()),
        None => error.to_string(),
    }
}
