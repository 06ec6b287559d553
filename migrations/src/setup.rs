//! The steps that make a cluster ready: mint, kernels, market.

use crate::{MigrationError, Step, fund, programs};
use assay_client::{
    Reader, ix,
    send::{SendOptions, Sender},
};
use assay_settlement::{
    seeds,
    state::{EXPERIMENTAL, Terms},
};
use serde::Serialize;
use solana_instruction::Instruction;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;

/// Which mint the market settles in.
pub enum MintPlan {
    /// One that exists.
    Existing(Pubkey),
    /// A new one with this key and these decimals; the payer may mint. For local chains.
    New(Box<Keypair>, u8),
}

impl MintPlan {
    fn address(&self) -> Pubkey {
        match self {
            Self::Existing(address) => *address,
            Self::New(keypair, _) => keypair.pubkey(),
        }
    }
}

/// What a cluster is to have.
pub struct Plan<'a> {
    /// The ELFs that the programs must be, settlement and verifier; none where any will do.
    pub known_programs: Option<[&'a [u8]; 2]>,
    /// The mint.
    pub mint: MintPlan,
    /// The verifier's kernels to register.
    pub kernels: &'a [u16],
    /// Number of the market among those of its creator, who is the payer.
    pub market_id: u16,
    /// Terms of the market.
    pub terms: Terms,
    /// Whether the market may lie below the program's floors.
    pub experimental: bool,
}

/// What a cluster has, and what was done for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The mint.
    #[serde(serialize_with = "crate::text")]
    pub mint: Pubkey,
    /// The market.
    #[serde(serialize_with = "crate::text")]
    pub market: Pubkey,
    /// The steps, in their order.
    pub steps: Vec<Step>,
}

async fn send(
    sender: &Sender,
    instructions: &[Instruction],
    signers: &[&(dyn Signer + Sync)],
) -> Result<Signature, MigrationError> {
    let outcome = sender.send(instructions, signers, SendOptions::default()).await?;
    Ok(outcome.landed()?.0)
}

/// Makes the cluster what the plan says. `payer` pays, becomes the new mint's authority and the market's creator and
/// authority.
///
/// # Errors
/// See [`MigrationError`]. What was done before stays; running it again goes on from there.
pub async fn initialise(sender: &Sender, payer: &Keypair, plan: &Plan<'_>) -> Result<Report, MigrationError> {
    let reader = Reader::new(sender.rpc().clone());
    let mut steps = programs::check(sender.rpc(), plan.known_programs).await?;
    steps.push(mint(sender, payer, &plan.mint).await?);
    for id in plan.kernels {
        steps.push(kernel(sender, &reader, payer, *id).await?);
    }
    let market = market(sender, &reader, payer, plan).await?;
    let address = market.address;
    steps.push(market);
    Ok(Report { mint: plan.mint.address(), market: address, steps })
}

async fn mint(sender: &Sender, payer: &Keypair, plan: &MintPlan) -> Result<Step, MigrationError> {
    let address = plan.address();
    let there = sender.rpc().account(&address).await?.is_some_and(|account| !account.data.is_empty());
    match plan {
        _ if there => Ok(Step::found("mint", address)),
        MintPlan::Existing(_) => Err(MigrationError::Conflict {
            what: format!("there is no mint at {address}: check the address and the cluster"),
        }),
        MintPlan::New(keypair, decimals) => {
            let signature = fund::create_mint(sender, payer, keypair, *decimals).await?;
            Ok(Step::made(format!("mint with {decimals} decimals"), address, signature))
        }
    }
}

async fn kernel(sender: &Sender, reader: &Reader, payer: &Keypair, id: u16) -> Result<Step, MigrationError> {
    let address = seeds::kernel(&programs::VERIFIER, id);
    let name = assay_kernels::registry::AnyKernel::from_id(id).map_or("of a newer verifier", |kernel| kernel.name());
    let what = format!("kernel {id} ({name})");
    if reader.find_kernel(&address).await?.is_some() {
        return Ok(Step::found(what, address));
    }
    let signature = send(sender, &[ix::register_kernel(payer.pubkey(), programs::VERIFIER, id)], &[payer]).await?;
    Ok(Step::made(what, address, signature))
}

async fn market(sender: &Sender, reader: &Reader, payer: &Keypair, plan: &Plan<'_>) -> Result<Step, MigrationError> {
    let address = seeds::market(&payer.pubkey(), plan.market_id);
    let mint = plan.mint.address();
    let kind = if plan.experimental { "experimental market" } else { "market" };
    if let Some(found) = reader.find_market(&address).await? {
        let differs = if found.mint != mint {
            Some(format!("settles in mint {}, not {mint}", found.mint))
        } else if (found.flags & EXPERIMENTAL != 0) != plan.experimental {
            Some("differs in whether it is experimental".to_owned())
        } else if found.terms != plan.terms {
            Some("has other terms".to_owned())
        } else {
            None
        };
        return match differs {
            None => Ok(Step::found(kind, address)),
            Some(how) => Err(MigrationError::Conflict {
                what: format!("market {address} is there and {how}: open another one under another number"),
            }),
        };
    }
    let owner = payer.pubkey();
    let token_program = fund::token_program(sender, &mint).await?;
    let open = ix::open_market(owner, owner, plan.market_id, mint, token_program, plan.terms, plan.experimental);
    let signature = send(sender, &[open], &[payer]).await?;
    Ok(Step::made(kind, address, signature))
}
