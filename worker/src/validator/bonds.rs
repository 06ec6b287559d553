//! Bonds of this key: a wrong cell is challenged before it is adjudicated, and what was bonded comes back.

use std::sync::Arc;

use assay_client::{
    accounts::decode,
    ix::{self, cell_number},
    token,
};
use assay_settlement::{
    Challenge, ChallengeState, RENTER_CHALLENGES, Shard, ShardState,
    rules::{challenge::returnable, draw::Place, judgement::is_answered, shard::challenge_window, time::Now},
};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;

use super::{Busy, CRANKS, Seen, Validator, Work};
use crate::{
    chain::{Order, closed, told},
    context::lock,
    error::Result,
    events::{Action, What},
    obligation::shard_ref,
};

impl Validator {
    /// Challenges a cell that is wrong, where that is possible and can be afforded, before `judge` has it judged. Whatever
    /// keeps it from being done, the conviction goes on.
    pub(super) async fn challenge_first(&self, seen: &Seen, place: Place, judge: Instruction) {
        if let Err(error) = self.challenge(seen, place, judge).await {
            tracing::warn!(shard = ?seen.shard, why = told(&error), "not challenged");
        }
    }

    async fn challenge(&self, seen: &Seen, place: Place, judge: Instruction) -> Result<()> {
        let (shard, job, me) = (seen.shard, &seen.job.job, self.chain.me());
        let terms = &job.terms;
        let Some(number) = cell_number(job, shard.index, place) else { return Ok(()) };
        let Some(account) = self.chain.reader.shard(&shard.job, shard.index).await? else { return Ok(()) };
        let now = self.chain.now().await?;
        let open = matches!(account.state(), Some(ShardState::Committed | ShardState::Sampled))
            && account.accepted == 0
            && !challenge_window(&account, terms).passed(&now)
            && !is_answered(&account, terms, number);
        let allowed = terms.flags & RENTER_CHALLENGES == 0 || job.renter == me;
        if !open || !allowed {
            return Ok(());
        }
        let all = self.chain.reader.challenges().await?;
        if all.iter().any(|(_, c)| c.shard == shard.shard && c.cell == number) {
            return Ok(());
        }
        let bonded =
            all.iter().filter(|(_, c)| c.challenger == me).fold(0u64, |sum, (_, c)| sum.saturating_add(c.bond));
        let source = token::associated_of(&terms.token_program, &me, &terms.mint);
        let purse = self.chain.reader.rpc().account(&source).await?;
        let held = purse.and_then(|account| token::amount(&account.data)).unwrap_or(0);
        if held < terms.bond || bonded.saturating_add(terms.bond) > self.config.max_bonds {
            tracing::info!(?shard, bond = terms.bond, held, bonded, "no bond for a challenge");
            return Ok(());
        }
        // A verifier that finds the cell right would cost the bond: it is asked before, by a simulation.
        self.chain.rehearse(&[judge]).await?;
        let open = ix::open_challenge(me, me, &shard.job, job, &account.provider, shard.index, source, number);
        let order = Order { action: Action::OpenChallenge, shard: Some(shard), instructions: &[open], units: None };
        let signature = self.chain.send(order).await?;
        let what = What::Bonded { leaf: place.leaf, cell: place.cell, bond: terms.bond };
        self.events.tell(Some(shard), Some(signature), what);
        Ok(())
    }

    /// Ends what can be ended of the challenges of this key.
    pub(super) fn look_at_bonds(self: &Arc<Self>, mine: Vec<(Pubkey, Challenge)>) {
        for (address, challenge) in mine {
            let key = (address, Work::Bond);
            if !self.is_due(&key) {
                continue;
            }
            let mut busy = lock(&self.busy);
            let same = busy.keys().filter(|(_, work)| *work == Work::Bond).count();
            if same >= CRANKS || busy.contains_key(&key) {
                continue;
            }
            busy.insert(key, challenge.provider);
            drop(busy);
            let (this, held) = (self.clone(), Busy { validator: self.clone(), key });
            self.tasks.spawn(async move {
                tokio::select! {
                    () = this.stop.cancelled() => {}
                    ended = this.end_challenge(&address, &challenge) => match ended {
                        Err(error) if !closed(&error) => this.tell_trouble(None, key, &error),
                        _ => this.well(key),
                    }
                }
                drop(held);
            });
        }
    }

    /// Takes the bond of a won challenge back, and of one whose shard has ended without an answer or was accepted; divides that
    /// of an answered one, which is lost, for the sake of its rent.
    async fn end_challenge(&self, address: &Pubkey, challenge: &Challenge) -> Result<()> {
        let mut account = self.shard_of(challenge).await?;
        let mut ending = ending(challenge, account.as_ref(), &self.chain.now().await?);
        if let (Ending::Settle, Some(accepted)) = (ending, &account) {
            self.settle_accepted(challenge, accepted).await?;
            account = self.shard_of(challenge).await?;
            ending = self::ending(challenge, account.as_ref(), &self.chain.now().await?);
        }
        let shard = account.map(|account| shard_ref(challenge.job, account.index));
        let (action, instructions) = match ending {
            Ending::Pay => {
                let Some(job) = self.chain.reader.find_job(&challenge.job).await? else { return Ok(()) };
                let provider = self.chain.reader.find_provider(&challenge.provider).await?;
                (Action::PayChallenge, vec![ix::pay_challenge(address, challenge, &job, provider.as_ref())])
            }
            Ending::Return => {
                let (me, program, mint) = (self.chain.me(), &challenge.token_program, &challenge.mint);
                let to = token::associated_of(program, &me, mint);
                let make = token::create_associated_of(program, me, &me, mint);
                (Action::ReturnBond, vec![make, ix::return_bond(address, challenge, to)])
            }
            // A node that lags behind may not show the settlement yet: the next look does.
            Ending::Settle | Ending::Wait => return Ok(()),
        };
        let order = Order { action, shard, instructions: &instructions, units: None };
        let signature = self.chain.send(order).await?;
        if action == Action::ReturnBond {
            self.events.tell(shard, Some(signature), What::BondReturned { amount: challenge.bond });
        }
        Ok(())
    }

    async fn shard_of(&self, challenge: &Challenge) -> Result<Option<Shard>> {
        let account = self.chain.reader.rpc().account(&challenge.shard).await?;
        let account = account.filter(|account| account.owner == assay_settlement::ID);
        Ok(account.map(|account| decode(&challenge.shard, &account)).transpose()?)
    }

    /// Settles an accepted shard, for the bond that waits for it.
    async fn settle_accepted(&self, challenge: &Challenge, account: &Shard) -> Result<()> {
        let Some(job) = self.chain.reader.find_job(&challenge.job).await? else { return Ok(()) };
        let provider = self.provider(&account.provider).await?;
        let settle = ix::settle_shard(&challenge.job, &job, &account.provider, &provider, account.index);
        let shard = Some(shard_ref(challenge.job, account.index));
        let order = Order { action: Action::SettleShard, shard, instructions: &[settle], units: None };
        match self.chain.send(order).await {
            // Its provider did, or another challenger of it.
            Err(error) if !closed(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// What is to be done for the bond of a challenge of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It is answered: the bond is divided.
    Pay,
    /// Nothing stands between an accepted shard and its settlement, which anyone may bring about and which ends the challenge.
    Settle,
    /// The bond comes back whole.
    Return,
    /// Nothing yet.
    Wait,
}

fn ending(challenge: &Challenge, shard: Option<&Shard>, now: &Now) -> Ending {
    if challenge.state() == Some(ChallengeState::Answered) {
        Ending::Pay
    } else if returnable(challenge, shard, now).is_ok() {
        Ending::Return
    } else if challenge.state() == Some(ChallengeState::Open) && shard.is_some_and(|shard| shard.accepted != 0) {
        Ending::Settle
    } else {
        Ending::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_settlement::constants::BOUNTY_WAIT_SECONDS;
    use bytemuck::Zeroable;

    /// By the program's own rule of what comes back when.
    #[test]
    fn an_accepted_shard_is_settled_for_the_bond_that_waits_for_it() {
        let at = |time| Now { time, slot: 10_000_000, last_restart_slot: 0 };
        let shard = |state: ShardState, accepted| Shard { state: state as u8, accepted, ..Shard::zeroed() };
        let challenge = |state: ChallengeState| Challenge { state: state as u8, ..Challenge::zeroed() };
        let open = challenge(ChallengeState::Open);
        for state in [ShardState::Committed, ShardState::Sampled] {
            assert_eq!(ending(&open, Some(&shard(state, 0)), &at(5)), Ending::Wait);
            assert_eq!(ending(&open, Some(&shard(state, 1)), &at(5)), Ending::Settle);
            // Where a frozen vault keeps it from settling for long enough, the bond comes back all the same.
            let over = at(i64::from(BOUNTY_WAIT_SECONDS));
            assert_eq!(ending(&open, Some(&shard(state, 1)), &over), Ending::Return);
        }
        for state in [ShardState::Settled, ShardState::Slashed] {
            assert_eq!(ending(&open, Some(&shard(state, 1)), &at(5)), Ending::Return);
        }
        assert_eq!(ending(&open, None, &at(5)), Ending::Return);
        let accepted = shard(ShardState::Sampled, 1);
        assert_eq!(ending(&challenge(ChallengeState::Won), Some(&accepted), &at(5)), Ending::Return);
        assert_eq!(ending(&challenge(ChallengeState::Answered), Some(&accepted), &at(5)), Ending::Pay);
    }
}
