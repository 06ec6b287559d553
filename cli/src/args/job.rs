//! `assay job`: the commands of a renter; `submit` has its own file.

use super::SubmitCommand;
use clap::{Args, Subcommand};
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
    /// File to write: .png for a picture, .npy for an array, .bin for bytes as they are, .tsv for hits
    #[arg(long, short = 'o', value_name = "FILE")]
    pub out: PathBuf,
    /// What of the result, by name. raw: all bytes as they were committed. A wrong name lists what there is. Default: what most want
    #[arg(long, value_name = "NAME")]
    pub part: Option<String>,
    /// Of an align job: the queries' FASTA file, for hits with names as tab-separated lines
    #[arg(long, value_name = "FILE", requires = "database", conflicts_with = "part")]
    pub queries: Option<PathBuf>,
    /// Of an align job: the database's FASTA file
    #[arg(long, value_name = "FILE", requires = "queries")]
    pub database: Option<PathBuf>,
    /// Most hits of each query
    #[arg(long, default_value_t = 10, value_name = "NUMBER", requires = "queries")]
    pub top: usize,
    /// Least score of a hit
    #[arg(long, default_value_t = 1, value_name = "SCORE", requires = "queries")]
    pub least: u32,
}
