//! What anyone may do for a shard: slash what was not answered, roll what was not drawn, end late claims, move debts,
//! pay bounties, settle.

use std::sync::Arc;

use assay_client::{ix, token};
use assay_settlement::{
    ShardState,
    constants::SEED_HASHES,
    rules::{
        shard::{challenge_window, draw_due, execution_deadline, named_due, unanswered},
        time::Now,
        window::{Window, first_slot},
    },
};
use solana_instruction::Instruction;

use super::{Seen, Validator};
use crate::{
    chain::{Order, overtaken},
    error::Result,
    events::{Action, What},
};

impl Validator {
    async fn turn(&self, seen: &Seen, action: Action, instructions: &[Instruction]) -> Result<solana_signature::Signature> {
        self.chain.send(Order { action, shard: Some(seen.shard), instructions, units: None }).await
    }

    /// Turns the crank that fits the shard's state, if any. True when the shard is done with for this round.
    pub(super) async fn crank(self: &Arc<Self>, seen: &Seen, now: &Now) -> Result<bool> {
        let cranks = self.config.cranks;
        let terms = &seen.job.job.terms;
        let (account, shard, me) = (&seen.account, seen.shard, self.chain.me());
        match account.state() {
            Some(ShardState::Claimed) => {
                if cranks.expire && execution_deadline(account, terms).passed(now) {
                    let provider = self.provider(&account.provider).await?;
                    let expire =
                        ix::expire_claim(me, &shard.job, &seen.job.job, &account.provider, &provider, shard.index);
                    self.turn(seen, Action::ExpireClaim, &[expire]).await?;
                }
                Ok(true)
            }
            Some(ShardState::Committed | ShardState::Sampled) => {
                let late = draw_due(account, terms).passed(now) && account.drawn > 0
                    || named_due(account, terms).passed(now) && account.named > 0;
                if cranks.slash_unanswered && late && unanswered(account, terms) != 0 {
                    let slash = ix::slash_unanswered(me, &shard.job, shard.index);
                    match self.turn(seen, Action::SlashUnanswered, &[slash]).await {
                        Ok(signature) => return self.slashed(seen, signature).await,
                        // Only one of the two kinds was late, and it is answered.
                        Err(error) if overtaken(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
                if cranks.roll && account.state() == Some(ShardState::Committed) && self.aged_out(seen, now).await? {
                    let roll = ix::roll_window(me, &shard.job, shard.index, account.window);
                    let signature = self.turn(seen, Action::RollWindow, &[roll]).await?;
                    return self.slashed(seen, signature).await;
                }
                let done = account.state() == Some(ShardState::Sampled)
                    && unanswered(account, terms) == 0
                    && challenge_window(account, terms).passed(now);
                if cranks.settle && done {
                    let provider = self.provider(&account.provider).await?;
                    let settle = ix::settle_shard(&shard.job, &seen.job.job, &account.provider, &provider, shard.index);
                    self.turn(seen, Action::SettleShard, &[settle]).await?;
                }
                Ok(done)
            }
            Some(ShardState::Slashed) => {
                self.collect(seen).await?;
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    /// Whether the draw window is lost: old, unrecorded, and out of the slot hashes.
    async fn aged_out(&self, seen: &Seen, now: &Now) -> Result<bool> {
        let window = seen.account.window;
        let start = first_slot(window).unwrap_or(u64::MAX);
        // The chain keeps 512 slots; before that nothing can have aged out, and nothing need be asked.
        let oldest = now.slot.saturating_sub(512).saturating_add(SEED_HASHES as u64);
        if start > oldest || self.chain.reader.draw_seed(window).await?.is_some() {
            return Ok(false);
        }
        Ok(self.chain.reader.draw_window(window).await? == Window::AgedOut)
    }

    /// Tells of a conviction by a crank and collects.
    async fn slashed(&self, seen: &Seen, signature: solana_signature::Signature) -> Result<bool> {
        let account = self.chain.reader.shard(&seen.shard.job, seen.shard.index).await?;
        if let Some(account) = account.filter(|account| account.state() == Some(ShardState::Slashed)) {
            let bounty = if account.bounty_to == self.chain.me() { account.owed_bounty } else { 0 };
            self.events.tell(Some(seen.shard), Some(signature), What::Convicted { bounty });
            let seen = Seen { shard: seen.shard, account, job: seen.job.clone() };
            self.collect(&seen).await?;
        }
        Ok(true)
    }

    /// Moves the debts of a slashed shard and fetches a bounty that is ours.
    async fn collect(&self, seen: &Seen) -> Result<()> {
        let (account, shard, me) = (&seen.account, seen.shard, self.chain.me());
        let ours = account.bounty_to == me && account.owed_bounty > 0;
        let first = account.seized == 0 && (self.config.cranks.seize || account.bounty_to == me);
        if !ours && !first {
            return Ok(());
        }
        let provider = self.provider(&account.provider).await?;
        if first {
            let seize = ix::seize(&shard.job, &seen.job.job, &account.provider, &provider, shard.index);
            match self.turn(seen, Action::Seize, &[seize]).await {
                // Somebody else did.
                Err(error) if !overtaken(&error) => return Err(error),
                _ => {}
            }
        }
        if ours {
            let mint = seen.job.job.terms.mint;
            let to = token::associated(&me, &mint);
            let pay = ix::pay_bounty(&shard.job, &seen.job.job, &account.provider, &provider, shard.index, to);
            let make = token::create_associated(me, &me, &mint);
            let signature = self.turn(seen, Action::PayBounty, &[make, pay]).await?;
            self.events.tell(Some(shard), Some(signature), What::BountyPaid { amount: account.owed_bounty });
        }
        Ok(())
    }
}
