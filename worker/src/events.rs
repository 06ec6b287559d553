//! What a daemon tells while it works: typed events, each transaction with its signature, over a broadcast channel.

use std::{fmt, time::SystemTime};

use serde::Serialize;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use tokio::sync::broadcast;

use crate::eligibility::Skip;

/// Events that a slow listener may lag behind before it misses some.
const CAPACITY: usize = 4_096;

/// Which shard an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ShardRef {
    /// The job.
    #[serde(serialize_with = "text")]
    pub job: Pubkey,
    /// Number of the shard in the job.
    pub index: u32,
    /// The shard's account.
    #[serde(serialize_with = "text")]
    pub shard: Pubkey,
}

/// A transaction's purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is the name of the instruction it sends")]
pub enum Action {
    ClaimShard,
    ReleaseClaim,
    ExpireClaim,
    CommitResult,
    RecordSeed,
    DrawSamples,
    RollWindow,
    CreateEvidence,
    WriteEvidence,
    CloseEvidence,
    Adjudicate,
    StepCell,
    PostLeaf,
    OpenChallenge,
    PayChallenge,
    ReturnBond,
    SlashUnanswered,
    SettleShard,
    Seize,
    PayBounty,
    CloseShard,
    CloseSeed,
}

impl Action {
    /// Its name, as in the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClaimShard => "claim_shard",
            Self::ReleaseClaim => "release_claim",
            Self::ExpireClaim => "expire_claim",
            Self::CommitResult => "commit_result",
            Self::RecordSeed => "record_seed",
            Self::DrawSamples => "draw_samples",
            Self::RollWindow => "roll_window",
            Self::CreateEvidence => "create_evidence",
            Self::WriteEvidence => "write_evidence",
            Self::CloseEvidence => "close_evidence",
            Self::Adjudicate => "adjudicate",
            Self::StepCell => "step_cell",
            Self::PostLeaf => "post_leaf",
            Self::OpenChallenge => "open_challenge",
            Self::PayChallenge => "pay_challenge",
            Self::ReturnBond => "return_bond",
            Self::SlashUnanswered => "slash_unanswered",
            Self::SettleShard => "settle_shard",
            Self::Seize => "seize",
            Self::PayBounty => "pay_bounty",
            Self::CloseShard => "close_shard",
            Self::CloseSeed => "close_seed",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happened. Amounts in base units.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// The daemon runs.
    Started {
        /// What it computes with.
        backend: String,
    },
    /// A transaction landed. Every one is told, whatever else is told of it.
    Sent {
        /// Its purpose.
        action: Action,
    },
    /// A job is left alone, for this reason. Told once for each job and reason.
    Skipped {
        /// The job.
        #[serde(serialize_with = "text")]
        job: Pubkey,
        /// Why.
        reason: Skip,
    },
    /// A shard is ours to compute.
    Claimed {
        /// Its price.
        price: u64,
        /// What is locked for it.
        collateral: u64,
    },
    /// A shard of ours that this worker's journal did not know was found on the chain.
    Found,
    /// The result is computed and lies on disk.
    Computed {
        /// Its length, bytes.
        bytes: u64,
        /// How long it took, milliseconds.
        milliseconds: u64,
    },
    /// The root is on the chain.
    Committed {
        /// The root, hex.
        root: String,
        /// Draw window.
        window: u64,
    },
    /// The cells to prove are known.
    Drawn {
        /// Their numbers in the shard.
        cells: Vec<u64>,
    },
    /// The draw window was missed: the provider owes the renter.
    Rolled {
        /// The new window.
        window: u64,
        /// Owed in total.
        owed: u64,
    },
    /// Somebody demands a cell of a shard of ours under a bond. Told once.
    Challenged {
        /// Job-wide leaf.
        leaf: u64,
        /// Cell inside the leaf.
        cell: u32,
        /// The bond, of which half is ours once the cell is proven.
        bond: u64,
        /// Until when it must be proven, unix seconds.
        due: i64,
    },
    /// A leaf that the renter demanded is on the ledger.
    Posted {
        /// Job-wide leaf.
        leaf: u64,
        /// Bytes of evidence that were uploaded; 0 for an inline posting.
        evidence: u64,
    },
    /// Half of the bond of a challenge that was answered is in our stake.
    ChallengePaid {
        /// How much.
        amount: u64,
    },
    /// A demanded cell was re-executed on chain and is right.
    Answered {
        /// Job-wide leaf.
        leaf: u64,
        /// Cell inside the leaf.
        cell: u32,
        /// Bytes of evidence that were uploaded; 0 for an inline answer.
        evidence: u64,
    },
    /// The shard is paid.
    Settled {
        /// Its price, of which the market takes its fee.
        price: u64,
    },
    /// The shard was convicted.
    Slashed {
        /// 1 a wrong cell, 2 an unanswered cell, 3 rolled windows.
        fault: u8,
    },
    /// The claim was given back.
    GivenBack {
        /// Why, in words.
        reason: String,
    },
    /// A step failed and will be tried again.
    Trouble {
        /// Stable code.
        code: &'static str,
        /// What happened.
        message: String,
    },
    /// Validator: the result is right, as far as it was checked.
    Checked {
        /// Leaves that were computed again.
        leaves: u64,
    },
    /// Validator: the result could not be had. No judgement about the provider.
    Unavailable {
        /// Why.
        message: String,
    },
    /// Validator: a cell is wrong; adjudication follows.
    Forged {
        /// Job-wide leaf.
        leaf: u64,
        /// Cell inside the leaf.
        cell: u32,
    },
    /// Validator: the cell is challenged first, so that the bounty is this validator's whoever sees the evidence.
    Bonded {
        /// Job-wide leaf.
        leaf: u64,
        /// Cell inside the leaf.
        cell: u32,
        /// The bond that was put up.
        bond: u64,
    },
    /// Validator: a bond came back.
    BondReturned {
        /// How much.
        amount: u64,
    },
    /// Validator: the chain convicted.
    Convicted {
        /// Owed to this validator.
        bounty: u64,
    },
    /// Validator: the bounty arrived.
    BountyPaid {
        /// How much.
        amount: u64,
    },
    /// No new claims; obligations go on.
    Draining {
        /// How many are left.
        obligations: usize,
    },
    /// The daemon ended.
    Stopped,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// When, as this machine's clock has it.
    #[serde(serialize_with = "unix_milliseconds")]
    pub at: SystemTime,
    /// The shard, where it is about one.
    pub shard: Option<ShardRef>,
    /// The transaction, where there is one.
    #[serde(serialize_with = "optional_text")]
    pub signature: Option<Signature>,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

fn text<S: serde::Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn optional_text<S: serde::Serializer>(value: &Option<impl fmt::Display>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

fn unix_milliseconds<S: serde::Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Where a daemon tells; cheap to clone.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

impl Events {
    /// A listener for what is told from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    pub(crate) fn tell(&self, shard: Option<ShardRef>, signature: Option<Signature>, what: What) {
        match &what {
            What::Trouble { code, message } => tracing::warn!(?shard, code, "{message}"),
            What::Sent { action } => tracing::debug!(?shard, ?signature, %action, "landed"),
            what => tracing::info!(?shard, ?signature, ?what),
        }
        // An error means that nobody listens, which is fine.
        drop(self.0.send(Event { at: SystemTime::now(), shard, signature, what }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_one_flat_json_object() {
        let job = Pubkey::new_from_array([1; 32]);
        let shard = ShardRef { job, index: 3, shard: Pubkey::new_from_array([2; 32]) };
        let json = |what: What, shard| {
            let event = Event { at: SystemTime::UNIX_EPOCH, shard, signature: None, what };
            serde_json::to_value(event).unwrap()
        };
        let value = json(What::Sent { action: Action::RecordSeed }, Some(shard));
        assert_eq!(
            (&value["what"], &value["action"], &value["at"]),
            (&"sent".into(), &"record-seed".into(), &0.into())
        );
        assert_eq!(
            value["shard"],
            serde_json::json!({ "job": job.to_string(), "index": 3, "shard": shard.shard.to_string() })
        );
        let reason = Skip::PriceTooLow { price: 1, minimum: 2 };
        let value = json(What::Skipped { job, reason }, None);
        assert_eq!(value["reason"], serde_json::json!({ "reason": "price-too-low", "price": 1, "minimum": 2 }));
        assert_eq!(json(What::Stopped, None)["what"], "stopped");
    }
}
