//! The verifier's `.so` in an SVM: a request goes in, an answer and its compute units come out.

mod job;

pub use job::{Job, crowd};

use std::{cell::RefCell, path::Path};

use assay_kernels::abi::{RequestWriter, VerifierError};
use litesvm::LiteSVM;
use solana_account::Account;
use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_instruction::{AccountMeta, Instruction, error::InstructionError};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use solana_transaction::Transaction;

/// Compute units of the instruction that sets the limit.
const BUDGET_INSTRUCTION_CU: u64 = 150;
/// Address of the evidence account.
pub const EVIDENCE: Pubkey = Pubkey::new_from_array([0xe0; 32]);
/// Address of an account that has nothing to do with the verifier.
pub const OTHER: Pubkey = Pubkey::new_from_array([0xe1; 32]);
/// The verifier does not care where it lies.
const VERIFIER: Pubkey = Pubkey::new_from_array([0xf0; 32]);

/// A chain with the verifier on it and nothing else.
pub struct Verifier {
    /// Property tests call with a shared reference.
    svm: RefCell<LiteSVM>,
    payer: Keypair,
}

/// The answer's bytes and the verifier's compute units, or what it failed with.
pub type Answer = Result<(Vec<u8>, u64), Failure>;

/// How a call failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// With an error of the verifier.
    Named(VerifierError),
    /// In another way, in words.
    Other(String),
}

impl Verifier {
    /// The committed verifier on a new chain.
    pub fn new() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/bin/assay_verifier.so");
        let mut svm = LiteSVM::new().with_sigverify(false);
        svm.add_program_from_file(VERIFIER, program).unwrap();
        let payer = Keypair::new();
        svm.airdrop(&payer.pubkey(), 100_000_000_000).unwrap();
        Self { svm: RefCell::new(svm), payer }
    }

    /// Makes an account with these bytes.
    pub fn put(&self, address: Pubkey, data: &[u8]) {
        let account = Account { lamports: 10_000_000_000, data: data.to_vec(), owner: OTHER, ..Account::default() };
        self.svm.borrow_mut().set_account(address, account).unwrap();
    }

    /// Simulates one call, so that nothing but the evidence account's content carries over to the next.
    pub fn call(&self, data: Vec<u8>, accounts: Vec<AccountMeta>) -> Answer {
        let instructions = [
            ComputeBudgetInstruction::set_compute_unit_limit(1_400_000),
            Instruction { program_id: VERIFIER, accounts, data },
        ];
        let payer = self.payer.pubkey();
        let svm = self.svm.borrow();
        let transaction =
            Transaction::new_signed_with_payer(&instructions, Some(&payer), &[&self.payer], svm.latest_blockhash());
        match svm.simulate_transaction(transaction) {
            Ok(done) => {
                let cu = done.meta.compute_units_consumed - BUDGET_INSTRUCTION_CU;
                Ok((done.meta.return_data.data, cu))
            }
            Err(failed) => Err(match failed.err {
                solana_transaction::TransactionError::InstructionError(1, InstructionError::Custom(code)) => {
                    VerifierError::from_code(code).map_or(Failure::Other(format!("code {code}")), Failure::Named)
                }
                other => Failure::Other(format!("{other:?} {:?}", failed.meta.logs)),
            }),
        }
    }

    /// Calls with a request's evidence in a read-only account, or without account where it has none.
    pub fn ask(&self, request: &RequestWriter) -> Answer {
        let mut accounts = Vec::new();
        if !request.evidence.is_empty() {
            self.put(EVIDENCE, &request.evidence);
            accounts.push(AccountMeta::new_readonly(EVIDENCE, false));
        }
        self.call(request.data().unwrap(), accounts)
    }
}

/// A refusal by this name.
pub fn named(error: VerifierError) -> Answer {
    Err(Failure::Named(error))
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new()
    }
}
