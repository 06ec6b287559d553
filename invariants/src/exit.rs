//! Everybody out: from wherever a world is, one party alone turns every crank, and everybody gets what is theirs.

use crate::{
    actions::{
        Action, Challenging, Claiming, Closing, Delivering, Drawing, Governing, Judging, Ordering, Outside, Paying,
        Staking,
    },
    cast::{CRANKS, OWNERS, PEOPLE, RENTERS, Who, wallet},
    check,
    episode::Stage,
    model::{Answer, Challenge, Phase},
};
use anchor_lang::Discriminator;
use assay_settlement::Renter;
use rand::Rng;
use solana_pubkey::Pubkey;

/// Rounds of cranks that must be enough, with the time that passes after each, seconds: any response or window, a job's
/// life, the wait for bounties and seeds.
const ROUNDS: [u64; 14] =
    [200, 4_000, 4_000, 4_000, 8_000, 8_000, 110_000, 8_000, 8_000, 8_000, 31 * 86_400, 8_000, 31 * 86_400, 8_000];

/// Empties the world. `alone`: honest providers are dead as well, and are slashed for it.
pub fn leave(stage: &mut Stage, alone: bool) -> Result<(), String> {
    stage.note(format!("-- exit, {}", if alone { "one party alone" } else { "honest providers alive" }));
    stage.tally.exits += 1;
    stage.alive = !alone;
    let parties = [&RENTERS[..], &OWNERS, &CRANKS].concat();
    let by = parties[stage.random.random_range(0..parties.len())];
    let fetched = stage.random.random_range(0..2) == 0;
    thaw(stage)?;
    if let Some(account) = hold(stage) {
        let mint = stage.model.purses[&account].mint;
        stage.act(&Action::Outside(Outside::Freeze { mint, account, on: true }))?;
        rounds(stage, by, fetched)?;
        others_are_out(stage, &account)?;
        thaw(stage)?;
    }
    if rounds(stage, by, fetched)? {
        return empty_hands(stage);
    }
    let left: Vec<usize> = stage.model.living().collect();
    Err(format!("not everybody is out: jobs {left:?}, seeds {:?}", stage.model.seeds.keys()))
}

/// The freeze authority lets everything go.
fn thaw(stage: &mut Stage) -> Result<(), String> {
    let mut frozen: Vec<Pubkey> = stage.model.purses.iter().filter(|(_, p)| p.frozen).map(|(k, _)| *k).collect();
    frozen.sort();
    for account in frozen {
        let mint = stage.model.purses[&account].mint;
        stage.act(&Action::Outside(Outside::Freeze { mint, account, on: false }))?;
    }
    Ok(())
}

/// Half of the time, a vault that stays frozen while the others leave: a stake with something at risk, or a job's.
fn hold(stage: &mut Stage) -> Option<Pubkey> {
    let model = &stage.model;
    let jobs = || model.living().map(|job| &model.jobs[job]);
    let held = jobs().flat_map(|job| &job.shards).filter(|s| s.in_work() || s.phase == Phase::Slashed && s.lock > 0);
    let mut vaults: Vec<Pubkey> = held.map(|s| model.providers[s.holder].data.vault).collect();
    vaults.extend(jobs().map(|job| job.data.vault));
    vaults.retain(|vault| model.purses.contains_key(vault));
    let chosen = stage.random.random_range(0..2 * vaults.len().max(1));
    vaults.get(chosen).copied()
}

/// Turns every crank, again and again. Returns whether nothing is left to be turned.
fn rounds(stage: &mut Stage, by: Who, fetched: bool) -> Result<bool, String> {
    for seconds in ROUNDS {
        for job in stage.model.living().collect::<Vec<_>>() {
            for shard in 0..u32::try_from(stage.model.jobs[job].shards.len()).unwrap() {
                crank_shard(stage, job, shard, by, fetched)?;
            }
            let to = stage.model.jobs[job].renter;
            stage.act(&Action::Paying(Paying::Refund { job, to }))?;
            stage.act(&Action::Closing(Closing::Job { job, to }))?;
        }
        leftovers(stage, by)?;
        for window in stage.model.seeds.keys().copied().collect::<Vec<_>>() {
            let to = stage.model.seeds[&window].payer;
            stage.act(&Action::Closing(Closing::Seed { window, to }))?;
        }
        let done = stage.model.challenges.is_empty() && stage.model.deliveries.is_empty();
        if done && stage.model.living().next().is_none() && stage.model.seeds.is_empty() {
            return Ok(true);
        }
        stage.pass(seconds)?;
    }
    Ok(false)
}

/// With one vault frozen all the while, whatever does not go through it is out: renters have their escrow, other jobs are
/// closed, other providers have their collateral and can take it, bonds are back.
fn others_are_out(stage: &mut Stage, frozen: &Pubkey) -> Result<(), String> {
    let model = &stage.model;
    let through = |provider: usize| model.providers.get(provider).is_some_and(|p| p.data.vault == *frozen);
    let waits = |c: &Challenge| c.answer == Answer::Right && through(c.provider);
    for job in model.living() {
        let j = &model.jobs[job];
        if j.data.vault == *frozen {
            continue;
        }
        if model.held(&j.data.vault) != model.kept(j) {
            return Err(format!("{frozen} is frozen, and the renter of job {job} does not get its escrow"));
        }
        let unpaid = model.challenges.range((job, 0, 0)..=(job, u32::MAX, u64::MAX)).any(|(_, c)| waits(c));
        if !unpaid && !j.shards.iter().any(|s| s.judgeable() && through(s.holder)) {
            return Err(format!("{frozen} is frozen, and job {job} does not close"));
        }
        if let Some(s) = j.shards.iter().find(|s| s.in_work() && !through(s.holder)) {
            return Err(format!("{frozen} is frozen, and a shard of another provider does not end: {s:?}"));
        }
    }
    let of_frozen_job = |job: usize| model.jobs[job].data.vault == *frozen && model.jobs[job].exists;
    if let Some((_, c)) = model.challenges.iter().find(|(at, c)| !waits(c) && !of_frozen_job(at.0)) {
        return Err(format!("{frozen} is frozen, and a bond is not back: {c:?}"));
    }
    for provider in 0..model.providers.len() {
        let p = &stage.model.providers[provider];
        let (by, amount) = (p.owner, p.staked - stage.model.locked(provider).0);
        if p.exists && amount > 0 && p.data.vault != *frozen {
            must(stage, Action::Staking(Staking::Withdraw { provider, by, amount }))?;
        }
    }
    Ok(())
}

/// Challenges and deliveries, of shards that are still there or not.
fn leftovers(stage: &mut Stage, by: Who) -> Result<(), String> {
    for (job, shard, cell) in stage.model.challenges.keys().copied().collect::<Vec<_>>() {
        let to = stage.model.challenges[&(job, shard, cell)].by;
        stage.act(&Action::Challenging(Challenging::Slash { job, shard, cell, by }))?;
        stage.act(&Action::Challenging(Challenging::Pay { job, shard, cell }))?;
        if stage.model.challenges.contains_key(&(job, shard, cell)) {
            stage.act(&Action::Challenging(Challenging::Return { job, shard, cell, to }))?;
        }
    }
    for (job, shard) in stage.model.deliveries.keys().copied().collect::<Vec<_>>() {
        let to = stage.model.deliveries[&(job, shard)].payer;
        stage.act(&Action::Delivering(Delivering::Close { job, shard, to }))?;
    }
    Ok(())
}

/// Every crank of a shard, in the order of its life.
fn crank_shard(stage: &mut Stage, job: usize, shard: u32, by: Who, fetched: bool) -> Result<(), String> {
    let s = stage.model.shard(job, shard);
    if s.payer.is_none() {
        return Ok(());
    }
    let (provider, window) = (s.holder, s.window);
    if s.phase == Phase::Claimed {
        stage.act(&Action::Claiming(Claiming::Expire { job, shard, provider, by }))?;
    }
    if stage.model.shard(job, shard).phase == Phase::Committed {
        stage.act(&Action::Drawing(Drawing::Record { window, by }))?;
        stage.act(&Action::Drawing(Drawing::Draw { job, shard, window }))?;
        stage.act(&Action::Drawing(Drawing::Roll { job, shard, window, by }))?;
    }
    if stage.model.shard(job, shard).judgeable() {
        stage.act(&Action::Judging(Judging::Slash { job, shard, by }))?;
        stage.act(&Action::Paying(Paying::Settle { job, shard, provider }))?;
    }
    let s = stage.model.shard(job, shard);
    if let (Phase::Slashed, Some(to)) = (s.phase, s.hunter) {
        stage.act(&Action::Paying(Paying::Seize { job, shard, provider }))?;
        if fetched {
            stage.act(&Action::Paying(Paying::Bounty { job, shard, provider, to }))?;
        }
        let vaults = [stage.model.jobs[job].data.vault, stage.model.providers[provider].data.vault];
        if vaults.iter().any(|vault| stage.model.frozen(vault)) {
            let by = stage.model.jobs[job].renter;
            stage.act(&Action::Paying(Paying::Waive { job, shard, provider, by }))?;
        }
    }
    let to = stage.model.shard(job, shard).payer.unwrap_or(by);
    stage.act(&Action::Closing(Closing::Shard { job, shard, to }))?;
    Ok(())
}

/// Owners take their stake and close, the authorities take their fees and close; what is left is what stays for ever.
fn empty_hands(stage: &mut Stage) -> Result<(), String> {
    for provider in 0..stage.model.providers.len() {
        let p = &stage.model.providers[provider];
        let (locked, work) = stage.model.locked(provider);
        if (locked, work) != (0, 0) {
            return Err(format!("{locked} of provider {provider} stay locked, {work} shards in work"));
        }
        let (by, amount, vault) = (p.owner, p.staked, p.data.vault);
        if !p.exists {
            continue;
        }
        if amount > 0 && !stage.act(&Action::Staking(Staking::Withdraw { provider, by, amount }))? {
            return Err(format!("provider {provider} can't take out {amount}"));
        }
        let (held, gifts) = (stage.model.held(&vault), stage.model.gifts.get(&vault).copied().unwrap_or(0));
        if held != gifts {
            return Err(format!("{held} stranded in the vault of provider {provider}, {gifts} of them gifts"));
        }
        must(stage, Action::Staking(Staking::Close { provider, by }))?;
    }
    for market in 0..stage.model.markets.len() {
        let by = stage.model.markets[market].authority;
        must(stage, Action::Governing(Governing::Close { market, by }))?;
    }
    for account in stage.model.evidence.keys().copied().collect::<Vec<_>>() {
        let by = stage.model.evidence[&account].owner;
        must(stage, Action::Judging(Judging::CloseEvidence { account, by }))?;
    }
    for kernel in 0..stage.model.kernels.len() {
        if let Some(by) = stage.model.kernels[kernel].payer {
            must(stage, Action::Ordering(Ordering::CloseKernel { kernel, by }))?;
        }
    }
    check::all(&stage.machine, &stage.model)?;
    // Everybody's tokens are in wallets again, all of them; of accounts only the numbers of the renters' jobs are left.
    let (model, accounts) = (&stage.model, stage.machine.svm.get_program_accounts(&assay_settlement::ID));
    for (number, supply) in model.supply.iter().enumerate() {
        let held: u64 = (0..PEOPLE).map(|who| model.held(&wallet(who, number))).sum();
        if held != *supply {
            return Err(format!("people hold {held} of mint {number}, and {supply} exist"));
        }
    }
    if accounts.len() != model.nonces.len() || accounts.iter().any(|(_, a)| !a.data.starts_with(Renter::DISCRIMINATOR))
    {
        return Err(format!("{} accounts of the program are left, {} should be", accounts.len(), model.nonces.len()));
    }
    Ok(())
}

fn must(stage: &mut Stage, action: Action) -> Result<(), String> {
    if stage.act(&action)? { Ok(()) } else { Err(format!("this is the owner's to do at the end: {action:?}")) }
}
