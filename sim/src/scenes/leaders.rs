//! The leader of the last of the window's twelve blocks works for the cheater.

use assay_settlement::{
    constants::{SEED_HASHES, WINDOW_SLOTS},
    rules::window,
};
use rand::{Rng, RngCore};

use crate::{
    Result,
    assume::Assumptions,
    closed,
    deal::Deal,
    life::{Life, Watch, fresh_seed},
    report::{Section, Unit},
    scenes::{Played, repeat},
    stats::{Sample, deviation},
    wrong::Wrong,
};

/// The least share of shards whose renter names `m` cells, so that cheating brings nothing at any wrong share g that the
/// draw spares with chance `spared(g)`. Above 1: naming alone is not enough.
pub fn naming_needed(a: &Assumptions, loss: f64, m: u8, spared: impl Fn(f64) -> f64) -> f64 {
    let needed = |g: f64| {
        let free = spared(g);
        let left = g * a.work - (1.0 - free) * loss;
        if left <= 0.0 { 0.0 } else { left / (free * closed::found(g, u32::from(m)) * loss) }
    };
    closed::best_share(needed).1
}

/// The cheater sees `tries` seeds and takes the first that spares it. Plays it, with what follows the draw.
fn play_tries(a: &Assumptions, deal: &Deal, g: f64, tries: u32, part: &str) -> Result<Played> {
    let mut chance = a.chance(part);
    let wrong = Wrong::everywhere(&deal.classes, g);
    repeat(a, deal, wrong.cost_share() * a.work, &mut chance, |chance| {
        let placed = wrong.place(chance);
        let mut life = Life::committed(deal, chance)?;
        // Eleven blocks that others made; the twelfth in as many versions as are tried.
        let mut hashes = [[0u8; 32]; SEED_HASHES];
        chance.fill_bytes(hashes.as_flattened_mut());
        let mut seed = window::seed(life.window(), &hashes);
        for _ in 1..tries {
            if life.spares(&seed, &placed)? {
                break;
            }
            if let Some(last) = hashes.last_mut() {
                chance.fill_bytes(last);
            }
            seed = window::seed(life.window(), &hashes);
        }
        life.draw(&seed)?;
        life.watched(&placed, &Watch::default(), chance)
    })
}

/// Many versions of one block.
pub fn grinding(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "grinding",
        "A colluding leader tries many versions of its block",
        "No block is lost: it publishes the version whose seed draws only right cells. The cheater takes the wrong share \
         that brings most. \"named needed\": share of shards whose renter names m cells, so that no share brings anything.",
        &[
            ("tries", Unit::Count),
            ("wrong", Unit::Share),
            ("spared", Unit::Share),
            ("gain", Unit::Prices),
            ("played", Unit::Prices),
            ("off", Unit::Sigma),
            ("best gain, half named", Unit::Prices),
            ("best gain, all named", Unit::Prices),
            ("named needed", Unit::Share),
        ],
    );
    let deal = Deal::plain(a);
    let loss = deal.stakes()?.loss();
    let (k, m) = (u32::from(deal.samples()?), deal.terms.named);
    for tries in [1u32, 2, 4, 16, 256, 4_096, 1_000_000] {
        let spared = |g: f64| closed::spared(1.0 - closed::found(g, k), f64::from(tries));
        let gain = |g: f64, naming: f64| {
            let kept = spared(g) * (1.0 - naming * closed::found(g, u32::from(m)));
            closed::gain(g * a.work, 1.0 - kept, loss)
        };
        let (g, best) = closed::best_share(|g| gain(g, 0.0));
        let played = if tries <= 16 { Some(play_tries(a, &deal, g, tries, section.id)?.gain) } else { None };
        // Played shares are whole cells.
        let whole = Wrong::everywhere(&deal.classes, g).cost_share();
        section.row([
            f64::from(tries).into(),
            g.into(),
            spared(g).into(),
            best.into(),
            played.map(|s| s.mean()).into(),
            played.map(|s| s.off_with(gain(whole, 0.0), deviation(&[(1.0 - spared(whole), loss)]))).into(),
            closed::best_share(|g| gain(g, 0.5)).1.into(),
            closed::best_share(|g| gain(g, 1.0)).1.into(),
            naming_needed(a, loss, m, spared).into(),
        ]);
    }
    Ok(section)
}

/// The leader can only publish or withhold: one more try, for the reward of the block.
pub fn withholding(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "withholding",
        "A colluding leader that can only withhold its block",
        "One more seed, made by the next leader, for the reward of the lost block. Best wrong share for each price of a shard.",
        &[
            ("shard", Unit::Usd),
            ("wrong", Unit::Share),
            ("spared", Unit::Share),
            ("blocks lost", Unit::Prices),
            ("gain", Unit::Prices),
            ("played", Unit::Prices),
            ("off", Unit::Sigma),
            ("best gain, half named", Unit::Prices),
        ],
    );
    let reward_usd = a.lamports_usd(a.block_reward_sol * 1e9);
    for price_usd in [1.0, 10.0, 100.0, 1_000.0] {
        let a = Assumptions { price_usd, ..a.clone() };
        let deal = Deal::plain(&a);
        let loss = deal.stakes()?.loss();
        let (k, m) = (u32::from(deal.samples()?), u32::from(deal.terms.named));
        let bad = |g: f64| closed::found(g, k);
        let kept = |g: f64, naming: f64| (1.0 - bad(g) * bad(g)) * (1.0 - naming * closed::found(g, m));
        let lost = |g: f64| bad(g) * reward_usd / price_usd;
        let gain = |g: f64, naming: f64| closed::gain(g * a.work, 1.0 - kept(g, naming), loss) - lost(g);
        let (g, best) = closed::best_share(|g| gain(g, 0.0));
        let whole = Wrong::everywhere(&deal.classes, g).cost_share();
        let played = play_tries(&a, &deal, g, 2, &format!("{}{price_usd}", section.id))?.gain;
        section.row([
            price_usd.into(),
            g.into(),
            kept(g, 0.0).into(),
            (-lost(g)).into(),
            best.into(),
            (played.mean() - lost(whole)).into(),
            played.off_with(gain(whole, 0.0) + lost(whole), deviation(&[(bad(whole) * bad(whole), loss)])).into(),
            closed::best_share(|g| gain(g, 0.5)).1.into(),
        ]);
    }
    Ok(section)
}

/// The provider commits when its leader's turn comes.
pub fn waiting(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "waiting",
        "How long a provider waits for a leader of its own",
        "The schedule is public, and the provider chooses when to commit. One leader decides a window; \"windows a day\" \
         bounds how many seeds a stake can bend.",
        &[
            ("stake", Unit::Share),
            ("mean wait, h", Unit::Hours),
            ("within 1 h", Unit::Share),
            ("within 24 h", Unit::Share),
            ("played, 24 h", Unit::Share),
            ("off", Unit::Sigma),
            ("windows a day", Unit::Factor),
        ],
    );
    let mut chance = a.chance(section.id);
    let window_hours = WINDOW_SLOTS as f64 * f64::from(a.slot_ms) / 3.6e6;
    let windows = |hours: f64| (hours / window_hours).floor();
    for stake in [0.000_1, 0.001, 0.01, 0.05] {
        let within = |hours: f64| closed::spared(stake, windows(hours));
        let mut played = Sample::default();
        for _ in 0..a.runs.div_ceil(10) {
            let first: u64 = chance.random_range(0..1 << 40);
            let last = first.saturating_add((windows(24.0) as u64).saturating_mul(WINDOW_SLOTS));
            let mut slot = first;
            let mut found = false;
            while slot < last && !found {
                // Each commitment that much later is drawn by the next window, with another leader.
                debug_assert_ne!(window::window_of(slot), window::window_of(slot.saturating_add(WINDOW_SLOTS)));
                found = chance.random_bool(stake);
                slot = slot.saturating_add(WINDOW_SLOTS);
            }
            played.add(if found { 1.0 } else { 0.0 });
        }
        section.row([
            stake.into(),
            (window_hours / stake).into(),
            within(1.0).into(),
            within(24.0).into(),
            played.mean().into(),
            played.off_chance(within(24.0)).into(),
            (stake * 24.0 / window_hours).into(),
        ]);
    }
    Ok(section)
}

/// The least number of shards that are hit, of `n` that each are with chance `p`, over `tries` seeds: its expectation.
fn fewest_hit(n: u32, p: f64, tries: f64) -> f64 {
    let mut sum = 0.0;
    let mut at_most = 0.0;
    let mut term = (1.0 - p).powi(i32::try_from(n).unwrap_or(i32::MAX));
    for j in 0..n {
        at_most += term;
        sum += (tries * (-at_most.min(1.0)).ln_1p()).exp();
        term *= f64::from(n.saturating_sub(j)) / f64::from(j.saturating_add(1)) * p / (1.0 - p);
    }
    sum
}

/// Several forged shards draw from the same window.
pub fn crowding(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "crowding",
        "Several forged shards in one ground window",
        "One seed draws for all of them; the leader takes the version that hits fewest. Best wrong share and gain of each \
         shard, only the chain looks.",
        &[
            ("shards", Unit::Count),
            ("wrong, 16 tries", Unit::Share),
            ("gain each", Unit::Prices),
            ("played", Unit::Prices),
            ("off", Unit::Sigma),
            ("wrong, 1e6 tries", Unit::Share),
            ("gain each ", Unit::Prices),
        ],
    );
    let deal = Deal::plain(a);
    let loss = deal.stakes()?.loss();
    let k = u32::from(deal.samples()?);
    let mut chance = a.chance(section.id);
    for shards in [1u32, 2, 4, 8, 32] {
        let each = |g: f64, tries: f64| {
            g * a.work - fewest_hit(shards, closed::found(g, k).min(1.0 - 1e-12), tries) / f64::from(shards) * loss
        };
        let (few, gain) = closed::best_share(|g| each(g, 16.0));
        let (many, gain_many) = closed::best_share(|g| each(g, 1e6));
        let wrong = Wrong::everywhere(&deal.classes, few);
        let mut played = Sample::default();
        for _ in 0..a.runs.div_ceil(shards.saturating_mul(2)) {
            let placed = wrong.place(&mut chance);
            let lives = (0..shards).map(|_| Life::committed(&deal, &mut chance)).collect::<Result<Vec<_>>>()?;
            let Some(w) = lives.first().map(Life::window) else { continue };
            let mut fewest = shards;
            for _ in 0..16 {
                let seed = fresh_seed(&mut chance, w);
                let mut hit = 0u32;
                for life in &lives {
                    hit = hit.saturating_add(u32::from(!life.spares(&seed, &placed)?));
                }
                fewest = fewest.min(hit);
                if fewest == 0 {
                    break;
                }
            }
            played.add(wrong.cost_share() * a.work - f64::from(fewest) / f64::from(shards) * loss);
        }
        section.row([
            f64::from(shards).into(),
            few.into(),
            gain.into(),
            played.mean().into(),
            played.off(each(wrong.cost_share(), 16.0)).into(),
            many.into(),
            gain_many.into(),
        ]);
    }
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_of_one_try_is_the_mean() {
        assert!((fewest_hit(8, 0.3, 1.0) - 2.4).abs() < 1e-9);
        let both = 0.3f64.powi(2);
        assert!((fewest_hit(1, 0.3, 2.0) - both).abs() < 1e-12);
    }
}
