//! What docs/economics.md says, as tests: the formulas against play with fixed seeds, and each claim, the ones about
//! what does **not** hold included. Whoever makes one of these fail has changed the economics: change the page with it.
#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]

use std::sync::LazyLock;

use assay_kernels::{escape_time::EscapeTime, gemm_i8::GemmI8, kernel::Kernel};
use assay_settlement::{Kernel as Registered, constants::MAX_ANSWER_TRANSACTIONS, rules::terms::answer};
use assay_sim::{
    assume::Assumptions,
    closed,
    deal::{Deal, class},
    life::{Life, POCKET, STRANGER},
    report::{Report, Section},
    scenes::{self, leaders::naming_needed},
    terms,
    wrong::Wrong,
};
use bytemuck::Zeroable;

/// Little is played here; `cargo xtask sim economics` plays twenty times as much.
fn assumptions() -> Assumptions {
    Assumptions { runs: 1_000, ..Assumptions::default() }
}

static REPORT: LazyLock<Report> = LazyLock::new(|| scenes::play(&assumptions()).unwrap());

fn section(id: &str) -> &'static Section {
    REPORT.sections.iter().find(|s| s.id == id).unwrap()
}

fn column(id: &str, name: &str) -> Vec<f64> {
    let s = section(id);
    (0..s.rows.len()).map(|row| s.number(row, name).unwrap()).collect()
}

fn shares() -> impl Iterator<Item = f64> {
    // From a single cell of 16,384 up to everything.
    [1.0 / 16_384.0].into_iter().chain((1..=1_000).map(|i| f64::from(i) / 1_000.0))
}

#[test]
fn play_and_formulas_agree() {
    for s in &REPORT.sections {
        assert!(s.worst_sigma() < 4.5, "{}: {:.1} standard errors", s.id, s.worst_sigma());
        assert!(s.rows.iter().all(|row| row.len() == s.columns.len()), "{}", s.id);
    }
    let checked = REPORT.sections.iter().filter(|s| s.worst_sigma() > 0.0).count();
    assert!(checked >= 14, "only {checked} tables hold play against a formula");
}

#[test]
fn the_same_seed_gives_the_same_report_and_another_seed_another() {
    let small = |seed| {
        let a = Assumptions { seed, runs: 200, ..Assumptions::default() };
        serde_json::to_string(&scenes::skipping::shares(&a).unwrap()).unwrap()
    };
    assert_eq!(small(7), small(7));
    assert_ne!(small(7), small(8));
}

#[test]
fn a_wrong_formula_would_be_noticed() {
    // Ten per cent more or less than what is played, at a thousand shards of half the work.
    let a = assumptions();
    let s = scenes::skipping::shares(&a).unwrap();
    let (row, played) = (5, s.number(5, "played").unwrap());
    let expected = s.number(row, "caught").unwrap();
    let error = (expected * (1.0 - expected) / f64::from(a.runs)).sqrt();
    assert!((played - expected).abs() < 4.0 * error && (played - 1.1 * expected).abs() > 3.0 * error);
}

#[test]
fn no_share_of_random_cells_pays_under_the_default_terms() {
    let a = assumptions();
    let deal = Deal::plain(&a);
    let stakes = deal.stakes().unwrap();
    let k = u32::from(deal.samples().unwrap());
    for g in shares() {
        let caught = closed::found(g, k);
        assert!(closed::gain(g * a.work, caught, stakes.loss()) < 0.0, "{g}");
        assert!(caught * stakes.loss() / (g * a.work) > 2.37, "{g}");
        // Section 9 writes the whole price and no fee.
        assert!(caught * (1.0 + 0.9 * stakes.lock) >= g, "{g}");
        // The market's own authority as cheater.
        assert!(closed::gain(g * a.work, caught, stakes.authority_loss()) < 0.0, "{g}");
    }
    assert!(column("skipping", "gain").iter().all(|gain| *gain < 0.0));
    assert!(column("skipping", "lock needed").iter().all(|lock| *lock == 0.0), "the lost pay alone is enough");
}

#[test]
fn cells_drawn_by_cost_are_hit_at_least_as_often_as_they_save() {
    let classes = [class(15_360, 1, 0), class(1_024, 64, 0), class(300, 7, 0)];
    for (i, cheap) in (0..=10).flat_map(|i| (0..=10).map(move |j| (f64::from(i) / 10.0, f64::from(j) / 10.0))) {
        let wrong = Wrong::shares(&classes, &[cheap, i, 1.0 - i]);
        assert!(wrong.found(1) >= wrong.cost_share() - 1e-12);
    }
    assert!(column("cost_classes", "gain").iter().all(|gain| *gain < 0.0));
    let equal = column("cost_classes", "gain, equal");
    assert!(equal[2] > 0.35, "dear cells declared cheap pay: {equal:?}");
}

#[test]
fn slack_grows_with_draws_and_is_six_at_three() {
    let slack = column("slack", "slack g/q");
    assert!(slack.windows(2).all(|w| w[0] < w[1]));
    assert!((6.0..6.1).contains(&slack[2]) && (11.4..11.6).contains(&slack[4]), "{slack:?}");
}

#[test]
fn more_of_anything_that_watches_never_helps_a_cheater() {
    let a = assumptions();
    let deal = Deal::plain(&a);
    let loss = deal.stakes().unwrap().loss();
    for g in [0.001, 0.1, 0.5, 1.0] {
        let by_draws: Vec<f64> = (1..=32).map(|k| closed::gain(g, closed::found(g, k), loss)).collect();
        assert!(by_draws.windows(2).all(|w| w[1] <= w[0]));
        let locks = (0..20).map(|i| {
            let mut deal = deal.clone();
            deal.terms.collateral_bps += i * 1_000;
            closed::gain(g, closed::found(g, 3), deal.stakes().unwrap().loss())
        });
        assert!(locks.collect::<Vec<_>>().windows(2).all(|w| w[1] < w[0]));
        let tries = [1.0, 2.0, 16.0, 1e6].map(|t| closed::spared(1.0 - closed::found(g, 3), t));
        assert!(tries.windows(2).all(|w| w[0] <= w[1]), "tries help it, though");
    }
}

#[test]
fn a_single_forged_cell_costs_next_to_nothing() {
    let cost = column("one_cell", "with named cells");
    assert!(cost[2] < 0.001, "16,384 cells: {cost:?}");
    assert!(column("one_cell", "re-checked, 10 %")[2] > 0.24);
}

#[test]
fn hidden_costs_can_pay_and_named_cells_do_not_always_help() {
    let gain = column("hidden_cost", "gain, k draws");
    let named = column("hidden_cost", "gain, named too");
    let (ours, afar) = (&gain[..8], 8);
    assert!(ours.iter().all(|gain| *gain < 0.0), "the demo's picture and the whole set: {ours:?}");
    assert!(gain[afar] > 0.6 && named[afar] > 0.4, "{gain:?}");
    assert!((4.0..6.0).contains(&column("hidden_cost", "A needed")[afar]));
}

#[test]
fn reach_needs_an_amplification_and_its_reach_is_enough() {
    let one = column("stages", "gain, A = 1");
    assert!(one[0] < 0.0 && one[1] < 0.0 && one[3] > 0.4 && one[4] > 0.6, "{one:?}");
    assert!(column("stages", "gain, A = reach").iter().all(|gain| *gain < 0.0));
    assert!(
        column("stages", "A needed").iter().zip([1.0, 1.0, 4.0, 16.0, 64.0]).all(|(needed, reach)| *needed <= reach)
    );
}

#[test]
fn naming_beats_a_leader_whatever_it_tries() {
    let a = assumptions();
    let deal = Deal::plain(&a);
    let loss = deal.stakes().unwrap().loss();
    let m = deal.terms.named;
    assert!(column("grinding", "gain")[6] > 0.95, "without naming a leader makes nearly everything pay");
    for name in ["best gain, half named", "best gain, all named"] {
        assert!(column("grinding", name).iter().all(|gain| *gain < 0.0), "{name}");
    }
    let needed = naming_needed(&a, loss, m, |_| 1.0);
    assert!((0.42..0.421).contains(&needed), "{needed}");
    for g in shares() {
        assert!(closed::gain(g * a.work, needed * closed::found(g, u32::from(m)), loss) < 1e-9, "{g}");
    }
    // One cell named everywhere is as good as three against all of the work, not against little of it.
    assert!((naming_needed(&a, loss, 1, |_| 1.0) - needed).abs() < 0.01);
}

#[test]
fn withholding_pays_only_for_dear_shards() {
    let gain = column("withholding", "gain");
    assert!(gain[0] < 0.0 && gain[1] < 0.0 && gain[2] > 0.005 && gain[3] < 0.02, "{gain:?}");
    assert!(column("withholding", "best gain, half named").iter().all(|gain| *gain < 0.0));
}

#[test]
fn forged_shards_crowd_each_other_out() {
    let each = column("crowding", "gain each ");
    assert!(each.windows(2).all(|w| w[0] > w[1]) && each[4] > 0.0, "{each:?}");
}

#[test]
fn rolling_never_pays_and_free_rolls_do() {
    let a = assumptions();
    let stakes = Deal::plain(&a).stakes().unwrap();
    for k in 3..=32 {
        for g in shares() {
            let e = 1.0 - closed::found(g, k);
            assert!(closed::rolling(&stakes, k, e, 0, 0.0) + g * a.work < stakes.pay, "k {k}, g {g}");
            assert!(closed::rolling(&stakes, k, e, 12, closed::found(g, 3)) + g * a.work < stakes.pay, "k {k}, g {g}");
        }
    }
    assert!(column("restart", "gain").iter().any(|gain| *gain > 0.2));
    assert!(column("restart", "gain, named too").iter().all(|gain| *gain < 0.0));
}

#[test]
fn half_a_bond_covers_the_largest_answer() {
    for d in [EscapeTime::describe(), GemmI8::describe()] {
        let kernel = Registered {
            answer_transactions: d.answer_transactions,
            evidence_bytes_max: d.evidence_bytes_max,
            ..Registered::zeroed()
        };
        let (transactions, bond) = answer(&terms::standard(), &kernel, 0, 0).unwrap();
        let (half, sol) = (bond as f64 / 2.0 * 1e-6, f64::from(transactions) * 5_000.0 * 1e-9);
        assert!(half > 1_900.0 * sol, "covered while SOL is below 1,900 USD");
    }
    assert!(column("griefing", "half / answer").iter().all(|f| *f > 9.5));
    assert!(column("griefing", "until fee a tx, lamports").iter().all(|lamports| *lamports > 42_000.0));
}

/// A delay ties up bonds for as long as it lasts: with the default bond far more than a shard is worth, and no longer.
#[test]
fn a_delay_ties_up_a_bond_for_every_unit_and_ends_with_them() {
    let (days, played) = (column("queue", "days"), column("queue", "days played"));
    assert!(days.iter().zip(&played).all(|(d, p)| (0.0..0.01).contains(&(p - d))), "{days:?} {played:?}");
    assert!(column("queue", "days left after").iter().all(|left| left.abs() < 1e-9));
    let tied = column("queue", "bonds tied up");
    assert!(tied[0] > 40_000.0 && tied[2] > 800.0 && tied[4] > 130.0, "a day: {tied:?}");
}

/// No number of challenges makes a provider immune, though each takes as long as the program lets any: one more can be opened.
#[test]
fn a_full_queue_makes_nobody_immune_to_challenges() {
    let a = assumptions();
    let deal = Deal { answer_transactions: MAX_ANSWER_TRANSACTIONS, ..Deal::standard(&a, vec![class(40_000, 1, 0)]) };
    let chance = &mut a.chance("immune");
    let mut own = Life::committed(&deal, chance).unwrap();
    assert!((0..40_000).all(|cell| own.challenge(cell, &POCKET).is_ok()));
    assert!(own.elsewhere(&deal, chance).unwrap().challenge(0, &STRANGER).is_ok());
}

#[test]
fn holding_costs_what_the_penalties_say_and_freezes_the_auction() {
    let (formula, played) = (column("holding", "penalty"), column("holding", "played, mean"));
    // The program grows the penalty by whole basis points.
    assert!(formula.iter().zip(&played).all(|(f, p)| (f - p).abs() < 1.1e-4), "{formula:?} {played:?}");
    assert_eq!(column("holding", "price at claim"), column("holding", "price after"));
    let a_day = column("holding", "a day held");
    assert!((a_day[2] - 0.2).abs() < 1e-3 && (a_day[10] - 0.05).abs() < 1e-3, "{a_day:?}");
}

#[test]
fn known_hashes_are_worth_nothing() {
    assert!(column("timing", "would have been spared")[3] > 0.99);
    let s = section("timing");
    assert!((0..s.rows.len()).all(|row| s.number(row, "off").unwrap().abs() < 4.0));
}

#[test]
fn checking_everything_never_pays_by_bounties_and_one_cell_soon_does() {
    assert!(column("hunting", "forged, to check all").iter().all(|share| *share > 1.0));
    for (row, (cells, wrong)) in column("hunting", "cells").into_iter().zip(column("hunting", "wrong")).enumerate() {
        let forged = section("hunting").number(row, "forged, to check one cell").unwrap();
        assert!((forged * wrong * cells - 6.53).abs() < 0.01, "6.5 forged cells a shard, on average");
    }
}

#[test]
fn insiders_still_lose_twice_the_price() {
    let loss = column("insiders", "loss");
    assert!(loss.iter().all(|loss| *loss <= -1.999), "{loss:?}");
}

#[test]
fn honest_hardware_survives_draws_and_not_a_full_check() {
    let (asked, all) = scenes::hardware::limits(&assumptions(), 0.2).unwrap();
    assert!((0.014..0.016).contains(&asked) && (4.5e-6..5.5e-6).contains(&all), "{asked} {all}");
}
