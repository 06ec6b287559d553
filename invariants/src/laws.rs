//! What must hold in every state, besides that chain and model agree (protocol.md, section 8).

use crate::{
    cast::Manner,
    model::{Model, Phase},
};

/// A job carries the market's terms and what its renter asked for.
pub fn dealt_as_asked(model: &Model, number: usize) -> Result<(), String> {
    let job = &model.jobs[number];
    let (dealt, market) = (&job.data.terms, &model.markets[job.market]);
    let m = &market.terms;
    let same = dealt.market == market.key
        && (dealt.price_start, dealt.price_max) == job.prices
        && (dealt.ramp_seconds, dealt.execute_seconds) == (job.ramp, job.execute)
        && dealt.expires_at == job.created.time + i64::from(job.life)
        && dealt.shards == model.kind(number).shards()
        && (dealt.challenge_seconds, dealt.response_seconds) == (m.challenge_seconds, m.response_seconds)
        && (dealt.collateral_bps, dealt.fee_bps, dealt.bounty_bps) == (m.collateral_bps, m.fee_bps, m.bounty_bps)
        && (dealt.release_min_bps, dealt.release_max_bps, dealt.expiry_bps)
            == (m.release_min_bps, m.release_max_bps, m.expiry_bps)
        && (dealt.samples, dealt.named) == (model.samples(number), m.named)
        && u64::from(dealt.amplification_bps) == model.kernel(number).amplification;
    if same { Ok(()) } else { Err(format!("job {number} is dealt under other terms: {dealt:?}")) }
}

/// An honest provider is not slashed or charged for a shard; a wrong cell that had to be proven does not settle.
pub fn shard(model: &Model, job: usize, index: u32, honest_alive: bool) -> Result<(), String> {
    let s = model.shard(job, index);
    if s.holder == usize::MAX {
        return Ok(());
    }
    let honest = model.providers[s.holder].manner() == Manner::Honest;
    if honest && honest_alive && (s.phase == Phase::Slashed || s.debts != [0; 3]) {
        return Err(format!("an honest provider is charged: {s:?}"));
    }
    let challenged = model.challenges.range((job, index, 0)..=(job, index, u64::MAX)).map(|((_, _, cell), _)| *cell);
    let mut demanded = s.drawn.iter().chain(&s.named).map(|demand| demand.cell).chain(challenged);
    if s.phase == Phase::Settled
        && !s.accepted
        && let Some(work) = &s.work
        && demanded.any(|cell| work.wrong.contains(&cell))
    {
        return Err(format!("a wrong cell that was demanded settled: {s:?}"));
    }
    Ok(())
}

/// An honest provider has what it paid in and what it earned.
pub fn honest_provider(model: &Model, number: usize) -> Result<(), String> {
    let p = &model.providers[number];
    let whole = i128::from(p.staked) == p.invested + i128::from(p.record[3]);
    if p.manner() != Manner::Honest || whole && p.record[1] == 0 && p.record[2] == 0 {
        return Ok(());
    }
    Err(format!("an honest provider has lost something: {p:?}"))
}
