//! The attacks. Each file plays one kind and returns its tables.

pub mod challengers;
pub mod claims;
pub mod cost;
pub mod hardware;
pub mod leaders;
pub mod rolling;
pub mod skipping;
pub mod stages;
pub mod watchers;

use rand::rngs::StdRng;

use crate::{
    Result,
    assume::Assumptions,
    closed,
    deal::Deal,
    life::{End, Watch, live},
    report::{Report, Section},
    stats::{Sample, deviation},
    terms,
    wrong::Wrong,
};

/// Wrong shares of those who roll windows.
const SHARES_OF_ROLLERS: [f64; 6] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75];

/// Plays everything.
pub fn play(a: &Assumptions) -> Result<Report> {
    let sections = vec![
        skipping::shares(a)?,
        skipping::slack(a)?,
        skipping::one_cell(a)?,
        cost::classes(a)?,
        cost::hidden(a)?,
        stages::poisoned(a)?,
        watchers::watched(a)?,
        watchers::hunting(a)?,
        watchers::insiders(a)?,
        leaders::grinding(a)?,
        leaders::withholding(a)?,
        leaders::waiting(a)?,
        leaders::crowding(a)?,
        rolling::paid(a)?,
        rolling::after_restart(a)?,
        challengers::griefing(a)?,
        challengers::proving(a)?,
        challengers::queueing(a)?,
        claims::holding(a)?,
        claims::timing(a)?,
        hardware::errors(a)?,
        hardware::margins(a)?,
    ];
    let worst_sigma = sections.iter().map(Section::worst_sigma).fold(0.0, f64::max);
    Ok(Report { version: 1, assumptions: a.clone(), terms: named_terms(), worst_sigma, sections })
}

fn named_terms() -> serde_json::Value {
    let t = terms::standard();
    serde_json::json!({
        "samples": t.samples, "named": t.named, "collateral_bps": t.collateral_bps, "fee_bps": t.fee_bps,
        "bounty_bps": t.bounty_bps, "challenge_seconds": t.challenge_seconds, "response_seconds": t.response_seconds,
        "release_min_bps": t.release_min_bps, "release_max_bps": t.release_max_bps, "expiry_bps": t.expiry_bps,
        "bond_base": t.bond_base, "bond_per_kib": t.bond_per_kib,
    })
}

/// What many shards came to: how often they were slashed, and what cheating brought against honest work.
struct Played {
    slashed: Sample,
    gain: Sample,
}

/// Plays `runs` shards; `saved` is the work that was not done, in prices. Honest work ends with the pay.
fn repeat(
    a: &Assumptions,
    deal: &Deal,
    saved: f64,
    chance: &mut StdRng,
    mut one: impl FnMut(&mut StdRng) -> Result<End>,
) -> Result<Played> {
    let honest = deal.stakes()?.pay;
    let mut played = Played { slashed: Sample::default(), gain: Sample::default() };
    for _ in 0..a.runs {
        let end = one(chance)?;
        played.slashed.add(if end.slashed { 1.0 } else { 0.0 });
        played.gain.add(end.money + saved - honest);
    }
    Ok(played)
}

/// A cheater under watch, many times, with the formula beside it.
struct Watched {
    /// Chance to be caught, by the formula.
    caught: f64,
    /// What cheating brings, by the formula, prices.
    gain: f64,
    played: Played,
    /// Distances of the two, standard errors.
    off: (f64, f64),
}

/// The chance that something is found by the cheater's own answers, and by a validator where those found nothing.
fn chances(deal: &Deal, wrong: &Wrong, watch: &Watch) -> Result<(f64, f64)> {
    let asked = closed::either(&[wrong.found(deal.samples()?), watch.naming * wrong.found(deal.terms.named)]);
    let looked = if wrong.count() > 0 { watch.recheck } else { 0.0 };
    Ok((asked, looked))
}

fn watched(
    a: &Assumptions,
    deal: &Deal,
    wrong: &Wrong,
    saved: f64,
    watch: &Watch,
    chance: &mut StdRng,
) -> Result<Watched> {
    let stakes = deal.stakes()?;
    let (asked, looked) = chances(deal, wrong, watch)?;
    let caught = closed::either(&[asked, looked]);
    let gain = saved - asked * stakes.loss() - (1.0 - asked) * looked * stakes.full_loss();
    let played = repeat(a, deal, saved, chance, |chance| live(deal, wrong, watch, chance))?;
    let spread = deviation(&[(asked, stakes.loss()), ((1.0 - asked) * looked, stakes.full_loss())]);
    let off = (played.slashed.off_chance(caught), played.gain.off_with(gain, spread));
    Ok(Watched { caught, gain, played, off })
}
