//! The virtual machine that inputs run on: it begins at the stage, traces every program counter of the settlement
//! program into libFuzzer's counters, and takes account lists that no signer would sign.

use crate::coverage;
use assay_fuzz::{Stage, chain::Chain as Tested};
use assay_settlement::rules::time::Now;
use litesvm::{InvocationInspectCallback, LiteSVM, types::TransactionResult};
use solana_account::{Account, ReadableAccount};
use solana_clock::Clock;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_hash::Hash;
use solana_instruction::Instruction;
use solana_message::{Message, VersionedMessage};
use solana_program_runtime::invoke_context::InvokeContext;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_slot_hashes::SlotHashes;
use solana_transaction::{sanitized::SanitizedTransaction, versioned::VersionedTransaction};

const LAST_RESTART_SLOT: Pubkey = Pubkey::from_str_const("SysvarLastRestartS1ot1111111111111111111111");
const SYSVARS: Pubkey = Pubkey::from_str_const("Sysvar1111111111111111111111111111111111111");
/// Pays the signatures; no instruction can name it.
const PAYER: Pubkey = Pubkey::new_from_array([77; 32]);
const PAYER_LAMPORTS: u64 = 1_000_000_000_000;

struct Trace;

impl InvocationInspectCallback for Trace {
    fn before_invocation(&self, _: &LiteSVM, _: &SanitizedTransaction, _: &[u16], _: &mut InvokeContext, _: bool) {}

    fn after_invocation(&self, _: &LiteSVM, _: &SanitizedTransaction, _: &[u16], context: &InvokeContext, _: bool) {
        context.iterate_vm_traces(&|instruction, _, registers| {
            if instruction.get_program_key().is_ok_and(|key| *key == assay_settlement::ID) {
                coverage::trace(registers.iter().map(|r| r[11]));
            }
        });
    }
}

/// The same program with an empty table of sections: with tracing on, the loader wants one for the names of functions,
/// and ours are built without. Code and data stay what they are.
fn with_sections(elf: &[u8]) -> Vec<u8> {
    const NAMES: &[u8] = b"\0.shstrtab\0";
    const HEADER: usize = 64;
    let mut out = elf.to_vec();
    let names_at = out.len() as u64;
    out.extend_from_slice(NAMES);
    out.resize(out.len().next_multiple_of(8), 0);
    let table_at = out.len() as u64;
    // A null section, then the names of sections: type 3, its name at 1.
    let mut table = [0u8; 2 * HEADER];
    table[HEADER..][..4].copy_from_slice(&1u32.to_le_bytes());
    table[HEADER + 4..][..4].copy_from_slice(&3u32.to_le_bytes());
    table[HEADER + 24..][..8].copy_from_slice(&names_at.to_le_bytes());
    table[HEADER + 32..][..8].copy_from_slice(&(NAMES.len() as u64).to_le_bytes());
    table[HEADER + 48..][..8].copy_from_slice(&1u64.to_le_bytes());
    out.extend_from_slice(&table);
    // Offset of the table; size of an entry, number of entries, which of them has the names.
    out[40..48].copy_from_slice(&table_at.to_le_bytes());
    for (at, value) in [(58, HEADER as u16), (60, 2), (62, 1)] {
        out[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    out
}

/// A chain; `books.rs` of the test harness reads it, too.
#[derive(Clone)]
pub struct Chain {
    /// The machine.
    pub svm: LiteSVM,
    /// Lamports that were wrapped.
    pub wrapped: u64,
    now: Now,
    half_slots: u64,
}

impl Chain {
    /// The stage on a machine with tracing.
    pub fn new(stage: &Stage) -> Self {
        let svm = LiteSVM::new_debuggable(true)
            .with_sigverify(false)
            .with_blockhash_check(false)
            .with_transaction_history(0)
            .with_log_bytes_limit(Some(20_000));
        let mut chain = Self { svm, wrapped: 0, now: stage.now, half_slots: 0 };
        chain.svm.set_invocation_inspect_callback(Trace);
        for (id, elf) in &stage.programs {
            chain.svm.add_program(*id, &with_sections(elf)).unwrap();
            // UpgradeableLoaderState::ProgramData with no authority.
            let address = assay_client::ix::program_data_address(id);
            let mut account = chain.svm.get_account(&address).unwrap();
            account.data[12] = 0;
            chain.svm.set_account(address, account).unwrap();
        }
        for (address, account) in &stage.accounts {
            chain.svm.set_account(*address, account.clone()).unwrap();
        }
        chain.svm.set_account(PAYER, Account { lamports: PAYER_LAMPORTS, ..Account::default() }).unwrap();
        chain.publish_time();
        chain
    }

    /// What the settlement program reads of the clock.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Data of an account, if there is one.
    pub fn data(&self, address: &Pubkey) -> Option<Vec<u8>> {
        self.svm.get_account(address).filter(|a| a.lamports > 0).map(|a| a.data)
    }

    /// Time passes and the cluster makes 2.5 slots a second.
    pub fn advance(&mut self, seconds: u64) {
        self.now.time += seconds as i64;
        self.half_slots += seconds * 5;
        self.now.slot += self.half_slots / 2;
        self.half_slots %= 2;
        self.publish_time();
    }

    /// Slots pass, and just the time that they take.
    pub fn advance_slots(&mut self, slots: u64) {
        self.now.slot += slots;
        self.now.time += (slots * 2 / 5) as i64;
        self.publish_time();
    }

    /// Time passes and the cluster makes no slots.
    pub fn halt(&mut self, seconds: u64) {
        self.now.time += seconds as i64;
        self.publish_time();
    }

    /// The cluster restarts in this slot.
    pub fn restart(&mut self) {
        self.now.slot += 1;
        self.now.last_restart_slot = self.now.slot;
        self.publish_time();
    }

    fn publish_time(&mut self) {
        let mut clock: Clock = self.svm.get_sysvar();
        (clock.unix_timestamp, clock.slot) = (self.now.time, self.now.slot);
        self.svm.set_sysvar(&clock);
        let oldest = self.now.slot - assay_fuzz::chain::SLOT_HASHES;
        let entries: Vec<(u64, Hash)> =
            (oldest..self.now.slot).rev().map(|slot| (slot, Hash::new_from_array(Tested::slot_hash(slot)))).collect();
        self.svm.set_sysvar(&SlotHashes::new(&entries));
        let data = self.now.last_restart_slot.to_le_bytes().to_vec();
        let restart = Account { lamports: 1, data, owner: SYSVARS, executable: false, rent_epoch: 0 };
        self.svm.set_account(LAST_RESTART_SLOT, restart).unwrap();
    }

    /// Sends one instruction. Whoever the account list calls a signer has signed.
    #[allow(clippy::result_large_err, reason = "LiteSVM's own type")]
    pub fn send(&mut self, instruction: &Instruction) -> TransactionResult {
        let budget = ComputeBudgetInstruction::set_compute_unit_limit(1_400_000);
        let message =
            Message::new_with_blockhash(&[budget, instruction.clone()], Some(&PAYER), &self.svm.latest_blockhash());
        let signatures = vec![Signature::default(); usize::from(message.header.num_required_signatures)];
        self.svm.send_transaction(VersionedTransaction { signatures, message: VersionedMessage::Legacy(message) })
    }

    /// Lamports of all accounts together, with those that went for signatures.
    pub fn lamports(&self) -> u128 {
        let accounts = self.svm.accounts_db().inner.iter();
        let counted = accounts.filter(|(key, account)| **key != PAYER && *account.owner() != SYSVARS);
        counted.map(|(_, account)| u128::from(account.lamports())).sum()
    }
}
