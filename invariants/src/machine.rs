//! The programs in a virtual machine, as fast as they go: nothing is signed, but who must sign is checked by the programs
//! as ever; one till pays all fees, so that everybody else's lamports move for rent alone.

use crate::kind;
use assay_client::ix::program_data_address;
use litesvm::LiteSVM;
use solana_account::Account;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_instruction::Instruction;
use solana_message::{Message, VersionedMessage};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_transaction::versioned::VersionedTransaction;
use std::path::{Path, PathBuf};

/// The verifier's declared address.
pub const VERIFIER: Pubkey = Pubkey::from_str_const("CkbT5ZwGQo51LGcYCBCQMHhzmgad5VUAsadGWk8ZEuyv");

/// A built program: `ASSAY_PROGRAMS` names the folder, else the committed ones are taken.
fn built(file: &str) -> Vec<u8> {
    let committed = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/bin");
    let path = std::env::var_os("ASSAY_PROGRAMS").map_or_else(committed, PathBuf::from).join(file);
    std::fs::read(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; build the programs with `cargo xtask program`", path.display()))
}

/// Puts a program at its address, immutable.
fn deploy(svm: &mut LiteSVM, id: Pubkey, elf: &[u8]) {
    svm.add_program(id, elf).unwrap();
    // UpgradeableLoaderState::ProgramData, bincode: tag u32, slot u64, authority Option<Pubkey>, 45 bytes in all.
    let address = program_data_address(&id);
    let mut account = svm.get_account(&address).unwrap();
    account.data[12..45].fill(0);
    svm.set_account(address, account).unwrap();
}

/// Why a transaction was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A program's own code.
    Code(u32),
    /// A named error of the runtime or of a builtin program.
    Named(String),
    /// A program that panicked, ran out of something or broke a rule of the runtime: never right.
    Crash(String),
}

/// What no instruction may end with, whatever it is given.
const CRASHES: [&str; 7] = [
    "ProgramFailedToComplete",
    "ComputationalBudgetExceeded",
    "UnbalancedInstruction",
    "AccountBorrow",
    "Modified",
    "LamportSpend",
    "LamportChange",
];

/// The machine.
#[derive(Clone)]
pub struct Machine {
    /// Accounts and programs.
    pub svm: LiteSVM,
    till: Pubkey,
}

impl Machine {
    /// Settlement and the verifiers at their addresses, immutable, and nothing else.
    pub fn new() -> Self {
        let mut svm = LiteSVM::new();
        deploy(&mut svm, assay_settlement::ID, &built("assay_settlement.so"));
        deploy(&mut svm, VERIFIER, &built("assay_verifier.so"));
        let staged = kind::staged();
        deploy(&mut svm, staged.address(), &staged.elf());
        let svm = svm.with_sigverify(false).with_blockhash_check(false).with_transaction_history(0);
        let mut machine = Self { svm, till: Pubkey::new_from_array([9; 32]) };
        machine.put(machine.till, 1 << 60, Vec::new(), Pubkey::default());
        machine
    }

    /// Writes an account.
    pub fn put(&mut self, address: Pubkey, lamports: u64, data: Vec<u8>, owner: Pubkey) {
        self.svm.set_account(address, Account { lamports, data, owner, executable: false, rent_epoch: 0 }).unwrap();
    }

    /// An account that exists.
    pub fn account(&self, address: &Pubkey) -> Option<Account> {
        self.svm.get_account(address).filter(|account| account.lamports > 0)
    }

    /// Sends a transaction; returns its compute units.
    pub fn send(&mut self, instructions: &[Instruction]) -> Result<u64, Refusal> {
        let mut all = vec![ComputeBudgetInstruction::set_compute_unit_limit(1_400_000)];
        all.extend_from_slice(instructions);
        let message = Message::new_with_blockhash(&all, Some(&self.till), &self.svm.latest_blockhash());
        let signatures = vec![Signature::default(); usize::from(message.header.num_required_signatures)];
        let transaction = VersionedTransaction { signatures, message: VersionedMessage::Legacy(message) };
        match self.svm.send_transaction(transaction) {
            Ok(meta) => Ok(meta.compute_units_consumed),
            Err(failed) => {
                // The types of the error live in crates that nothing else here needs; their text says it all.
                let text = format!("{:?}", failed.err);
                let code = text.rsplit_once("Custom(").and_then(|(_, rest)| rest.split(')').next()?.parse().ok());
                Err(match code {
                    Some(code) => Refusal::Code(code),
                    None if CRASHES.iter().any(|crash| text.contains(crash)) => {
                        Refusal::Crash(format!("{text}\n{}", failed.meta.logs.join("\n")))
                    }
                    None => Refusal::Named(text),
                })
            }
        }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}
