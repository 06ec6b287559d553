//! Staged kernels: a wrong cell early on that makes later work needless. Why A exists.

use assay_settlement::constants::BPS;

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

const STAGES: u32 = 3;
const CELLS_OF_STAGE: u64 = 4_096;

/// Share of the work that a wrong share `h` of the first stage saves, when each wrong cell makes `fan_out` times its
/// share of the later stages needless: computed "rightly" from poisoned bytes, they cost nothing.
fn saved(h: f64, fan_out: f64) -> f64 {
    let first = 1.0 / f64::from(STAGES);
    first * h + (1.0 - first) * (fan_out * h).min(1.0)
}

/// Cheating in the first stage only, for several reaches of a wrong cell.
pub fn poisoned(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "stages",
        "Three stages of equal cost, wrong cells in the first only (k = 4)",
        "\"reach\": a wrong cell of the first stage saves so many times its share of the later ones; 0: nothing there. \
         The cheater takes the share that brings most. \"A needed\": the least A that makes every share bring nothing.",
        &[
            ("reach", Unit::Factor),
            ("wrong in stage 1", Unit::Share),
            ("saved share", Unit::Share),
            ("caught", Unit::Share),
            ("gain, A = 1", Unit::Prices),
            ("played", Unit::Prices),
            ("off", Unit::Sigma),
            ("A needed", Unit::Factor),
            ("gain, A = reach", Unit::Prices),
            ("played ", Unit::Prices),
            ("off ", Unit::Sigma),
        ],
    );
    let classes: Vec<_> = (0..STAGES).map(|stage| class(CELLS_OF_STAGE, 1, stage)).collect();
    let deal = Deal::standard(a, classes);
    let stakes = deal.stakes()?;
    let mut chance = a.chance(section.id);
    for reach in [0.0, 1.0, 4.0, 16.0, 64.0] {
        let wrong = |h: f64| Wrong::shares(&deal.classes, &[h, 0.0, 0.0]);
        let k = deal.samples()?;
        let with_loss = |h: f64, loss: f64| closed::gain(saved(h, reach) * a.work, wrong(h).found(k), loss);
        let (h, _) = closed::best_share(|h| with_loss(h, stakes.loss()));
        let needed = (1..=1_000u32)
            .map(|i| f64::from(i) / 1_000.0)
            .map(|h| {
                let found = wrong(h).found(k);
                closed::break_even_lock(saved(h, reach) * a.work, found, stakes.pay, stakes.bounty / stakes.lock)
            })
            .fold(stakes.lock, f64::max)
            / stakes.lock;
        let amplified = Deal { amplification_bps: BPS.saturating_mul(reach.max(1.0) as u32), ..deal.clone() };
        let (with_a, _) = closed::best_share(|h| with_loss(h, amplified.stakes().map_or(f64::NAN, |s| s.loss())));
        let one = watched(a, &deal, &wrong(h), saved(h, reach) * a.work, &Watch::default(), &mut chance)?;
        let two =
            watched(a, &amplified, &wrong(with_a), saved(with_a, reach) * a.work, &Watch::default(), &mut chance)?;
        section.row([
            reach.into(),
            h.into(),
            saved(h, reach).into(),
            one.caught.into(),
            one.gain.into(),
            one.played.gain.mean().into(),
            one.off.1.into(),
            needed.into(),
            two.gain.into(),
            two.played.gain.mean().into(),
            two.off.1.into(),
        ]);
    }
    Ok(section)
}
