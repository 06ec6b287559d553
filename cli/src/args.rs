//! The command line. `job` and `market` hold the commands of renters and of markets.

mod device;
mod job;
mod market;
mod submit;

pub use device::*;
pub use job::*;
pub use market::*;
pub use submit::*;

use crate::error::EXIT_HELP;
use clap::{Args, Parser, Subcommand, ValueEnum};
use solana_pubkey::Pubkey;
use std::{net::SocketAddr, path::PathBuf};

/// GPU work you can check, paid on Solana.
///
/// A renter pays for a job; providers compute its shards under a deposit; the chain draws cells and recomputes them
/// before it pays. A wrong result costs the deposit.
#[derive(Debug, Parser)]
#[command(name = "assay", version, after_help = EXIT_HELP, arg_required_else_help = true, propagate_version = true)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for every command")]
pub struct Global {
    /// Chain: localhost, devnet, testnet, mainnet-beta, or the URL of its JSON-RPC. Default: the Solana tools' setting, else localhost
    #[arg(long, short = 'u', global = true, env = "ASSAY_URL", hide_env_values = true, value_name = "URL")]
    pub url: Option<String>,
    /// WebSocket URL of the chain. Default: follows from --url
    #[arg(long, global = true, env = "ASSAY_WS", hide_env_values = true, value_name = "URL")]
    pub ws: Option<String>,
    /// Keypair file that signs and pays. Default: the Solana tools' setting
    #[arg(long, short = 'k', global = true, env = "ASSAY_KEYPAIR", value_name = "PATH")]
    pub keypair: Option<PathBuf>,
    /// Market to work in. Default: the only one on the chain
    #[arg(long, short = 'm', global = true, env = "ASSAY_MARKET", value_name = "ADDRESS")]
    pub market: Option<Pubkey>,
    /// Print the result to stdout as one JSON document (commands that run on: one per line)
    #[arg(long, global = true)]
    pub json: bool,
    /// Send transactions of version 0 only, also where the chain takes version 1, which carries evidence in fewer
    #[arg(long, global = true, env = "ASSAY_V0_ONLY")]
    pub v0_only: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a whole job on a chain inside this process: three providers, one of them a forger
    Demo(Demo),
    /// Run a chain on this machine with programs, market and funded wallets, until Ctrl-C
    Localnet(Localnet),
    /// Submit jobs, watch them, fetch what they made
    #[command(subcommand)]
    Job(JobCommand),
    /// Provide computing power for pay
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// Check providers' results for bounties
    #[command(subcommand)]
    Validator(ValidatorCommand),
    /// Open a market, hand it over, close it
    #[command(subcommand)]
    Market(MarketCommand),
    /// What can be computed, and whether this machine computes it right
    #[command(subcommand)]
    Kernel(KernelCommand),
    /// Put the programs on a chain
    #[command(subcommand)]
    Program(ProgramCommand),
    /// Serve job inputs over HTTP
    #[command(subcommand)]
    Store(StoreCommand),
    /// Compute for the process that started this one. Not for people: it speaks no words
    #[command(hide = true)]
    DeviceProcess,
}

/// `assay demo`
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Seed of the two matrices
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder for picture.png, a.npy, b.npy, product.npy and report.json
    #[arg(long, default_value = "target/demo", value_name = "FOLDER")]
    pub out: PathBuf,
    /// A smaller picture and smaller matrices
    #[arg(long)]
    pub fast: bool,
}

/// `assay localnet`
#[derive(Args, Clone, Debug)]
pub struct Localnet {
    /// Folder for the wallets, the content store and market.json
    #[arg(long, default_value = "assay-localnet", value_name = "FOLDER")]
    pub folder: PathBuf,
    /// Port of JSON-RPC; the WebSocket gets the next one, the content store the one after
    #[arg(long, default_value_t = 8899)]
    pub rpc_port: u16,
    /// Time of a slot in milliseconds
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..=1_000))]
    pub slot_ms: u64,
}

/// `assay provider`
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Register as a provider of the market, or change keys and endpoint. The keypair is the owner's (cold) key
    Register(Register),
    /// Add stake out of the keypair's tokens
    Deposit(Tokens),
    /// Take out stake and earnings that no claim holds
    Withdraw(Tokens),
    /// Close the provider's account once its stake is withdrawn; its record goes with it
    Close(Sure),
    /// Claim shards, compute, prove, get paid, until Ctrl-C. The keypair is an operator's (hot) key
    Run(Box<RunProvider>),
}

/// `assay provider register`
#[derive(Args, Clone, Debug)]
pub struct Register {
    /// URL at which renters and validators reach this provider's results
    #[arg(long, value_name = "URL")]
    pub endpoint: String,
    /// Hot key that claims and commits; up to four. It can never withdraw
    #[arg(long, required = true, value_name = "ADDRESS")]
    pub operator: Vec<Pubkey>,
}

/// An amount.
#[derive(Args, Clone, Debug)]
pub struct Tokens {
    /// How many tokens
    pub amount: String,
    /// Don't ask before paying
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// A command without arguments of its own.
#[derive(Args, Clone, Copy, Debug)]
pub struct Sure {
    /// Don't ask before doing it
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// Which jobs with attested delivery are taken.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attested {
    /// None of them
    None,
    /// Those that pay where the attestor says nothing
    PayOnSilence,
    /// All of them
    All,
}

/// `assay provider run`
#[derive(Args, Clone, Debug)]
pub struct RunProvider {
    /// Owner of the Provider account. Default: the keypair itself
    #[arg(long, value_name = "ADDRESS")]
    pub owner: Option<Pubkey>,
    /// Folder of journal and results
    #[arg(long, default_value = "assay-provider", value_name = "FOLDER")]
    pub data: PathBuf,
    /// Where results are served
    #[arg(long, default_value = "127.0.0.1:8902", value_name = "ADDRESS:PORT")]
    pub bind: SocketAddr,
    /// Least price of a shard, in tokens
    #[arg(long, default_value = "0.000001", value_name = "TOKENS")]
    pub min_price: String,
    /// Least price of a shard, tokens, for each second that answering all that can be demanded of it takes: what a shard keeps
    /// other shards from being claimed for. 0: any. The best paid by this measure is claimed first in any case
    #[arg(long, value_name = "TOKENS", default_value = "0")]
    pub min_price_per_load_second: String,
    /// Most shards that are claimed and not yet committed at one time. Default: one for each card
    #[arg(long)]
    pub max_claims: Option<usize>,
    /// Verifier whose judgement is accepted; may be given several times. Default: the one of this version
    #[arg(long, value_name = "ADDRESS")]
    pub verifier: Vec<Pubkey>,
    /// Least seconds that a job must give to commit, besides three times what computing takes
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub min_execute: u32,
    /// Most MiB of a shard's result
    #[arg(long, default_value_t = 2_048)]
    pub max_result_mib: u32,
    /// Jobs to take in which a key of the renter's choice decides whether the price is paid
    #[arg(long, value_enum, default_value = "pay-on-silence", value_name = "WHICH")]
    pub accept_attested: Attested,
    /// Work in experimental markets, whose windows may be too short to answer in
    #[arg(long)]
    pub allow_experimental: bool,
    /// Take inputs from this machine and from private networks
    #[arg(long)]
    pub allow_local_urls: bool,
    /// What is computed on.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// `assay validator`
#[derive(Debug, Subcommand)]
pub enum ValidatorCommand {
    /// Recompute committed results and convict wrong ones, until Ctrl-C
    Run(RunValidator),
}

/// `assay validator run`
#[derive(Args, Clone, Debug)]
pub struct RunValidator {
    /// Share of the leaves to compute again, above 0 to 1
    #[arg(long, default_value_t = 1.0)]
    pub rate: f64,
    /// Verifier whose jobs are checked; may be given several times. Default: the one of this version
    #[arg(long, value_name = "ADDRESS")]
    pub verifier: Vec<Pubkey>,
    /// Adjudicate wrong cells at once, without a challenge first. Whoever sees the evidence on its way can take the bounty then
    #[arg(long)]
    pub no_challenge: bool,
    /// Most tokens in bonds at a time; a bond comes back with the conviction
    #[arg(long, default_value = "10", value_name = "TOKENS")]
    pub max_bonds: String,
    /// Only this job; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub job: Vec<Pubkey>,
    /// Fetch from this machine and from private networks
    #[arg(long)]
    pub allow_local_urls: bool,
    /// What is computed on.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// `assay program`
#[derive(Debug, Subcommand)]
pub enum ProgramCommand {
    /// Upload and deploy a program. After a failure the same command goes on where it stopped
    Deploy(DeployProgram),
    /// Replace a program that the keypair may replace, or make it final
    Upgrade(UpgradeProgram),
    /// Show programs as the chain holds them
    Show(ShowProgram),
    /// Close the upload buffers of the keypair that are left on the chain, and take their lamports back
    Reclaim(ReclaimBuffers),
}

/// How a program is put on a chain.
#[derive(Args, Clone, Copy, Debug)]
pub struct Sending {
    /// Price per compute unit, in micro-lamports, for chains that are busy
    #[arg(long, value_name = "MICROLAMPORTS")]
    pub priority_fee: Option<u64>,
    /// Don't ask before paying
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `assay program deploy`
#[derive(Args, Clone, Debug)]
pub struct DeployProgram {
    /// The built program, .so
    #[arg(long, value_name = "FILE")]
    pub elf: PathBuf,
    /// Keypair file of the program's address
    #[arg(long, value_name = "PATH")]
    pub program_keypair: PathBuf,
    /// Nobody can ever change it: what a verifier needs
    #[arg(long = "final", conflicts_with = "authority")]
    pub last: bool,
    /// Who may replace it, a multisig for example. Default: the keypair
    #[arg(long, value_name = "ADDRESS")]
    pub authority: Option<Pubkey>,
    /// How it is sent.
    #[command(flatten)]
    pub sending: Sending,
}

/// `assay program upgrade`
#[derive(Args, Clone, Debug)]
pub struct UpgradeProgram {
    /// The built program, .so. The one that is there already: only --final or --authority is carried out
    #[arg(long, value_name = "FILE")]
    pub elf: PathBuf,
    /// Address of the program
    #[arg(long, value_name = "ADDRESS")]
    pub program: Pubkey,
    /// Nobody can ever change it afterwards
    #[arg(long = "final", conflicts_with = "authority")]
    pub last: bool,
    /// Who may replace it afterwards. Default: the keypair
    #[arg(long, value_name = "ADDRESS")]
    pub authority: Option<Pubkey>,
    /// How it is sent.
    #[command(flatten)]
    pub sending: Sending,
}

/// `assay program show`
#[derive(Args, Clone, Debug)]
pub struct ShowProgram {
    /// Address of a program; may be given several times. Default: settlement and verifier of this version
    #[arg(long, value_name = "ADDRESS")]
    pub program: Vec<Pubkey>,
}

/// `assay program reclaim`
#[derive(Args, Clone, Copy, Debug)]
pub struct ReclaimBuffers {
    /// Don't ask before closing them
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `assay store`
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Keep inputs by their root and serve them, until Ctrl-C. No login: for your own networks
    Serve(ServeStore),
}

/// `assay store serve`
#[derive(Args, Clone, Debug)]
pub struct ServeStore {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:8901", value_name = "ADDRESS:PORT")]
    pub bind: SocketAddr,
    /// Folder of the inputs
    #[arg(long, default_value = "assay-store", value_name = "FOLDER")]
    pub folder: PathBuf,
    /// Most MiB of one input
    #[arg(long, default_value_t = 1_024)]
    pub max_input_mib: u32,
    /// Most MiB of all inputs together
    #[arg(long, default_value_t = 16_384)]
    pub max_total_mib: u32,
}
