//! One instruction alone in a transaction: what it uses, and how large it is.

use anyhow::{Result, anyhow, ensure};
use assay_tests::{Actor, World, books, chain::PACKET_BYTES};
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage, v1};
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;

use crate::{logs, logs::Call};

/// Most bytes of a transaction of version 1 on the wire.
pub const V1_BYTES: usize = 4_096;
/// Most compute units of a transaction.
const MAX_UNITS: u32 = 1_400_000;

/// Bytes of accounts and programs that a transaction may load: what one before version 1 gets unasked. In version 1
/// it gets none unasked.
const LOADED_BYTES: u32 = 64 << 20;
/// Compute units of [`budget`].
pub const BUDGET_UNITS: u64 = 300;

/// The compute budget instructions that clients put in front before version 1.
pub fn budget() -> [Instruction; 2] {
    [ComputeBudgetInstruction::set_compute_unit_limit(MAX_UNITS), ComputeBudgetInstruction::set_compute_unit_price(1)]
}

/// How a transaction is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// As before version 1: at most 1,232 bytes.
    Legacy,
    /// Version 1: at most 4,096 bytes; what compute budget instructions said is part of its header.
    V1,
}

impl Wire {
    /// Most bytes of a transaction.
    pub fn limit(self) -> usize {
        match self {
            Wire::Legacy => PACKET_BYTES,
            Wire::V1 => V1_BYTES,
        }
    }
}

/// The one instruction that a case measures, ready to be sent.
pub struct Shot {
    /// It.
    pub instruction: Instruction,
    /// Who signs; the first pays the fee.
    pub signers: Vec<Actor>,
    /// Tries that each address took that the instruction derives.
    pub tries: Vec<u32>,
}

impl Shot {
    /// An instruction that derives no address. `signers`: the first pays the fee.
    pub fn new(instruction: Instruction, signers: &[&Actor]) -> Self {
        Self { instruction, signers: signers.iter().map(|s| (*s).clone()).collect(), tries: Vec::new() }
    }

    /// The same, with the tries that the addresses took that it derives.
    pub fn deriving(mut self, tries: &[u32]) -> Self {
        self.tries = tries.to_vec();
        self
    }
}

/// What a transaction used.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Compute units.
    pub units: u64,
    /// Bytes on the wire.
    pub bytes: usize,
    /// Signatures.
    pub signatures: usize,
    /// Programs that its instructions called.
    pub calls: Vec<Call>,
}

/// What one instruction costs.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The transaction with only this instruction.
    pub sent: Sent,
    /// How it was written: version 1 only where it must.
    pub wire: Wire,
    /// Accounts of the instruction.
    pub accounts: usize,
    /// Bytes of the instruction's data.
    pub data: usize,
    /// Tries that each address took that it derives.
    pub tries: Vec<u32>,
}

fn message(wire: Wire, instructions: &[Instruction], payer: &Actor, w: &World) -> Result<VersionedMessage> {
    let blockhash = w.chain.svm.latest_blockhash();
    Ok(match wire {
        Wire::Legacy => {
            VersionedMessage::Legacy(Message::new_with_blockhash(instructions, Some(&payer.id()), &blockhash))
        }
        Wire::V1 => {
            let config = v1::TransactionConfig::empty()
                .with_compute_unit_limit(MAX_UNITS)
                .with_loaded_accounts_data_size_limit(LOADED_BYTES);
            VersionedMessage::V1(v1::Message::try_compile_with_config(&payer.id(), instructions, blockhash, config)?)
        }
    })
}

/// Bytes that the transaction has on the wire. A message before version 1 has the number of signatures in front.
fn size(wire: Wire, message: &VersionedMessage) -> usize {
    let signatures = 64 * usize::from(message.header().num_required_signatures);
    usize::from(wire == Wire::Legacy) + signatures + message.serialize().len()
}

/// Bytes that these instructions have on the wire as one transaction of `payer`.
pub fn bytes(wire: Wire, instructions: &[Instruction], payer: &Actor, w: &World) -> Result<usize> {
    Ok(size(wire, &message(wire, instructions, payer, w)?))
}

/// Sends these instructions, and nothing else, as one transaction; the first signer pays.
///
/// # Errors
/// It is larger than the wire takes, or does not land.
pub fn send(wire: Wire, instructions: &[Instruction], signers: &[Actor], w: &mut World) -> Result<Sent> {
    w.chain.svm.expire_blockhash();
    let message = message(wire, instructions, &signers[0], w)?;
    let (bytes, signatures) = (size(wire, &message), usize::from(message.header().num_required_signatures));
    ensure!(bytes <= wire.limit(), "the transaction has {bytes} bytes, and {} are the most", wire.limit());
    let mut keys: Vec<&Keypair> = Vec::new();
    for signer in signers {
        if !keys.iter().any(|key| key.pubkey() == signer.id()) {
            keys.push(&signer.key);
        }
    }
    let meta = w.chain.svm.send_transaction(VersionedTransaction::try_new(message, &keys)?);
    let meta = meta.map_err(|failed| anyhow!("{:?}\n{}", failed.err, failed.meta.logs.join("\n")))?;
    books::check(&w.chain, &w.mints);
    Ok(Sent { units: meta.compute_units_consumed, bytes, signatures, calls: logs::calls(&meta.logs) })
}

/// Sends the instruction alone and says what it cost.
///
/// # Errors
/// It does not land.
pub fn measure(w: &mut World, shot: Shot) -> Result<Figure> {
    let alone = [shot.instruction];
    let fits = bytes(Wire::Legacy, &alone, &shot.signers[0], w)? <= Wire::Legacy.limit();
    let wire = if fits { Wire::Legacy } else { Wire::V1 };
    let sent = send(wire, &alone, &shot.signers, w)?;
    let [instruction] = alone;
    Ok(Figure { sent, wire, accounts: instruction.accounts.len(), data: instruction.data.len(), tries: shot.tries })
}

impl Wire {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Wire::Legacy => "legacy",
            Wire::V1 => "v1",
        }
    }
}

impl Figure {
    /// Compute units without those of the programs that it called. What a call itself costs is in here.
    pub fn own(&self) -> u64 {
        self.sent.units - self.sent.calls.iter().map(|call| call.units).sum::<u64>()
    }
}
