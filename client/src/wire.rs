//! The forms of a transaction on the wire: version 0 of at most 1,232 bytes, which every cluster and every wallet
//! takes, and version 1 of at most 4,096 bytes, for what does not fit version 0 and only where the cluster was asked
//! and takes it.

use std::time::{Duration, Instant};

use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_instruction::Instruction;
use solana_message::{VersionedMessage, v0, v1};
use solana_pubkey::Pubkey;
use solana_rpc_client_api::client_error::TransactionError;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use tokio::sync::Mutex;
use tracing::debug;

use crate::{
    client_error::ClientError,
    rpc::{RecentBlockhash, Rpc},
};

/// Bytes that one packet takes: the limit of v0 transactions on the wire.
pub const PACKET_BYTES: usize = 1_232;
/// The chain's limit of compute units per transaction.
pub const MAX_COMPUTE_UNITS: u32 = 1_400_000;
/// Bytes of accounts and programs that a transaction may load. In version 0 it may load so many unasked, in version 1
/// none.
const LOADED_BYTES: u32 = 64 << 20;
/// A cluster that took no version 1 is asked again after so long: it may have learned it.
const ASK_AGAIN: Duration = Duration::from_secs(3_600);
/// Where no answer came the cluster is asked again after so long.
const PAUSE: Duration = Duration::from_secs(10);
/// JSON-RPC's code for parameters that the node does not understand.
const INVALID_PARAMS: i64 = -32_602;

/// A form of a transaction on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// Version 0: one packet. What wallets sign.
    #[default]
    V0,
    /// Version 1 (SIMD-0385): its header holds what compute budget instructions say in version 0.
    V1,
}

impl Wire {
    /// Most bytes of a transaction, signatures included.
    pub const fn transaction_bytes(self) -> usize {
        match self {
            Self::V0 => PACKET_BYTES,
            Self::V1 => v1::MAX_TRANSACTION_SIZE,
        }
    }

    /// Most bytes that one write to an evidence account carries.
    pub const fn piece_bytes(self) -> usize {
        match self {
            Self::V0 => 940,
            Self::V1 => 3_840,
        }
    }

    /// Most bytes that go into an evidence account in the transaction that makes it, with a seed of 32 bytes.
    pub const fn first_piece_bytes(self) -> usize {
        match self {
            Self::V0 => 740,
            Self::V1 => 3_640,
        }
    }

    /// Most bytes of evidence data inside an adjudication or a posting, 18 for each opening counted among them. What an
    /// adjudication holds besides: signature, keys and budget, 8 bytes of discriminator and 28 of fixed arguments.
    pub const fn inline_bytes(self) -> usize {
        match self {
            Self::V0 => 827,
            Self::V1 => 3_736,
        }
    }

    /// Its version.
    pub const fn version(self) -> u8 {
        match self {
            Self::V0 => 0,
            Self::V1 => 1,
        }
    }

    /// The form that a message has.
    pub(crate) fn of(message: &VersionedMessage) -> Self {
        if matches!(message, VersionedMessage::V1(_)) { Self::V1 } else { Self::V0 }
    }
}

/// What is known of the versions that a cluster takes: asked once, by whoever needs to know first.
#[derive(Default)]
pub(crate) struct Known(Mutex<Option<Answer>>);

#[derive(Clone, Copy)]
struct Answer {
    largest: Wire,
    /// None: for good, or until a refusal shows otherwise.
    until: Option<Instant>,
}

impl Known {
    /// The largest form that the cluster takes, version 0 where it does not say. `payer`: whoever pays here; it pays
    /// nothing for this.
    pub(crate) async fn largest(&self, rpc: &Rpc, payer: &Pubkey) -> Wire {
        let mut known = self.0.lock().await;
        let now = Instant::now();
        if let Some(answer) = *known
            && answer.until.is_none_or(|until| now < until)
        {
            return answer.largest;
        }
        let (largest, wait) = match takes_v1(rpc, payer).await {
            Some(true) => (Wire::V1, None),
            Some(false) => (Wire::V0, Some(ASK_AGAIN)),
            None => (Wire::V0, Some(PAUSE)),
        };
        debug!(version = largest.version(), sure = ?wait.map(|wait| wait == ASK_AGAIN), "largest transaction");
        *known = Some(Answer { largest, until: wait.and_then(|wait| now.checked_add(wait)) });
        largest
    }

    /// Asks again the next time: the cluster refused a transaction of version 1 after it had said that it takes them.
    pub(crate) async fn doubt(&self) {
        *self.0.lock().await = None;
    }
}

/// Has the node simulate a version 1 transaction of the full size, the only way to learn both whether the chain's
/// feature is active and whether this node and all that lies before it take so many bytes. None: it did not come to
/// that, so ask again.
async fn takes_v1(rpc: &Rpc, payer: &Pubkey) -> Option<bool> {
    let transaction = question(payer)?;
    match rpc.simulate(&transaction).await {
        Ok(result) => match result.err.map(TransactionError::from) {
            // It was run. That the system program knows no such instruction was to be expected.
            None | Some(TransactionError::InstructionError(..)) => Some(true),
            Some(TransactionError::UnsupportedVersion | TransactionError::SanitizeFailure) => Some(false),
            Some(_) => None,
        },
        Err(ClientError::RpcRefused { rpc_code: Some(INVALID_PARAMS), .. }) => Some(false),
        Err(_) => None,
    }
}

/// A transaction of version 1 and of the full size that no program takes.
fn question(payer: &Pubkey) -> Option<VersionedTransaction> {
    let build = |bytes: usize| {
        let junk = Instruction {
            program_id: solana_system_interface::program::ID,
            accounts: Vec::new(),
            data: vec![0xff; bytes],
        };
        let blockhash = RecentBlockhash { hash: solana_hash::Hash::default(), last_valid_block_height: 0 };
        compile(&[junk], payer, blockhash, MAX_COMPUTE_UNITS, None, Wire::V1).ok()
    };
    let room = Wire::V1.transaction_bytes().checked_sub(wire_bytes(&build(0)?))?;
    Some(unsigned(build(room)?))
}

/// A message with the signatures missing, for a simulation.
pub(crate) fn unsigned(message: VersionedMessage) -> VersionedTransaction {
    VersionedTransaction { signatures: vec![Signature::default(); required_signers(&message).len()], message }
}

pub(crate) fn required_signers(message: &VersionedMessage) -> &[Pubkey] {
    let count = usize::from(message.header().num_required_signatures);
    message.static_account_keys().get(..count).unwrap_or_default()
}

/// Compiles a message and checks that it fits the wire once signed.
pub(crate) fn compile(
    instructions: &[Instruction],
    payer: &Pubkey,
    blockhash: RecentBlockhash,
    limit: u32,
    priority_micro_lamports: Option<u64>,
    wire: Wire,
) -> Result<VersionedMessage, ClientError> {
    let invalid = |why: String| ClientError::TransactionInvalid { why };
    let message = match wire {
        Wire::V0 => {
            let mut all = instructions.to_vec();
            all.push(ComputeBudgetInstruction::set_compute_unit_limit(limit));
            all.extend(priority_micro_lamports.map(ComputeBudgetInstruction::set_compute_unit_price));
            let message = v0::Message::try_compile(payer, &all, &[], blockhash.hash);
            VersionedMessage::V0(message.map_err(|error| invalid(error.to_string()))?)
        }
        Wire::V1 => {
            let mut config = v1::TransactionConfig::empty()
                .with_compute_unit_limit(limit)
                .with_loaded_accounts_data_size_limit(LOADED_BYTES);
            config.priority_fee = priority_micro_lamports.map(|price| priority_lamports(price, limit));
            let message = v1::Message::try_compile_with_config(payer, instructions, blockhash.hash, config)
                .map_err(|error| invalid(error.to_string()))?;
            message.validate().map_err(|error| invalid(error.to_string()))?;
            VersionedMessage::V1(message)
        }
    };
    let (bytes, limit) = (wire_bytes(&message), wire.transaction_bytes());
    if bytes > limit {
        return Err(ClientError::TransactionTooLarge { bytes, limit });
    }
    Ok(message)
}

/// The whole priority fee, which version 1 states, from a price per compute unit: as the chain computes it for
/// version 0.
fn priority_lamports(micro_lamports: u64, limit: u32) -> u64 {
    let fee = u128::from(micro_lamports).saturating_mul(u128::from(limit)).div_ceil(1_000_000);
    u64::try_from(fee).unwrap_or(u64::MAX)
}

/// Size of a transaction on the wire: 64 bytes for each signature and, before version 1, their number in one byte
/// (there are fewer than 128).
pub(crate) fn wire_bytes(message: &VersionedMessage) -> usize {
    let count = usize::from(Wire::of(message) == Wire::V0);
    let signatures = required_signers(message).len().saturating_mul(64);
    signatures.saturating_add(message.serialize().len()).saturating_add(count)
}

/// The limit to ask for when a simulation used `units`: what a transaction uses moves a little with state and clock.
pub(crate) fn with_margin(units: u64) -> u32 {
    let limit = units.saturating_add(units / 8).saturating_add(3_000);
    u32::try_from(limit).unwrap_or(MAX_COMPUTE_UNITS).min(MAX_COMPUTE_UNITS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use crate::ix;
    use assay_settlement::{
        Job,
        instructions::{AdjudicateArgs, OpeningArgs},
    };
    use bytemuck::Zeroable;

    const BLOCKHASH: RecentBlockhash =
        RecentBlockhash { hash: solana_hash::Hash::new_from_array([7; 32]), last_valid_block_height: 0 };

    fn key(n: u8) -> Pubkey {
        Pubkey::new_from_array([n; 32])
    }

    /// Bytes on the wire of one instruction with limit and price, also where they are too many.
    fn bytes(instruction: Instruction, wire: Wire) -> usize {
        bytes_of(&[instruction], wire)
    }

    fn bytes_of(instructions: &[Instruction], wire: Wire) -> usize {
        match compile(instructions, &key(1), BLOCKHASH, 200_000, Some(1_000), wire) {
            Ok(message) => wire_bytes(&message),
            Err(ClientError::TransactionTooLarge { bytes, limit }) => {
                assert_eq!(limit, wire.transaction_bytes());
                bytes
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_piece_fills_a_transaction_and_fits() {
        for wire in [Wire::V0, Wire::V1] {
            let write = ix::write_evidence(key(1), key(2), 0, vec![0; wire.piece_bytes()]);
            let spare = wire.transaction_bytes().checked_sub(bytes(write, wire)).unwrap();
            assert!(spare < 20, "{spare} bytes of {wire:?} are left");

            let mut make = ix::create_evidence(key(1), &"s".repeat(32), 9_000, 1).unwrap().to_vec();
            make.push(ix::write_evidence(key(1), key(2), 0, vec![0; wire.first_piece_bytes()]));
            make[2].accounts[1].pubkey = make[1].accounts[1].pubkey;
            let spare = wire.transaction_bytes().checked_sub(bytes_of(&make, wire)).unwrap();
            assert!(spare < 20, "{spare} bytes of {wire:?} are left beside the making");
        }
    }

    #[test]
    fn an_inline_answer_fills_a_transaction_and_fits() {
        let mut job = Job::zeroed();
        (job.terms.leaves, job.terms.shard_leaves, job.terms.shards, job.terms.classes) = (1, 1, 1, 1);
        job.terms.class[0] =
            assay_settlement::CostClass { cells: 1, cost: 1, cells_per_leaf: 1, cell_bytes: 1, ..Zeroable::zeroed() };
        job.terms.verifier = key(3);
        for wire in [Wire::V0, Wire::V1] {
            let opening = OpeningArgs { source: 0, start: 0, level: 0, at: 0, path_at: 0 };
            let inline = vec![0; wire.inline_bytes() - 2 * 18];
            let args =
                AdjudicateArgs { leaf: 0, cell: 0, leaf_at: 0, leaf_path_at: 0, openings: vec![opening; 2], inline };
            let judge = ix::adjudicate(key(1), &key(2), &job, 0, None, args);
            let spare = wire.transaction_bytes().checked_sub(bytes(judge, wire)).unwrap();
            assert!(spare < 12, "{spare} bytes of {wire:?} are left");
        }
    }

    #[test]
    fn the_counted_bytes_are_those_on_the_wire() {
        let call = |bytes| Instruction { program_id: key(9), accounts: Vec::new(), data: vec![0; bytes] };
        let size = |wire, data| bytes(call(data), wire);
        assert_eq!(size(Wire::V0, 100) - size(Wire::V0, 0), 100);
        assert_eq!(size(Wire::V1, 4_000) - size(Wire::V1, 0), 4_000);
        assert_eq!(wire_bytes(&question(&key(1)).unwrap().message), 4_096);
    }

    #[test]
    fn version_1_states_what_version_0_asks_for() {
        let message = compile(&[], &key(1), BLOCKHASH, 200_001, Some(1_500_000), Wire::V1).unwrap();
        let VersionedMessage::V1(message) = message else { panic!("{message:?}") };
        assert_eq!(message.config.compute_unit_limit, Some(200_001));
        assert_eq!(message.config.priority_fee, Some(300_002));
        assert_eq!(message.config.loaded_accounts_data_size_limit, Some(LOADED_BYTES));
        assert_eq!(priority_lamports(1, 1), 1);
        assert_eq!(priority_lamports(0, 1_400_000), 0);
        assert_eq!(priority_lamports(u64::MAX, u32::MAX), u64::MAX);
        let free = compile(&[], &key(1), BLOCKHASH, 1, None, Wire::V1).unwrap();
        let VersionedMessage::V1(free) = free else { panic!("{free:?}") };
        assert_eq!(free.config.priority_fee, None);
    }

    #[test]
    fn more_addresses_than_version_1_takes_are_refused() {
        let accounts = (0..70).map(|n| solana_instruction::AccountMeta::new(key(n + 10), false)).collect();
        let call = Instruction { program_id: key(9), accounts, data: Vec::new() };
        let error = compile(&[call], &key(1), BLOCKHASH, 1, None, Wire::V1).unwrap_err();
        assert_eq!(error.code(), "transaction-invalid");
    }

    #[test]
    fn limits_have_a_margin_within_the_chains_maximum() {
        assert_eq!(with_margin(0), 3_000);
        assert_eq!(with_margin(8_000), 12_000);
        assert_eq!(with_margin(1_399_000), MAX_COMPUTE_UNITS);
        assert_eq!(with_margin(u64::MAX), MAX_COMPUTE_UNITS);
    }
}
