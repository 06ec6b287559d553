//! Evidence accounts. The account itself is made by an instruction of the system program in front of `init_evidence`.

use assay_client::{answer::PIECE_BYTES, ix};
use assay_settlement::EVIDENCE_HEADER_BYTES;
use assay_tests::{Actor, World};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

use super::{Case, case};
use crate::{
    measure::Shot,
    scene::{done, world},
};

pub const CASES: &[Case] = &[
    case("init_evidence", "", init),
    case("write_evidence", "the largest piece", write),
    case("close_evidence", "", close),
];

const SEED: &str = "bench";
const BYTES: usize = 4_096;

/// An account that the system program made, and the instruction that takes it for evidence.
fn made(w: &mut World) -> (Actor, Pubkey, Instruction) {
    let owner = w.alice.operator.clone();
    let rent = w.chain.svm.minimum_balance_for_rent_exemption(BYTES);
    let [make, init] = ix::create_evidence(owner.id(), SEED, BYTES as u64, rent).unwrap();
    done(w, make, &[&owner]);
    let address = ix::evidence_address(&owner.id(), SEED).unwrap();
    (owner, address, init)
}

fn init() -> (World, Shot) {
    let mut w = world();
    let (owner, _, init) = made(&mut w);
    (w, Shot::new(init, &[&owner]))
}

fn write() -> (World, Shot) {
    let mut w = world();
    let (owner, address, init) = made(&mut w);
    done(&mut w, init, &[&owner]);
    let from = u32::try_from(EVIDENCE_HEADER_BYTES).unwrap();
    (w, Shot::new(ix::write_evidence(owner.id(), address, from, vec![7; PIECE_BYTES]), &[&owner]))
}

fn close() -> (World, Shot) {
    let mut w = world();
    let (owner, address, init) = made(&mut w);
    done(&mut w, init, &[&owner]);
    (w, Shot::new(ix::close_evidence(owner.id(), address), &[&owner]))
}
