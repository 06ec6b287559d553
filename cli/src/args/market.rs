//! `assay market`: the commands of a market's authority.

use clap::{Args, Subcommand};
use solana_pubkey::Pubkey;

/// `assay market`
#[derive(Debug, Subcommand)]
pub enum MarketCommand {
    /// Check the programs, register the kernels, open a market with the default terms. Changes nothing that is there
    Open(OpenMarket),
    /// Name who will be the market's authority once it accepts. Nothing changes until then
    ProposeAuthority(ProposeAuthority),
    /// Take a market over that was proposed to the keypair
    AcceptAuthority,
    /// Close a market without jobs and providers; what its treasury holds goes to its authority
    Close(super::Sure),
}

/// `assay market open`
#[derive(Args, Clone, Debug)]
pub struct OpenMarket {
    /// Mint that everything is paid in
    #[arg(long, value_name = "ADDRESS")]
    pub mint: Pubkey,
    /// Number of the market among those of the keypair
    #[arg(long, default_value_t = 0)]
    pub id: u16,
}

/// `assay market propose-authority`
#[derive(Args, Clone, Copy, Debug)]
#[group(id = "whom", required = true, args = ["to", "nobody"])]
pub struct ProposeAuthority {
    /// Who is to be the authority
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<Pubkey>,
    /// Take an earlier proposal back
    #[arg(long)]
    pub nobody: bool,
}
