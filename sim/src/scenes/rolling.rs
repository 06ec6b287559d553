//! A cheater that lets bad windows age out and rolls them, where nobody else records the seed.

use assay_settlement::rules::shard::Roll;
use rand::rngs::StdRng;

use crate::{
    Result,
    assume::Assumptions,
    closed,
    deal::Deal,
    life::{End, Life, Watch, fresh_seed},
    report::{Section, Unit},
    scenes::{SHARES_OF_ROLLERS, repeat},
    wrong::Wrong,
};

/// Looks at each window and records only one that spares it; rolls the others until the lock is gone.
/// `halted`: the cluster restarts one slot after the commitment.
fn play(deal: &Deal, wrong: &Wrong, watch: &Watch, halted: Option<u64>, chance: &mut StdRng) -> Result<End> {
    let placed = wrong.place(chance);
    let mut life = match halted {
        Some(slots) => Life::committed_after(deal, slots, chance)?,
        None => Life::committed(deal, chance)?,
    };
    if halted.is_some() {
        life.now.slot = life.now.slot.saturating_add(1);
        life.now.last_restart_slot = life.now.slot;
    }
    loop {
        let seed = fresh_seed(chance, life.window());
        if life.spares(&seed, &placed)? {
            life.draw(&seed)?;
            return life.watched(&placed, watch, chance);
        }
        life.age_out();
        if life.roll()? == Roll::RolledOut {
            return life.end();
        }
    }
}

/// How many windows can be rolled for nothing after a restart, at most: played for every place of the commitment in its
/// window. Returns where to commit, in slots, and the number.
fn free_rolls(a: &Assumptions, deal: &Deal) -> Result<(u64, u32)> {
    let mut best = (0, 0);
    for slots in 0..64u64 {
        let mut life = Life::committed_after(deal, slots, &mut a.chance("free rolls"))?;
        life.now.slot = life.now.slot.saturating_add(1);
        life.now.last_restart_slot = life.now.slot;
        let mut free = 0u32;
        loop {
            life.age_out();
            match life.roll()? {
                Roll::Rolled { owed: 0 } => free = free.saturating_add(1),
                Roll::Rolled { .. } | Roll::RolledOut => break,
            }
        }
        if free > best.1 {
            best = (slots, free);
        }
    }
    Ok(best)
}

/// Rolling at a k-th of the lock.
pub fn paid(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "rolling",
        "Rolling bad windows at a k-th of the lock each",
        "Nobody else records the seed (one honest shard in the window, or any passer-by, ends this). Gain of cheating in prices.",
        &[
            ("wrong", Unit::Share),
            ("gain, never rolls", Unit::Prices),
            ("gain, rolls", Unit::Prices),
            ("played", Unit::Prices),
            ("off", Unit::Sigma),
            ("caught, played", Unit::Share),
        ],
    );
    let deal = Deal::plain(a);
    let stakes = deal.stakes()?;
    let k = u32::from(deal.samples()?);
    let mut chance = a.chance(section.id);
    for g in SHARES_OF_ROLLERS {
        let wrong = Wrong::everywhere(&deal.classes, g);
        let (saved, found) = (wrong.cost_share() * a.work, closed::found(wrong.cost_share(), k));
        let gain = closed::rolling(&stakes, k, 1.0 - found, 0, 0.0) + saved - stakes.pay;
        let played =
            repeat(a, &deal, saved, &mut chance, |chance| play(&deal, &wrong, &Watch::default(), None, chance))?;
        section.row([
            g.into(),
            closed::gain(saved, found, stakes.loss()).into(),
            gain.into(),
            played.gain.mean().into(),
            played.gain.off(gain).into(),
            played.slashed.mean().into(),
        ]);
    }
    Ok(section)
}

/// Rolling for nothing in the hour of slots after a restart.
pub fn after_restart(a: &Assumptions) -> Result<Section> {
    let deal = Deal::plain(a);
    let (at, free) = free_rolls(a, &deal)?;
    let mut section = Section::new(
        "restart",
        "Rolling for nothing after a cluster restart",
        "",
        &[
            ("wrong", Unit::Share),
            ("gain", Unit::Prices),
            ("played", Unit::Prices),
            ("off", Unit::Sigma),
            ("gain, named too", Unit::Prices),
            ("played ", Unit::Prices),
            ("off ", Unit::Sigma),
        ],
    );
    section.about = format!(
        "Committed in the last slot before a halt, which nobody foresees; nobody else records the seed. {free} rolls are \
         free, played by the program's clock; then they cost as above."
    );
    let stakes = deal.stakes()?;
    let k = u32::from(deal.samples()?);
    let mut chance = a.chance(section.id);
    for g in SHARES_OF_ROLLERS {
        let wrong = Wrong::everywhere(&deal.classes, g);
        let (saved, found) = (wrong.cost_share() * a.work, closed::found(wrong.cost_share(), k));
        let mut values = Vec::new();
        for naming in [0.0, 1.0] {
            let named = naming * wrong.found(deal.terms.named);
            let gain = closed::rolling(&stakes, k, 1.0 - found, free, named) + saved - stakes.pay;
            let watch = Watch { naming, recheck: 0.0 };
            let played = repeat(a, &deal, saved, &mut chance, |chance| play(&deal, &wrong, &watch, Some(at), chance))?;
            values.extend([gain, played.gain.mean(), played.gain.off(gain)].map(Into::into));
        }
        values.insert(0, g.into());
        section.rows.push(values);
    }
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_gives_about_a_dozen_free_looks() {
        let a = Assumptions::default();
        let (_, free) = free_rolls(&a, &Deal::plain(&a)).unwrap_or_default();
        // 7,200 slots, and 512 + 32 to 96 from one window to the next.
        assert!((11..=13).contains(&free), "{free}");
    }
}
