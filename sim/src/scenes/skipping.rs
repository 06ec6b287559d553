//! A provider leaves out a random share of its work and commits other bytes there; only the chain looks.

use crate::{
    Result,
    assume::Assumptions,
    closed,
    deal::{Deal, class},
    life::Watch,
    report::{Section, Unit},
    scenes::watched,
    wrong::Wrong,
};

/// Shares of the work that are left out.
pub const SHARES: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0];

/// Each share with the default terms.
pub fn shares(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "skipping",
        "Skipping a share of the work, only the chain looks",
        "A random share of 16,384 cells is wrong. The cheater convicts itself for the bounty. Profits in prices, the \
         work paid for; \"lock needed\": the collateral at which cheating would bring nothing.",
        &[
            ("wrong", Unit::Share),
            ("caught", Unit::Share),
            ("played", Unit::Share),
            ("off", Unit::Sigma),
            ("honest", Unit::Prices),
            ("cheat", Unit::Prices),
            ("cheat played", Unit::Prices),
            ("off ", Unit::Sigma),
            ("gain", Unit::Prices),
            ("lock needed", Unit::Prices),
        ],
    );
    let deal = Deal::plain(a);
    let stakes = deal.stakes()?;
    let mut chance = a.chance(section.id);
    let honest = stakes.pay - a.work;
    for g in SHARES {
        let wrong = Wrong::everywhere(&deal.classes, g);
        let saved = wrong.cost_share() * a.work;
        let w = watched(a, &deal, &wrong, saved, &Watch::default(), &mut chance)?;
        let lock = closed::break_even_lock(saved, w.caught, stakes.pay, stakes.bounty / stakes.lock);
        section.row([
            g.into(),
            w.caught.into(),
            w.played.slashed.mean().into(),
            w.off.0.into(),
            honest.into(),
            (honest + w.gain).into(),
            (honest + w.played.gain.mean()).into(),
            w.off.1.into(),
            w.gain.into(),
            lock.into(),
        ]);
    }
    Ok(section)
}

/// How far a kernel's costs may differ from what the draw goes by, for each number of draws.
pub fn slack(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "slack",
        "How much slack each number of draws leaves",
        "Cost of being caught over saved work, for all of the work and for a sliver of it (1: break-even). \"hit needed\": \
         the chance q that a draw must have to hit, for each unit of saved share g, so that cheating brings nothing at any g.",
        &[
            ("draws", Unit::Count),
            ("margin, all", Unit::Factor),
            ("margin, sliver", Unit::Factor),
            ("hit needed q/g", Unit::Share),
            ("slack g/q", Unit::Factor),
        ],
    );
    let deal = Deal::plain(a);
    let loss = deal.stakes()?.loss();
    for draws in [1, 2, 3, 4, 6, 9, 16, 32] {
        let margin = |g: f64| closed::found(g, draws) * loss / (g * a.work);
        // The needed q grows faster than g, so that the whole share needs the most for each unit.
        let needed = closed::least_hit(a.work, draws, loss);
        section.row([
            f64::from(draws).into(),
            margin(1.0).into(),
            margin(1e-6).into(),
            needed.into(),
            needed.map(|q| 1.0 / q).into(),
        ]);
    }
    Ok(section)
}

/// Somebody who wants one cell to be wrong and does all of the rest.
pub fn one_cell(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "one_cell",
        "Forging a single cell",
        "What it costs, in expectation, to have one chosen cell wrong: nothing is saved, and little is risked unless \
         somebody computes everything again.",
        &[
            ("cells", Unit::Count),
            ("caught by the chain", Unit::Share),
            ("cost", Unit::Prices),
            ("with named cells", Unit::Prices),
            ("re-checked, 10 %", Unit::Prices),
            ("played", Unit::Prices),
            ("off", Unit::Sigma),
        ],
    );
    let mut chance = a.chance(section.id);
    for cells in [64u64, 1_024, 16_384, 1 << 20] {
        let deal = Deal::standard(a, vec![class(cells, 1, 0)]);
        let wrong = Wrong::everywhere(&deal.classes, 1.0 / cells as f64);
        let cost = |watch: &Watch| -> Result<f64> {
            let (asked, looked) = super::chances(&deal, &wrong, watch)?;
            let stakes = deal.stakes()?;
            Ok(asked * stakes.loss() + (1.0 - asked) * looked * stakes.full_loss())
        };
        let named = Watch { naming: 1.0, recheck: 0.0 };
        let checked = Watch { naming: 1.0, recheck: 0.1 };
        let w = watched(a, &deal, &wrong, 0.0, &checked, &mut chance)?;
        section.row([
            (cells as f64).into(),
            wrong.found(deal.samples()?).into(),
            cost(&Watch::default())?.into(),
            cost(&named)?.into(),
            cost(&checked)?.into(),
            (-w.played.gain.mean()).into(),
            w.off.1.into(),
        ]);
    }
    Ok(section)
}
