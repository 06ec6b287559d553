//! `assay job submit`: the offer, and what is asked for in terms of each kernel.

use clap::{Args, Subcommand, ValueEnum};
use solana_pubkey::Pubkey;
use std::path::PathBuf;

/// `assay job submit`
#[derive(Debug, Subcommand)]
pub enum SubmitCommand {
    /// An escape-time fractal image
    EscapeTime(EscapeTime),
    /// The product of two int8 matrices, exact in int32
    GemmI8(GemmI8),
    /// The lowest SHA-256 over a range of nonces
    Search(Search),
    /// A batch of samples through a network of dense int8 layers
    MlpI8(MlpI8),
    /// The price and the losses of a portfolio of options along random paths
    OptionRisk(OptionRisk),
    /// Local alignment scores of sequences against a database
    Align(Align),
    /// A job of any kernel, from params and inputs as bytes
    Kernel(AnyKernel),
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
    /// Number of shards that the work is cut into, or about so many. Default: 4, or as many as there can be
    #[arg(long, value_name = "NUMBER")]
    pub shards: Option<u32>,
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

/// Where inputs go.
#[derive(Args, Clone, Debug)]
pub struct StoreAt {
    /// Content store that the inputs are uploaded to; providers fetch them there
    #[arg(long, env = "ASSAY_STORE", default_value = "http://127.0.0.1:8901", value_name = "URL")]
    pub store: String,
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
    /// The store.
    #[command(flatten)]
    pub store: StoreAt,
    /// The offer.
    #[command(flatten)]
    pub offer: Offer,
}

/// `assay job submit search`
#[derive(Args, Clone, Debug)]
#[group(id = "text", required = true, args = ["message", "message_file"])]
pub struct Search {
    /// Message, hexadecimal; 247 bytes at most with the nonce. Put something of your own into it: see docs/security.md
    #[arg(long, value_name = "HEX")]
    pub message: Option<String>,
    /// File whose bytes are the message
    #[arg(long, value_name = "FILE")]
    pub message_file: Option<PathBuf>,
    /// Byte of the message with which the nonce begins; what is there is written over. Default: the nonce comes behind the message
    #[arg(long, value_name = "BYTE")]
    pub nonce_at: Option<usize>,
    /// First nonce
    #[arg(long, default_value_t = 0, value_name = "NONCE")]
    pub start: u64,
    /// Nonces to try: a whole number of cells
    #[arg(long, value_name = "NUMBER")]
    pub count: u64,
    /// Nonces of a cell, 512 to 65536, a power of two. Small ones are proven in one transaction, large ones take less to store and to download. Default: 512, more where the result would have more than 64 MiB
    #[arg(long, value_name = "NUMBER")]
    pub cell: Option<u64>,
    /// Hash the digest once more
    #[arg(long)]
    pub double: bool,
    /// The nonce has eight bytes, not four
    #[arg(long)]
    pub wide: bool,
    /// The nonce stands in the message with its highest byte first, not last
    #[arg(long)]
    pub big_endian: bool,
    /// Compare digests from their last byte on, as numbers of which it is the highest
    #[arg(long)]
    pub reversed: bool,
    /// The offer.
    #[command(flatten)]
    pub offer: Offer,
}

/// `assay job submit mlp-i8`
#[derive(Args, Clone, Debug)]
pub struct MlpI8 {
    /// Folder of the network: weights_0.npy, biases_0.npy, ... and requantise.npy; see docs/kernels/mlp_i8.md
    #[arg(long, value_name = "FOLDER")]
    pub weights: PathBuf,
    /// Samples, .npy, int8, one in each row
    #[arg(long, value_name = "FILE")]
    pub samples: PathBuf,
    /// Leave the answers out: logits and the other layers' sums alone
    #[arg(long)]
    pub no_answers: bool,
    /// The store.
    #[command(flatten)]
    pub store: StoreAt,
    /// The offer.
    #[command(flatten)]
    pub offer: Offer,
}

/// `assay job submit option-risk`
#[derive(Args, Clone, Debug)]
pub struct OptionRisk {
    /// Assets, correlations and positions, JSON; see docs/kernels/option_risk.md
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Paths, rounded up to whole cells
    #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER")]
    pub paths: u64,
    /// Steps of a path: what averages and barriers look at. 1 is enough where there is neither
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub steps: u16,
    /// Seed of the random numbers: the same one gives the same paths
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,
    /// Also sum up the payoffs of each position, for their prices
    #[arg(long)]
    pub sums: bool,
    /// The store.
    #[command(flatten)]
    pub store: StoreAt,
    /// The offer.
    #[command(flatten)]
    pub offer: Offer,
}

/// `assay job submit align`
#[derive(Args, Clone, Debug)]
pub struct Align {
    /// Queries, FASTA
    #[arg(long, value_name = "FILE")]
    pub queries: PathBuf,
    /// Database, FASTA
    #[arg(long, value_name = "FILE")]
    pub database: PathBuf,
    /// Sequences are nucleotides, scored by --equal and --different. Default: proteins, scored by BLOSUM62
    #[arg(long)]
    pub dna: bool,
    /// Score of equal nucleotides. Default: 2
    #[arg(long, value_name = "SCORE", requires = "dna")]
    pub equal: Option<u8>,
    /// What different nucleotides cost. Default: 3
    #[arg(long, value_name = "COST", requires = "dna")]
    pub different: Option<u8>,
    /// What the first symbol of a gap costs (in BLAST's words, existence plus extension). Default: 12, for nucleotides 7
    #[arg(long, value_name = "COST")]
    pub open: Option<u8>,
    /// What each further symbol of a gap costs. Default: 1, for nucleotides 2
    #[arg(long, value_name = "COST")]
    pub extend: Option<u8>,
    /// The store.
    #[command(flatten)]
    pub store: StoreAt,
    /// The offer.
    #[command(flatten)]
    pub offer: Offer,
}

/// `assay job submit kernel`
#[derive(Args, Clone, Debug)]
#[group(id = "params_of", required = true, args = ["params", "param_file"])]
pub struct AnyKernel {
    /// Name of the kernel; a wrong one lists them
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Params, hexadecimal
    #[arg(long, value_name = "HEX")]
    pub params: Option<String>,
    /// File whose bytes are the params
    #[arg(long, value_name = "FILE")]
    pub param_file: Option<PathBuf>,
    /// File whose bytes are an input, padded as the kernel says; once for each input, in the kernel's order
    #[arg(long, value_name = "FILE")]
    pub input: Vec<PathBuf>,
    /// The store.
    #[command(flatten)]
    pub store: StoreAt,
    /// The offer.
    #[command(flatten)]
    pub offer: Offer,
}
