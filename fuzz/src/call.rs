//! A call of the settlement program: right by the IDL, then changed as the operation says.

use crate::{
    args::{self, JUDGED},
    input::{Change, Op},
    roles::Roles,
    run::Run,
};
use assay_client::ix;
use assay_settlement::{
    instructions::evidence::header,
    state::{EVIDENCE_DISCRIMINATOR, EVIDENCE_HEADER_BYTES},
};
use solana_account::Account;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;

/// Most bytes of instruction data that a program can be called with by another.
const MAX_DATA: usize = 10_240;

/// Builds it.
pub fn build(run: &mut Run, op: &Op) -> Instruction {
    let shape = run.idl.shape(op.what).clone();
    let focus = run.focus(op.job, op.shard);
    let args = args::build(run, &shape, op, &focus);
    let mut roles = Roles::new(run, &shape, op, &focus, &args);
    let mut accounts = Vec::new();
    let mut submitter = Pubkey::default();
    for slot in &shape.slots {
        let key = roles.of(slot);
        if slot.name == "submitter" {
            submitter = key;
        }
        accounts.push(AccountMeta { pubkey: key, is_signer: slot.signer, is_writable: slot.writable });
    }
    if let Some(evidence) = &args.evidence {
        // A cell that is carried on keeps its state, unless the operation says otherwise.
        hold(run, &submitter, evidence, shape.name == "step_cell" && op.other & 0x10 == 0);
    }
    let mut call = Instruction { program_id: assay_settlement::ID, accounts, data: args.data };
    let leaves = run.idl.leaves(&shape, &call.data);
    for change in &op.changes {
        apply(run, change, &mut call, &leaves);
    }
    for account in &mut call.accounts {
        // Nobody has the keys of the others.
        account.is_signer &= run.stage.actors.contains(&account.pubkey);
    }
    call
}

/// Puts evidence of `owner` into its account, as `init_evidence` and `write_evidence` would; with the header that is
/// there, or a new one.
fn hold(run: &mut Run, owner: &Pubkey, evidence: &[u8], carry: bool) {
    let Some(address) = ix::evidence_address(owner, JUDGED) else { return };
    let carried = run.chain.data(&address).filter(|data| carry && header(data).is_ok());
    let mut data = carried.unwrap_or_else(|| {
        let mut data = vec![0; EVIDENCE_HEADER_BYTES];
        data[..8].copy_from_slice(&EVIDENCE_DISCRIMINATOR);
        data[8] = 1;
        data[16..48].copy_from_slice(owner.as_ref());
        data
    });
    data.truncate(EVIDENCE_HEADER_BYTES);
    data.extend_from_slice(evidence);
    let account =
        Account { lamports: 10_000_000_000, data, owner: assay_settlement::ID, executable: false, rent_epoch: 0 };
    run.chain.svm.set_account(address, account).expect("an ordinary account");
}

/// Numbers at which sums and lengths break.
pub fn edge(value: u16, old: u64) -> u64 {
    let [low, high] = value.to_le_bytes();
    match low % 16 {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => u64::MAX >> 1,
        4 => 1 << (high % 64),
        5 => (1u64 << (high % 64)).wrapping_sub(1),
        6 => old.wrapping_add(1),
        7 => old.wrapping_sub(1),
        8 => old.wrapping_add(u64::from(high)),
        9 => old.wrapping_sub(u64::from(high)),
        10 => old << (high % 8),
        11 => old >> (high % 8),
        12 => u64::from(high),
        13 => u64::from(u32::MAX),
        14 => u64::from(high) << 8 | 0x8000_0000,
        _ => !old,
    }
}

/// Writes such a number over `data[at..at + size]`.
pub fn write_edge(data: &mut [u8], (at, size): (usize, usize), value: u16) {
    let Some(place) = data.get_mut(at..at.saturating_add(size)) else { return };
    let mut old = [0u8; 8];
    let len = size.min(8);
    old[..len].copy_from_slice(&place[..len]);
    place[..len].copy_from_slice(&edge(value, u64::from_le_bytes(old)).to_le_bytes()[..len]);
}

fn apply(run: &Run, change: &Change, call: &mut Instruction, leaves: &[(usize, usize)]) {
    let (count, value) = (call.accounts.len(), usize::from(change.value));
    let at = usize::from(change.at) % count.max(1);
    let pool = |n: usize| run.pool[n % run.pool.len()];
    let leaf = leaves.get(usize::from(change.at) % leaves.len().max(1));
    match change.what % 20 {
        1 if count > 0 => call.accounts[at].pubkey = pool(value),
        2 if count > 0 => call.accounts[at].pubkey = call.accounts[value % count].pubkey,
        3 if count > 0 => {
            call.accounts.remove(at);
        }
        4 => call.accounts.truncate(at),
        5 if count > 0 => call.accounts[at].is_signer ^= true,
        6 if count > 0 => call.accounts[at].is_writable ^= true,
        7 => call.accounts.push(AccountMeta::new(pool(value), false)),
        8 if count > 0 => call.accounts[at].pubkey = run.stage.foreign[value % run.stage.foreign.len()],
        // Another account of the same kind.
        9 | 10 if count > 0 => {
            let alike = run.alike(&call.accounts[at].pubkey);
            if !alike.is_empty() {
                call.accounts[at].pubkey = alike[value % alike.len()];
            }
        }
        11 if count > 0 => call.accounts[at].pubkey = assay_settlement::ID,
        12 | 13 => {
            if let Some(leaf) = leaf {
                write_edge(&mut call.data, *leaf, change.value);
            }
        }
        // A key among the arguments becomes another.
        14 => {
            // An earlier change may have cut it off.
            if let Some((at, 32)) = leaf
                && let Some(place) = call.data.get_mut(*at..*at + 32)
            {
                place.copy_from_slice(pool(value).as_ref());
            }
        }
        15 => {
            let len = call.data.len().max(1);
            if let Some(byte) = call.data.get_mut(value % len) {
                *byte ^= change.at;
            }
        }
        16 => call.data.truncate(value % (call.data.len() + 1)),
        17 => call.data.resize((call.data.len() + value).min(MAX_DATA), change.at),
        18 if count > 0 => call.accounts.swap(at, value % count),
        _ => (),
    }
    call.data.truncate(MAX_DATA);
}
