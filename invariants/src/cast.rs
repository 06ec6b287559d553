//! Who takes part: people, and the mints, markets and providers they come with.

use assay_client::token;
use assay_kernels::hash::sha256;
use assay_settlement::Terms;
use rand::{Rng, rngs::StdRng};
use solana_pubkey::Pubkey;
use std::sync::LazyLock;

/// Number of a person in the cast.
pub type Who = usize;

/// Opens the markets, may pause them, mints and freezes tokens.
pub const AUTHORITY: Who = 0;
/// Have jobs done.
pub const RENTERS: [Who; 3] = [1, 2, 3];
/// May name cells for renters 1 and 2.
pub const WATCHER: Who = 4;
/// Own the stakes; [`manner`] says how each behaves.
pub const OWNERS: [Who; 5] = [5, 6, 7, 8, 9];
/// Work for the owner five places before.
pub const OPERATORS: [Who; 5] = [10, 11, 12, 13, 14];
/// Turn cranks.
pub const CRANKS: [Who; 2] = [15, 16];
/// Has no business here, and never any right.
pub const STRANGER: Who = 17;
/// Says whether results arrived.
pub const ATTESTOR: Who = 18;
/// May be handed a market.
pub const HEIR: Who = 19;
/// Everybody.
pub const PEOPLE: usize = 20;

/// How a provider behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Does everything right and in time.
    Honest,
    /// Computes right, but never records, draws or answers.
    Lazy,
    /// Commits wrong cells and answers where that does not give it away.
    Forger,
    /// Takes work to keep it from others: gives it back, lets it expire, commits roots of nothing.
    Griefer,
}

/// How the provider of an owner behaves.
pub fn manner(owner: Who) -> Manner {
    [Manner::Honest, Manner::Lazy, Manner::Forger, Manner::Griefer, Manner::Honest][owner - OWNERS[0]]
}

/// The operator of an owner.
pub fn operator_of(owner: Who) -> Who {
    owner + OWNERS.len()
}

static KEYS: LazyLock<[Pubkey; PEOPLE]> = LazyLock::new(|| {
    core::array::from_fn(|who| Pubkey::new_from_array(sha256(&[b"invariants person", &who.to_le_bytes()])))
});
static WALLETS: LazyLock<Vec<[Pubkey; PEOPLE]>> = LazyLock::new(|| {
    let of = |number: usize| {
        core::array::from_fn(|who| token::associated_of(&token_program(number), &KEYS[who], &mint(number)))
    };
    (0..DECIMALS.len()).map(of).collect()
});

/// The address of a person.
pub fn key(who: Who) -> Pubkey {
    KEYS[who]
}

/// A person's token account for a mint.
pub fn wallet(who: Who, mint: usize) -> Pubkey {
    WALLETS[mint][who]
}

/// The person with this address.
pub fn person(address: &Pubkey) -> Option<Who> {
    KEYS.iter().position(|key| key == address)
}

/// The address of a mint.
pub fn mint(number: usize) -> Pubkey {
    Pubkey::new_from_array(sha256(&[b"invariants mint", &number.to_le_bytes()]))
}

/// Decimals of the mints: one like USDC, one like wrapped SOL, one of Token-2022 with metadata.
pub const DECIMALS: [u8; 3] = [6, 9, 6];

/// The token program of a mint.
pub fn token_program(mint: usize) -> Pubkey {
    if mint == 2 { token::TOKEN_2022 } else { token::SPL_TOKEN }
}

/// One unit of a mint, base units.
pub fn unit(mint: usize) -> u64 {
    10u64.pow(u32::from(DECIMALS[mint]))
}

/// What a market is opened with.
#[derive(Clone, Debug)]
pub struct MarketPlan {
    /// Number of its mint.
    pub mint: usize,
    /// Its terms.
    pub terms: Terms,
    /// Whether they may lie below the floors.
    pub experimental: bool,
}

/// Three markets: tiny windows, default floors, no challenge window. Shares and counts vary within the caps.
pub fn markets(random: &mut StdRng) -> Vec<MarketPlan> {
    let mut plan = |mint: usize, challenge: u32, response: u32, experimental: bool| {
        let release_min_bps = random.random_range(1..500);
        let release_max_bps = release_min_bps + random.random_range(0..1_500);
        let terms = Terms {
            bond_base: unit(mint),
            bond_per_kib: unit(mint) / 50,
            post_per_kib: unit(mint) / 100,
            collateral_bps: random.random_range(15_000..=30_000),
            challenge_seconds: challenge,
            response_seconds: response,
            fee_bps: random.random_range(0..=1_000),
            bounty_bps: random.random_range(0..=2_000),
            release_min_bps,
            release_max_bps,
            expiry_bps: release_max_bps.max(1_000) + random.random_range(0..2_000),
            samples: if experimental { random.random_range(1..=5) } else { 3 },
            named: random.random_range(0..=5),
            reserved: [0; 5],
        };
        MarketPlan { mint, terms, experimental }
    };
    vec![plan(0, 600, 300, true), plan(1, 3_600, 3_600, false), plan(2, 0, 300, true)]
}
