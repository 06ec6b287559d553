//! The settlement program is replaced while jobs run, by the loader's own instructions on a real chain: deals that the old
//! version made end under the new one as they would have, to the unit. docs/upgrades.md is the procedure.

#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "test code")]

use anyhow::{Context as _, Result, ensure};
use assay_client::{ix, token};
use assay_kernels::{escape_time, executor::Cpu};
use assay_localnet::{Chain, Embedded, EmbeddedOptions, Program};
use assay_migrations::{
    deploy::{Goal, Settings, carry_out},
    programs::VERIFIER,
    terms,
};
use assay_settlement::{ShardState, seeds};
use assay_tests::stage::{Stage, USDC, programs, request};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(180);

/// Another version: other bytes that do the same. What differs stands in the program's security.txt.
fn next_version(elf: &[u8]) -> Vec<u8> {
    let (old, new) = (b"\0auditors\0none\0", b"\0auditors\0some\0");
    let at = elf.windows(old.len()).position(|bytes| bytes == old).expect("the program carries a security.txt");
    let mut next = elf.to_vec();
    next[at..at + new.len()].copy_from_slice(new);
    next
}

fn image(side: u32) -> Vec<u8> {
    let one = 1i64 << escape_time::FRACTION_BITS;
    escape_time::Params { width: side, height: side / 2, max_iter: 60, x0: -2 * one, y0: -one, step: one / 32 }
        .to_bytes()
        .to_vec()
}

/// The code of a program as the loader keeps it, without the zeros behind it.
async fn code(stage: &Stage, program: &Pubkey) -> Result<Vec<u8>> {
    let data = stage.reader.rpc().account(&ix::program_data_address(program)).await?.context("program data")?.data;
    Ok(data[45..].to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_jobs_survive_an_upgrade() -> Result<()> {
    let [settlement, verifier] = programs();
    let authority = Keypair::new();
    let options = EmbeddedOptions { slot_time: Duration::from_millis(50), ..EmbeddedOptions::default() };
    let loaded = [
        Program { id: assay_settlement::ID, elf: &settlement, upgrade_authority: Some(authority.pubkey()) },
        Program { id: VERIFIER, elf: &verifier, upgrade_authority: None },
    ];
    let chain = Chain::Embedded(Embedded::start(options, &loaded).await?);
    chain.airdrop(&authority.pubkey(), 100_000_000_000).await?;
    let mut stage = Stage::with_terms(&chain, terms::experimental(10, 90)).await?;
    let renter = stage.wallet(&chain, 500 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let silent = stage.register(&chain, 300 * USDC).await?;
    let stage = stage;

    // A worker has shards of one job at every step of their lives.
    let folder = tempfile::tempdir()?;
    let worked = stage.create(&renter, 1, request(0, image(96), 1)).await?;
    // Of another job: a claim, a commitment that its provider will never answer for, and shards that nobody took.
    let asked = assay_settlement::instructions::JobRequest {
        reserved_for: silent.provider,
        execute_seconds: 40,
        ..request(1, image(64), 4)
    };
    let waiting = stage.create(&renter, 1, asked).await?;
    let data = stage.reader.job(&waiting).await?;
    let operator = silent.operator_key();
    for index in 0..2 {
        let claim = ix::claim_shard(operator, &waiting, &data, &silent.provider, index, 1);
        stage.send(&[claim], &[&silent.operator]).await?;
    }
    let commit = ix::commit_result(operator, &waiting, &silent.provider, 1, [9; 32]);
    stage.send(&[commit], &[&silent.operator]).await?;
    let source = token::associated(&renter.pubkey(), &stage.mint);
    let challenge =
        ix::open_challenge(renter.pubkey(), renter.pubkey(), &waiting, &data, &silent.provider, 1, source, 3);
    stage.send(&[challenge], &[&renter]).await?;

    let worker = provider.start(&stage, folder.path(), Arc::new(Cpu), true).await?;
    let started = Instant::now();
    loop {
        let states: Vec<_> =
            stage.reader.shards_of_job(&worked).await?.iter().filter_map(|(_, shard)| shard.state()).collect();
        let under_way = |s: &ShardState| matches!(s, ShardState::Committed | ShardState::Sampled);
        if states.iter().any(under_way) && stage.reader.job(&worked).await?.active > 1 {
            break;
        }
        ensure!(started.elapsed() < PATIENCE, "nothing is under way: {states:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let next = next_version(&settlement);
    let goal = Goal::upgrade(&next, assay_settlement::ID, Some(authority.pubkey()));
    carry_out(&stage.sender, &authority, &goal, Settings::default(), &|_, _| ()).await?;
    ensure!(code(&stage, &assay_settlement::ID).await?.starts_with(&next), "the new version is there");
    let shards = stage.reader.job(&worked).await?;
    ensure!(shards.settled < shards.terms.shards, "jobs were alive when it came");

    // The worker never noticed: everything is settled, nothing slashed, given back or charged.
    loop {
        let job = stage.reader.job(&worked).await?;
        if job.settled == job.terms.shards {
            break;
        }
        ensure!(started.elapsed() < 2 * PATIENCE, "settled {} of {}", job.settled, job.terms.shards);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let account = stage.reader.provider(&provider.provider).await?;
    ensure!((account.given_back, account.slashed, account.locked, account.active) == (0, 0, 0, 0));

    // The silent one pays what the old version's terms say: an expired claim, and a challenge that nobody answered.
    let silent_data = stage.reader.provider(&silent.provider).await?;
    let shard = seeds::shard(&waiting, 1);
    let cell = seeds::challenge(&shard, 3);
    let expire = ix::expire_claim(renter.pubkey(), &waiting, &data, &silent.provider, &silent_data, 0);
    let slash = ix::slash_challenged(renter.pubkey(), &waiting, 1, 3);
    for instruction in [expire, slash] {
        while let Err(error) = stage.send(std::slice::from_ref(&instruction), &[&renter]).await {
            ensure!(started.elapsed() < 3 * PATIENCE, "{error:#}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    let slashed = stage.reader.shard(&waiting, 1).await?.context("a shard")?;
    ensure!(slashed.state() == Some(ShardState::Slashed) && slashed.bounty_to == renter.pubkey());
    let challenge_data = stage.reader.rpc().account(&cell).await?.context("a challenge")?;
    let challenge_data: assay_settlement::Challenge =
        assay_client::accounts::decode_data(&challenge_data.data).context("a challenge")?;
    let bounty = slashed.owed_bounty;
    let before = stage.tokens(&source).await?;
    let seize = ix::seize(&waiting, &data, &silent.provider, &silent_data, 1);
    let pay = ix::pay_bounty(&waiting, &data, &silent.provider, &silent_data, 1, source);
    let back = ix::return_bond(&cell, &challenge_data, source);
    stage.send(&[seize, pay, back, ix::cancel_job(renter.pubkey(), waiting)], &[&renter]).await?;
    ensure!(stage.tokens(&source).await? == before + bounty + challenge_data.bond, "bounty and bond, to the unit");

    // Both jobs close, and every lamport of rent goes back.
    worker.drain();
    worker.join().await?;
    for job in [worked, waiting] {
        let data = stage.reader.job(&job).await?;
        for (_, shard) in stage.reader.shards_of_job(&job).await? {
            stage.send(&[ix::close_shard(&job, shard.index, shard.rent_payer)], &[&renter]).await?;
        }
        let close = ix::close_job(&job, &data, &stage.market, &stage.market_data, source);
        stage.send(&[close], &[&renter]).await?;
        ensure!(stage.reader.find_job(&job).await?.is_none());
    }
    chain.stop();
    Ok(())
}
