//! `assay market open`: makes a cluster ready (see migrations/README.md). `propose-authority`, `accept-authority`, `close`:
//! what becomes of a market later on.

use crate::{
    args::{OpenMarket, ProposeAuthority, Sure},
    context::{Context, MarketAt},
    error::{CliError, Exit, Result},
};
use assay_client::{ix, token};
use assay_kernels::registry::AnyKernel;
use assay_migrations::{
    Change, MigrationError,
    setup::{MintPlan, Plan, Report, initialise},
    terms,
};
use assay_settlement::constants::NOBODY;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

impl From<MigrationError> for CliError {
    fn from(error: MigrationError) -> Self {
        match error {
            MigrationError::Client(error) => error.into(),
            MigrationError::NoProgram { .. } | MigrationError::NothingToReplace { .. } => {
                Self::not_found(error.code(), error.to_string())
            }
            MigrationError::BadElf { .. } => Self::file(error.code(), error.to_string()),
            MigrationError::Unfinished { .. } => Self::new(Exit::Chain, error.code(), error.to_string()),
            MigrationError::Conflict { .. }
            | MigrationError::NotAuthority { .. }
            | MigrationError::LoaderRefused { .. } => Self::new(Exit::Refused, error.code(), error.to_string()),
        }
    }
}

/// Shows what a migration found and did.
pub fn show(context: &Context<'_>, report: &Report) {
    for step in &report.steps {
        let change = match step.change {
            Change::AlreadyThere => "there",
            Change::Made => "made ",
        };
        context.console.say(format!("{change}  {:<44} {}", step.address.to_string(), step.what));
    }
}

/// Runs the command.
///
/// # Errors
/// See [`MigrationError`].
pub async fn open(context: &Context<'_>, args: &OpenMarket) -> Result<()> {
    let payer = context.keypair()?;
    context.reach().await?;
    let kernels: Vec<u16> = AnyKernel::ALL.iter().map(|kernel| kernel.id()).collect();
    let plan = Plan {
        known_programs: None,
        mint: MintPlan::Existing(args.mint),
        kernels: &kernels,
        market_id: args.id,
        terms: terms::standard(),
        experimental: false,
    };
    let report = initialise(&context.sender, &payer, &plan).await?;
    show(context, &report);
    context.console.document(&report)
}

/// Refuses where the keypair is not the market's authority.
fn check_authority(market: &MarketAt, keypair: &Keypair) -> Result<()> {
    if market.data.authority == keypair.pubkey() {
        return Ok(());
    }
    let text = format!(
        "the authority of market {} is {}, not {}. Nothing was sent or paid. Check --keypair and --market",
        market.address,
        market.data.authority,
        keypair.pubkey()
    );
    Err(CliError::new(Exit::Refused, "not-the-authority", text))
}

/// A key that may be nobody's, for documents.
fn some(key: Pubkey) -> Option<String> {
    (key != NOBODY).then(|| key.to_string())
}

/// Runs `assay market propose-authority`.
///
/// # Errors
/// Not the authority, or the chain can't be reached or refuses.
pub async fn propose_authority(context: &Context<'_>, args: &ProposeAuthority) -> Result<()> {
    let keypair = context.keypair()?;
    let market = context.market().await?;
    check_authority(&market, &keypair)?;
    let proposed = args.to.unwrap_or(NOBODY);
    let propose = ix::propose_authority(keypair.pubkey(), market.address, proposed);
    let signature = context.send(&[propose], &[&*keypair]).await?;
    context.console.say(match args.to {
        Some(to) => format!(
            "{to} can take market {} over with `assay market accept-authority`; until then nothing changes\ntransaction {signature}",
            market.address
        ),
        None => format!("nobody is proposed as authority of market {}\ntransaction {signature}", market.address),
    });
    context.console.document(&serde_json::json!({
        "market": market.address.to_string(),
        "authority": market.data.authority.to_string(),
        "proposed": some(proposed),
        "signature": signature.to_string(),
    }))
}

/// Runs `assay market accept-authority`.
///
/// # Errors
/// Not proposed (`not-proposed`, exit code 7), or the chain can't be reached or refuses.
pub async fn accept_authority(context: &Context<'_>) -> Result<()> {
    let keypair = context.keypair()?;
    let market = context.market().await?;
    let key = keypair.pubkey();
    if market.data.pending_authority != key {
        let text = format!(
            "{key} is not proposed as authority of market {}. Nothing was sent or paid. Its authority {} can propose it with `assay market propose-authority --to {key}`",
            market.address, market.data.authority
        );
        return Err(CliError::new(Exit::Refused, "not-proposed", text));
    }
    let signature = context.send(&[ix::accept_authority(key, market.address)], &[&*keypair]).await?;
    context.console.say(format!("{key} is the authority of market {}\ntransaction {signature}", market.address));
    context.console.document(&serde_json::json!({
        "market": market.address.to_string(),
        "authority": key.to_string(),
        "before": market.data.authority.to_string(),
        "signature": signature.to_string(),
    }))
}

/// Runs `assay market close`.
///
/// # Errors
/// Not the authority, jobs or providers that are left (`market-not-empty`, exit code 9), or the chain can't be reached or
/// refuses.
pub async fn close(context: &Context<'_>, args: &Sure) -> Result<()> {
    let keypair = context.keypair()?;
    let market = context.market().await?;
    check_authority(&market, &keypair)?;
    if market.data.jobs > 0 || market.data.providers > 0 {
        let text = format!(
            "{} jobs and {} providers are in market {}. Nothing was sent or paid. Their renters and owners close them",
            market.data.jobs, market.data.providers, market.address
        );
        return Err(CliError::new(Exit::NotReady, "market-not-empty", text));
    }
    let treasury = context.reader.rpc().account(&market.data.treasury).await?;
    let held = treasury.and_then(|account| token::amount(&account.data)).unwrap_or(0);
    let key = keypair.pubkey();
    context.console.note(format!(
        "{} tokens in the treasury go to {}; the rent comes back. Nobody can ever work in this market again.",
        market.show(held),
        market.purse(&key)
    ));
    context.console.confirm(&format!("Close market {}?", market.address), args.yes)?;
    let instructions =
        [market.make_purse(key, &key), ix::close_market(key, &market.address, &market.data, market.purse(&key))];
    let signature = context.send(&instructions, &[&*keypair]).await?;
    context.console.say(format!("market {} is closed\ntransaction {signature}", market.address));
    context.console.document(&serde_json::json!({
        "market": market.address.to_string(),
        "treasury": held,
        "signature": signature.to_string(),
    }))
}
