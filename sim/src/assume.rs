//! What the terms don't say.

use assay_kernels::hash::sha256;
use rand::{SeedableRng, rngs::StdRng};
use serde::Serialize;

/// Everything assumed, and how much is played. The defaults are what docs/economics.md shows.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Assumptions {
    /// Where chance begins
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Shards played for each row
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    pub runs: u32,
    /// Price of a shard, USD (the mint is taken to be worth a dollar)
    #[arg(long, default_value_t = 10.0)]
    pub price_usd: f64,
    /// What the work of a shard costs its provider, as a share of the price. 0.98, all that is paid, is the most that a
    /// provider can save that would not work at a loss
    #[arg(long, default_value_t = 0.98)]
    pub work: f64,
    /// Price of SOL, USD (an assumption, not a quote)
    #[arg(long, default_value_t = 200.0)]
    pub sol_usd: f64,
    /// Base fee of a signature, lamports
    #[arg(long, default_value_t = 5_000)]
    pub signature_lamports: u64,
    /// What a leader loses with a block that it withholds, SOL (an assumption)
    #[arg(long, default_value_t = 0.03)]
    pub block_reward_sol: f64,
    /// Length of a slot, milliseconds
    #[arg(long, default_value_t = 400)]
    pub slot_ms: u32,
}

impl Default for Assumptions {
    fn default() -> Self {
        Assumptions {
            seed: 1,
            runs: 20_000,
            price_usd: 10.0,
            work: 0.98,
            sol_usd: 200.0,
            signature_lamports: 5_000,
            block_reward_sol: 0.03,
            slot_ms: 400,
        }
    }
}

impl Assumptions {
    /// Chance for one part of the report, independent of the others.
    pub fn chance(&self, part: &str) -> StdRng {
        StdRng::from_seed(sha256(&[&self.seed.to_le_bytes(), part.as_bytes()]))
    }

    /// Price of a shard in base units of a mint with six decimals.
    pub fn price(&self) -> u64 {
        (self.price_usd * 1e6) as u64
    }

    /// Lamports in USD.
    pub fn lamports_usd(&self, lamports: f64) -> f64 {
        lamports * 1e-9 * self.sol_usd
    }
}
