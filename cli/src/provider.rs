//! `assay provider register | deposit | withdraw | close`: what a provider's owner does with the cold key.

use crate::{
    args::{Register, Sure, Tokens},
    context::{Context, MarketAt},
    error::{CliError, Exit, Result},
};
use assay_client::ix;
use assay_settlement::{
    constants::{MAX_OPERATORS, NOBODY, URL_BYTES},
    instructions::ProviderProfile,
    seeds,
    state::Provider,
};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;

/// Registers `owner` in the market, or replaces its keys and endpoint. Returns the Provider account and the
/// transaction.
///
/// # Errors
/// The chain can't be reached or refuses.
pub async fn enrol(
    context: &Context<'_>,
    owner: &Keypair,
    market: &MarketAt,
    operators: &[Pubkey],
    endpoint: &str,
) -> Result<(Pubkey, Signature)> {
    if operators.len() > MAX_OPERATORS {
        return Err(CliError::usage(format!("a provider has {MAX_OPERATORS} operators at most. Nothing was sent")));
    }
    if endpoint.len() > URL_BYTES || !(endpoint.starts_with("http://") || endpoint.starts_with("https://")) {
        return Err(CliError::usage(format!(
            "the endpoint must be an http(s):// URL of at most {URL_BYTES} bytes. Nothing was sent"
        )));
    }
    let mut keys = [NOBODY; MAX_OPERATORS];
    for (slot, key) in keys.iter_mut().zip(operators) {
        *slot = *key;
    }
    let profile = ProviderProfile {
        operators: keys,
        encryption_key: [0; 32],
        endpoint: endpoint.trim_end_matches('/').to_owned(),
    };
    let key = owner.pubkey();
    let address = seeds::provider(&market.address, &key);
    let instruction = match context.reader.find_provider(&address).await? {
        Some(_) => ix::update_provider(key, &market.address, profile),
        None => ix::register_provider(key, key, &market.address, &market.data, profile),
    };
    Ok((address, context.send(&[instruction], &[owner]).await?))
}

/// Runs `assay provider register`.
///
/// # Errors
/// As [`enrol`].
pub async fn register(context: &Context<'_>, args: &Register) -> Result<()> {
    let owner = context.keypair()?;
    let market = context.market().await?;
    let (address, signature) = enrol(context, &owner, &market, &args.operator, &args.endpoint).await?;
    context.console.say(format!("provider {address} in market {}\ntransaction {signature}", market.address));
    context.console.note("Next: assay provider deposit, then assay provider run with an operator's key.");
    context.console.document(&serde_json::json!({
        "provider": address.to_string(),
        "market": market.address.to_string(),
        "signature": signature.to_string(),
    }))
}

/// The Provider account of an owner.
///
/// # Errors
/// `not-registered`, exit code 6.
pub async fn own(context: &Context<'_>, owner: &Pubkey, market: &MarketAt) -> Result<(Pubkey, Provider)> {
    let address = seeds::provider(&market.address, owner);
    let data = context.reader.find_provider(&address).await?;
    let text = || {
        format!(
            "{owner} is not registered as a provider in market {}. Nothing was sent or paid. Run `assay provider register` first, or check --keypair and --market",
            market.address
        )
    };
    Ok((address, data.ok_or_else(|| CliError::not_found("not-registered", text()))?))
}

/// Adds stake out of the owner's associated token account.
///
/// # Errors
/// Not registered, too few tokens, or the chain can't be reached or refuses.
pub async fn stake(context: &Context<'_>, owner: &Keypair, market: &MarketAt, amount: u64) -> Result<Signature> {
    let key = owner.pubkey();
    let (address, data) = own(context, &key, market).await?;
    context.require_tokens(&key, market, amount).await?;
    let from = market.purse(&key);
    context.send(&[ix::deposit_stake(key, &address, &data, &market.data, from, amount)], &[owner]).await
}

/// Takes out stake that no claim holds.
///
/// # Errors
/// Not registered, more than is free, or the chain can't be reached or refuses.
pub async fn unstake(context: &Context<'_>, owner: &Keypair, market: &MarketAt, amount: u64) -> Result<Signature> {
    let key = owner.pubkey();
    let (address, data) = own(context, &key, market).await?;
    let free = data.staked.saturating_sub(data.locked);
    if amount > free {
        let text = format!(
            "{} tokens can be withdrawn now; {} of the stake of {} are locked for shards in work. Nothing was sent or paid. Take less, or wait until they are settled",
            market.show(free),
            market.show(data.locked),
            market.show(data.staked),
        );
        return Err(CliError::new(Exit::Funds, "stake-locked", text));
    }
    let to = market.purse(&key);
    let instructions =
        [market.make_purse(key, &key), ix::withdraw_stake(key, &address, &data, &market.data, to, amount)];
    context.send(&instructions, &[owner]).await
}

fn positive(market: &MarketAt, text: &str) -> Result<u64> {
    match market.parse(text)? {
        0 => Err(CliError::usage("the amount must not be 0. Nothing was sent or paid")),
        amount => Ok(amount),
    }
}

/// Runs `assay provider deposit`.
///
/// # Errors
/// As [`stake`].
pub async fn deposit(context: &Context<'_>, args: &Tokens) -> Result<()> {
    let owner = context.keypair()?;
    let market = context.market().await?;
    let amount = positive(&market, &args.amount)?;
    context
        .console
        .note("Stake is what a wrong or unproven result costs. What no claim holds can be withdrawn at any time.");
    context.console.confirm(&format!("Deposit {} tokens?", market.show(amount)), args.yes)?;
    let signature = stake(context, &owner, &market, amount).await?;
    report(context, &owner, &market, "deposited", amount, &signature).await
}

/// Runs `assay provider withdraw`.
///
/// # Errors
/// As [`unstake`].
pub async fn withdraw(context: &Context<'_>, args: &Tokens) -> Result<()> {
    let owner = context.keypair()?;
    let market = context.market().await?;
    let amount = positive(&market, &args.amount)?;
    let signature = unstake(context, &owner, &market, amount).await?;
    report(context, &owner, &market, "withdrawn", amount, &signature).await
}

/// Runs `assay provider close`.
///
/// # Errors
/// Not registered, stake or work that is left (`provider-not-empty`, exit code 9), or the chain can't be reached or
/// refuses.
pub async fn close(context: &Context<'_>, args: &Sure) -> Result<()> {
    let owner = context.keypair()?;
    let market = context.market().await?;
    let key = owner.pubkey();
    let (address, data) = own(context, &key, &market).await?;
    if data.staked > 0 || data.active > 0 {
        let text = format!(
            "{} tokens of stake are left and {} shards in work. Nothing was sent or paid. Wait for the shards, then withdraw the stake with `assay provider withdraw {}`",
            market.show(data.staked),
            data.active,
            market.show(data.staked),
        );
        return Err(CliError::new(Exit::NotReady, "provider-not-empty", text));
    }
    context.console.note(format!(
        "The account's rent comes back. Its record ends with it: {} shards settled, {} slashed, {} tokens earned. Bonds of answered challenges that are not divided yet go to the renters.",
        data.settled,
        data.slashed,
        market.show(data.earned),
    ));
    context.console.confirm(&format!("Close provider {address}?"), args.yes)?;
    let instructions =
        [market.make_purse(key, &key), ix::close_provider(key, &address, &data, &market.data, market.purse(&key))];
    let signature = context.send(&instructions, &[&*owner]).await?;
    context.console.say(format!("provider {address} is closed\ntransaction {signature}"));
    context.console.document(&serde_json::json!({
        "provider": address.to_string(),
        "market": market.address.to_string(),
        "signature": signature.to_string(),
    }))
}

async fn report(
    context: &Context<'_>,
    owner: &Keypair,
    market: &MarketAt,
    done: &str,
    amount: u64,
    signature: &Signature,
) -> Result<()> {
    let (address, data) = own(context, &owner.pubkey(), market).await?;
    context.console.say(format!(
        "{done} {} tokens; stake {}, of which {} are locked\ntransaction {signature}",
        market.show(amount),
        market.show(data.staked),
        market.show(data.locked),
    ));
    context.console.document(&serde_json::json!({
        "provider": address.to_string(),
        done: amount,
        "staked": data.staked,
        "locked": data.locked,
        "signature": signature.to_string(),
    }))
}
