//! Renters that name cells, validators that compute shards again, those who look away, and those who sit on both sides.

use rand::Rng;

use crate::{
    Result,
    assume::Assumptions,
    closed,
    deal::{CELLS, Deal},
    life::Watch,
    report::{Section, Unit},
    scenes::watched as play,
    stats::{Sample, deviation},
    wrong::Wrong,
};

/// Shares of wrong work under different eyes.
pub fn watched(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "watchers",
        "Who else looks",
        "Gain of cheating in prices. Renters name m cells, drawn by a seed of their own; validators compute shards again \
         in full. Of those, some look away (bribed, lazy): only the rest counts.",
        &[
            ("wrong", Unit::Share),
            ("renters naming", Unit::Share),
            ("re-checked", Unit::Share),
            ("looking away", Unit::Share),
            ("caught", Unit::Share),
            ("played", Unit::Share),
            ("off", Unit::Sigma),
            ("gain", Unit::Prices),
            ("gain played", Unit::Prices),
            ("off ", Unit::Sigma),
        ],
    );
    let deal = Deal::plain(a);
    let mut chance = a.chance(section.id);
    let eyes = [(0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (1.0, 0.0, 0.0), (0.5, 0.1, 0.0), (0.5, 0.1, 0.5), (1.0, 1.0, 0.0)];
    for g in [0.001, 0.01, 0.1, 0.5] {
        let wrong = Wrong::everywhere(&deal.classes, g);
        for (naming, recheck, away) in eyes {
            let watch = Watch { naming, recheck: recheck * (1.0 - away) };
            let w = play(a, &deal, &wrong, wrong.cost_share() * a.work, &watch, &mut chance)?;
            section.row([
                g.into(),
                naming.into(),
                recheck.into(),
                away.into(),
                w.caught.into(),
                w.played.slashed.mean().into(),
                w.off.0.into(),
                w.gain.into(),
                w.played.gain.mean().into(),
                w.off.1.into(),
            ]);
        }
    }
    Ok(section)
}

/// How often providers must cheat so that hunting for bounties pays.
pub fn hunting(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "hunting",
        "What a bounty hunter needs",
        "Share of shards that must be forged so that the bounty pays for looking: computing whole shards again, or one \
         random cell of each. Above 100 %: never. Data and fees are taken to be free. \"profit\": of one cell a shard, where \
         twice as many are forged as needed, in prices a million shards.",
        &[
            ("cells", Unit::Count),
            ("wrong", Unit::Share),
            ("forged, to check all", Unit::Share),
            ("forged, to check one cell", Unit::Share),
            ("profit", Unit::Prices),
            ("played", Unit::Prices),
            ("off", Unit::Sigma),
        ],
    );
    let stakes = Deal::plain(a).stakes()?;
    let mut chance = a.chance(section.id);
    for cells in [1_024u64, CELLS, 1 << 18] {
        for wrong in [0.01, 0.1, 0.5] {
            let cost_of_cell = a.work / cells as f64;
            let forged = cost_of_cell / (stakes.bounty * wrong);
            let often = (2.0 * forged).min(1.0);
            let hit = often * wrong;
            let profit = stakes.bounty * hit - cost_of_cell;
            let mut played = Sample::default();
            let n = (f64::from(a.runs) * 10.0) as u64;
            for _ in 0..n {
                let finds = chance.random_bool(often) && chance.random_bool(wrong);
                played.add(if finds { stakes.bounty } else { 0.0 } - cost_of_cell);
            }
            section.row([
                (cells as f64).into(),
                wrong.into(),
                (a.work / stakes.bounty).into(),
                forged.into(),
                (profit * 1e6).into(),
                (played.mean() * 1e6).into(),
                // A rare and large win: measured by its own deviation, or a sample without any would seem exact.
                played.off_with(profit, deviation(&[(hit, stakes.bounty)])).into(),
            ]);
        }
    }
    Ok(section)
}

/// Cheaters who win part of the loss back, and what silence is worth.
pub fn insiders(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "insiders",
        "Who wins part of it back, and what silence costs",
        "\"loss\": what being caught costs. \"named needed\": share of shards whose renter names cells, so that nothing is \
         gained at any wrong share even if the draw is beaten. \"finders\": so many independent finders cannot all be paid \
         more than their bounty out of the saved work (before) or out of the loss that threatens (after).",
        &[
            ("bounty", Unit::Share),
            ("cheater is", Unit::Text),
            ("loss", Unit::Prices),
            ("margin, all", Unit::Factor),
            ("hit needed q/g", Unit::Share),
            ("named needed", Unit::Share),
            ("finders, before", Unit::Count),
            ("finders, after", Unit::Count),
        ],
    );
    for bounty_bps in [0u16, 1_000, 2_000] {
        let mut deal = Deal::plain(a);
        deal.terms.bounty_bps = bounty_bps;
        let stakes = deal.stakes()?;
        let k = u32::from(deal.samples()?);
        let who = [
            ("caught by others", stakes.full_loss()),
            ("its own accuser", stakes.loss()),
            ("market's authority too", stakes.authority_loss()),
        ];
        for (name, loss) in who {
            let finders = |purse: f64| (stakes.bounty > 0.0).then(|| (purse / stakes.bounty).ceil());
            section.row([
                (f64::from(bounty_bps) / 1e4).into(),
                name.into(),
                (-loss).into(),
                (loss / a.work).into(),
                closed::least_hit(a.work, k, loss).into(),
                super::leaders::naming_needed(a, loss, deal.terms.named, |_| 1.0).into(),
                finders(a.work).into(),
                finders(loss).into(),
            ]);
        }
    }
    Ok(section)
}
