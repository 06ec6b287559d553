//! Deploying a program through the upgradeable loader, replacing one, and making one final.
//!
//! Every step looks at the chain first and decides from what is there. So whatever became of an earlier run, running it
//! again ends in the same state and pays for nothing twice.

use crate::{
    Change, MigrationError,
    buffer::{self, Buffer, WRITE_UNITS},
    programs::{self, At, Deployed, ELF_AT},
};
use assay_client::{
    ClientError, Rpc,
    send::{MAX_COMPUTE_UNITS, Outcome, SendOptions, Sender},
};
use serde::Serialize;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_loader_v3_interface::instruction::{self as loader, MINIMUM_EXTEND_PROGRAM_BYTES};
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;
use solana_system_interface::instruction as system;
use std::time::{Duration, Instant};

const LOADER: Pubkey = assay_settlement::constants::UPGRADEABLE_LOADER;
/// Bytes of a program account: tag u32, address of its data.
const PROGRAM_BYTES: usize = 36;
/// Bytes that an account may have at most.
const MAX_ACCOUNT_BYTES: usize = 10 * 1_024 * 1_024;
/// Network fee per signature, lamports.
const SIGNATURE_LAMPORTS: u64 = 5_000;
/// What a program that can still be changed gets beyond its bytes: a tenth, in whole KiB.
const ROOM: usize = 10;
/// Steps and repetitions of expired ones until one gives up.
const ATTEMPTS: usize = 12;
/// How long one waits for the slot in which a new program can be called.
const CALLABLE_PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How transactions are sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Price per compute unit, micro-lamports. None: no priority fee.
    pub priority_micro_lamports: Option<u64>,
}

/// What is to be at an address.
pub struct Goal<'a> {
    elf: &'a [u8],
    program: Pubkey,
    key: Option<&'a Keypair>,
    authority: Option<Pubkey>,
}

impl<'a> Goal<'a> {
    /// A new program at the address of `key`. `authority` may replace it afterwards; none: nobody, ever.
    pub fn deploy(elf: &'a [u8], key: &'a Keypair, authority: Option<Pubkey>) -> Self {
        Self { elf, program: key.pubkey(), key: Some(key), authority }
    }

    /// Other bytes for a program that the payer may replace; `authority` as in [`Goal::deploy`]. With the bytes that
    /// are there already only the authority changes.
    pub fn upgrade(elf: &'a [u8], program: Pubkey, authority: Option<Pubkey>) -> Self {
        Self { elf, program, key: None, authority }
    }

    /// Bytes that the ELF may have without the account being extended.
    fn capacity(&self) -> usize {
        let room = match self.authority {
            None => 0,
            Some(_) => (self.elf.len() / ROOM).next_multiple_of(1_024),
        };
        self.elf.len().saturating_add(room).min(MAX_ACCOUNT_BYTES.saturating_sub(ELF_AT))
    }

    /// The address of a settlement program that the ELF was built for, where that is another one: it lies in its constants.
    fn built_for(&self) -> Option<Pubkey> {
        let declared = Pubkey::from_str_const(assay_settlement::DECLARED_ADDRESS);
        let holds = |id: &Pubkey| self.elf.windows(32).any(|bytes| bytes == id.as_ref());
        [assay_settlement::ID, declared].into_iter().find(|id| *id != self.program && holds(id))
    }

    fn check_elf(&self) -> Result<(), MigrationError> {
        let most = MAX_ACCOUNT_BYTES.saturating_sub(ELF_AT);
        // e_ident's magic, and e_machine: BPF, or SBPF of newer toolchains.
        let machine = self.elf.get(18..20).and_then(|bytes| bytes.first_chunk::<2>()).map(|b| u16::from_le_bytes(*b));
        let why = if !self.elf.starts_with(b"\x7fELF") {
            "it is no ELF file".to_owned()
        } else if !matches!(machine, Some(247 | 263)) {
            "it was built for another machine".to_owned()
        } else if self.elf.len() > most {
            format!("it has {} bytes, a program may have {most}", self.elf.len())
        } else if let Some(id) = self.built_for() {
            format!(
                "it is the settlement program for address {id} and would refuse every call at {}: build it with `cargo xtask program --settlement-id {}`",
                self.program, self.program
            )
        } else {
            return Ok(());
        };
        Err(MigrationError::BadElf { why })
    }
}

/// What has to be done first to reach a goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing: bytes and authority are as wanted.
    Nothing,
    /// Upload and deploy.
    Deploy,
    /// Make room for more bytes, upload and replace.
    Extend {
        /// Bytes to add to the program's data.
        bytes: u32,
    },
    /// Upload and replace.
    Upgrade,
    /// Only set who may replace it.
    SetAuthority,
}

/// What reaching a goal costs at most, from the cluster's rates and from what is there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quote {
    /// The program.
    #[serde(serialize_with = "crate::text")]
    pub program: Pubkey,
    /// What has to be done first.
    pub action: Action,
    /// Bytes of the ELF.
    pub elf_bytes: usize,
    /// Bytes it may grow to without the account being extended.
    pub capacity: usize,
    /// Who may replace it afterwards; none: nobody.
    #[serde(serialize_with = "crate::optional_text")]
    pub authority: Option<Pubkey>,
    /// Where the bytes are uploaded to.
    #[serde(serialize_with = "crate::text")]
    pub buffer: Pubkey,
    /// Transactions that are missing, if none expires.
    pub transactions: u64,
    /// Rent that stays in the program's accounts, lamports. Of a final program it never comes back.
    pub rent_lamports: u64,
    /// Network and priority fees, lamports.
    pub fee_lamports: u64,
    /// Lamports that the payer must have at the moment it needs most. What the buffer holds meanwhile comes back.
    pub needed_lamports: u64,
}

/// What a program is, and what was done for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The program.
    #[serde(serialize_with = "crate::text")]
    pub program: Pubkey,
    /// Whether anything was sent.
    pub change: Change,
    /// What is there now.
    #[serde(flatten)]
    pub deployed: Deployed,
    /// The transactions that changed the program.
    #[serde(serialize_with = "texts")]
    pub signatures: Vec<Signature>,
}

fn texts<S: serde::Serializer>(values: &[Signature], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

/// Decides what has to be done next.
fn next(at: &At, goal: &Goal<'_>, payer: &Pubkey) -> Result<Action, MigrationError> {
    let address = goal.program;
    let conflict = |what: String| Err(MigrationError::Conflict { what });
    let (deployed, bytes) = match at {
        At::Nothing(_) if goal.key.is_some() => return Ok(Action::Deploy),
        At::Nothing(_) => return Err(MigrationError::NothingToReplace { address }),
        At::Closed => {
            return conflict(format!(
                "a program at {address} was closed, and its address can't be used again: take another keypair"
            ));
        }
        At::Other(owner) => {
            return conflict(format!(
                "{address} is an account of {owner} and no program that can be replaced: check the address or take another keypair"
            ));
        }
        At::Program(deployed, bytes) => (deployed, bytes),
    };
    let same = programs::same(bytes, goal.elf);
    if same && deployed.upgrade_authority == goal.authority {
        return Ok(Action::Nothing);
    }
    if !same && goal.key.is_some() {
        return conflict(format!(
            "another program is at {address} already, with SHA-256 {}: replace it with `assay program upgrade`, or take another keypair",
            deployed.sha256
        ));
    }
    match deployed.upgrade_authority {
        None => {
            conflict(format!("program {address} is final: nobody can change it any more, deploy at another address"))
        }
        Some(authority) if authority != *payer => Err(MigrationError::NotAuthority { address, authority, key: *payer }),
        Some(_) if same => Ok(Action::SetAuthority),
        Some(_) => Ok(match extension(deployed.capacity, goal.elf.len()) {
            0 => Action::Upgrade,
            bytes => Action::Extend { bytes },
        }),
    }
}

/// Bytes to extend a program's data by so that the ELF fits: the loader wants a least number, or up to the largest size.
fn extension(capacity: usize, elf: usize) -> u32 {
    let lacking = elf.saturating_sub(capacity);
    if lacking == 0 {
        return 0;
    }
    let most = MAX_ACCOUNT_BYTES.saturating_sub(ELF_AT).saturating_sub(capacity);
    u32::try_from(lacking)
        .unwrap_or(u32::MAX)
        .max(MINIMUM_EXTEND_PROGRAM_BYTES)
        .min(u32::try_from(most).unwrap_or(u32::MAX))
}

/// What reaching the goal costs. Sends nothing.
///
/// # Errors
/// The goal can't be reached from what is there, the ELF is none, or the chain can't be read.
pub async fn quote(rpc: &Rpc, payer: &Pubkey, goal: &Goal<'_>, settings: Settings) -> Result<Quote, MigrationError> {
    goal.check_elf()?;
    let at = programs::at(rpc, &goal.program).await?;
    let action = next(&at, goal, payer)?;
    let buffer = Buffer::new(payer, &goal.program, goal.elf)?;
    let rent = async |bytes: usize| rpc.minimum_balance(bytes).await;
    let capacity = match (&at, action) {
        (At::Program(deployed, _), Action::Extend { bytes }) => {
            deployed.capacity.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX))
        }
        (At::Program(deployed, _), _) => deployed.capacity,
        _ => goal.capacity(),
    };
    let mut quote = Quote {
        program: goal.program,
        action,
        elf_bytes: goal.elf.len(),
        capacity,
        authority: goal.authority,
        buffer: buffer.address,
        transactions: 0,
        rent_lamports: 0,
        fee_lamports: 0,
        needed_lamports: 0,
    };
    if action == Action::Nothing {
        return Ok(quote);
    }
    let data_rent = rent(ELF_AT.saturating_add(capacity)).await?;
    // Deposited in the buffer, and back in the payer's hands when the last step needs it.
    let (mut deposit, mut back, mut writes) = (0u64, 0u64, 0u64);
    if action != Action::SetAuthority {
        let contents = buffer.contents(rpc).await?;
        back = rent(buffer.space()).await?.max(contents.lamports);
        deposit = back.saturating_sub(contents.lamports);
        writes = u64::try_from(contents.missing.len()).unwrap_or(u64::MAX);
        quote.transactions = writes.saturating_add(u64::from(!contents.exists));
    }
    // Signatures and steps of what follows the upload.
    let steps: u64 = match (&at, action) {
        (At::Nothing(there), _) => {
            let program = rent(PROGRAM_BYTES).await?.saturating_sub(*there);
            quote.rent_lamports = data_rent.saturating_add(program);
            1
        }
        (At::Program(deployed, _), Action::Extend { .. }) => {
            quote.rent_lamports = data_rent.saturating_sub(deployed.lamports);
            2
        }
        _ => 1,
    };
    let upgrade = matches!(action, Action::Upgrade | Action::Extend { .. });
    let steps = steps.saturating_add(u64::from(upgrade && goal.authority != Some(*payer)));
    let signatures = quote.transactions.saturating_add(steps).saturating_add(u64::from(action == Action::Deploy));
    quote.transactions = quote.transactions.saturating_add(steps);
    let priority = |units: u32, count: u64| {
        let micro = u128::from(units).saturating_mul(u128::from(settings.priority_micro_lamports.unwrap_or(0)));
        u64::try_from(micro.div_ceil(1_000_000).saturating_mul(u128::from(count))).unwrap_or(u64::MAX)
    };
    quote.fee_lamports = SIGNATURE_LAMPORTS
        .saturating_mul(signatures)
        .saturating_add(priority(WRITE_UNITS, writes))
        .saturating_add(priority(MAX_COMPUTE_UNITS, quote.transactions.saturating_sub(writes)));
    let deploying = match action {
        // The program account is paid before the buffer comes back, its data after.
        Action::Deploy => deposit.saturating_add(quote.rent_lamports).saturating_sub(back.min(data_rent)),
        // Extended before the upload.
        _ => deposit.saturating_add(quote.rent_lamports),
    };
    quote.needed_lamports = quote.fee_lamports.saturating_add(deploying.max(deposit));
    Ok(quote)
}

/// Reaches the goal: uploads, deploys or replaces, sets the authority, each only as far as it is missing, and compares
/// the bytes on chain at the end. Returns when the program can be called. `payer` pays, and is the authority until the
/// goal's is set. `progress` is told how many pieces are uploaded, of how many.
///
/// # Errors
/// See [`MigrationError`]. Running it again goes on where it stopped.
pub async fn carry_out(
    sender: &Sender,
    payer: &Keypair,
    goal: &Goal<'_>,
    settings: Settings,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Report, MigrationError> {
    goal.check_elf()?;
    let key = payer.pubkey();
    let buffer = Buffer::new(&key, &goal.program, goal.elf)?;
    let mut signatures = Vec::new();
    for _ in 0..ATTEMPTS {
        let at = programs::at(sender.rpc(), &goal.program).await?;
        let action = next(&at, goal, &key)?;
        let (doing, instructions) = match (action, at) {
            (Action::Nothing, At::Program(deployed, _)) => {
                let change = if signatures.is_empty() { Change::AlreadyThere } else { Change::Made };
                return Ok(Report { program: goal.program, change, deployed, signatures });
            }
            (Action::Deploy, At::Nothing(lamports)) => {
                buffer.fill(sender, payer, settings, progress).await?;
                ("deploy", deploy_instructions(sender.rpc(), goal, &key, &buffer.address, lamports).await?)
            }
            (Action::Extend { bytes }, _) => ("extend", vec![loader::extend_program(&goal.program, Some(&key), bytes)]),
            (Action::Upgrade, _) => {
                buffer.fill(sender, payer, settings, progress).await?;
                ("upgrade", vec![loader::upgrade(&goal.program, &buffer.address, &key, &key)])
            }
            _ => {
                let set = loader::set_upgrade_authority(&goal.program, &key, goal.authority.as_ref());
                ("set the upgrade authority of", vec![set])
            }
        };
        let mut signers: Vec<&(dyn Signer + Sync)> = vec![payer];
        if let (Action::Deploy, Some(program)) = (action, goal.key) {
            signers.push(program);
        }
        let options = SendOptions { priority_micro_lamports: settings.priority_micro_lamports, ..Default::default() };
        match sender.send(&instructions, &signers, options).await? {
            Outcome::Landed { signature, slot } => {
                signatures.push(signature);
                passed(sender.rpc(), slot).await?;
            }
            // It can't land any more: the next round looks and sends a new one.
            Outcome::Expired { .. } => {}
            outcome => return Err(refusal(outcome, doing, goal, &buffer)),
        }
    }
    Err(MigrationError::Unfinished { what: format!("program {} is not yet as wanted", goal.program) })
}

/// Makes the program account, deploys, and sets the goal's authority, all or nothing.
async fn deploy_instructions(
    rpc: &Rpc,
    goal: &Goal<'_>,
    payer: &Pubkey,
    buffer: &Pubkey,
    lamports: u64,
) -> Result<Vec<Instruction>, MigrationError> {
    let rent = rpc.minimum_balance(PROGRAM_BYTES).await?;
    let mut instructions = Vec::new();
    // Not `create_account`: that fails where somebody sent lamports to the address.
    if rent > lamports {
        instructions.push(system::transfer(payer, &goal.program, rent.saturating_sub(lamports)));
    }
    instructions.push(system::allocate(&goal.program, u64::try_from(PROGRAM_BYTES).unwrap_or(u64::MAX)));
    instructions.push(system::assign(&goal.program, &LOADER));
    let deploy = loader::deploy_with_max_program_len(payer, &goal.program, buffer, payer, rent, goal.capacity());
    instructions.push(buffer::last_of(deploy.map_err(|error| buffer::encoding(&error))?)?);
    if goal.authority != Some(*payer) {
        instructions.push(loader::set_upgrade_authority(&goal.program, payer, goal.authority.as_ref()));
    }
    Ok(instructions)
}

/// What kept a step from landing: lack of SOL and unknown outcomes in the client's words, anything else is the loader's
/// refusal.
fn refusal(outcome: Outcome, doing: &'static str, goal: &Goal<'_>, buffer: &Buffer<'_>) -> MigrationError {
    match outcome.landed() {
        Err(ClientError::TransactionFailed { custom: None, error, logs, .. }) => {
            // The loader's log says more than its error: the last line before the one that repeats the error.
            let said =
                logs.iter().rev().find(|line| !line.starts_with("Program ") || line.starts_with("Program log: "));
            let why = said.map_or_else(|| error.to_string(), |said| format!("{error} ({said})"));
            MigrationError::LoaderRefused { doing, address: goal.program, buffer: buffer.address, why }
        }
        Err(error) => error.into(),
        Ok((signature, _)) => MigrationError::Unfinished { what: format!("transaction {signature} landed late") },
    }
}

/// Waits until a later slot is confirmed: the loader changes a program once per slot, and a new one can be called in the
/// slot after. Gives up waiting, not the deployment, after a while.
async fn passed(rpc: &Rpc, slot: u64) -> Result<(), MigrationError> {
    let started = Instant::now();
    while rpc.slot().await? <= slot && started.elapsed() < CALLABLE_PATIENCE {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;

    const ELF: &[u8] = b"\x7fELF new";

    fn at(bytes: &[u8], upgrade_authority: Option<Pubkey>) -> At {
        let deployed =
            Deployed { upgrade_authority, sha256: String::new(), capacity: bytes.len(), slot: 0, lamports: 0 };
        At::Program(deployed, bytes.to_vec())
    }

    #[test]
    fn the_next_step_follows_from_what_is_there() {
        let (me, other) = (Pubkey::new_from_array([1; 32]), Pubkey::new_from_array([2; 32]));
        let key = Keypair::new();
        let same = [ELF, &[0; 9]].concat();
        let old = [1; 100];
        let code = |at: &At, goal: &Goal<'_>| next(at, goal, &me).map_err(|error| error.code());

        let goal = Goal::deploy(ELF, &key, None);
        assert_eq!(code(&At::Nothing(5), &goal), Ok(Action::Deploy));
        assert_eq!(code(&At::Closed, &goal), Err("cluster-differs"));
        assert_eq!(code(&At::Other(other), &goal), Err("cluster-differs"));
        assert_eq!(code(&at(&same, None), &goal), Ok(Action::Nothing));
        assert_eq!(code(&at(&same, Some(me)), &goal), Ok(Action::SetAuthority));
        assert_eq!(code(&at(&same, Some(other)), &goal), Err("not-upgrade-authority"));
        assert_eq!(code(&at(&old, Some(me)), &goal), Err("cluster-differs"), "deploy replaces nothing");

        let goal = Goal::upgrade(ELF, other, Some(me));
        assert_eq!(code(&At::Nothing(0), &goal), Err("program-missing"));
        assert_eq!(code(&at(&same, Some(me)), &goal), Ok(Action::Nothing));
        assert_eq!(code(&at(&same, None), &goal), Err("cluster-differs"));
        assert_eq!(code(&at(&old, Some(me)), &goal), Ok(Action::Upgrade));
        assert_eq!(code(&at(&old, None), &goal), Err("cluster-differs"));
        assert_eq!(code(&at(&old, Some(other)), &goal), Err("not-upgrade-authority"));
        assert_eq!(code(&at(b"old", Some(me)), &goal), Ok(Action::Extend { bytes: 10_240 }));
    }

    #[test]
    fn an_extension_is_as_large_as_the_loader_wants() {
        let most = MAX_ACCOUNT_BYTES - ELF_AT;
        assert_eq!(extension(100, 100), 0);
        assert_eq!(extension(100, 101), 10_240);
        assert_eq!(extension(100, 50_100), 50_000);
        assert_eq!(extension(most - 10, most), 10, "the last bytes may be fewer");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let mut elf = vec![0; 64];
        elf[..4].copy_from_slice(b"\x7fELF");
        elf[18] = 247;
        let check = |elf: &[u8]| Goal::upgrade(elf, Pubkey::default(), None).check_elf().map_err(|error| error.code());
        assert_eq!(check(&elf), Ok(()));
        assert_eq!(check(b""), Err("not-a-program"));
        assert_eq!(check(b"#!/bin/sh"), Err("not-a-program"));
        elf[18] = 62;
        assert_eq!(check(&elf), Err("not-a-program"), "x86-64");
        elf[18] = 247;
        let settlement = [&elf[..], assay_settlement::ID.as_ref()].concat();
        assert_eq!(check(&settlement), Err("not-a-program"), "settlement for another address");
        assert!(Goal::upgrade(&settlement, assay_settlement::ID, None).check_elf().is_ok());
        elf.resize(MAX_ACCOUNT_BYTES, 1);
        assert_eq!(check(&elf), Err("not-a-program"));
    }

    #[test]
    fn only_what_can_change_gets_room_to_grow() {
        let elf = vec![0; 100_000];
        assert_eq!(Goal::upgrade(&elf, Pubkey::default(), None).capacity(), 100_000);
        assert_eq!(Goal::upgrade(&elf, Pubkey::default(), Some(Pubkey::default())).capacity(), 110_240);
    }
}
