//! What nobody may do: an instruction with a signature missing, an account exchanged for another of its kind, or its data
//! cut off. Whatever the rest of it is, it must be refused, and cleanly.

use super::{Action, Pick};
use crate::{
    cast::{STRANGER, key},
    model::{Model, Provider, Verdict},
};
use assay_client::ix::PROGRAM;
use assay_settlement::constants::TOKEN_PROGRAM;
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// See the module.
#[derive(Clone, Debug)]
pub struct Tampering {
    base: Box<Action>,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    /// The account at this place does not sign.
    Unsigned(usize),
    /// The account at this place is another one.
    Swapped(usize, Pubkey),
    /// Only so many bytes of the data.
    Cut(usize),
}

/// Actions that are looked at for one to change.
const TRIES: u32 = 6;

/// The places at which an instruction takes one account and no other; the rest are free choices of whoever sends it.
fn bound(name: &str) -> &'static [usize] {
    match name {
        // Whoever signs may have more than one market, provider or job.
        "set_paused" | "update_provider" | "cancel_job" => &[0],
        "withdraw_treasury" => &[0, 1, 2, 4, 5],
        "deposit_stake" => &[1, 2, 4, 5, 6],
        "withdraw_stake" => &[0, 1, 2, 4, 5, 6],
        "create_job" => &[0, 2, 3, 4, 5, 6, 7, 9, 10, 11],
        "claim_shard" => &[0, 1, 2, 3, 4, 5],
        "release_claim" => &[0, 1, 2, 3, 4, 5, 6, 7],
        "expire_claim" => &[1, 2, 3, 4, 5, 6, 7],
        // Any claimed shard of the same provider would do as well.
        "commit_result" => &[0, 1],
        "record_seed" => &[1, 2],
        "draw_samples" => &[0, 1, 2],
        "roll_window" => &[1, 2, 3],
        "name_cells" => &[0, 1, 2],
        "adjudicate" => &[1, 2, 3],
        "step_cell" => &[1, 2, 3, 4],
        "slash_unanswered" => &[1, 2],
        "settle_shard" | "seize" | "pay_bounty" => &[0, 1, 2, 3, 4, 5, 6],
        "withdraw_refund" => &[0, 1, 2, 3, 4],
        "sweep_fees" => &[0, 1, 2, 3, 4, 5],
        "close_shard" => &[0, 1, 2],
        "close_job" => &[0, 1, 2, 3, 5, 6, 7],
        "close_seed" => &[1],
        "open_challenge" => &[2, 3, 4, 5, 6, 7, 8, 9, 10],
        "pay_challenge" => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        "return_bond" => &[0, 1, 2, 3, 4, 5, 6],
        "accept_shard" | "attest_delivery" => &[0, 1, 2],
        "demand_leaves" => &[0, 2, 3, 4, 5, 6, 7, 8, 9],
        "post_leaf" => &[1, 2, 3],
        "close_delivery" => &[0, 1, 2],
        "set_watch_keys" | "propose_authority" | "accept_authority" => &[0],
        "close_provider" => &[0, 1, 2, 3, 5, 6, 7],
        "close_market" => &[0, 1, 2, 4, 5, 6],
        "close_kernel" => &[0],
        "waive_debts" => &[0, 1, 2, 3, 4, 5],
        _ => &[],
    }
}

impl Tampering {
    /// One at random.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        let (base, would_land) = Self::base(pick)?;
        let name = base.name();
        let places = bound(name);
        if places.is_empty() || matches!(base, Action::Tampering(_)) {
            return None;
        }
        let mut all = base.instructions(pick.model);
        if name == "adjudicate" && all.len() > 1 {
            return None;
        }
        let instruction = all.pop()?;
        let signers: Vec<usize> =
            (0..instruction.accounts.len()).filter(|place| instruction.accounts[*place].is_signer).collect();
        let how = match pick.below(5) {
            0 if !signers.is_empty() => How::Unsigned(pick.one(&signers)?),
            1 if instruction.data.len() > 8 => {
                How::Cut(usize::try_from(pick.below(instruction.data.len() as u64)).unwrap())
            }
            // What would be refused as it is may land with the account that it ought to have had.
            _ if !would_land => return None,
            _ => {
                let place = pick.one(places)?;
                // A provider that has left gets nothing of a bond: its vault does not matter then.
                let payee = instruction.accounts[1].pubkey;
                let here = pick.model.providers.iter().any(|p| p.key == payee && p.exists);
                if name == "pay_challenge" && place == 5 && !here {
                    return None;
                }
                let old = instruction.accounts[place].pubkey;
                let new = other(pick, &old, instruction.accounts[place].is_signer)?;
                // Another provider whose operator signs may claim as well.
                let operator = crate::cast::person(&instruction.accounts[0].pubkey);
                let operates = |p: &Provider| p.key == new && operator.is_some_and(|by| p.operators.contains(&by));
                if name == "claim_shard" && place == 3 && pick.model.providers.iter().any(operates) {
                    return None;
                }
                How::Swapped(place, new)
            }
        };
        Some(Self { base: Box::new(base), how })
    }

    /// Something that would land as it is, mostly: else nothing shows that the change is what it is refused for. And whether it
    /// would.
    fn base(pick: &mut Pick) -> Option<(Action, bool)> {
        for _ in 0..TRIES {
            let Some(base) = Action::random(pick) else { continue };
            let fits = !matches!(base, Action::Tampering(_)) && !bound(base.name()).is_empty();
            let would_land = fits && base.apply(&mut pick.model.clone()).is_ok();
            if would_land || fits && pick.once_in(8) {
                return Some((base, would_land));
            }
        }
        None
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        self.base.name()
    }

    /// The instruction, changed.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        let mut all = self.base.instructions(model);
        let mut last = all.pop().expect("an instruction");
        match &self.how {
            How::Unsigned(place) => {
                let silent = last.accounts[*place].pubkey;
                let named = all.iter_mut().chain([&mut last]).flat_map(|i| &mut i.accounts);
                named.filter(|a| a.pubkey == silent).for_each(|a| a.is_signer = false);
            }
            How::Swapped(place, other) => last.accounts[*place].pubkey = *other,
            How::Cut(bytes) => last.data.truncate(*bytes),
        }
        all.push(last);
        all
    }

    /// The rule: no, whatever the code.
    pub fn apply(&self, _: &mut Model) -> Verdict {
        Err(Vec::new())
    }
}

/// Another account of the same kind; a signer becomes somebody who has no right to anything.
fn other(pick: &mut Pick, old: &Pubkey, signer: bool) -> Option<Pubkey> {
    let model = pick.model;
    if signer {
        return (*old != key(STRANGER)).then(|| key(STRANGER));
    }
    let shard_of = model.jobs.iter().position(|job| job.shards.iter().any(|s| s.key == *old));
    let candidates: Vec<Pubkey> = if let Some(job) = shard_of {
        // A sibling would do as well as itself.
        let others = model.jobs.iter().enumerate().filter(|(number, _)| *number != job);
        others.flat_map(|(_, job)| job.shards.iter().map(|s| s.key)).collect()
    } else if model.jobs.iter().any(|job| job.key == *old) {
        model.jobs.iter().map(|job| job.key).collect()
    } else if model.providers.iter().any(|p| p.key == *old) {
        model.providers.iter().map(|p| p.key).collect()
    } else if model.purses.contains_key(old) {
        let vaults = model.jobs.iter().map(|job| job.data.vault);
        let stakes = model.providers.iter().map(|p| p.data.vault);
        vaults.chain(stakes).chain(model.markets.iter().map(|m| m.data.treasury)).collect()
    } else {
        let kernels = model.kernels.iter().map(|kernel| kernel.key);
        let mints = (0..crate::cast::DECIMALS.len()).map(crate::cast::mint);
        let windows = model.seeds.keys().map(|window| assay_settlement::seeds::draw_seed(*window));
        let markets = model.markets.iter().map(|m| m.key);
        kernels.chain(mints).chain(windows).chain(markets).chain([PROGRAM, TOKEN_PROGRAM, key(0)]).collect()
    };
    let candidates: Vec<Pubkey> = candidates.into_iter().filter(|key| key != old).collect();
    pick.one(&candidates)
}
