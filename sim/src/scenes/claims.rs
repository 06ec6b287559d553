//! Claims held to do harm, and commitments timed by what is known of the chain.

use assay_kernels::hash::{Hash, sha256};
use assay_settlement::{
    constants::{BPS, PRICE_SPAN_CAP, SEED_HASHES},
    rules::window,
};
use rand::Rng;

use crate::{
    Result,
    assume::Assumptions,
    closed,
    deal::{Deal, EXECUTE_SECONDS},
    life::{Life, Watch},
    report::{Section, Unit},
    scenes::repeat,
    wrong::Wrong,
};

/// What holding a shard costs, round after round.
pub fn holding(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "holding",
        "Holding a claim without working (execution time 24 h, three rounds)",
        "What it costs to keep a shard from others, by the program's own penalties, which the renter gets. Time held is \
         given back to the auction, so that a price that began low stays low.",
        &[
            ("strategy", Unit::Text),
            ("price at claim", Unit::Prices),
            ("held, h", Unit::Hours),
            ("penalty", Unit::Prices),
            ("played, mean", Unit::Prices),
            ("a day held", Unit::Prices),
            ("locked", Unit::Prices),
            ("price after", Unit::Prices),
        ],
    );
    let share = |bps: u16| f64::from(bps) / f64::from(BPS);
    for span in [1, 2, PRICE_SPAN_CAP] {
        let mut deal = Deal::plain(a);
        deal.price_start = deal.price.div_euclid(span);
        let start = deal.in_prices(deal.price_start);
        let t = deal.terms;
        let hour = |h: u32| h.saturating_mul(3_600);
        let grown = |held: f64| share(t.release_min_bps) + (share(t.release_max_bps) - share(t.release_min_bps)) * held;
        let last = EXECUTE_SECONDS.saturating_sub(1);
        let strategies: [(&str, u32, bool, f64); 4] = [
            ("released after a minute", 60, false, grown(60.0 / f64::from(EXECUTE_SECONDS))),
            ("released after 12 h", hour(12), false, grown(0.5)),
            ("released at the last second", last, false, grown(1.0)),
            ("left to expire", EXECUTE_SECONDS, true, share(t.expiry_bps)),
        ];
        for (name, seconds, expires, penalty) in strategies {
            let mut life = Life::claimed(&deal, &mut a.chance(section.id))?;
            let mut sum = 0u64;
            for round in 0..3 {
                if round > 0 {
                    life.claim_again()?;
                }
                life.pass(seconds);
                sum = sum.saturating_add(if expires { life.expire()? } else { life.release()? });
            }
            let after = life.claim_again()?;
            let held = f64::from(seconds) / 3_600.0;
            section.row([
                name.into(),
                start.into(),
                held.into(),
                (penalty * start).into(),
                (deal.in_prices(sum) / 3.0).into(),
                (penalty * start * 24.0 / held).into(),
                (start * deal.stakes()?.lock).into(),
                deal.in_prices(after).into(),
            ]);
        }
    }
    Ok(section)
}

/// Committing in the slot that looks best by what is known then.
pub fn timing(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "timing",
        "Committing when the known slot hashes look good (25 % wrong)",
        "The cheater goes through slots and commits in the first one where a seed of the twelve newest hashes would spare \
         it. The window that draws begins at least 32 slots later: what it knew is worth nothing.",
        &[
            ("slots tried", Unit::Count),
            ("would have been spared", Unit::Share),
            ("caught", Unit::Share),
            ("played", Unit::Share),
            ("off", Unit::Sigma),
        ],
    );
    let deal = Deal::plain(a);
    let wrong = Wrong::everywhere(&deal.classes, 0.25);
    let caught = wrong.found(deal.samples()?);
    let mut chance = a.chance(section.id);
    for tries in [1u32, 4, 16, 64] {
        let played = repeat(a, &deal, 0.0, &mut chance, |chance| {
            let placed = wrong.place(chance);
            let chain: Hash = chance.random();
            let hash = |slot: u64| sha256(&[&chain, &slot.to_le_bytes()]);
            let twelve_to = |newest: u64| -> [Hash; SEED_HASHES] {
                core::array::from_fn(|i| hash(newest.saturating_sub(11).saturating_add(i as u64)))
            };
            let mut life = Life::claimed(&deal, chance)?;
            let root: Hash = chance.random();
            for _ in 0..tries {
                let w = window::window_of(life.now.slot)?;
                let guess = window::seed(w, &twelve_to(life.now.slot.saturating_sub(1)));
                if life.root_spares(&root, &guess, &placed)? {
                    break;
                }
                life.now.slot = life.now.slot.saturating_add(1);
            }
            life.commit(root)?;
            let first = window::first_slot(life.window())?;
            life.draw(&window::seed(life.window(), &twelve_to(first.saturating_add(11))))?;
            life.watched(&placed, &Watch::default(), chance)
        })?;
        section.row([
            f64::from(tries).into(),
            closed::spared(1.0 - caught, f64::from(tries)).into(),
            caught.into(),
            played.slashed.mean().into(),
            played.slashed.off_chance(caught).into(),
        ]);
    }
    Ok(section)
}
