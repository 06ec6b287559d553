//! What anyone may do for a shard: slash what was not answered, roll what was not drawn, end late claims, move debts,
//! pay bounties, settle.

use std::sync::Arc;

use assay_client::{ix, token};
use assay_settlement::{
    Challenge, ChallengeState, JobTerms, Shard, ShardState,
    rules::{
        delivery::delivered,
        judgement::{draw_due, named_due, unanswered},
        shard::{challenge_window, execution_deadline},
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

/// Entries of the SlotHashes sysvar; skipped slots have none, so that it may reach further back.
const KEPT_SLOTS: u64 = 512;

impl Seen {
    /// The same shard, as it was read just now.
    pub(super) fn with(&self, account: Shard) -> Self {
        Self { shard: self.shard, account, job: self.job.clone(), challenges: self.challenges.clone() }
    }

    /// An open challenge that is past its due time.
    fn late_challenge(&self, now: &Now) -> Option<&Challenge> {
        let accepted = self.account.accepted != 0;
        let late = |c: &&Challenge| c.state() == Some(ChallengeState::Open) && c.due().passed(now);
        self.challenges.iter().find(late).filter(|_| !accepted)
    }

    /// Whether anything demanded may be past its due time.
    fn is_late(&self, now: &Now) -> bool {
        is_late(&self.account, &self.job.job.terms, now) || self.late_challenge(now).is_some()
    }
}

impl Validator {
    async fn turn(
        &self,
        seen: &Seen,
        action: Action,
        instructions: &[Instruction],
    ) -> Result<solana_signature::Signature> {
        self.chain.send(Order { action, shard: Some(seen.shard), instructions, units: None }).await
    }

    /// Whether a crank may fit the shard, as far as that can be told without asking the chain again.
    pub(super) fn wants_crank(&self, seen: &Seen, now: &Now) -> bool {
        let (account, terms, cranks) = (&seen.account, &seen.job.job.terms, self.config.cranks);
        match account.state() {
            Some(ShardState::Claimed) => cranks.expire && execution_deadline(account, terms).passed(now),
            Some(ShardState::Committed | ShardState::Sampled) => {
                let old = account.state() == Some(ShardState::Committed) && may_be_old(account, now);
                (cranks.slash_unanswered && seen.is_late(now))
                    || (cranks.roll && old)
                    || (cranks.settle && is_proven(account, terms, now))
            }
            Some(ShardState::Slashed) => self.is_first(account) || self.is_ours(account),
            _ => false,
        }
    }

    /// Turns the crank that fits the shard's state, if any.
    pub(super) async fn crank(self: &Arc<Self>, seen: &Seen, now: &Now) -> Result<()> {
        let cranks = self.config.cranks;
        let terms = &seen.job.job.terms;
        let (account, shard, me) = (&seen.account, seen.shard, self.chain.me());
        match account.state() {
            Some(ShardState::Claimed) => {
                let provider = self.provider(&account.provider).await?;
                let expire = ix::expire_claim(me, &shard.job, &seen.job.job, &account.provider, &provider, shard.index);
                self.turn(seen, Action::ExpireClaim, &[expire]).await.map(drop)
            }
            Some(ShardState::Committed | ShardState::Sampled) => {
                if cranks.slash_unanswered {
                    // First what pays a bounty to us; of a challenge it is its challenger's.
                    let own = is_late(account, terms, now).then(|| ix::slash_unanswered(me, &shard.job, shard.index));
                    let of_challenge = seen.late_challenge(now).map(|challenge| challenge.cell);
                    let of_challenge = of_challenge.map(|cell| ix::slash_challenged(me, &shard.job, shard.index, cell));
                    for slash in own.into_iter().chain(of_challenge) {
                        match self.turn(seen, Action::SlashUnanswered, &[slash]).await {
                            Ok(signature) => return self.slashed(seen, signature).await,
                            // Drawn and named cells have their own due times: one kind was late, and it is answered.
                            Err(error) if overtaken(&error) => {}
                            Err(error) => return Err(error),
                        }
                    }
                }
                if cranks.roll && account.state() == Some(ShardState::Committed) && self.aged_out(account, now).await? {
                    let roll = ix::roll_window(me, &shard.job, shard.index, account.window);
                    let signature = self.turn(seen, Action::RollWindow, &[roll]).await?;
                    return self.slashed(seen, signature).await;
                }
                if cranks.settle && is_proven(account, terms, now) {
                    let provider = self.provider(&account.provider).await?;
                    let settle = ix::settle_shard(&shard.job, &seen.job.job, &account.provider, &provider, shard.index);
                    self.turn(seen, Action::SettleShard, &[settle]).await?;
                }
                Ok(())
            }
            Some(ShardState::Slashed) => self.collect(seen).await,
            _ => Ok(()),
        }
    }

    /// Whether the draw window is lost: old, unrecorded, and out of the slot hashes.
    async fn aged_out(&self, account: &Shard, now: &Now) -> Result<bool> {
        if !may_be_old(account, now) || self.chain.reader.draw_seed(account.window).await?.is_some() {
            return Ok(false);
        }
        Ok(self.chain.reader.draw_window(account.window).await? == Window::AgedOut)
    }

    fn is_ours(&self, account: &Shard) -> bool {
        account.bounty_to == self.chain.me() && account.owed_bounty > 0
    }

    fn is_first(&self, account: &Shard) -> bool {
        account.seized == 0 && (self.config.cranks.seize || account.bounty_to == self.chain.me())
    }

    /// Tells of a conviction by a crank and collects.
    async fn slashed(&self, seen: &Seen, signature: solana_signature::Signature) -> Result<()> {
        let account = self.chain.reader.shard(&seen.shard.job, seen.shard.index).await?;
        if let Some(account) = account.filter(|account| account.state() == Some(ShardState::Slashed)) {
            let bounty = if account.bounty_to == self.chain.me() { account.owed_bounty } else { 0 };
            self.events.tell(Some(seen.shard), Some(signature), What::Convicted { bounty });
            self.collect(&seen.with(account)).await?;
        }
        Ok(())
    }

    /// Moves the debts of a slashed shard and fetches a bounty that is ours.
    pub(super) async fn collect(&self, seen: &Seen) -> Result<()> {
        let (account, shard, me) = (&seen.account, seen.shard, self.chain.me());
        let (ours, first) = (self.is_ours(account), self.is_first(account));
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
            let (program, mint) = (seen.job.job.terms.token_program, seen.job.job.terms.mint);
            let to = token::associated_of(&program, &me, &mint);
            let pay = ix::pay_bounty(&shard.job, &seen.job.job, &account.provider, &provider, shard.index, to);
            let make = token::create_associated_of(&program, me, &me, &mint);
            let signature = self.turn(seen, Action::PayBounty, &[make, pay]).await?;
            self.events.tell(Some(shard), Some(signature), What::BountyPaid { amount: account.owed_bounty });
        }
        Ok(())
    }
}

/// Whether a demanded cell may be past its due time.
fn is_late(account: &Shard, terms: &JobTerms, now: &Now) -> bool {
    let drawn = account.drawn > 0 && draw_due(account, terms).passed(now);
    let named = account.named > 0 && named_due(account, terms).passed(now);
    account.accepted == 0 && (drawn || named) && unanswered(account, terms) != 0
}

/// Whether every gate of settlement is passed.
fn is_proven(account: &Shard, terms: &JobTerms, now: &Now) -> bool {
    account.accepted != 0
        || (account.state() == Some(ShardState::Sampled)
            && unanswered(account, terms) == 0
            && account.open_challenges == 0
            && challenge_window(account, terms).passed(now)
            && delivered(account, terms, now).is_ok())
}

/// Whether the draw window began so long ago that the chain may have forgotten its first slots.
fn may_be_old(account: &Shard, now: &Now) -> bool {
    let start = first_slot(account.window).unwrap_or(u64::MAX);
    account.accepted == 0 && start <= now.slot.saturating_sub(KEPT_SLOTS)
}
