//! `assay job`: the commands of a renter.

use clap::{Args, Subcommand, ValueEnum};
use solana_pubkey::Pubkey;
use std::path::PathBuf;

/// `assay job`
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Create a job and pay its escrow
    #[command(subcommand)]
    Submit(SubmitCommand),
    /// Show a job and its shards
    Status(JobAddress),
    /// Demand proofs of cells of your own choice, without a bond: once for each shard. Stay with --follow to have it done for all
    Name(Name),
    /// Demand a proof of one cell under a bond: right, it costs the bond; wrong or not proven in time, it brings a bounty
    Challenge(Challenge),
    /// Pay committed shards at once, without waiting for draws, proofs and delivery
    Accept(Accept),
    /// Have leaves posted to the ledger, where the job's delivery is `ledger`; prepaid
    DemandLeaves(DemandLeaves),
    /// Say whether a result arrived. The keypair is the attestor's
    Attest(Attest),
    /// Replace the hot keys that may name cells of a job
    WatchKeys(WatchKeys),
    /// Download the results, check them against the chain, and write them to a file
    Fetch(Fetch),
    /// Stop a job from taking more claims, and take back what no shard needs
    Cancel(JobAddress),
    /// Close a finished job: refunds, rent and fees go where they belong
    Close(JobClose),
}

/// A job.
#[derive(Args, Clone, Debug)]
pub struct JobAddress {
    /// Address of the job
    pub job: Pubkey,
}

/// `assay job close`
#[derive(Args, Clone, Debug)]
pub struct JobClose {
    /// Address of the job
    pub job: Pubkey,
    /// Give up what slashed shards owe you where a frozen vault keeps it from moving: else the job stays until it thaws
    #[arg(long)]
    pub waive_debts: bool,
}

/// `assay job name`
#[derive(Args, Clone, Debug)]
pub struct Name {
    /// Address of the job
    pub job: Pubkey,
    /// Number of the shard in the job
    #[arg(required_unless_present = "follow")]
    pub shard: Option<u32>,
    /// Number of a cell in the shard; several times or separated by commas. Default: drawn here at random, by cost
    #[arg(long, value_delimiter = ',', value_name = "NUMBER", requires = "shard")]
    pub cell: Vec<u64>,
    /// Stay until the job has ended and name random cells of every shard late in its challenge window. A watch key may do this
    #[arg(long, conflicts_with_all = ["shard", "cell"])]
    pub follow: bool,
}

/// `assay job challenge`
#[derive(Args, Clone, Debug)]
pub struct Challenge {
    /// Address of the job
    pub job: Pubkey,
    /// Number of the shard in the job
    pub shard: u32,
    /// Number of the cell in the shard
    #[arg(long, value_name = "NUMBER")]
    pub cell: u64,
    /// Open nothing: move the bond of a challenge that is decided, have an overdue one slashed and fetch its bounty. Anyone may
    #[arg(long)]
    pub end: bool,
    /// Don't ask before paying
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `assay job accept`
#[derive(Args, Clone, Debug)]
pub struct Accept {
    /// Address of the job
    pub job: Pubkey,
    /// Only this shard; may be given several times. Default: all that are committed
    #[arg(long, value_name = "NUMBER")]
    pub shard: Vec<u32>,
    /// Don't ask before paying
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `assay job demand-leaves`
#[derive(Args, Clone, Debug)]
pub struct DemandLeaves {
    /// Address of the job
    pub job: Pubkey,
    /// Number of the shard in the job
    pub shard: u32,
    /// Number of a leaf in the job; several times or separated by commas, 64 at most
    #[arg(long, required = true, value_delimiter = ',', value_name = "NUMBER")]
    pub leaf: Vec<u64>,
    /// Don't ask before paying
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `assay job attest`
#[derive(Args, Clone, Debug)]
#[group(id = "said", required = true, args = ["arrived", "missing"])]
pub struct Attest {
    /// Address of the job
    pub job: Pubkey,
    /// Number of the shard in the job
    pub shard: u32,
    /// The result arrived: the provider is paid
    #[arg(long)]
    pub arrived: bool,
    /// It did not: the renter gets the price back
    #[arg(long)]
    pub missing: bool,
}

/// `assay job watch-keys`
#[derive(Args, Clone, Debug)]
pub struct WatchKeys {
    /// Address of the job
    pub job: Pubkey,
    /// A key that may name cells and nothing else; two at most. None: takes the job's watch keys away
    #[arg(long, value_name = "ADDRESS")]
    pub key: Vec<Pubkey>,
}

/// `assay job fetch`
#[derive(Args, Clone, Debug)]
pub struct Fetch {
    /// Address of the job
    pub job: Pubkey,
    /// File to write: .png for an image, .npy for a product
    #[arg(long, short = 'o', value_name = "FILE")]
    pub out: PathBuf,
}

/// `assay job submit`
#[derive(Debug, Subcommand)]
pub enum SubmitCommand {
    /// An escape-time fractal image
    EscapeTime(EscapeTime),
    /// The product of two int8 matrices, exact in int32
    GemmI8(GemmI8),
}

/// What a renter offers.
#[derive(Args, Clone, Debug)]
pub struct Offer {
    /// Most that one shard may cost, in tokens; this much is escrowed for each shard
    #[arg(long, value_name = "TOKENS")]
    pub price: String,
    /// Price of a shard at first, in tokens. It rises to --price. Default: half of it
    #[arg(long, value_name = "TOKENS")]
    pub price_start: Option<String>,
    /// Seconds from the first price to the last
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    pub ramp: u32,
    /// Seconds a provider has from its claim to its result
    #[arg(long, default_value_t = 3_600, value_name = "SECONDS")]
    pub execute: u32,
    /// Seconds until shards that nobody claimed are refunded
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS")]
    pub life: u32,
    /// Number of shards that the work is cut into
    #[arg(long, default_value_t = 4)]
    pub shards: u32,
    /// Provider account that alone may claim
    #[arg(long, value_name = "ADDRESS")]
    pub reserved_for: Option<Pubkey>,
    /// How it is decided whether the result arrived, and the price with it. ledger: you can have up to 64 leaves of a shard posted to the chain. attested: --attestor says so
    #[arg(long, value_enum, default_value = "none", value_name = "HOW")]
    pub delivery: Delivery,
    /// Key that says whether the result arrived, for --delivery attested
    #[arg(long, value_name = "ADDRESS")]
    pub attestor: Option<Pubkey>,
    /// Who gets the price when the attestor says nothing: pay the provider, or refund. Default: pay
    #[arg(long, value_enum, value_name = "WHAT")]
    pub silence: Option<Silence>,
    /// Nobody but you may challenge cells
    #[arg(long)]
    pub only_renter_challenges: bool,
    /// The provider is to serve the results to anyone
    #[arg(long)]
    pub public_results: bool,
    /// Don't ask before paying
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// How it is decided whether a result arrived.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is not asked: whoever lacks bytes demands a cell
    None,
    /// The renter can have leaves posted to the chain
    Ledger,
    /// A key says so
    Attested,
}

/// What it means that the attestor says nothing.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The provider is paid
    Pay,
    /// The renter gets the price back
    Refund,
}

/// `assay job submit escape-time`
#[derive(Args, Clone, Debug)]
pub struct EscapeTime {
    /// Pixels along a row
    #[arg(long, default_value_t = 1920)]
    pub width: u32,
    /// Rows
    #[arg(long, default_value_t = 1080)]
    pub height: u32,
    /// Most iterations of a pixel, 1 to 4096
    #[arg(long, default_value_t = 1000)]
    pub max_iter: u32,
    /// Centre of the picture, real part
    #[arg(long, default_value_t = crate::view::CENTRE.0, allow_negative_numbers = true)]
    pub x: f64,
    /// Centre of the picture, imaginary part
    #[arg(long, default_value_t = crate::view::CENTRE.1, allow_negative_numbers = true)]
    pub y: f64,
    /// Width of the picture in the complex plane
    #[arg(long, default_value_t = crate::view::SPAN)]
    pub span: f64,
    /// The offer.
    #[command(flatten)]
    pub offer: Offer,
}

/// `assay job submit gemm-i8`
#[derive(Args, Clone, Debug)]
pub struct GemmI8 {
    /// Left matrix, .npy, int8, m x k
    #[arg(long, value_name = "FILE")]
    pub a: PathBuf,
    /// Right matrix, .npy, int8, k x n
    #[arg(long, value_name = "FILE")]
    pub b: PathBuf,
    /// Content store that the inputs are uploaded to; providers fetch them there
    #[arg(long, env = "ASSAY_STORE", default_value = "http://127.0.0.1:8901", value_name = "URL")]
    pub store: String,
    /// The offer.
    #[command(flatten)]
    pub offer: Offer,
}
