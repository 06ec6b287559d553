//! Caps, floors and sizes that live in the program: no market, renter or authority can move them.

use anchor_lang::prelude::*;

/// Layout version written into every account this program creates.
pub const ACCOUNT_VERSION: u8 = 1;

/// One hundred per cent in basis points.
pub const BPS: u32 = 10_000;

/// Most input trees of a job.
pub const MAX_INPUTS: usize = 4;
/// Most bytes of kernel parameters of a job.
pub const MAX_PARAMS: usize = 512;
/// Most cost classes of a job.
pub const MAX_CLASSES: usize = 16;
/// Most cells of a shard that can be demanded without a bond: drawn (k) and named (m) together.
pub const MAX_CELLS: usize = 32;
/// Most operator keys of a provider.
pub const MAX_OPERATORS: usize = 4;
/// Most watch keys of a job.
pub const MAX_WATCH_KEYS: usize = 2;
/// Most leaves of a shard that a renter can have posted to the ledger.
pub const MAX_DEMANDED_LEAVES: usize = 64;
/// Bytes of a provider's endpoint and of a job's locator (UTF-8 URL, zero padded).
pub const URL_BYTES: usize = 128;
/// Most shards of a job.
pub const MAX_SHARDS: u32 = 65_536;
/// Most leaves of a job.
pub const MAX_LEAVES: u64 = 1 << 40;
/// Most total cost of a job (sum over the classes of cells times cost), so that a draw by cost has no visible bias.
pub const MAX_COST: u64 = 1 << 48;
/// Most bytes of a cell.
pub const MAX_CELL_BYTES: u32 = 1_024;
/// Most bytes of a leaf, so that its opening fits one evidence account.
pub const MAX_LEAF_BYTES: u32 = 65_536;
/// Most compute units a kernel may register for one cell.
pub const MAX_CELL_CU: u32 = 700_000;
/// Most bytes of instruction data of a call to a verifier (the runtime's limit).
pub const MAX_VERIFIER_DATA: usize = 10_240;
/// Most openings of one adjudication.
pub const MAX_OPENINGS: usize = 64;
/// Most bytes of an Evidence account, its header included.
pub const MAX_EVIDENCE_BYTES: usize = 262_144;

/// Collateral of a claim: at least this many basis points of A x price.
pub const COLLATERAL_FLOOR_BPS: u32 = 15_000;
/// And at most this many: more would only keep providers away.
pub const COLLATERAL_CAP_BPS: u32 = 100_000;
/// Most amplification A that a kernel may declare, in basis points (64 x).
pub const AMPLIFICATION_CAP_BPS: u32 = 640_000;
/// Most fee of a market, basis points of the price.
pub const FEE_CAP_BPS: u16 = 1_000;
/// Most bounty of a market, basis points of what is seized.
pub const BOUNTY_CAP_BPS: u16 = 2_000;
/// Most penalty for a release or an expired claim, basis points of the price.
pub const PENALTY_CAP_BPS: u16 = 5_000;
/// Least penalty for a release outside an experimental market, basis points of the price.
pub const RELEASE_FLOOR_BPS: u16 = 1;
/// Least penalty of an expired claim outside an experimental market, basis points of the price.
pub const EXPIRY_FLOOR_BPS: u16 = 1_000;
/// The last price of an auction is at most so many times the first, so that holding a claim is never nearly free.
pub const PRICE_SPAN_CAP: u64 = 4;
/// Fewest drawn cells k outside an experimental market.
pub const SAMPLES_FLOOR: u8 = 3;
/// Shortest response time outside an experimental market, seconds.
pub const RESPONSE_FLOOR_SECONDS: u32 = 3_600;
/// Shortest challenge window outside an experimental market, seconds.
pub const CHALLENGE_FLOOR_SECONDS: u32 = 3_600;
/// Longest of any duration in the terms, seconds: nobody waits for ever.
pub const DURATION_CAP_SECONDS: u32 = 30 * 86_400;
/// Longest life of a job before its open shards can be refunded, seconds.
pub const JOB_LIFE_CAP_SECONDS: i64 = 90 * 86_400;
/// How long an unpaid bounty waits for its owner before it falls to the treasury, seconds.
pub const BOUNTY_WAIT_SECONDS: u32 = 30 * 86_400;
/// How long a recorded seed must stay before its rent can be taken back, seconds.
pub const SEED_KEEP_SECONDS: u32 = 30 * 86_400;

/// Most transactions that answering one cell may take: a full evidence account in v0 transactions.
pub const MAX_ANSWER_TRANSACTIONS: u16 = 320;
/// Seconds in the queue of a provider's challenges for each transaction that answering one cell takes.
pub const SECONDS_PER_ANSWER_TRANSACTION: u32 = 2;

/// Slots of a draw window.
pub const WINDOW_SLOTS: u64 = 64;
/// Slots between a commitment and the earliest window that can draw its cells.
pub const WINDOW_LEAD_SLOTS: u64 = 32;
/// Slot hashes that make a seed.
pub const SEED_HASHES: usize = 12;
/// Slots that must pass for each second of a deadline (a slot lasts 400 ms or less).
pub const SLOTS_PER_SECOND: u64 = 2;
/// Least time after a cluster restart before any deadline can pass, seconds.
pub const RESTART_GRACE_SECONDS: u32 = 3_600;

/// The loader whose ProgramData account says whether a verifier can still be changed.
pub const UPGRADEABLE_LOADER: Pubkey = anchor_lang::solana_program::bpf_loader_upgradeable::ID;
/// SPL Token.
pub const TOKEN_PROGRAM: Pubkey = pubkey!("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
/// SPL Token-2022.
pub const TOKEN_2022_PROGRAM: Pubkey = pubkey!("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
/// The associated token account program.
pub const ASSOCIATED_TOKEN_PROGRAM: Pubkey = pubkey!("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
/// The zero key: "nobody", in fields that hold an optional key.
pub const NOBODY: Pubkey = Pubkey::new_from_array([0; 32]);
