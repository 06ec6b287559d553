//! What a slashed shard owes: moved to the renter and to whoever proved the fault, or given up where a frozen vault holds it.

use crate::{
    context::{Context, MarketAt},
    error::Result,
};
use assay_client::ix;
use assay_settlement::{
    Job, Shard,
    state::{Provider, ShardState},
};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

/// A slashed shard, with what moving its debts takes.
pub struct Slashed<'a> {
    /// Address of its job.
    pub address: &'a Pubkey,
    /// The job.
    pub job: &'a Job,
    /// The market.
    pub market: &'a MarketAt,
    /// The shard.
    pub shard: &'a Shard,
}

impl Slashed<'_> {
    /// Moves the debts, and the bounty to whom it is owed: anyone may. Returns the bounty, base units; 0 where somebody else has
    /// moved it.
    ///
    /// # Errors
    /// The chain can't be reached, or refuses because a vault is frozen.
    pub async fn pay_out(&self, context: &Context<'_>, payer: &Keypair) -> Result<u64> {
        let provider = self.provider(context).await?;
        let (holder, index) = (&self.shard.provider, self.shard.index);
        if self.shard.seized == 0 {
            let seize = ix::seize(self.address, self.job, holder, &provider, index);
            context.send(&[seize], &[payer]).await?;
        }
        if self.shard.owed_bounty == 0 {
            return Ok(0);
        }
        let to = self.market.purse(&self.shard.bounty_to);
        let instructions = [
            self.market.make_purse(payer.pubkey(), &self.shard.bounty_to),
            ix::pay_bounty(self.address, self.job, holder, &provider, index, to),
        ];
        context.send(&instructions, &[payer]).await?;
        Ok(self.shard.owed_bounty)
    }

    /// Gives up what can't be moved because a vault is frozen. Only the renter may.
    ///
    /// # Errors
    /// No vault is frozen, or a bounty is owed and its 30 days are not over; the chain can't be reached.
    pub async fn waive(&self, context: &Context<'_>, renter: &Keypair) -> Result<()> {
        let provider = self.provider(context).await?;
        let (holder, index) = (&self.shard.provider, self.shard.index);
        let waive = ix::waive_debts(renter.pubkey(), self.address, self.job, holder, &provider, index);
        context.send(&[waive], &[renter]).await.map(drop)
    }

    async fn provider(&self, context: &Context<'_>) -> Result<Provider> {
        Ok(context.reader.provider(&self.shard.provider).await?)
    }
}

/// Whether a shard was slashed and something of what it owes lies where it was.
pub fn owes(shard: &Shard) -> bool {
    let debts = [shard.owed_renter, shard.owed_bounty, shard.owed_treasury];
    shard.state() == Some(ShardState::Slashed) && (shard.seized == 0 || debts != [0; 3])
}
