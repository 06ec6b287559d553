//! The chain against the model: what a transaction touched at once, everything now and then.

use crate::{
    cast::{self, key, mint},
    machine::Machine,
    model::{Answer, Evidence, Model, Phase, Place, Shard as ModelShard},
};
use assay_client::{accounts::decode_data, token};
use assay_settlement::{
    Challenge, Delivery, DrawSeed, EVIDENCE_HEADER_BYTES, EvidenceHeader, Job, Market, PAUSED, Provider, Shard,
    constants::NOBODY,
};
use bytemuck::Pod;
use solana_pubkey::Pubkey;

fn same<T: PartialEq + core::fmt::Debug>(what: impl Fn() -> String, chain: T, model: T) -> Result<(), String> {
    if chain == model { Ok(()) } else { Err(format!("{}: the chain has {chain:?}, the model {model:?}", what())) }
}

fn decoded<T: Pod + anchor_lang::Discriminator>(data: &[u8], what: &str) -> Result<T, String> {
    decode_data(data).ok_or_else(|| format!("{what} can't be read"))
}

/// What this address should hold.
pub fn account(machine: &Machine, model: &Model, address: &Pubkey) -> Result<(), String> {
    let found = machine.account(address);
    if let Some(expected) = model.lamports.get(address) {
        same(|| format!("lamports of {address}"), found.as_ref().map_or(0, |a| a.lamports), *expected)?;
    }
    if let Some(of) = model.evidence.get(address) {
        evidence(model, of, &found.as_ref().map(|a| a.data.clone()).unwrap_or_default())?;
    }
    let Some(place) = model.places.get(address) else { return Ok(()) };
    let data = found.map(|a| a.data).filter(|d| !d.is_empty());
    let exists = match place {
        Place::Purse => model.purses.contains_key(address),
        Place::Market(number) => model.markets[*number].exists,
        Place::Provider(number) => model.providers[*number].exists,
        Place::Challenge(job, index, cell) => model.challenges.contains_key(&(*job, *index, *cell)),
        Place::Delivery(job, index) => model.deliveries.contains_key(&(*job, *index)),
        Place::Job(job) => model.jobs[*job].exists,
        Place::Shard(job, index) => model.shard(*job, *index).payer.is_some(),
        Place::Seed(window) => model.seeds.contains_key(window),
    };
    same(|| format!("whether {place:?} at {address} exists"), data.is_some(), exists)?;
    let Some(data) = data else { return Ok(()) };
    let what = || format!("{place:?} at {address}");
    match place {
        Place::Purse => {
            let purse = model.purses[address];
            same(what, (token::amount(&data), data[108] == 2), (Some(purse.amount), purse.frozen))
        }
        Place::Market(number) => {
            let market = &model.markets[*number];
            let chain: Market = decoded(&data, "the market")?;
            same(what, (chain.flags & PAUSED != 0, chain.terms), (market.paused, market.terms))?;
            let jobs = model.jobs.iter().filter(|j| j.exists && j.market == *number).count() as u64;
            let providers = model.providers.iter().filter(|p| p.exists && p.market == *number).count() as u64;
            same(what, (chain.jobs, chain.providers), (jobs, providers))?;
            let heir = market.heir.map_or(NOBODY, key);
            same(what, (chain.authority, chain.pending_authority), (key(market.authority), heir))
        }
        Place::Provider(number) => {
            provider(model, *number, &decoded(&data, "the provider")?).map_err(|e| format!("{}: {e}", what()))
        }
        Place::Job(number) => job(model, *number, &decoded(&data, "the job")?).map_err(|e| format!("{}: {e}", what())),
        Place::Shard(number, index) => {
            let chain: Shard = decoded(&data, "the shard")?;
            let of = model.shard(*number, *index);
            shard(model, of, *number, *index, &chain).map_err(|e| format!("{}: {e}", what()))
        }
        Place::Challenge(job, index, cell) => {
            let c = &model.challenges[&(*job, *index, *cell)];
            let chain: Challenge = decoded(&data, "the challenge")?;
            let expected = (c.answer as u8, key(c.by), c.bond, c.opened.time, c.vault, *cell);
            let read = (chain.state, chain.challenger, chain.bond, chain.opened_at, chain.vault, chain.cell);
            same(what, read, expected)?;
            same(what, (u64::from(chain.unit), u64::from(chain.seconds)), (c.unit, c.seconds))
        }
        Place::Delivery(job, index) => {
            let d = &model.deliveries[&(*job, *index)];
            let chain: Delivery = decoded(&data, "the delivery")?;
            let leaves: Vec<(u64, bool)> = (0..usize::from(chain.count))
                .map(|place| (chain.leaves[place], chain.posted & 1 << place != 0))
                .collect();
            same(what, leaves, d.leaves.clone())
        }
        Place::Seed(window) => {
            let seed = model.seeds[window];
            let chain: DrawSeed = decoded(&data, "the seed")?;
            same(what, (chain.window, chain.seed, chain.recorded_at), (*window, seed.seed, seed.recorded.time))
        }
    }
}

fn evidence(model: &Model, of: &Evidence, data: &[u8]) -> Result<(), String> {
    same(|| "bytes of evidence".into(), data.len(), of.bytes)?;
    let head: EvidenceHeader = bytemuck::pod_read_unaligned(&data[..EVIDENCE_HEADER_BYTES]);
    same(|| "owner of evidence".into(), head.owner, key(of.owner))?;
    let chain = (head.stepping != 0).then_some((head.shard, head.leaf, head.cell, head.steps));
    let expected = of.stepping.map(|(job, index, cell, steps)| {
        let place = model.kind(job).place(index, cell);
        (model.shard(job, index).key, place.leaf, place.cell, steps)
    });
    same(|| "the stepped cell".into(), chain, expected)
}

fn provider(model: &Model, number: usize, chain: &Provider) -> Result<(), String> {
    let of = &model.providers[number];
    let (locked, active) = model.locked(number);
    same(|| "queue".into(), chain.queued_seconds, model.queued(number))?;
    same(|| "load".into(), u64::from(chain.load_seconds), model.loaded(number))?;
    same(|| "staked, locked, active".into(), (chain.staked, chain.locked, chain.active), (of.staked, locked, active))?;
    let record = [chain.settled, chain.slashed, chain.given_back, chain.earned, chain.fees];
    same(|| "record".into(), record, of.record)?;
    let operators = chain.operators.iter().filter(|k| **k != NOBODY).filter_map(cast::person).collect();
    same(|| "operators".into(), operators, of.operators.clone())?;
    if locked > of.staked || of.staked > model.held(&of.data.vault) {
        return Err(format!("locked {locked}, staked {}, held {}", of.staked, model.held(&of.data.vault)));
    }
    Ok(())
}

fn job(model: &Model, number: usize, chain: &Job) -> Result<(), String> {
    let of = &model.jobs[number];
    same(|| "cancelled".into(), chain.cancelled != 0, of.cancelled)?;
    let counts = [u64::from(chain.active), u64::from(chain.shard_accounts)];
    same(|| "active, accounts".into(), counts, [of.active(), of.accounts()])?;
    let ended = |f: &dyn Fn(&ModelShard) -> bool| of.shards.iter().filter(|s| f(s)).count() as u64;
    let done = [ended(&|s| s.phase == Phase::Settled), ended(&|s| s.phase == Phase::Slashed && s.seized)];
    same(|| "settled, slashed".into(), [u64::from(chain.settled), u64::from(chain.slashed)], done)?;
    same(|| "fees".into(), chain.fees_owed, of.fees)?;
    same(|| "compensated, paid".into(), [chain.compensated, chain.paid], of.totals)?;
    let prepaid: u64 = of.shards.iter().map(|s| s.prepaid).sum();
    same(|| "prepaid".into(), chain.prepaid, prepaid)?;
    let (held, kept) = (model.held(&of.data.vault), model.kept(of));
    if held < kept { Err(format!("the vault holds {held} and must hold {kept}")) } else { Ok(()) }
}

fn shard(model: &Model, of: &ModelShard, job: usize, index: u32, chain: &Shard) -> Result<(), String> {
    let phase = [Phase::Open, Phase::Claimed, Phase::Committed, Phase::Sampled, Phase::Settled, Phase::Slashed]
        .get(usize::from(chain.state))
        .copied();
    same(|| "state".into(), phase, Some(of.phase))?;
    same(|| "index, claims".into(), (chain.index, chain.claims), (index, of.claims))?;
    same(|| "provider".into(), chain.provider, model.providers[of.holder].key)?;
    if of.phase == Phase::Open {
        return Ok(());
    }
    same(
        || "price, lock".into(),
        (chain.price, chain.collateral),
        if of.phase == Phase::Settled { (of.price, chain.collateral) } else { (of.price, of.lock) },
    )?;
    let root = of.work.as_ref().map_or([0; 32], |w| w.root);
    same(|| "root, window".into(), (chain.root, chain.window), (root, of.window))?;
    let k = usize::from(model.samples(job));
    let drawn: Vec<(u64, bool)> = of.drawn.iter().map(|d| (d.cell, d.answered)).collect();
    let named: Vec<(u64, bool)> = of.named.iter().map(|d| (d.cell, d.answered)).collect();
    let read = |from: usize, count: u8| -> Vec<(u64, bool)> {
        (from..from + usize::from(count)).map(|i| (chain.cells[i], chain.answered & 1 << i != 0)).collect()
    };
    same(|| "drawn cells".into(), read(0, chain.drawn), drawn)?;
    same(|| "named cells".into(), read(k, chain.named), named)?;
    let accepted = (chain.accepted != 0, chain.attested);
    let attested = of.attested.map_or(0, |arrived| if arrived { 1 } else { 2 });
    same(|| "accepted, attested".into(), accepted, (of.accepted, attested))?;
    let unpaid = model.challenged(job, index, Answer::Right).len();
    same(|| "unpaid challenges".into(), chain.unpaid_challenges as usize, unpaid)?;
    same(|| "unanswered challenges".into(), u64::from(chain.open_challenges), of.waiting)?;
    let posting = (u64::from(chain.leaves_demanded), chain.prepaid, chain.posted_pay);
    same(|| "posting".into(), posting, (of.demanded.map_or(0, |d| d.1), of.prepaid, of.posted))?;
    let debts = [chain.owed_renter, chain.owed_bounty, chain.owed_treasury];
    same(|| "debts".into(), debts, of.debts)?;
    same(|| "seized, fault".into(), (chain.seized != 0, chain.fault), (of.seized, of.fault.map_or(0, |f| f as u8)))?;
    same(|| "bounty to".into(), chain.bounty_to, of.hunter.map_or(NOBODY, key))
}

/// Everything: every account that the model knows, no account of the program that it does not know, every token.
pub fn all(machine: &Machine, model: &Model) -> Result<(), String> {
    for address in model.lamports.keys().chain(model.places.keys()) {
        account(machine, model, address)?;
    }
    for (address, _) in machine.svm.get_program_accounts(&assay_settlement::ID) {
        let known = model.places.contains_key(&address) || model.lamports.contains_key(&address);
        if !known {
            return Err(format!("an account of the program that nobody made: {address}"));
        }
    }
    for (number, supply) in model.supply.iter().enumerate() {
        let of_mint = mint(number);
        let purses = machine.svm.get_program_accounts(&cast::token_program(number));
        let held = purses.iter().filter(|(_, a)| a.data.len() >= 165 && a.data.starts_with(of_mint.as_ref()));
        let sum: u64 = held.filter_map(|(_, a)| token::amount(&a.data)).sum();
        same(|| format!("tokens of mint {number}"), sum, *supply)?;
    }
    Ok(())
}
