//! LiteSVM with what it lacks: a size limit for transactions, a clock that moves slots and slot hashes along, and
//! refusals by name.

use anchor_lang::error::ErrorCode;
use assay_client::explain::settlement_error;
use assay_kernels::{abi::VerifierError, hash::sha256};
use assay_settlement::{constants::SLOTS_PER_SECOND, error::AssayError, rules::time::Now};
use base64::{Engine, prelude::BASE64_STANDARD as STANDARD};
use litesvm::LiteSVM;
use solana_account::Account;
use solana_clock::Clock;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_slot_hashes::SlotHashes;
use solana_transaction::versioned::VersionedTransaction;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Most bytes of a transaction on the wire.
pub const PACKET_BYTES: usize = 1_232;
/// Most bytes of a transaction of version 1.
const V1_BYTES: usize = 4_096;
/// Entries that the SlotHashes sysvar keeps.
pub const SLOT_HASHES: u64 = 512;
const START_TIME: i64 = 1_800_000_000;
const START_SLOT: u64 = 400_000_000;
const LAST_RESTART_SLOT: Pubkey = Pubkey::from_str_const("SysvarLastRestartS1ot1111111111111111111111");
const SYSVARS: Pubkey = Pubkey::from_str_const("Sysvar1111111111111111111111111111111111111");

/// Somebody with a key, and where its tokens lie.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Its key.
    pub key: Arc<Keypair>,
    /// Its token account.
    pub tokens: Pubkey,
}

impl Actor {
    /// Its address.
    pub fn id(&self) -> Pubkey {
        self.key.pubkey()
    }
}

/// What a transaction that landed cost and said.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Compute units.
    pub units: u64,
    /// Bytes on the wire.
    pub bytes: usize,
    /// Log lines.
    pub logs: Vec<String>,
}

/// Why a transaction was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// By the settlement program.
    Settlement(AssayError),
    /// By the verifier.
    Verifier(VerifierError),
    /// By Anchor's account checks, or another program: its custom code.
    Custom(u32),
    /// By the runtime.
    Runtime(String),
}

impl From<AssayError> for Refusal {
    fn from(error: AssayError) -> Self {
        Self::Settlement(error)
    }
}

impl From<VerifierError> for Refusal {
    fn from(error: VerifierError) -> Self {
        Self::Verifier(error)
    }
}

impl From<ErrorCode> for Refusal {
    fn from(error: ErrorCode) -> Self {
        Self::Custom(error.into())
    }
}

/// A chain.
pub struct Chain {
    /// The machine.
    pub svm: LiteSVM,
    time: i64,
    slot: u64,
    half_slots: u64,
    last_restart_slot: u64,
    /// Lamports that each payer has spent on signatures.
    pub fees: HashMap<Pubkey, u64>,
    /// Discriminators of the events that were emitted.
    pub events: HashSet<[u8; 8]>,
    /// Lamports that tests have wrapped: what accounts of wrapped SOL hold together. Its mint does not count.
    pub wrapped: u64,
    keys: u64,
}

impl Chain {
    /// A chain with the standard programs and no programs of ours.
    pub fn new() -> Self {
        let mut chain = Self {
            svm: LiteSVM::new(),
            time: START_TIME,
            slot: START_SLOT,
            half_slots: 0,
            last_restart_slot: 0,
            fees: HashMap::new(),
            events: HashSet::new(),
            wrapped: 0,
            keys: 0,
        };
        chain.publish_time();
        chain
    }

    /// A program at `id`, of the upgradeable loader; `authority` may still change it.
    pub fn deploy(&mut self, id: Pubkey, elf: &[u8], authority: Option<Pubkey>) {
        self.svm.add_program(id, elf).unwrap();
        // UpgradeableLoaderState::ProgramData, bincode: tag u32, slot u64, authority Option<Pubkey>, 45 bytes in all.
        let address = assay_client::ix::program_data_address(&id);
        let mut account = self.svm.get_account(&address).unwrap();
        account.data[12] = u8::from(authority.is_some());
        account.data[13..45].copy_from_slice(&authority.unwrap_or_default().to_bytes());
        self.svm.set_account(address, account).unwrap();
    }

    /// A key that depends on nothing but how many were made before.
    pub fn keypair(&mut self) -> Arc<Keypair> {
        self.keys += 1;
        Arc::new(Keypair::new_from_array(sha256(&[b"assay test key", &self.keys.to_le_bytes()])))
    }

    /// What the settlement program reads of the clock.
    pub fn now(&self) -> Now {
        Now { time: self.time, slot: self.slot, last_restart_slot: self.last_restart_slot }
    }

    /// Time passes and the cluster makes 2.5 slots a second.
    pub fn advance(&mut self, seconds: u64) {
        self.time += i64::try_from(seconds).unwrap();
        self.half_slots += seconds * 5;
        self.slot += self.half_slots / 2;
        self.half_slots %= 2;
        self.publish_time();
    }

    /// Slots pass, and just the time that they take.
    pub fn advance_slots(&mut self, slots: u64) {
        self.slot += slots;
        self.time += i64::try_from(slots * 2 / 5).unwrap();
        self.publish_time();
    }

    /// Time passes and the cluster makes no slots.
    pub fn halt(&mut self, seconds: u64) {
        self.time += i64::try_from(seconds).unwrap();
        self.publish_time();
    }

    /// The cluster restarts in this slot.
    pub fn restart(&mut self) {
        self.slot += 1;
        self.last_restart_slot = self.slot;
        self.publish_time();
    }

    /// Passes time until a deadline of so many seconds that was opened now has just passed, and no more.
    pub fn pass(&mut self, seconds: u32) {
        self.advance(u64::from(seconds));
        let missing = (SLOTS_PER_SECOND * u64::from(seconds)).saturating_sub(u64::from(seconds) * 5 / 2);
        self.advance_slots(missing);
    }

    /// The hash of a slot.
    pub fn slot_hash(slot: u64) -> [u8; 32] {
        sha256(&[b"slot", &slot.to_le_bytes()])
    }

    fn publish_time(&mut self) {
        let mut clock: Clock = self.svm.get_sysvar();
        (clock.unix_timestamp, clock.slot) = (self.time, self.slot);
        self.svm.set_sysvar(&clock);
        let entries: Vec<(u64, Hash)> = (self.slot - SLOT_HASHES..self.slot)
            .rev()
            .map(|slot| (slot, Hash::new_from_array(Self::slot_hash(slot))))
            .collect();
        self.svm.set_sysvar(&SlotHashes::new(&entries));
        let restart = Account {
            lamports: 1,
            data: self.last_restart_slot.to_le_bytes().to_vec(),
            owner: SYSVARS,
            executable: false,
            rent_epoch: 0,
        };
        self.svm.set_account(LAST_RESTART_SLOT, restart).unwrap();
    }

    /// Signs and sends a transaction; the first signer pays. The budget instructions that clients put in front are
    /// there, so that the size is what a client would send.
    ///
    /// # Panics
    /// When it is larger than a packet.
    pub fn send(&mut self, instructions: &[Instruction], signers: &[&Actor]) -> Result<Receipt, Refusal> {
        let mut all = budget().to_vec();
        all.extend_from_slice(instructions);
        self.send_bare(&all, signers)
    }

    /// As [`Chain::send`], with these instructions and no others.
    ///
    /// # Panics
    /// When it is larger than a packet.
    fn send_bare(&mut self, instructions: &[Instruction], signers: &[&Actor]) -> Result<Receipt, Refusal> {
        let transaction = self.transaction(instructions, signers, PACKET_BYTES);
        let (payer, bytes) = (signers[0].id(), transaction_bytes(&transaction));
        match self.svm.send_transaction(transaction) {
            Ok(meta) => {
                let events =
                    meta.logs.iter().filter_map(|line| STANDARD.decode(line.strip_prefix("Program data: ")?).ok());
                self.events.extend(events.filter_map(|event| event.first_chunk::<8>().copied()));
                *self.fees.entry(payer).or_default() += meta.fee;
                Ok(Receipt { units: meta.compute_units_consumed, bytes, logs: meta.logs })
            }
            Err(failed) => {
                *self.fees.entry(payer).or_default() += failed.meta.fee;
                Err(refusal(&failed))
            }
        }
    }

    /// What would come of a transaction, of as many bytes as version 1 takes: nothing is written.
    pub fn dry_run(&mut self, instructions: &[Instruction], signers: &[&Actor]) -> Result<(), Refusal> {
        let mut all = budget().to_vec();
        all.extend_from_slice(instructions);
        let transaction = self.transaction(&all, signers, V1_BYTES);
        match self.svm.simulate_transaction(transaction) {
            Ok(_) => Ok(()),
            Err(failed) => Err(refusal(&failed)),
        }
    }

    /// Signed by those of `signers` who are asked for, in at most `most` bytes.
    fn transaction(&mut self, all: &[Instruction], signers: &[&Actor], most: usize) -> VersionedTransaction {
        // The same instructions sent twice must be two transactions.
        self.svm.expire_blockhash();
        let payer = signers[0].id();
        let message =
            VersionedMessage::Legacy(Message::new_with_blockhash(all, Some(&payer), &self.svm.latest_blockhash()));
        let mut keys: Vec<&Keypair> = Vec::new();
        for signer in signers {
            if !keys.iter().any(|k| k.pubkey() == signer.id()) {
                keys.push(&signer.key);
            }
        }
        let transaction = VersionedTransaction::try_new(message, &keys).expect("every signer is given and needed");
        let bytes = transaction_bytes(&transaction);
        assert!(bytes <= most, "the transaction has {bytes} bytes");
        transaction
    }

    /// Lamports of an account; 0 when there is none.
    pub fn lamports(&self, address: &Pubkey) -> u64 {
        self.svm.get_balance(address).unwrap_or(0)
    }

    /// Data of an account, if there is one.
    pub fn data(&self, address: &Pubkey) -> Option<Vec<u8>> {
        self.svm.get_account(address).filter(|a| a.lamports > 0).map(|a| a.data)
    }

    /// Sends lamports from the faucet.
    pub fn fund(&mut self, address: &Pubkey, lamports: u64) {
        self.svm.airdrop(address, lamports).unwrap();
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

/// What clients put in front.
fn budget() -> [Instruction; 2] {
    [ComputeBudgetInstruction::set_compute_unit_limit(1_400_000), ComputeBudgetInstruction::set_compute_unit_price(1)]
}

/// Bytes on the wire.
fn transaction_bytes(transaction: &VersionedTransaction) -> usize {
    1 + 64 * transaction.signatures.len() + transaction.message.serialize().len()
}

fn refusal(failed: &litesvm::types::FailedTransactionMetadata) -> Refusal {
    // The types of the error live in crates that nothing else here needs; their text is stable and says it all.
    let text = format!("{:?}", failed.err);
    let code = text.rsplit_once("Custom(").and_then(|(_, rest)| rest.split(')').next()?.parse::<u32>().ok());
    match code {
        None => Refusal::Runtime(format!("{text}\n{}", failed.meta.logs.join("\n"))),
        Some(code) => settlement_error(code)
            .map(Refusal::Settlement)
            .or_else(|| VerifierError::from_code(code).map(Refusal::Verifier))
            .unwrap_or(Refusal::Custom(code)),
    }
}
