//! `assay job challenge`: one cell demanded under a bond; with `--end` a decided challenge is ended.

use crate::{
    args::Challenge,
    context::{Context, MarketAt},
    error::{CliError, Exit, Result},
    job::{committed, find, market_of, slashed::Slashed, span},
};
use assay_client::ix;
use assay_settlement::{
    rules::{self, challenge::returnable, money::seizure, shard::challenge_window, time::Now},
    seeds,
    state::{Challenge as Account, ChallengeState, Job, Provider, RENTER_CHALLENGES, Shard, ShardState},
};
use bytemuck::Zeroable;
use serde_json::json;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signature::Signature;
use solana_signer::Signer;

/// Runs the command.
///
/// # Errors
/// No such job, shard, cell or challenge, nothing committed or decided yet (exit code 9), the window is over, a challenge
/// that is there, too few tokens, or the chain can't be reached or refuses.
pub async fn run(context: &Context<'_>, args: &Challenge) -> Result<()> {
    let keypair = context.keypair()?;
    let job = find(context, &args.job).await?;
    let market = market_of(context, &job).await?;
    let shard_key = seeds::shard(&args.job, args.shard);
    match (context.reader.challenge(&shard_key, args.cell).await?, args.end) {
        (Some(there), true) => end(context, args, &keypair, &job, &market, &there).await,
        (None, false) => open(context, args, &keypair, &job, &market).await,
        (Some(there), false) => {
            let text = format!(
                "{} has challenged this cell already. Nothing was sent or paid. `--end` shows and ends what is decided",
                there.challenger
            );
            Err(CliError::new(Exit::Refused, "already-challenged", text))
        }
        (None, true) => {
            let text = "this cell has no challenge: none was opened, or it is decided and its bond was moved to where it belongs. Nothing was sent or paid. `assay job status` shows the shard";
            Err(CliError::not_found("no-such-challenge", text))
        }
    }
}

/// When a challenge opened now would be due, unix seconds, by the program's own rule on copies of the accounts.
fn due(job: &Job, mut provider: Provider, mut shard: Shard, challenger: &Pubkey, cell: u64, now: &Now) -> Result<i64> {
    let mut challenge = Account::zeroed();
    rules::challenge::open(job, &mut provider, &mut shard, &mut challenge, challenger, cell, now).map_err(|error| {
        let text = format!("the chain would refuse: {error} ({}). Nothing was sent or paid", error.name());
        CliError::new(Exit::Refused, "refused-on-chain", text)
    })?;
    Ok(challenge.due().time())
}

async fn open(context: &Context<'_>, args: &Challenge, keypair: &Keypair, job: &Job, market: &MarketAt) -> Result<()> {
    let (key, terms) = (keypair.pubkey(), &job.terms);
    let shard = committed(context, &args.job, job, args.shard).await?;
    let range = terms.shard(args.shard).ok_or_else(|| CliError::internal("the job has no such shard"))?;
    let cells = range.cells().unwrap_or(0);
    let place = range.place(args.cell).ok().filter(|_| args.cell < cells);
    let place = place.ok_or_else(|| {
        let text = format!("shard {} has {cells} cells, numbered from 0. Nothing was sent or paid", args.shard);
        CliError::not_found("no-such-cell", text)
    })?;
    if terms.flags & RENTER_CHALLENGES != 0 && key != job.renter {
        let text = format!("only the renter {} may challenge cells of this job. Nothing was sent or paid", job.renter);
        return Err(CliError::new(Exit::Refused, "renter-only", text));
    }
    let now = context.reader.now().await?;
    if challenge_window(&shard, terms).passed(&now) {
        let text = "the time in which cells of this shard could be challenged is over. Nothing was sent or paid. A wrong cell still convicts until the settlement: `assay validator run` has it judged";
        return Err(CliError::new(Exit::Refused, "window-over", text));
    }
    let provider = context.reader.provider(&shard.provider).await?;
    let due = due(job, provider, shard, &key, args.cell, &now)?;
    let lock = seizure(shard.collateral, shard.price, terms.amplification_bps, terms.bounty_bps, shard.owed_renter);
    let bounty = lock.map_or(0, |parts| parts.bounty);
    context.require_tokens(&key, market, terms.bond).await?;
    context.console.note(format!(
        "Cell {} of shard {} is cell {} of leaf {}. Bond: {} tokens, and lamports of rent that come back.\n\
         proven right in time: the bond is gone, half of it to the provider, half to the renter's escrow\n\
         wrong, or not proven within {}: the bond comes back, and the bounty of {} tokens is yours\n\
         accepted by the renter before: the bond comes back",
        args.cell,
        args.shard,
        place.cell,
        place.leaf,
        market.show(terms.bond),
        span(due.saturating_sub(now.time)),
        market.show(bounty),
    ));
    context.console.confirm("Challenge the cell and put up the bond?", args.yes)?;
    let source = market.purse(&key);
    let open = ix::open_challenge(key, key, &args.job, job, &shard.provider, args.shard, source, args.cell);
    let signature = context.send(&[open], &[keypair]).await?;
    let shard_key = seeds::shard(&args.job, args.shard);
    // As the chain has it, where it can be read at this moment.
    let opened = context.reader.challenge(&shard_key, args.cell).await.ok().flatten();
    let due = opened.map_or(due, |opened| opened.due().time());
    let address = seeds::challenge(&shard_key, args.cell);
    context.console.say(format!("challenge {address}\ntransaction {signature}"));
    context.console.note("The same command with --end shows what became of it, and moves the bond where nobody has.");
    context.console.document(&json!({
        "job": args.job.to_string(),
        "shard": args.shard,
        "cell": args.cell,
        "leaf": place.leaf,
        "cell_of_leaf": place.cell,
        "challenge": address.to_string(),
        "state": "open",
        "bond": terms.bond,
        "bounty": bounty,
        "due": due,
        "signature": signature.to_string(),
    }))
}

/// Moves the bond of a challenge that is decided, to wherever it belongs: anyone may.
///
/// # Errors
/// The chain can't be reached or refuses.
pub async fn move_bond(
    context: &Context<'_>,
    payer: &Keypair,
    market: &MarketAt,
    address: &Pubkey,
    challenge: &Account,
    job: &Job,
) -> Result<Signature> {
    let instructions = if challenge.state() == Some(ChallengeState::Answered) {
        let provider = context.reader.find_provider(&challenge.provider).await?;
        vec![ix::pay_challenge(address, challenge, job, provider.as_ref())]
    } else {
        let to = market.purse(&challenge.challenger);
        let make = market.make_purse(payer.pubkey(), &challenge.challenger);
        vec![make, ix::return_bond(address, challenge, to)]
    };
    context.send(&instructions, &[payer]).await
}

/// Goes on with a challenge that is there: has an overdue one slashed, moves the bond and the bounty.
async fn end(
    context: &Context<'_>,
    args: &Challenge,
    keypair: &Keypair,
    job: &Job,
    market: &MarketAt,
    there: &Account,
) -> Result<()> {
    let shard_key = seeds::shard(&args.job, args.shard);
    let address = seeds::challenge(&shard_key, args.cell);
    let mut challenge = *there;
    let mut shard = context.reader.shard(&args.job, args.shard).await?;
    let now = context.reader.now().await?;
    let waits = |shard: Option<&Shard>, challenge: &Account| {
        challenge.state() == Some(ChallengeState::Open) && returnable(challenge, shard, &now).is_err()
    };
    // Nothing stands between an accepted shard and its settlement, which ends the challenge.
    if let Some(account) = &shard
        && account.accepted != 0
        && waits(shard.as_ref(), &challenge)
    {
        let provider = context.reader.provider(&account.provider).await?;
        let settle = ix::settle_shard(&args.job, job, &account.provider, &provider, args.shard);
        context.send(&[settle], &[keypair]).await?;
        context.console.note(format!("the renter has accepted shard {}: settled", args.shard));
        shard = context.reader.shard(&args.job, args.shard).await?;
    }
    if waits(shard.as_ref(), &challenge) {
        if !challenge.due().passed(&now) {
            let left = challenge.due().time().saturating_sub(now.time);
            let text = format!(
                "{} has challenged this cell; the provider has {} left to prove it. Nothing was sent or paid",
                if challenge.challenger == keypair.pubkey() {
                    "your key".to_owned()
                } else {
                    challenge.challenger.to_string()
                },
                span(left)
            );
            return Err(CliError::new(Exit::NotReady, "challenge-open", text));
        }
        let slash = ix::slash_challenged(keypair.pubkey(), &args.job, args.shard, args.cell);
        context.send(&[slash], &[keypair]).await?;
        context.console.note(format!("shard {} was not proven in time: slashed", args.shard));
        challenge.state = ChallengeState::Won as u8;
        shard = context.reader.shard(&args.job, args.shard).await?;
    }
    let state = match challenge.state() {
        Some(ChallengeState::Answered) => "answered",
        Some(ChallengeState::Won) => "won",
        _ => "ended",
    };
    let signature = move_bond(context, keypair, market, &address, &challenge, job).await?;
    let bounty = match shard {
        Some(shard) if shard.state() == Some(ShardState::Slashed) && shard.bounty_to == challenge.challenger => {
            Slashed { address: &args.job, job, market, shard: &shard }.pay_out(context, keypair).await?
        }
        _ => 0,
    };
    context.console.say(match state {
        "answered" => "the cell was proven right: the bond is divided between provider and renter".to_owned(),
        "won" => format!(
            "the challenge is won: bond of {} and bounty of {} tokens went to {}",
            market.show(challenge.bond),
            market.show(bounty),
            challenge.challenger
        ),
        _ => format!(
            "the shard ended without an answer: bond of {} tokens went back to {}",
            market.show(challenge.bond),
            challenge.challenger
        ),
    });
    context.console.document(&json!({
        "job": args.job.to_string(),
        "shard": args.shard,
        "cell": args.cell,
        "challenge": address.to_string(),
        "state": state,
        "bond": challenge.bond,
        "bounty": bounty,
        "challenger": challenge.challenger.to_string(),
        "signature": signature.to_string(),
    }))
}
