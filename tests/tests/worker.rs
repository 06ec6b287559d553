//! The daemons on a real chain: a provider killed at any moment, with its folder lost, and draining; one that proves what
//! is challenged and posts what is demanded; a validator that deals with idle providers and challenges forgers.

#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

use anyhow::{Context as _, Result, anyhow, ensure};
use assay_client::{answer::InputData, ix, token};
use assay_kernels::{escape_time, executor::Cpu, gemm_i8};
use assay_migrations::{programs::VERIFIER, terms};
use assay_settlement::{
    ChallengeState, DeliveryMode, InputTree, Shard, ShardState,
    instructions::JobRequest,
    rules::{
        judgement::Fault,
        window::{Window, window_of},
    },
    seeds,
};
use assay_tests::stage::{Forger, Stage, USDC, embedded, embedded_with, padded, request};
use assay_worker::{Action, Event, Events, Validator, ValidatorConfig, What, eligibility::Skip};
use rand::{Rng, SeedableRng, rngs::StdRng};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::broadcast;

#[path = "worker/device.rs"]
mod device;
#[path = "worker/every_kernel.rs"]
mod every_kernel;
#[path = "worker/lost_journal.rs"]
mod lost_journal;
#[path = "worker/stepped.rs"]
mod stepped;

const PATIENCE: Duration = Duration::from_secs(240);

fn image(width: u32) -> Vec<u8> {
    let params =
        escape_time::Params { width, height: 16, max_iter: 100, x0: -(2 << 28), y0: -(1 << 28), step: 1 << 23 };
    params.to_bytes().to_vec()
}

/// A product of 16 x 16 elements whose cells need evidence, its inputs as files in `folder`.
fn product(folder: &Path, nonce: u64, shard_leaves: u64) -> Result<JobRequest> {
    let rows = |count: usize, length: usize, by: usize| -> Vec<Vec<i8>> {
        (0..count).map(|r| (0..length).map(|c| ((r * 31 + c * by) % 251) as u8 as i8).collect()).collect()
    };
    let files = folder.join("files");
    std::fs::create_dir(&files)?;
    let mut inputs = Vec::new();
    for input in [rows(16, 1_100, 7), rows(16, 1_100, 11)] {
        let data = InputData::new(padded(&input))?;
        let name: String = data.root().iter().map(|b| format!("{b:02x}")).collect();
        std::fs::write(files.join(name), data.bytes())?;
        inputs.push(InputTree { root: data.root(), bytes: data.bytes().len() as u64 });
    }
    let params = gemm_i8::Params { m: 16, n: 16, k: 1_100 }.to_bytes().to_vec();
    let locator = format!("file://{}", files.display());
    Ok(JobRequest { locator, inputs, ..request(nonce, params, shard_leaves) })
}

/// A worker that is killed again and again, now and then with everything on its disk, settles every shard all the
/// same: nothing is claimed and given back, nothing slashed, no window missed, no lamports left in evidence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let stage = stage;
    let folder = tempfile::tempdir()?;

    let picture = stage.create(&renter, 1, request(0, image(64), 2)).await?;
    let product = stage.create(&renter, 2, product(folder.path(), 1, 1)?).await?;

    let mut random = StdRng::seed_from_u64(7);
    let started = Instant::now();
    let data = folder.path().join("data");
    let mut kills = 0;
    loop {
        let worker = provider.start(&stage, &data, Arc::new(Cpu), true).await?;
        // Later runs are longer, so that it ends.
        let run = Duration::from_millis(random.random_range(50..1_500 + 100 * kills));
        let killed = tokio::time::timeout(run, worker.join()).await;
        ensure!(killed.is_err(), "it ended by itself: {killed:?}");
        worker.stop();
        worker.join().await?;
        kills += 1;
        if random.random_bool(0.2) {
            std::fs::remove_dir_all(&data)?;
        }
        let jobs = [stage.reader.job(&picture).await?, stage.reader.job(&product).await?];
        if jobs.iter().all(|job| job.settled == job.terms.shards) {
            break;
        }
        ensure!(
            started.elapsed() < PATIENCE,
            "not settled after {kills} kills: {:?}",
            jobs.map(|j| (j.active, j.settled, j.slashed))
        );
    }
    ensure!(kills > 3, "it was killed in the middle of its work");
    for job in [picture, product] {
        for (_, shard) in stage.reader.shards_of_job(&job).await? {
            ensure!(shard.claims == 1 && shard.rolls == 0 && shard.fault == 0, "shard {} of {job}", shard.index);
        }
    }
    let account = stage.reader.provider(&provider.provider).await?;
    ensure!((account.given_back, account.slashed, account.locked, account.active) == (0, 0, 0, 0));
    ensure!(account.settled == 8 + 4, "{} settled", account.settled);

    // One more start closes what the last kill left.
    let worker = provider.start(&stage, &data, Arc::new(Cpu), true).await?;
    let cleaned = Instant::now();
    while !left(&stage, &provider.operator_key()).await?.is_empty() {
        ensure!(cleaned.elapsed() < PATIENCE, "evidence accounts are left");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    worker.drain();
    worker.join().await?;
    chain.stop();
    Ok(())
}

/// Evidence accounts of a key.
async fn left(stage: &Stage, owner: &Pubkey) -> Result<Vec<Pubkey>> {
    let all = stage.reader.rpc().program_accounts(&assay_settlement::ID, Vec::new()).await?;
    let evidence = all.into_iter().filter(|(_, account)| {
        assay_settlement::instructions::evidence::header(&account.data).is_ok_and(|header| header.owner == *owner)
    });
    Ok(evidence.map(|(address, _)| address).collect())
}

async fn wait(events: &mut broadcast::Receiver<Event>, is: impl Fn(&What) -> bool) -> Result<()> {
    while !is(&tokio::time::timeout(PATIENCE, events.recv()).await??.what) {}
    Ok(())
}

/// Draining: what is claimed is finished, nothing new is claimed, and then it ends by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drains() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let folder = tempfile::tempdir()?;
    let worker = provider.start(&stage, folder.path(), Arc::new(Cpu), true).await?;
    let mut events = worker.subscribe();
    // Inputs that can't be had are a reason not to claim, and no reason to stop.
    let bad = InputTree { root: [1; 32], bytes: 1_024 };
    let params = gemm_i8::Params { m: 1, n: 1, k: 1 }.to_bytes().to_vec();
    let asked =
        JobRequest { locator: "file:///nonexistent".to_owned(), inputs: vec![bad, bad], ..request(0, params, 1) };
    let unavailable = stage.create(&renter, 2, asked).await?;
    wait(&mut events, |what| matches!(what, What::Skipped { job, .. } if *job == unavailable)).await?;
    // So is a deadline that would expire before anything could be computed, and cost a penalty.
    let asked = JobRequest { execute_seconds: 1, ..request(1, image(64), 1) };
    let hasty = stage.create(&renter, 1, asked).await?;
    let too_little = |reason: &Skip| matches!(reason, Skip::TooLittleTime { seconds: 1, .. });
    wait(&mut events, |what| matches!(what, What::Skipped { job, reason } if *job == hasty && too_little(reason)))
        .await?;
    let job = stage.create(&renter, 1, request(2, image(128), 1)).await?;
    wait(&mut events, |what| matches!(what, What::Claimed { .. })).await?;
    worker.drain();
    tokio::time::timeout(PATIENCE, worker.join()).await??;
    let data = stage.reader.job(&job).await?;
    let shards = stage.reader.shards_of_job(&job).await?;
    ensure!(
        !shards.is_empty() && shards.len() < data.terms.shards as usize,
        "{} of {}",
        shards.len(),
        data.terms.shards
    );
    ensure!(shards.iter().all(|(_, shard)| shard.state() == Some(ShardState::Settled)), "every claim was finished");
    for untouched in [unavailable, hasty] {
        ensure!(stage.reader.job(&untouched).await?.shard_accounts == 0, "nothing was claimed blindly");
    }
    let status = worker.status();
    ensure!(status.stopped && status.obligations.is_empty(), "{status:?}");
    stage.reader.find_job(&job).await?.context("still there")?;
    chain.stop();
    Ok(())
}

/// A validator turns the cranks against providers that do nothing more: it ends a claim whose time is over, rolls a
/// window that nobody recorded, slashes cells that nobody answered, and collects its bounty. That the provider serves
/// nothing is no fault by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_providers_are_dealt_with() -> Result<()> {
    let chain = embedded_with(Duration::from_millis(20)).await?;
    let mut stage = Stage::with_terms(&chain, terms::experimental(5, 5)).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let validator = Arc::new(stage.wallet(&chain, 0).await?);
    let stage = stage;
    let job = stage.create(&renter, 1, JobRequest { execute_seconds: 4, ..request(0, image(48), 4) }).await?;
    let data = stage.reader.job(&job).await?;
    ensure!(data.terms.shards == 3);
    let operator = provider.operator_key();
    let send = async |instruction| stage.send(&[instruction], &[&provider.operator]).await;
    for index in 0..3 {
        send(ix::claim_shard(operator, &job, &data, &provider.provider, index, 1)).await?;
    }
    // Shard 1 is committed, and never drawn.
    send(ix::commit_result(operator, &job, &provider.provider, 1, [9; 32])).await?;
    let undrawn = stage.reader.shard(&job, 1).await?.context("no shard")?.window;
    let started = Instant::now();
    while window_of(stage.reader.now().await?.slot).map_err(|e| anyhow!("{e}"))? == undrawn {
        ensure!(started.elapsed() < PATIENCE, "no slots pass");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Shard 2 is drawn, from a window of its own, and then nothing is answered.
    send(ix::commit_result(operator, &job, &provider.provider, 2, [9; 32])).await?;
    let window = stage.reader.shard(&job, 2).await?.context("no shard")?.window;
    ensure!(window > undrawn);
    while !matches!(stage.reader.draw_window(window).await?, Window::Ready(_)) {
        ensure!(started.elapsed() < PATIENCE, "no draw window");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    send(ix::record_seed(operator, window)).await?;
    send(ix::draw_samples(&job, 2, window)).await?;

    let mut config = ValidatorConfig::new(stage.cluster.clone(), validator.clone(), stage.market);
    config.accepted_verifiers = vec![VERIFIER];
    config.allow_local_urls = true;
    config.poll = Duration::from_millis(300);
    let events = Events::default();
    let mut told = events.subscribe();
    let running = Validator::start_with(config, Arc::new(Cpu), events).await?;
    let (mut bounties, mut rolled, mut unavailable) = (0, 0, 0);
    loop {
        let event = tokio::time::timeout(PATIENCE, told.recv()).await??;
        match event.what {
            What::BountyPaid { amount } => bounties += amount,
            What::Sent { action: Action::RollWindow } => rolled += 1,
            What::Unavailable { .. } => unavailable += 1,
            _ => {}
        }
        let shards = stage.reader.shards_of_job(&job).await?;
        let state = |index: u32| shards.iter().find(|(_, s)| s.index == index).and_then(|(_, s)| s.state());
        let dealt_with = (state(0), state(2)) == (Some(ShardState::Open), Some(ShardState::Slashed));
        if dealt_with && rolled > 0 && bounties > 0 {
            break;
        }
    }
    running.stop();
    running.join().await?;
    ensure!(unavailable > 0, "that nothing is served was told");
    let shard = stage.reader.shard(&job, 2).await?.context("no shard")?;
    ensure!(shard.fault == Fault::Unanswered as u8 && shard.seized == 1 && shard.owed_bounty == 0, "{shard:?}");
    let account = stage.reader.provider(&provider.provider).await?;
    ensure!((account.given_back, account.slashed) == (1, 1), "one claim expired, one shard slashed");
    let purse = stage.tokens(&token::associated(&validator.pubkey(), &stage.mint)).await?;
    ensure!(purse == bounties, "{purse} arrived, {bounties} were told");
    chain.stop();
    Ok(())
}

/// Waits until a shard is in one of these states.
async fn reaches(stage: &Stage, job: &Pubkey, index: u32, states: &[ShardState]) -> Result<Shard> {
    let started = Instant::now();
    loop {
        let shard = stage.reader.shard(job, index).await?;
        if let Some(shard) = shard.filter(|shard| shard.state().is_some_and(|state| states.contains(&state))) {
            return Ok(shard);
        }
        ensure!(started.elapsed() < PATIENCE, "shard {index} is {:?}", shard.and_then(|s| s.state()));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Challenges a cell of a shard. Returns the bond.
async fn challenge(stage: &Stage, by: &Keypair, job: &Pubkey, index: u32, cell: u64) -> Result<u64> {
    let (data, shard) = (stage.reader.job(job).await?, stage.reader.shard(job, index).await?.context("no shard")?);
    let source = token::associated(&by.pubkey(), &stage.mint);
    let open = ix::open_challenge(by.pubkey(), by.pubkey(), job, &data, &shard.provider, index, source, cell);
    stage.send(&[open], &[by]).await?;
    Ok(data.terms.bond)
}

const IN_WORK: [ShardState; 2] = [ShardState::Committed, ShardState::Sampled];

/// What strangers and the renter ask of a provider is done before it is due: challenged cells are proven and half of
/// their bonds comes into the stake, demanded leaves are posted and paid, an accepted shard is settled at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_challenged_is_proven_and_what_is_demanded_posted() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let stranger = stage.wallet(&chain, 20 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let stage = stage;
    let folder = tempfile::tempdir()?;
    let worker = provider.start(&stage, folder.path(), Arc::new(Cpu), true).await?;
    let mut events = worker.subscribe();
    let asked = JobRequest { delivery: DeliveryMode::Ledger as u8, ..request(0, image(64), 8) };
    let job = stage.create(&renter, 1, asked).await?;
    let data = stage.reader.job(&job).await?;
    ensure!(data.terms.shards == 2);

    reaches(&stage, &job, 0, &IN_WORK).await?;
    let bond = challenge(&stage, &stranger, &job, 0, 7).await?;
    challenge(&stage, &stranger, &job, 0, 300).await?;
    let source = token::associated(&renter.pubkey(), &stage.mint);
    let key = renter.pubkey();
    let demand = ix::demand_leaves(key, key, &job, &data, 0, source, vec![1, 2, 5]);
    stage.send(&[demand], &[&renter]).await?;
    let prepaid = stage.reader.shard(&job, 0).await?.context("no shard")?.prepaid;
    reaches(&stage, &job, 1, &IN_WORK).await?;
    stage.send(&[ix::accept_shard(key, &job, 1)], &[&renter]).await?;

    let accepted = reaches(&stage, &job, 1, &[ShardState::Settled]).await?;
    let window = i64::from(data.terms.challenge_seconds);
    ensure!(accepted.ended_at < accepted.committed_at + window, "an accepted shard waits for nothing");
    let settled = reaches(&stage, &job, 0, &[ShardState::Settled, ShardState::Slashed]).await?;
    ensure!(settled.state() == Some(ShardState::Settled), "{settled:?}");
    ensure!((settled.open_challenges, settled.leaves_posted) == (0, 3), "{settled:?}");
    worker.drain();
    tokio::time::timeout(PATIENCE, worker.join()).await??;

    let (mut told, mut proven, mut posted, mut paid) = (Vec::new(), 0, 0, 0);
    while let Ok(event) = events.try_recv() {
        match event.what {
            What::Challenged { due, .. } => told.push(due),
            What::Answered { .. } => proven += 1,
            What::Posted { .. } => posted += 1,
            What::ChallengePaid { amount } => paid += amount,
            _ => {}
        }
    }
    ensure!(told.len() == 2 && told.iter().all(|due| settled.ended_at < *due), "{told:?}");
    ensure!(proven >= 2 + 3 && posted == 3 && paid == 2 * (bond / 2), "{proven} {posted} {paid}");
    for cell in [7, 300] {
        ensure!(stage.reader.challenge(&seeds::shard(&job, 0), cell).await?.is_none(), "bonds are divided");
    }
    let account = stage.reader.provider(&provider.provider).await?;
    let price = |shard: &Shard| shard.price - shard.price * u64::from(data.terms.fee_bps) / 10_000;
    let earned = price(&settled) + price(&accepted) + prepaid + paid;
    ensure!(account.earned.abs_diff(earned) <= 2, "{} earned, {earned} expected", account.earned);
    ensure!((account.locked, account.slashed, account.settled) == (0, 0, 2));
    let purse = stage.tokens(&token::associated(&stranger.pubkey(), &stage.mint)).await?;
    ensure!(purse == 20 * USDC - 2 * bond, "the stranger's bonds are spent");
    chain.stop();
    Ok(())
}

/// A worker that was killed, and whose disk was lost, comes back while a cell is challenged: it computes its result again,
/// uploads the evidence and proves the cell in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_an_open_challenge() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let stranger = stage.wallet(&chain, 20 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let stage = stage;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let worker = provider.start(&stage, &data, Arc::new(Cpu), true).await?;
    let job = stage.create(&renter, 2, product(folder.path(), 0, 4)?).await?;
    reaches(&stage, &job, 0, &IN_WORK).await?;
    worker.stop();
    worker.join().await?;
    for cell in [200, 3] {
        challenge(&stage, &stranger, &job, 0, cell).await?;
    }
    let open = stage.reader.shard(&job, 0).await?.context("no shard")?.open_challenges;
    ensure!(open == 2, "{open} open");
    std::fs::remove_dir_all(&data)?;

    let worker = provider.start(&stage, &data, Arc::new(Cpu), true).await?;
    worker.drain();
    tokio::time::timeout(PATIENCE, worker.join()).await??;
    let shard = stage.reader.shard(&job, 0).await?.context("no shard")?;
    ensure!(shard.state() == Some(ShardState::Settled), "{shard:?}");
    ensure!((shard.open_challenges, shard.unpaid_challenges) == (0, 0), "proven and paid before it ended: {shard:?}");
    let account = stage.reader.provider(&provider.provider).await?;
    ensure!((account.locked, account.slashed, account.settled) == (0, 0, 1));
    ensure!(left(&stage, &provider.operator_key()).await?.is_empty(), "evidence is closed");
    chain.stop();
    Ok(())
}

/// A validator that finds a wrong cell whose evidence goes inline challenges it first; the conviction gives it bond and
/// bounty. The forger's own worker does not bring the cell before the judge.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgers_challenged_cell_convicts() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::new(&chain).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let forger = stage.register(&chain, 300 * USDC).await?;
    let validator = Arc::new(stage.wallet(&chain, 5 * USDC).await?);
    let stage = stage;
    let folder = tempfile::tempdir()?;
    let mut config = ValidatorConfig::new(stage.cluster.clone(), validator.clone(), stage.market);
    config.accepted_verifiers = vec![VERIFIER];
    config.allow_local_urls = true;
    config.poll = Duration::from_millis(300);
    let events = Events::default();
    let mut told = events.subscribe();
    let running = Validator::start_with(config, Arc::new(Cpu), events).await?;
    let forging = forger.start(&stage, folder.path(), Arc::new(Forger), false).await?;
    let job = stage.create(&renter, 1, request(0, image(64), 16)).await?;

    let (mut bonded, mut bounty, mut returned) = (0, 0, 0);
    while bounty == 0 || returned == 0 {
        match tokio::time::timeout(PATIENCE, told.recv()).await??.what {
            What::Bonded { bond, .. } => bonded += bond,
            What::BountyPaid { amount } => bounty += amount,
            What::BondReturned { amount } => returned += amount,
            _ => {}
        }
    }
    running.stop();
    running.join().await?;
    forging.stop();
    forging.join().await?;
    ensure!(bonded > 0 && bonded == returned, "{bonded} put up, {returned} came back");
    let shard = stage.reader.shard(&job, 0).await?.context("no shard")?;
    ensure!(shard.fault == Fault::WrongCell as u8 && shard.bounty_to == validator.pubkey(), "{shard:?}");
    ensure!(stage.reader.challenges().await?.is_empty(), "the challenge is closed");
    let purse = stage.tokens(&token::associated(&validator.pubkey(), &stage.mint)).await?;
    ensure!(purse == 5 * USDC + bounty && bounty > 0, "{purse}");
    chain.stop();
    Ok(())
}

/// A challenge that is not answered in time is slashed by a validator that has no part in it, for its challenger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overdue_challenges_are_slashed_for_their_challengers() -> Result<()> {
    let chain = embedded().await?;
    let mut stage = Stage::with_terms(&chain, terms::experimental(60, 3)).await?;
    let renter = stage.wallet(&chain, 200 * USDC).await?;
    let stranger = stage.wallet(&chain, 20 * USDC).await?;
    let provider = stage.register(&chain, 300 * USDC).await?;
    let validator = Arc::new(stage.wallet(&chain, 0).await?);
    let stage = stage;
    let job = stage.create(&renter, 1, request(0, image(64), 16)).await?;
    let data = stage.reader.job(&job).await?;
    let operator = provider.operator_key();
    let claim = ix::claim_shard(operator, &job, &data, &provider.provider, 0, 1);
    let commit = ix::commit_result(operator, &job, &provider.provider, 0, [9; 32]);
    stage.send(&[claim, commit], &[&provider.operator]).await?;
    let bond = challenge(&stage, &stranger, &job, 0, 1).await?;

    let mut config = ValidatorConfig::new(stage.cluster.clone(), validator.clone(), stage.market);
    config.accepted_verifiers = vec![VERIFIER];
    config.allow_local_urls = true;
    config.poll = Duration::from_millis(300);
    let running = Validator::start(config, Arc::new(Cpu)).await?;
    let mut shard = reaches(&stage, &job, 0, &[ShardState::Slashed]).await?;
    let started = Instant::now();
    while shard.seized == 0 {
        ensure!(started.elapsed() < PATIENCE, "not seized");
        tokio::time::sleep(Duration::from_millis(100)).await;
        shard = stage.reader.shard(&job, 0).await?.context("no shard")?;
    }
    running.stop();
    running.join().await?;
    ensure!(shard.fault == Fault::Unanswered as u8 && shard.bounty_to == stranger.pubkey(), "{shard:?}");
    let address = seeds::challenge(&seeds::shard(&job, 0), 1);
    let (found, to) = (stage.reader.challenges().await?, token::associated(&stranger.pubkey(), &stage.mint));
    let [(key, won)] = found.as_slice() else { return Err(anyhow!("{} challenges", found.len())) };
    ensure!(*key == address && won.state() == Some(ChallengeState::Won), "{won:?}");
    let account = stage.reader.provider(&provider.provider).await?;
    let bounty = shard.owed_bounty;
    let pay = ix::pay_bounty(&job, &data, &provider.provider, &account, 0, to);
    stage.send(&[pay, ix::return_bond(&address, won, to)], &[&renter]).await?;
    ensure!(bounty > 0 && stage.tokens(&to).await? == 20 * USDC + bounty, "bond of {bond} and bounty");
    chain.stop();
    Ok(())
}
