//! One event for every transition. Together with the slot and the block time of their transactions, they hold what an
//! indexer needs to rebuild every account. Amounts in base units, times in unix seconds.

use crate::{
    instructions::JobRequest,
    rules::judgement::Fault,
    state::{CostClass, InputTree, Job, Shard, Terms},
};
use anchor_lang::prelude::*;

/// A market was opened.
#[event]
pub struct MarketOpened {
    /// The market.
    pub market: Pubkey,
    /// Who opened it.
    pub creator: Pubkey,
    /// Number that its creator gave it.
    pub id: u16,
    /// The mint of every price, collateral and bond.
    pub mint: Pubkey,
    /// The mint's token program.
    pub token_program: Pubkey,
    /// Decimals of the mint.
    pub decimals: u8,
    /// True when the mint's freeze authority can stop every vault.
    pub freezable: bool,
    /// Who may pause it and withdraw from its treasury.
    pub authority: Pubkey,
    /// Token account of fees.
    pub treasury: Pubkey,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// True when terms may lie below the floors.
    pub experimental: bool,
    /// What jobs are dealt under.
    pub terms: Terms,
}

/// A market was paused, or resumed.
#[event]
pub struct MarketPausedSet {
    /// The market.
    pub market: Pubkey,
    /// True: no new jobs and claims.
    pub paused: bool,
}

/// A market's authority named its successor, who has not accepted yet.
#[event]
pub struct AuthorityProposed {
    /// The market.
    pub market: Pubkey,
    /// The successor; zero when the proposal was taken back.
    pub proposed: Pubkey,
}

/// A market has a new authority.
#[event]
pub struct AuthorityChanged {
    /// The market.
    pub market: Pubkey,
    /// The new authority.
    pub authority: Pubkey,
}

/// Fees left a market's treasury.
#[event]
pub struct TreasuryWithdrawn {
    /// The market.
    pub market: Pubkey,
    /// Base units that left.
    pub amount: u64,
}

/// A market was closed.
#[event]
pub struct MarketClosed {
    /// The market.
    pub market: Pubkey,
    /// Base units that were left in its treasury.
    pub amount: u64,
}

/// A kernel was registered.
#[event]
pub struct KernelRegistered {
    /// The kernel account.
    pub kernel: Pubkey,
    /// Its verifier program.
    pub verifier: Pubkey,
    /// Its number inside the verifier.
    pub id: u16,
    /// A, basis points.
    pub amplification_bps: u32,
    /// Stages.
    pub stages: u8,
    /// Inputs of a job.
    pub inputs: u8,
    /// Transactions that answering one cell takes, at most.
    pub answer_transactions: u16,
    /// Most bytes of evidence of a cell.
    pub evidence_bytes_max: u32,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// Name, ASCII, zero padded.
    pub name: [u8; 24],
}

/// A kernel's registration was closed.
#[event]
pub struct KernelClosed {
    /// The kernel account.
    pub kernel: Pubkey,
}

/// A provider was registered, or changed its keys or endpoint.
#[event]
pub struct ProviderUpdated {
    /// The Provider account.
    pub provider: Pubkey,
    /// Its market.
    pub market: Pubkey,
    /// Its owner, the cold authority.
    pub owner: Pubkey,
    /// Its hot keys; zero for none.
    pub operators: [Pubkey; 4],
    /// X25519 key to which renters encrypt; zero for none.
    pub encryption_key: [u8; 32],
    /// Where it serves results.
    pub endpoint: String,
}

/// Stake came in.
#[event]
pub struct StakeDeposited {
    /// The Provider account.
    pub provider: Pubkey,
    /// Base units that came in.
    pub amount: u64,
    /// Stake after it.
    pub staked: u64,
}

/// Stake or earnings went out.
#[event]
pub struct StakeWithdrawn {
    /// The Provider account.
    pub provider: Pubkey,
    /// Base units that went out.
    pub amount: u64,
    /// Stake after it.
    pub staked: u64,
}

/// A provider's account was closed.
#[event]
pub struct ProviderClosed {
    /// The Provider account.
    pub provider: Pubkey,
    /// Its market.
    pub market: Pubkey,
}

/// A job was created and its escrow paid. What it snapshots of its market and kernel stands in their events.
#[event]
pub struct JobCreated {
    /// The job.
    pub job: Pubkey,
    /// Whose job it is.
    pub renter: Pubkey,
    /// Number among the renter's jobs.
    pub nonce: u64,
    /// Its market.
    pub market: Pubkey,
    /// Its kernel account.
    pub kernel: Pubkey,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// SHA-256 of the terms.
    pub terms_hash: [u8; 32],
    /// Shards of the job.
    pub shards: u32,
    /// Leaves of the job.
    pub leaves: u64,
    /// Leaves of a shard.
    pub shard_leaves: u64,
    /// First price of a shard.
    pub price_start: u64,
    /// Last price of a shard; what each escrows.
    pub price_max: u64,
    /// Seconds from the first price to the last.
    pub ramp_seconds: u32,
    /// Seconds from claim to commitment.
    pub execute_seconds: u32,
    /// When it was created.
    pub created_at: i64,
    /// When it takes no more claims.
    pub expires_at: i64,
    /// What was escrowed: last price times shards.
    pub escrow: u64,
    /// Bond of a challenge.
    pub bond: u64,
    /// Cells drawn of each shard (k).
    pub samples: u8,
    /// DeliveryMode.
    pub delivery: u8,
    /// Silence.
    pub silence: u8,
    /// RENTER_CHALLENGES, PUBLIC_RESULTS.
    pub flags: u8,
    /// The attestor; zero for none.
    pub attestor: Pubkey,
    /// The one provider that may claim; zero for anyone.
    pub reserved_for: Pubkey,
    /// Keys that may name cells; zero for none.
    pub watch_keys: [Pubkey; 2],
    /// Cost classes, as the verifier stated them.
    pub classes: Vec<CostClass>,
    /// Roots and lengths of the inputs.
    pub inputs: Vec<InputTree>,
    /// Where the inputs are found, zero padding cut off.
    pub locator: Vec<u8>,
    /// Parameters of the kernel.
    pub params: Vec<u8>,
    /// Transactions that answering one cell takes, at most.
    pub answer_transactions: u16,
    /// Cells that may be named of each shard (m).
    pub named: u8,
}

impl JobCreated {
    /// What the account of a new job says. `request`: what it was made of; its parts go into the event as they are.
    pub fn new(key: Pubkey, job: &Job, escrow: u64, request: JobRequest) -> Self {
        let t = &job.terms;
        JobCreated {
            job: key,
            renter: job.renter,
            nonce: job.nonce,
            market: t.market,
            kernel: t.kernel,
            rent_payer: job.rent_payer,
            terms_hash: job.terms_hash,
            shards: t.shards,
            leaves: t.leaves,
            shard_leaves: t.shard_leaves,
            price_start: t.price_start,
            price_max: t.price_max,
            ramp_seconds: t.ramp_seconds,
            execute_seconds: t.execute_seconds,
            created_at: t.created_at,
            expires_at: t.expires_at,
            escrow,
            bond: t.bond,
            samples: t.samples,
            delivery: t.delivery,
            silence: t.silence,
            flags: t.flags,
            attestor: t.attestor,
            reserved_for: t.reserved_for,
            watch_keys: job.watch_keys,
            classes: t.classes().to_vec(),
            inputs: request.inputs,
            locator: request.locator.into_bytes(),
            params: request.params,
            answer_transactions: t.answer_transactions,
            named: t.named,
        }
    }
}

/// A job takes no more claims.
#[event]
pub struct JobCancelled {
    /// The job.
    pub job: Pubkey,
}

/// The keys that may name cells of a job were replaced.
#[event]
pub struct WatchKeysSet {
    /// The job.
    pub job: Pubkey,
    /// The keys; zero for none.
    pub keys: [Pubkey; 2],
}

/// Money of a job's vault that no shard needs went to the renter.
#[event]
pub struct RefundWithdrawn {
    /// The job.
    pub job: Pubkey,
    /// Base units that went out.
    pub amount: u64,
}

/// Fees of a job went to its market's treasury before the job closed.
#[event]
pub struct FeesSwept {
    /// The job.
    pub job: Pubkey,
    /// Base units that went out.
    pub amount: u64,
}

/// A job was closed.
#[event]
pub struct JobClosed {
    /// The job.
    pub job: Pubkey,
    /// Base units that went to the treasury.
    pub fees: u64,
    /// Base units that went to the renter.
    pub refund: u64,
}

/// A shard was claimed.
#[event]
pub struct ShardClaimed {
    /// The job.
    pub job: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// Its number inside the job.
    pub index: u32,
    /// The Provider account.
    pub provider: Pubkey,
    /// The key that claimed; the first claim's paid the account's rent.
    pub operator: Pubkey,
    /// Price of the claim.
    pub price: u64,
    /// What the provider locked for it.
    pub collateral: u64,
    /// Until when it must commit.
    pub deadline: i64,
}

/// A claim was given back, or expired.
#[event]
pub struct ClaimEnded {
    /// The job.
    pub job: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// The Provider account.
    pub provider: Pubkey,
    /// True when its time was over, false when the operator gave it back.
    pub expired: bool,
    /// What the provider paid the renter.
    pub penalty: u64,
}

/// A root was committed. The challenge window begins with the block.
#[event]
pub struct ResultCommitted {
    /// The shard.
    pub shard: Pubkey,
    /// The key that committed.
    pub operator: Pubkey,
    /// Root over the salted leaves.
    pub root: [u8; 32],
    /// Draw window.
    pub window: u64,
}

/// The seed of a draw window was recorded.
#[event]
pub struct SeedRecorded {
    /// The window.
    pub window: u64,
    /// SHA-256 of tag, window and 12 slot hashes.
    pub seed: [u8; 32],
    /// Who paid the rent.
    pub rent_payer: Pubkey,
}

/// A seed's account was closed.
#[event]
pub struct SeedClosed {
    /// The window.
    pub window: u64,
}

/// Cells of a shard were drawn.
#[event]
pub struct CellsDrawn {
    /// The shard.
    pub shard: Pubkey,
    /// Numbers of the cells, inside the shard.
    pub cells: Vec<u64>,
    /// When their answers are due.
    pub due: i64,
}

/// A draw window had aged out unrecorded.
#[event]
pub struct WindowRolled {
    /// The shard.
    pub shard: Pubkey,
    /// The new window.
    pub window: u64,
    /// What the renter is owed for it.
    pub owed: u64,
    /// Windows rolled so far.
    pub rolls: u8,
}

/// The renter named cells.
#[event]
pub struct CellsNamed {
    /// The shard.
    pub shard: Pubkey,
    /// The renter or a watch key.
    pub by: Pubkey,
    /// Numbers of the cells, inside the shard.
    pub cells: Vec<u64>,
    /// When their answers are due.
    pub due: i64,
}

/// A demanded cell was re-executed and is right.
#[event]
pub struct CellAnswered {
    /// The shard.
    pub shard: Pubkey,
    /// Job-wide leaf.
    pub leaf: u64,
    /// Cell inside the leaf.
    pub cell: u32,
    /// Bit i: demanded cell i of the shard is answered.
    pub answered: u32,
    /// Drawn and named cells that still wait.
    pub left: u32,
    /// Challenges of the shard that still wait.
    pub open_challenges: u32,
}

/// A cell that takes several transactions was carried one step further.
#[event]
pub struct CellStepped {
    /// The shard.
    pub shard: Pubkey,
    /// Job-wide leaf.
    pub leaf: u64,
    /// Cell inside the leaf.
    pub cell: u32,
    /// Steps done.
    pub steps: u64,
}

/// A cell was challenged.
#[event]
pub struct ChallengeOpened {
    /// The challenge.
    pub challenge: Pubkey,
    /// The job.
    pub job: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// The Provider account that must answer.
    pub provider: Pubkey,
    /// Who put up the bond.
    pub challenger: Pubkey,
    /// Number of the cell inside the shard.
    pub number: u64,
    /// Job-wide leaf.
    pub leaf: u64,
    /// Cell inside the leaf.
    pub cell: u32,
    /// The bond.
    pub bond: u64,
    /// When the answer is due.
    pub due: i64,
}

/// The bond of an answered challenge was divided.
#[event]
pub struct ChallengePaid {
    /// The challenge, closed now.
    pub challenge: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// The Provider account.
    pub provider: Pubkey,
    /// To the provider's stake.
    pub to_provider: u64,
    /// To the job's vault.
    pub to_renter: u64,
}

/// A bond went back to its challenger.
#[event]
pub struct BondReturned {
    /// The challenge, closed now.
    pub challenge: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// The challenger.
    pub to: Pubkey,
    /// Base units that went out.
    pub amount: u64,
}

/// The renter accepted a result: it can be settled at once.
#[event]
pub struct ShardAccepted {
    /// The job.
    pub job: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// The Provider account.
    pub provider: Pubkey,
}

/// The renter demanded leaves on the ledger.
#[event]
pub struct LeavesDemanded {
    /// The job.
    pub job: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// Job-wide numbers of the leaves.
    pub leaves: Vec<u64>,
    /// What the renter prepaid for posting them.
    pub prepaid: u64,
    /// When they must be posted.
    pub due: i64,
}

/// A demanded leaf stands on the ledger: its bytes are in this transaction, or in those that wrote the evidence.
#[event]
pub struct LeafPosted {
    /// The shard.
    pub shard: Pubkey,
    /// Job-wide number of the leaf.
    pub leaf: u64,
    /// Demanded leaves that are still missing.
    pub left: u8,
    /// What the provider has earned by posting so far.
    pub posted_pay: u64,
}

/// The attestor spoke.
#[event]
pub struct DeliveryAttested {
    /// The job.
    pub job: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// Whether the result arrived.
    pub arrived: bool,
}

/// The list of demanded leaves of an ended shard was closed.
#[event]
pub struct DeliveryClosed {
    /// The Delivery account.
    pub delivery: Pubkey,
    /// The shard.
    pub shard: Pubkey,
}

/// A shard was convicted.
#[event]
pub struct ShardSlashed {
    /// The shard.
    pub shard: Pubkey,
    /// The Provider account.
    pub provider: Pubkey,
    /// 1 a wrong cell, 2 an unanswered cell, 3 rolled windows.
    pub fault: u8,
    /// Job-wide leaf; the largest number when no cell is to blame.
    pub leaf: u64,
    /// Cell inside the leaf; the largest number when no cell is to blame.
    pub cell: u32,
    /// Who is owed the bounty.
    pub bounty_to: Pubkey,
    /// Owed to the renter, on top of the escrow it gets back.
    pub compensation: u64,
    /// Owed to whoever proved the fault.
    pub bounty: u64,
    /// Owed to the treasury.
    pub treasury: u64,
}

impl ShardSlashed {
    /// What the account of a shard says that was just slashed.
    pub fn new(key: Pubkey, shard: &Shard, fault: Fault, leaf: u64, cell: u32) -> Self {
        ShardSlashed {
            shard: key,
            provider: shard.provider,
            fault: fault as u8,
            leaf,
            cell,
            bounty_to: shard.bounty_to,
            compensation: shard.owed_renter,
            bounty: shard.owed_bounty,
            treasury: shard.owed_treasury,
        }
    }
}

/// Debts of a slashed shard went from the stake to the job's vault.
#[event]
pub struct CollateralSeized {
    /// The job.
    pub job: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// The Provider account.
    pub provider: Pubkey,
    /// Base units that moved; 0 when a vault is frozen and only the work was ended.
    pub amount: u64,
}

/// The renter gave up debts that a frozen vault kept from moving.
#[event]
pub struct DebtsWaived {
    /// The shard.
    pub shard: Pubkey,
    /// The Provider account, which keeps them.
    pub provider: Pubkey,
    /// Base units that are not locked any more.
    pub amount: u64,
}

/// A bounty was paid.
#[event]
pub struct BountyPaid {
    /// The shard.
    pub shard: Pubkey,
    /// The Provider account that paid.
    pub provider: Pubkey,
    /// Who got it.
    pub to: Pubkey,
    /// Base units that went out.
    pub amount: u64,
}

/// A shard was settled.
#[event]
pub struct ShardSettled {
    /// The job.
    pub job: Pubkey,
    /// The shard.
    pub shard: Pubkey,
    /// The Provider account.
    pub provider: Pubkey,
    /// To the provider's stake: price less fee, what it earned by posting, less what it owed.
    pub paid: u64,
    /// Fee, for the treasury.
    pub fee: u64,
    /// From the stake to the renter: what rolled windows cost more than was earned.
    pub to_renter: u64,
    /// False when the renter keeps the price because the result did not arrive.
    pub delivered: bool,
}

/// A terminal shard's account was closed.
#[event]
pub struct ShardClosed {
    /// The job.
    pub job: Pubkey,
    /// The shard.
    pub shard: Pubkey,
}
