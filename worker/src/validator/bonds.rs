//! Bonds of this key: a wrong cell is challenged before it is adjudicated, and what was bonded comes back.

use std::sync::Arc;

use assay_client::{
    accounts::decode,
    ix::{self, cell_number},
    token,
};
use assay_settlement::{
    Challenge, ChallengeState, RENTER_CHALLENGES, Shard, ShardState,
    rules::{challenge::returnable, draw::Place, judgement::is_answered, shard::challenge_window},
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

    /// Takes the bond of a won challenge back, and of one whose shard has ended without an answer; divides that of an
    /// answered one, which is lost, for the sake of its rent.
    async fn end_challenge(&self, address: &Pubkey, challenge: &Challenge) -> Result<()> {
        let rpc = self.chain.reader.rpc();
        let account = rpc.account(&challenge.shard).await?;
        let account = account.filter(|account| account.owner == assay_settlement::ID);
        let account: Option<Shard> = account.map(|account| decode(&challenge.shard, &account)).transpose()?;
        let shard = account.map(|account| shard_ref(challenge.job, account.index));
        let (action, instructions) = if challenge.state() == Some(ChallengeState::Answered) {
            let Some(job) = self.chain.reader.find_job(&challenge.job).await? else { return Ok(()) };
            let provider = self.chain.reader.find_provider(&challenge.provider).await?;
            (Action::PayChallenge, vec![ix::pay_challenge(address, challenge, &job, provider.as_ref())])
        } else if returnable(challenge, account.as_ref(), &self.chain.now().await?).is_ok() {
            let (me, program, mint) = (self.chain.me(), &challenge.token_program, &challenge.mint);
            let to = token::associated_of(program, &me, mint);
            let make = token::create_associated_of(program, me, &me, mint);
            (Action::ReturnBond, vec![make, ix::return_bond(address, challenge, to)])
        } else {
            return Ok(());
        };
        let order = Order { action, shard, instructions: &instructions, units: None };
        let signature = self.chain.send(order).await?;
        if action == Action::ReturnBond {
            self.events.tell(shard, Some(signature), What::BondReturned { amount: challenge.bond });
        }
        Ok(())
    }
}
