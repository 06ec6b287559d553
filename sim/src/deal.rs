//! What a shard is played under: terms, price, cells.

use anchor_lang::prelude::Pubkey;
use assay_settlement::{
    constants::BPS,
    rules::{draw, money, terms as terms_of},
    state::{CostClass, Job, Kernel, Provider, Terms},
};
use bytemuck::Zeroable;

use crate::{Result, assume::Assumptions, closed::Stakes, terms};

/// Cells of a shard, unless a scene is about their number.
pub const CELLS: u64 = 16_384;
/// Time to commit, seconds.
pub const EXECUTE_SECONDS: u32 = 24 * 3_600;
/// The operator of the provider that is played.
pub const OPERATOR: Pubkey = Pubkey::new_from_array([3; 32]);
const MARKET: Pubkey = Pubkey::new_from_array([9; 32]);

/// A job of one shard.
#[derive(Clone, Debug)]
pub struct Deal {
    /// The market's terms.
    pub terms: Terms,
    /// Price of the shard when the auction begins, base units.
    pub price_start: u64,
    /// Its price when the auction is over, base units.
    pub price: u64,
    /// A of the kernel, basis points.
    pub amplification_bps: u32,
    /// Bytes of evidence that an answer may need, as the kernel registered them.
    pub evidence_bytes: u32,
    /// Transactions that an answer may take, as the kernel registered them.
    pub answer_transactions: u16,
    /// Its cells.
    pub classes: Vec<CostClass>,
}

/// Cells of one cost, in leaves of 64.
pub fn class(cells: u64, cost: u64, stage: u32) -> CostClass {
    CostClass { cells, cost, cells_per_leaf: 64, cell_bytes: 4, stage, reserved: 0 }
}

impl Deal {
    /// The default terms, a flat price, and these cells.
    pub fn standard(a: &Assumptions, classes: Vec<CostClass>) -> Self {
        let price = a.price();
        Deal {
            terms: terms::standard(),
            price_start: price,
            price,
            amplification_bps: BPS,
            evidence_bytes: 0,
            answer_transactions: 1,
            classes,
        }
    }

    /// The default terms and 16,384 cells of equal cost.
    pub fn plain(a: &Assumptions) -> Self {
        Deal::standard(a, vec![class(CELLS, 1, 0)])
    }

    /// Cells that the chain draws (k).
    pub fn samples(&self) -> Result<u8> {
        terms_of::samples_for(self.terms.samples, &self.classes)
    }

    /// Cells of the shard.
    pub fn cells(&self) -> u64 {
        self.classes.iter().fold(0, |n, c| n.saturating_add(c.cells))
    }

    /// Base units in prices.
    pub fn in_prices(&self, amount: u64) -> f64 {
        amount as f64 / self.price as f64
    }

    /// What is paid, locked and divided, in prices, by the program's own arithmetic.
    pub fn stakes(&self) -> Result<Stakes> {
        let t = &self.terms;
        let paid = money::settlement(self.price, t.fee_bps)?;
        let lock = money::collateral(self.price, t.collateral_bps, self.amplification_bps)?;
        let parts = money::seizure(lock, self.price, self.amplification_bps, t.bounty_bps, 0)?;
        Ok(Stakes {
            pay: self.in_prices(paid.pay),
            fee: self.in_prices(paid.fee),
            lock: self.in_prices(lock),
            bounty: self.in_prices(parts.bounty),
            treasury: self.in_prices(parts.treasury),
        })
    }

    /// The job, as the program would have made it.
    pub fn job(&self) -> Result<Job> {
        let mut job = Job::zeroed();
        let leaves = self.classes.iter().try_fold(0u64, |n, c| Ok(n.saturating_add(draw::class_leaves(c)?)))?;
        let (t, m) = (&mut job.terms, &self.terms);
        t.market = MARKET;
        (t.shards, t.leaves, t.shard_leaves) = (1, leaves, leaves);
        (t.price_start, t.price_max) = (self.price_start, self.price);
        t.execute_seconds = EXECUTE_SECONDS;
        t.ramp_seconds = if self.price_start < self.price { EXECUTE_SECONDS } else { 0 };
        t.expires_at = i64::from(u32::MAX);
        t.challenge_seconds = m.challenge_seconds;
        t.response_seconds = m.response_seconds;
        t.collateral_bps = m.collateral_bps;
        t.amplification_bps = self.amplification_bps;
        t.fee_bps = m.fee_bps;
        t.bounty_bps = m.bounty_bps;
        t.release_min_bps = m.release_min_bps;
        t.release_max_bps = m.release_max_bps;
        t.expiry_bps = m.expiry_bps;
        let kernel = Kernel {
            answer_transactions: self.answer_transactions,
            evidence_bytes_max: self.evidence_bytes,
            ..Kernel::zeroed()
        };
        (t.answer_transactions, t.bond) = terms_of::answer(m, &kernel, 0, 0)?;
        t.samples = terms_of::samples_for(m.samples, &self.classes)?;
        t.named = m.named;
        for (slot, class) in t.class.iter_mut().zip(&self.classes) {
            *slot = *class;
            t.classes = t.classes.saturating_add(1);
        }
        Ok(job)
    }

    /// A provider with ample stake.
    pub fn provider(&self) -> Provider {
        let mut provider = Provider::zeroed();
        provider.market = MARKET;
        if let Some(first) = provider.operators.first_mut() {
            *first = OPERATOR;
        }
        provider.staked = self.price.saturating_mul(1_000);
        provider
    }
}
