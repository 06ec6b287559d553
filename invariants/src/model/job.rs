//! A job: what its renter asked for, and its shards.

use super::{Phase, Shard};
use crate::{cast::Who, time::Moment};
use assay_settlement::Job as JobData;
use solana_pubkey::Pubkey;
use std::rc::Rc;

/// Who says whether a result arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nobody asks.
    None,
    /// The ledger: demanded leaves are posted or not.
    Ledger,
    /// The attestor; and whether its silence pays.
    Attested(bool),
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its address.
    pub key: Pubkey,
    /// Whether its account exists.
    pub exists: bool,
    /// Its renter.
    pub renter: Who,
    /// Who paid the rent.
    pub payer: Who,
    /// Number of its market.
    pub market: usize,
    /// Its place in the cast's kinds.
    pub kind: usize,
    /// Who may name cells besides the renter.
    pub watcher: Option<Who>,
    /// The one provider that may claim.
    pub reserved: Option<usize>,
    /// First and last price, base units.
    pub prices: (u64, u64),
    /// Seconds between them.
    pub ramp: u32,
    /// Seconds to commit.
    pub execute: u32,
    /// Seconds until it takes no more claims.
    pub life: u32,
    /// When it was created.
    pub created: Moment,
    /// How delivery decides.
    pub mode: Mode,
    /// Only the renter may challenge.
    pub restricted: bool,
    /// Takes no more claims.
    pub cancelled: bool,
    /// Owed to the treasury, base units.
    pub fees: u64,
    /// Came to the renter, went to providers; base units.
    pub totals: [u64; 2],
    /// Its shards.
    pub shards: Vec<Shard>,
    /// Its account as it was created; what is read of it never changes.
    pub data: Rc<JobData>,
}

impl Job {
    /// Shards in work.
    pub fn active(&self) -> u64 {
        self.shards.iter().filter(|s| s.in_work()).count() as u64
    }

    /// Shards that nobody has and that are not done.
    pub fn open(&self) -> u64 {
        self.shards.iter().filter(|s| s.phase == Phase::Open).count() as u64
    }

    /// Shards with an account.
    pub fn accounts(&self) -> u64 {
        self.shards.iter().filter(|s| s.payer.is_some()).count() as u64
    }
}
