//! Which jobs a provider takes, by every reason not to; and the order in which providers try shards.
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "test code")]

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use assay_client::Cluster;
use assay_kernels::registry;
use assay_settlement::{CostClass, EXPERIMENTAL, Job, Market, PAUSED, Provider, Shard, ShardState, rules::time::Now};
use assay_worker::{
    AcceptAttested, ProviderConfig,
    effort::Speeds,
    eligibility::{Offer, Pay, Skip, View, order},
};
use bytemuck::Zeroable;
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;

const US: Pubkey = Pubkey::new_from_array([2; 32]);

struct World {
    config: ProviderConfig,
    operator: Pubkey,
    provider: Provider,
    market: Market,
    job: Job,
    now: Now,
    speeds: Speeds,
    queued_seconds: u64,
}

fn key(byte: u8) -> Pubkey {
    Pubkey::new_from_array([byte; 32])
}

impl World {
    fn new() -> Self {
        let operator = Arc::new(Keypair::new());
        let operator_key = operator.pubkey();
        let cluster = Cluster::parse("localhost").unwrap();
        let mut config = ProviderConfig::new(cluster, operator, key(8), key(7), PathBuf::from("unused"));
        config.accepted_verifiers = vec![key(6)];
        config.min_price = 500;
        let mut params = Vec::new();
        params.extend([64u32, 4, 16].iter().flat_map(|v| v.to_le_bytes()));
        params.extend([0i64, 0, 1 << 20].iter().flat_map(|v| v.to_le_bytes()));
        let geometry = registry::geometry(1, &params).unwrap();
        let mut job = Job::zeroed();
        let t = &mut job.terms;
        (t.verifier, t.kernel_id, t.market) = (key(6), 1, key(7));
        (t.params_len, t.classes) = (u16::try_from(params.len()).unwrap(), 1);
        t.params[..params.len()].copy_from_slice(&params);
        t.class[0] = bytemuck::cast::<_, CostClass>(geometry.class[0]);
        (t.leaves, t.shard_leaves, t.shards) = (4, 2, 2);
        (t.price_start, t.price_max, t.ramp_seconds, t.created_at, t.expires_at) = (400, 1_000, 600, 1_000, 9_000);
        (t.collateral_bps, t.amplification_bps, t.execute_seconds) = (15_000, 10_000, 600);
        let mut provider = Provider::zeroed();
        (provider.operators[1], provider.staked, provider.locked) = (operator_key, 2_000, 500);
        let now = Now { time: 1_300, slot: 100, last_restart_slot: 0 };
        // A shard is 128 cells of 16 iterations.
        let speeds = [(1, 2_048)].into_iter().collect();
        config.min_execute_seconds = 500;
        let market = Market::zeroed();
        Self { config, operator: operator_key, provider, market, job, now, speeds, queued_seconds: 0 }
    }

    fn view(&self) -> View<'_> {
        View {
            config: &self.config,
            operator: &self.operator,
            provider_key: &US,
            provider: &self.provider,
            market: &self.market,
            now: &self.now,
            speeds: &self.speeds,
            queued_seconds: self.queued_seconds,
        }
    }

    /// Judges a world that differs in one thing.
    fn judge(change: impl FnOnce(&mut Self)) -> Result<Offer, Skip> {
        let mut world = Self::new();
        change(&mut world);
        let view = world.view();
        view.job(&world.job)?;
        view.shard(&world.job, 0, None)
    }
}

#[test]
fn every_reason_not_to_claim() {
    // Half of the ramp is over.
    assert_eq!(World::judge(|_| {}), Ok(Offer { price: 700, collateral: 1_050, load: 0 }));
    assert_eq!(World::judge(|w| w.market.flags = EXPERIMENTAL), Err(Skip::ExperimentalMarket));
    assert!(
        World::judge(|w| {
            w.market.flags = EXPERIMENTAL;
            w.config.allow_experimental = true;
        })
        .is_ok()
    );
    assert_eq!(World::judge(|w| w.market.flags = PAUSED), Err(Skip::MarketPaused));
    assert_eq!(World::judge(|w| w.job.cancelled = 1), Err(Skip::JobClosed));
    assert_eq!(World::judge(|w| w.now.time = 9_000), Err(Skip::JobClosed));
    assert_eq!(World::judge(|w| w.job.active = 2), Err(Skip::NothingOpen));
    assert_eq!(World::judge(|w| w.job.terms.reserved_for = key(3)), Err(Skip::Reserved));
    assert!(World::judge(|w| w.job.terms.reserved_for = key(2)).is_ok());
    assert_eq!(World::judge(|w| w.provider.operators[1] = key(4)), Err(Skip::NotOperator));
    assert_eq!(World::judge(|w| w.config.accepted_verifiers = vec![key(5)]), Err(Skip::UnknownVerifier));
    assert_eq!(World::judge(|w| w.job.terms.kernel_id = 999), Err(Skip::UnknownKernel));
    assert_eq!(World::judge(|w| w.job.terms.class[0].cell_bytes = 2), Err(Skip::KernelDiffers));
    assert_eq!(World::judge(|w| w.job.terms.leaves = 3), Err(Skip::KernelDiffers));
    assert_eq!(World::judge(|w| w.job.terms.params[0] = 65), Err(Skip::KernelDiffers));
    assert_eq!(World::judge(|w| w.config.min_price = 701), Err(Skip::PriceTooLow { price: 700, minimum: 701 }));
    assert_eq!(World::judge(|w| w.provider.locked = 951), Err(Skip::NotEnoughStake { free: 1_049, needed: 1_050 }));
    // Answering its cells takes 3 x 2 x 100 seconds; the program keeps it below 3,600.
    let loaded = World::judge(|w| {
        (w.job.terms.samples, w.job.terms.answer_transactions) = (3, 100);
        (w.provider.load_seconds, w.provider.queued_seconds) = (2_000, 1_000);
    });
    assert_eq!(loaded, Err(Skip::Loaded { seconds: 3_000, more: 600, limit: 3_600 }));
}

/// A provider can have only so much load in work: a price that is fair for a shard of little load is not for one of much.
#[test]
fn a_price_for_the_load() {
    let judge = |samples: u8, rate: u64| {
        World::judge(|w| {
            (w.job.terms.samples, w.job.terms.answer_transactions) = (samples, 10);
            w.config.min_price_per_load_second = rate;
        })
    };
    // 700 for 60 seconds.
    assert_eq!(judge(3, 11), Ok(Offer { price: 700, collateral: 1_050, load: 60 }));
    assert_eq!(judge(3, 12), Err(Skip::PriceTooLow { price: 700, minimum: 720 }));
    assert_eq!(judge(1, 12), Ok(Offer { price: 700, collateral: 1_050, load: 20 }));
    assert_eq!(judge(3, u64::MAX), Err(Skip::PriceTooLow { price: 700, minimum: u64::MAX }));
    // The price of a whole shard stays a least price, and a job that asks for nothing has no load.
    assert_eq!(judge(0, 1_000), Ok(Offer { price: 700, collateral: 1_050, load: 0 }));
    let both = World::judge(|w| {
        (w.config.min_price, w.config.min_price_per_load_second) = (701, 1);
    });
    assert_eq!(both, Err(Skip::PriceTooLow { price: 700, minimum: 701 }));
    let config = World::new().config;
    let default = ProviderConfig::new(config.cluster, config.operator, key(8), key(7), PathBuf::from("unused"));
    assert_eq!(default.least_price(u32::MAX), 1);
}

/// Eleven jobs that pay next to nothing for the dearest cells fill what a provider can answer: they come after what pays.
#[test]
fn what_pays_most_for_its_load_comes_first() {
    let pay = |price, load, created_at| Pay { price, load, created_at, job: key(1) };
    let sorted = [
        // Large prices compare exactly.
        pay(u64::MAX, u32::MAX, 2),
        pay(u64::MAX - 1, u32::MAX, 1),
        // What can be asked nothing counts as a second.
        pay(6, 0, 9),
        pay(1_000, 200, 1),
        // The same for each second: the older one first.
        pay(100, 50, 3),
        pay(200, 100, 4),
        pay(1, 1, 1),
        pay(1, 324, 1),
        pay(0, 1, 1),
    ];
    let mut mixed: Vec<Pay> = sorted.iter().skip(4).chain(sorted.iter().take(4)).rev().copied().collect();
    mixed.sort_by(|a, b| b.cmp(a));
    let told = |p: &Pay| (p.price, p.load, p.created_at);
    assert_eq!(mixed.iter().map(told).collect::<Vec<_>>(), sorted.iter().map(told).collect::<Vec<_>>());
    let world = World::new();
    // Half of the ramp is over; nobody's shard pays more than one that nobody has claimed.
    let most = world.view().most(key(3), &world.job);
    assert_eq!((most.price, most.load, most.created_at, most.job), (700, 0, 1_000, key(3)));
    let given_back = Shard { claims: 1, ramp_from: 1_200, ..Shard::zeroed() };
    assert!(world.view().shard(&world.job, 0, Some(&given_back)).unwrap().price < most.price);
}

/// Where an attestor decides about the price, by what its silence means; and what this version does not know.
#[test]
fn deliveries_that_are_taken() {
    let judge = |delivery: u8, silence: u8, accepted: AcceptAttested| {
        World::judge(|w| {
            (w.job.terms.delivery, w.job.terms.silence) = (delivery, silence);
            w.config.accept_attested = accepted;
        })
        .map(drop)
    };
    use AcceptAttested::{All, No, PayOnSilence};
    assert_eq!(AcceptAttested::default(), PayOnSilence);
    for accepted in [No, PayOnSilence, All] {
        assert_eq!((judge(0, 0, accepted), judge(1, 0, accepted)), (Ok(()), Ok(())));
        for unknown in [judge(3, 0, accepted), judge(2, 2, accepted)] {
            assert_eq!(unknown, Err(Skip::UnknownTerms));
        }
    }
    let refused = |pays_on_silence| Err(Skip::Attested { pays_on_silence });
    assert_eq!((judge(2, 0, No), judge(2, 1, No)), (refused(true), refused(false)));
    assert_eq!((judge(2, 0, PayOnSilence), judge(2, 1, PayOnSilence)), (Ok(()), refused(false)));
    assert_eq!((judge(2, 0, All), judge(2, 1, All)), (Ok(()), Ok(())));
    assert!(World::judge(|w| w.job.terms.flags = 3).is_ok());
    assert_eq!(World::judge(|w| w.job.terms.flags = 4), Err(Skip::UnknownTerms));
}

/// A renter who leaves too little time would get the penalty of every claim.
#[test]
fn deadlines_that_can_not_be_met() {
    let short = |seconds, needed| Err(Skip::TooLittleTime { seconds, needed });
    assert_eq!(World::judge(|w| w.job.terms.execute_seconds = 1), short(1, 503));
    assert_eq!(World::judge(|w| w.job.terms.execute_seconds = 502), short(502, 503));
    assert!(World::judge(|w| w.job.terms.execute_seconds = 503).is_ok());
    // What waits before it, and a slower backend.
    assert_eq!(World::judge(|w| w.queued_seconds = 33), short(600, 602));
    assert_eq!(World::judge(|w| w.speeds = [(1, 60)].into_iter().collect()), short(600, 605));
    assert_eq!(World::judge(|w| w.speeds = Speeds::default()), Err(Skip::SpeedUnknown));
    // The default asks for ten minutes at least.
    let config = World::new().config;
    let default = ProviderConfig::new(config.cluster, config.operator, key(8), key(7), PathBuf::from("unused"));
    assert_eq!((default.min_execute_seconds, default.max_result_bytes), (600, 2 << 30));
}

#[test]
fn more_bytes_than_this_machine_takes() {
    let bytes = World::judge(|w| w.config.max_result_bytes = 0);
    let Err(Skip::TooLarge { what: "results", bytes, limit: 0 }) = bytes else { panic!("{bytes:?}") };
    assert!(World::judge(|w| w.config.max_result_bytes = bytes).is_ok());
    let refused = World::judge(|w| w.config.max_result_bytes = bytes - 1);
    assert_eq!(refused, Err(Skip::TooLarge { what: "results", bytes, limit: bytes - 1 }));
    let inputs = World::judge(|w| {
        w.config.max_input_bytes = 2_047;
        w.job.terms.inputs = 2;
        w.job.terms.input[0].bytes = 1_024;
        w.job.terms.input[1].bytes = 1_024;
    });
    assert_eq!(inputs, Err(Skip::TooLarge { what: "inputs", bytes: 2_048, limit: 2_047 }));
}

#[test]
fn a_given_back_shard_has_its_own_ramp() {
    let world = World::new();
    let mut shard = Shard::zeroed();
    (shard.claims, shard.ramp_from) = (1, 1_200);
    let offer = world.view().shard(&world.job, 0, Some(&shard));
    assert_eq!(offer, Ok(Offer { price: 500, collateral: 750, load: 0 }));
}

#[test]
fn providers_try_shards_in_different_orders_and_only_open_ones() {
    let mut job = Job::zeroed();
    job.terms.shards = 64;
    let taken = |state| {
        let mut shard = Shard::zeroed();
        shard.state = state as u8;
        shard
    };
    let known =
        HashMap::from([(5, taken(ShardState::Claimed)), (6, taken(ShardState::Open)), (7, taken(ShardState::Settled))]);
    let mut firsts = std::collections::HashSet::new();
    for provider in 0..16u8 {
        let tried: Vec<u32> = order(&key(1), &job, &key(provider), &known).map(|(index, _)| index).collect();
        let mut sorted = tried.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..64).filter(|i| *i != 5 && *i != 7).collect::<Vec<_>>());
        firsts.insert(tried[0]);
    }
    assert!(firsts.len() > 4, "{firsts:?}");
    job.terms.shards = 0;
    assert_eq!(order(&key(1), &job, &key(2), &known).count(), 0);
}
