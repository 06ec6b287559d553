//! Delivery and acceptance.

use super::{Pick, claim::right_work};
use crate::{
    cast::{ATTESTOR, Who, key},
    model::{Delivery, Gate, Mode, Model, Phase, Place, Verdict, gone},
};
use assay_client::ix::{self, LeafBytes};
use assay_settlement::{constants::NOBODY, error::AssayError, seeds};
use solana_instruction::Instruction;

/// See the module.
#[derive(Clone, Debug)]
pub enum Delivering {
    /// The renter pays whatever is open.
    Accept { job: usize, shard: u32, by: Who },
    /// The renter wants leaves posted.
    Demand { job: usize, shard: u32, by: Who, payer: Who, leaves: Vec<u64> },
    /// Somebody posts one, or another one's bytes.
    Post { job: usize, shard: u32, place: u8, by: Who, right: bool },
    /// The attestor says whether it arrived.
    Attest { job: usize, shard: u32, by: Who, arrived: bool },
    /// Closes the list of leaves, its rent to `to`.
    Close { job: usize, shard: u32, to: Who },
}

impl Delivering {
    /// One at random.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        let known: Vec<(usize, u32)> = pick.model.deliveries.keys().copied().collect();
        match pick.below(12) {
            0 => {
                let (job, shard) = pick.shard(|s| s.judgeable() && !s.accepted)?;
                Some(Self::Accept { job, shard, by: pick.mostly(pick.model.jobs[job].renter) })
            }
            1..5 => {
                let (job, shard) = pick.shard_in_window(|s| s.demanded.is_none())?;
                if pick.model.jobs[job].mode != Mode::Ledger && !pick.once_in(8) {
                    return None;
                }
                let by = pick.mostly(pick.model.jobs[job].renter);
                let payer = if pick.once_in(4) { pick.anyone() } else { by };
                Some(Self::Demand { job, shard, by, payer, leaves: Self::leaves(pick, job, shard) })
            }
            5..8 => {
                let (job, shard) = pick.one(&known)?;
                let count = pick.model.deliveries[&(job, shard)].leaves.len() as u64;
                let behind = u64::from(pick.once_in(10));
                let place = u8::try_from(pick.below(count + behind)).unwrap();
                Some(Self::Post { job, shard, place, by: pick.crank(), right: !pick.once_in(8) })
            }
            8 | 9 => {
                let (job, shard) = pick.shard_in_window(|s| s.attested.is_none())?;
                if pick.model.jobs[job].mode == Mode::None && !pick.once_in(8) {
                    return None;
                }
                Some(Self::Attest { job, shard, by: pick.mostly(ATTESTOR), arrived: pick.once_in(2) })
            }
            _ => {
                let (job, shard) = pick.one(&known)?;
                let payer = pick.model.deliveries[&(job, shard)].payer;
                Some(Self::Close { job, shard, to: pick.mostly(payer) })
            }
        }
    }

    /// Leaves of a shard, ascending; now and then not, or of no shard, or none.
    fn leaves(pick: &mut Pick, job: usize, shard: u32) -> Vec<u64> {
        let kind = pick.model.kind(job);
        let of_shard = kind.leaf_range(shard);
        let behind = kind.leaves.len() as u64;
        let mut leaves: Vec<u64> = of_shard.clone().filter(|_| pick.below(3) > 0).collect();
        match pick.below(12) {
            0 => leaves.push(of_shard.start),
            1 => leaves.push(behind),
            _ => {}
        }
        leaves
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "accept_shard",
            Self::Demand { .. } => "demand_leaves",
            Self::Post { .. } => "post_leaf",
            Self::Attest { .. } => "attest_delivery",
            Self::Close { .. } => "close_delivery",
        }
    }

    /// The instruction.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        vec![match self {
            Self::Accept { job, shard, by } => ix::accept_shard(key(*by), &model.jobs[*job].key, *shard),
            Self::Demand { job, shard, by, payer, leaves } => {
                let j = &model.jobs[*job];
                let source = model.wallet(*by, j.market);
                ix::demand_leaves(key(*by), key(*payer), &j.key, &j.data, *shard, source, leaves.clone())
            }
            Self::Post { job, shard, place, by, right } => {
                let bytes = leaf_bytes(model, *job, *shard, *place, *right);
                ix::post_leaf(key(*by), &model.jobs[*job].key, *shard, *place, None, bytes)
            }
            Self::Attest { job, shard, by, arrived } => {
                ix::attest_delivery(key(*by), &model.jobs[*job].key, *shard, *arrived)
            }
            Self::Close { job, shard, to } => ix::close_delivery(&model.jobs[*job].key, *shard, key(*to)),
        }]
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        match self {
            Self::Accept { job, shard, by } => {
                let (j, s) = model.standing(*job, *shard)?;
                let mut gate = Gate::default();
                gate.need(*by == j.renter, AssayError::NotAuthorized);
                gate.need(s.judgeable(), AssayError::WrongState);
                gate.need(!s.accepted, AssayError::Accepted);
                gate.verdict()?;
                model.shard_mut(*job, *shard).accepted = true;
                Ok(())
            }
            Self::Demand { job, shard, by, payer, leaves } => demand(model, (*job, *shard), *by, *payer, leaves),
            Self::Post { job, shard, place, right, .. } => post(model, (*job, *shard), *place, *right),
            Self::Attest { job, shard, by, arrived } => {
                let (j, s) = model.standing(*job, *shard)?;
                let mut gate = Gate::default();
                gate.need(s.judgeable(), AssayError::WrongState);
                gate.need(matches!(j.mode, Mode::Attested(_)), AssayError::WrongDelivery);
                gate.need(*by == ATTESTOR, AssayError::NotAuthorized);
                gate.need(s.attested.is_none(), AssayError::AlreadyDelivered);
                let seconds = u64::from(model.markets[j.market].terms.challenge_seconds);
                gate.need(!model.time.passed(s.committed, seconds), AssayError::WindowOver);
                gate.verdict()?;
                model.shard_mut(*job, *shard).attested = Some(*arrived);
                Ok(())
            }
            Self::Close { job, shard, to } => {
                let d = model.deliveries.get(&(*job, *shard)).ok_or_else(gone)?;
                let s = model.shard(*job, *shard);
                let ended = s.payer.is_none() || matches!(s.phase, Phase::Settled | Phase::Slashed);
                let mut gate = Gate::default();
                gate.need(d.payer == *to, AssayError::WrongRentPayer);
                gate.need(ended, AssayError::StillNeeded);
                gate.verdict()?;
                let address = d.key;
                model.deliveries.remove(&(*job, *shard));
                model.unmake(&address, *to);
                Ok(())
            }
        }
    }
}

/// Bytes and path of the leaf at this place of the list: of what was committed where that is known, else of the right
/// result under another provider's salt. Not `right`: with a byte changed.
fn leaf_bytes(model: &Model, job: usize, shard: u32, place: u8, right: bool) -> LeafBytes {
    let s = model.shard(job, shard);
    let leaf = model.deliveries.get(&(job, shard)).and_then(|d| d.leaves.get(usize::from(place)).map(|l| l.0));
    let first = model.kind(job).leaf_range(shard).start;
    let other = if s.holder == usize::MAX { 0 } else { (s.holder + 1) % model.providers.len() };
    let work = match &s.work {
        Some(work) if work.tree.is_some() => work.clone(),
        _ => right_work(model, job, shard, other),
    };
    let tree = work.tree.as_ref().unwrap();
    let leaf = leaf.unwrap_or(first);
    let bytes = tree.leaf(leaf).unwrap();
    let path = path(tree, leaf - first);
    let mut inline = [bytes, path.as_flattened()].concat();
    inline[0] ^= u8::from(!right);
    LeafBytes { at: 0, path_at: u32::try_from(bytes.len()).unwrap(), inline }
}

/// The path of a leaf, counted inside its shard, from its hash upwards.
pub fn path(tree: &assay_client::answer::ShardTree, index: u64) -> Vec<[u8; 32]> {
    assay_kernels::merkle::Tree::from_leaf_hashes(tree.hashes().to_vec()).path(index)
}

fn demand(model: &mut Model, at: (usize, u32), by: Who, payer: Who, leaves: &[u64]) -> Verdict {
    let (job, s) = model.standing(at.0, at.1)?;
    let terms = model.markets[job.market].terms;
    let kind = model.kind(at.0);
    let mut gate = Gate::default();
    gate.need(s.judgeable(), AssayError::WrongState);
    gate.need(by == job.renter, AssayError::NotAuthorized);
    gate.need(job.mode == Mode::Ledger, AssayError::WrongDelivery);
    gate.need(!s.accepted, AssayError::Accepted);
    gate.need(s.demanded.is_none(), AssayError::AlreadyDemanded);
    let over = model.time.passed(s.committed, u64::from(terms.challenge_seconds));
    gate.need(!over, AssayError::WindowOver);
    let range = kind.leaf_range(at.1);
    let ascending = leaves.windows(2).all(|pair| pair[0] < pair[1]);
    let of_shard = !leaves.is_empty() && ascending && leaves.iter().all(|leaf| range.contains(leaf));
    gate.need(of_shard, AssayError::BadLeaves);
    let prepaid: u64 = leaves.iter().filter(|leaf| range.contains(leaf)).map(|leaf| price(model, at.0, *leaf)).sum();
    let (source, vault, address) = (model.wallet(by, job.market), job.data.vault, seeds::delivery(&s.key));
    model.need_transfer(&mut gate, &source, &vault, prepaid);
    gate.verdict()?;
    model.make(payer, &address, model.rents.delivery);
    model.transfer(&source, &vault, prepaid);
    model.places.insert(address, Place::Delivery(at.0, at.1));
    let list = leaves.iter().map(|leaf| (*leaf, false)).collect();
    model.deliveries.insert(at, Delivery { key: address, payer, leaves: list });
    let now = model.time.now;
    let s = model.shard_mut(at.0, at.1);
    (s.demanded, s.prepaid) = (Some((now, leaves.len() as u64)), prepaid);
    Ok(())
}

/// The price of posting a leaf: so much for each KiB begun.
fn price(model: &Model, job: usize, leaf: u64) -> u64 {
    let bytes = model.kind(job).leaf(leaf).bytes.len() as u64;
    model.markets[model.jobs[job].market].terms.post_per_kib * bytes.div_ceil(1_024)
}

fn post(model: &mut Model, at: (usize, u32), place: u8, right: bool) -> Verdict {
    let (_, s) = model.standing(at.0, at.1)?;
    let d = model.deliveries.get(&at).ok_or_else(gone)?;
    let listed = d.leaves.get(usize::from(place)).copied();
    let mut gate = Gate::default();
    gate.need(listed.is_some(), AssayError::BadLeaves);
    let known = s.work.as_ref().is_some_and(|w| w.tree.is_some());
    gate.need(known && right, AssayError::WrongPath);
    gate.need(s.judgeable(), AssayError::WrongState);
    gate.need(listed.is_none_or(|l| !l.1), AssayError::AlreadyPosted);
    gate.verdict()?;
    let price = price(model, at.0, listed.unwrap().0);
    model.deliveries.get_mut(&at).unwrap().leaves[usize::from(place)].1 = true;
    model.shard_mut(at.0, at.1).posted += price;
    Ok(())
}

/// The address of the attestor of a job; nobody's for other deliveries.
pub fn attestor(mode: Mode) -> solana_pubkey::Pubkey {
    if matches!(mode, Mode::Attested(_)) { key(ATTESTOR) } else { NOBODY }
}
