//! An honest provider whose hardware errs.

use rand::Rng;

use crate::{
    Result,
    assume::Assumptions,
    closed,
    deal::{CELLS, Deal},
    life::{Watch, live},
    report::{Section, Unit},
    scenes::repeat,
    stats::deviation,
    wrong::Wrong,
};

/// How many of `n` cells are wrong when each is with chance `e`: by the gaps between them.
fn wrong_cells(n: u64, e: f64, chance: &mut impl Rng) -> u64 {
    let per_step = (-e).ln_1p();
    let (mut at, mut wrong) = (0.0, 0u64);
    loop {
        // `1 - random` lies in (0, 1].
        at += ((1.0 - chance.random::<f64>()).ln() / per_step).floor() + 1.0;
        if at > n as f64 {
            return wrong;
        }
        wrong = wrong.saturating_add(1);
    }
}

/// Rates of wrong cells, and what they cost.
pub fn errors(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "hardware",
        "An honest provider with wrong cells by accident (16,384 cells a shard)",
        "Expected loss of a shard in prices: pay and lock. Chain and renter ask for k + m cells; \"all\": somebody computes every \
         shard again.",
        &[
            ("wrong cells", Unit::Share),
            ("shard has one", Unit::Share),
            ("slashed, chain", Unit::Share),
            ("slashed, named too", Unit::Share),
            ("loss, named too", Unit::Prices),
            ("played", Unit::Prices),
            ("off", Unit::Sigma),
            ("loss, all re-checked", Unit::Prices),
            ("played ", Unit::Prices),
            ("off ", Unit::Sigma),
        ],
    );
    let deal = Deal::plain(a);
    let stakes = deal.stakes()?;
    let (k, m) = (u32::from(deal.samples()?), u32::from(deal.terms.named));
    let mut chance = a.chance(section.id);
    for e in [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2] {
        let any = closed::spared(e, CELLS as f64);
        let asked = closed::found(e, k.saturating_add(m));
        let mut values = vec![e.into(), any.into(), closed::found(e, k).into(), asked.into()];
        for recheck in [0.0, 1.0] {
            // It did all of its work: nothing is saved. Its worker convicts itself where the chain asks.
            let loss = asked * stakes.loss() + recheck * (any - asked) * stakes.full_loss();
            let watch = Watch { naming: 1.0, recheck };
            let played = repeat(a, &deal, 0.0, &mut chance, |chance| {
                let share = wrong_cells(CELLS, e, chance) as f64 / CELLS as f64;
                live(&deal, &Wrong::everywhere(&deal.classes, share), &watch, chance)
            })?;
            let spread = deviation(&[(asked, stakes.loss()), (recheck * (any - asked), stakes.full_loss())]);
            let off = played.gain.off_with(-loss, spread);
            values.extend([-loss, played.gain.mean(), off].map(Into::into));
        }
        section.rows.push(values);
    }
    Ok(section)
}

/// The rate of wrong cells at which the expected loss takes `margin` of the price, under chain and renter, and where
/// every shard is computed again.
pub fn limits(a: &Assumptions, margin: f64) -> Result<(f64, f64)> {
    let deal = Deal::plain(a);
    let stakes = deal.stakes()?;
    let asked = u32::from(deal.samples()?).saturating_add(u32::from(deal.terms.named));
    let rate = |loss: f64, draws: u32| closed::least_hit(margin, draws, loss).unwrap_or(1.0);
    let cells = u32::try_from(deal.cells()).unwrap_or(u32::MAX);
    Ok((rate(stakes.loss(), asked), rate(stakes.full_loss(), cells)))
}

/// The limits for margins that providers may have.
pub fn margins(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "hardware_limits",
        "At which rate of wrong cells an honest margin is gone",
        "The margin is what is left of the pay after the work.",
        &[
            ("margin", Unit::Share),
            ("wrong cells, chain and renter", Unit::Share),
            ("wrong cells, all re-checked", Unit::Share),
            ("shards with one, then", Unit::Share),
        ],
    );
    for margin in [0.02, 0.05, 0.2, 0.5] {
        let (asked, all) = limits(a, margin)?;
        section.row([margin.into(), asked.into(), all.into(), closed::spared(all, CELLS as f64).into()]);
    }
    Ok(section)
}
