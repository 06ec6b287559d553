//! Challenges, acceptance, delivery and closings as calls on a [`World`], in the manner of the other steps: `..._ix`
//! builds the instruction, the plain name sends it and insists that it lands.

use crate::{
    chain::{Actor, Receipt},
    work::{Task, Work},
    world::{Provider, World},
};
use assay_client::{ix, ix::LeafBytes};
use assay_settlement::{Challenge, Delivery, seeds};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

/// Address of the challenge of a cell.
pub(crate) fn challenge_key(task: &Task, index: u32, number: u64) -> Pubkey {
    seeds::challenge(&seeds::shard(&task.job, index), number)
}

impl World {
    // Challenges.

    /// Address of the challenge of cell `number` of a shard.
    pub fn challenge_key(&self, task: &Task, index: u32, number: u64) -> Pubkey {
        challenge_key(task, index, number)
    }

    /// The challenge of cell `number` of a shard.
    #[track_caller]
    pub fn challenge_data(&self, task: &Task, index: u32, number: u64) -> Challenge {
        self.read(&challenge_key(task, index, number))
    }

    /// Demands a cell under a bond of `by`, who pays the rent, too.
    pub fn challenge_ix(&self, task: &Task, index: u32, number: u64, by: &Actor) -> Instruction {
        let provider = self.shard(task, index).provider;
        ix::open_challenge(by.id(), by.id(), &task.job, &self.job(task), &provider, index, by.tokens, number)
    }

    /// Demands a cell under a bond.
    #[track_caller]
    pub fn challenge(&mut self, task: &Task, index: u32, number: u64, by: &Actor) -> Receipt {
        self.ok(&[self.challenge_ix(task, index, number, by)], &[by])
    }

    /// Divides the bond of an answered challenge.
    pub fn pay_challenge_ix(&self, task: &Task, index: u32, number: u64) -> Instruction {
        let key = challenge_key(task, index, number);
        let data = self.challenge_data(task, index, number);
        let provider = self.find(&data.provider);
        ix::pay_challenge(&key, &data, &self.job(task), provider.as_ref())
    }

    /// Divides the bond of an answered challenge.
    #[track_caller]
    pub fn pay_challenge(&mut self, task: &Task, index: u32, number: u64) -> Receipt {
        let stranger = self.stranger.clone();
        self.ok(&[self.pay_challenge_ix(task, index, number)], &[&stranger])
    }

    /// Gives a bond back to its challenger.
    pub fn return_bond_ix(&self, task: &Task, index: u32, number: u64) -> Instruction {
        let data = self.challenge_data(task, index, number);
        ix::return_bond(&challenge_key(task, index, number), &data, self.associated(&data.challenger))
    }

    /// Gives a bond back to its challenger.
    #[track_caller]
    pub fn return_bond(&mut self, task: &Task, index: u32, number: u64) -> Receipt {
        let stranger = self.stranger.clone();
        self.ok(&[self.return_bond_ix(task, index, number)], &[&stranger])
    }

    /// Slashes for a challenge that is overdue.
    pub fn slash_challenged_ix(&self, task: &Task, index: u32, number: u64, caller: &Actor) -> Instruction {
        ix::slash_challenged(caller.id(), &task.job, index, number)
    }

    // Acceptance and delivery.

    /// The renter pays at once.
    #[track_caller]
    pub fn accept(&mut self, task: &Task, index: u32) -> Receipt {
        self.ok(&[ix::accept_shard(task.renter.id(), &task.job, index)], &[&task.renter])
    }

    /// The renter demands leaves on the ledger.
    pub fn demand_ix(&self, task: &Task, index: u32, leaves: &[u64]) -> Instruction {
        let renter = &task.renter;
        ix::demand_leaves(renter.id(), renter.id(), &task.job, &self.job(task), index, renter.tokens, leaves.to_vec())
    }

    /// The renter demands leaves on the ledger.
    #[track_caller]
    pub fn demand(&mut self, task: &Task, index: u32, leaves: &[u64]) -> Receipt {
        self.ok(&[self.demand_ix(task, index, leaves)], &[&task.renter])
    }

    /// The demanded leaves of a shard.
    #[track_caller]
    pub fn delivery_data(&self, task: &Task, index: u32) -> Delivery {
        self.read(&seeds::delivery(&seeds::shard(&task.job, index)))
    }

    /// Bytes and path of a job-wide leaf, inline.
    pub fn leaf_bytes(&self, work: &Work, leaf: u64) -> LeafBytes {
        let mut inline = work.tree.leaf(leaf).unwrap().to_vec();
        let path_at = u32::try_from(inline.len()).unwrap();
        inline.extend(work.path(leaf));
        LeafBytes { at: 0, path_at, inline }
    }

    /// Posts a leaf at `place` of the demanded ones, inline.
    pub fn post_ix(&self, task: &Task, work: &Work, place: u8, leaf: u64, by: &Actor) -> Instruction {
        ix::post_leaf(by.id(), &task.job, work.index, place, None, self.leaf_bytes(work, leaf))
    }

    /// Posts every demanded leaf that is not posted yet, inline.
    #[track_caller]
    pub fn post_all(&mut self, task: &Task, work: &Work, by: &Actor) {
        let delivery = self.delivery_data(task, work.index);
        for place in 0..delivery.count {
            if delivery.posted >> place & 1 == 0 {
                let leaf = delivery.leaves[usize::from(place)];
                self.ok(&[self.post_ix(task, work, place, leaf, by)], &[by]);
            }
        }
    }

    /// Closes the list of demanded leaves.
    pub fn close_delivery_ix(&self, task: &Task, index: u32) -> Instruction {
        ix::close_delivery(&task.job, index, self.delivery_data(task, index).rent_payer)
    }

    // What is left at the end.

    /// Gives up debts that a frozen vault keeps from moving.
    pub fn waive_ix(&self, task: &Task, index: u32, provider: &Provider) -> Instruction {
        let data = self.provider(provider);
        ix::waive_debts(task.renter.id(), &task.job, &self.job(task), &provider.account, &data, index)
    }

    /// Closes a provider; dust goes to its owner's tokens.
    pub fn close_provider_ix(&self, provider: &Provider) -> Instruction {
        let data = self.provider(provider);
        let owner = &provider.owner;
        ix::close_provider(owner.id(), &provider.account, &data, &self.market_data(), owner.tokens)
    }

    /// Closes the market; what is left in its treasury goes to the creator's tokens.
    pub fn close_market_ix(&self) -> Instruction {
        let creator = &self.creator;
        ix::close_market(creator.id(), &self.market, &self.market_data(), creator.tokens)
    }

    /// Takes out the stake and closes a provider.
    #[track_caller]
    pub fn retire(&mut self, provider: &Provider) {
        let staked = self.provider(provider).staked;
        if staked > 0 {
            self.withdraw(provider, staked);
        }
        self.ok(&[self.close_provider_ix(provider)], &[&provider.owner]);
    }
}
