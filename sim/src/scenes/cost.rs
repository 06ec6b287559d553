//! Cells that cost differently: drawn by cost, drawn as if they were equal, and a kernel whose costs nobody declares.

use assay_kernels::escape_time::{FRACTION_BITS, pixel};

use crate::{
    Result,
    assume::Assumptions,
    closed,
    deal::{CELLS, Deal, class},
    life::Watch,
    report::{Section, Unit},
    scenes::watched,
    wrong::Wrong,
};

/// Wrong cells in the cheap or in the dear class.
pub fn classes(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "cost_classes",
        "Cost classes: 15,360 cells of cost 1 and 1,024 of cost 64",
        "\"hit\": chance of one draw. By cost it is never below the saved share; if the same cells were declared equal, \
         leaving out the dear ones would pay.",
        &[
            ("wrong", Unit::Text),
            ("saved share", Unit::Share),
            ("hit, by cost", Unit::Share),
            ("gain", Unit::Prices),
            ("played", Unit::Prices),
            ("off", Unit::Sigma),
            ("hit, equal", Unit::Share),
            ("gain, equal", Unit::Prices),
            ("played, equal", Unit::Prices),
            ("off ", Unit::Sigma),
        ],
    );
    let by_cost = Deal::standard(a, vec![class(15_360, 1, 0), class(1_024, 64, 0)]);
    let equal = Deal::standard(a, vec![class(15_360, 1, 0), class(1_024, 1, 0)]);
    let mut chance = a.chance(section.id);
    let rows = [
        ("all cheap", 1.0, 0.0),
        ("half of the dear", 0.0, 0.5),
        ("all dear", 0.0, 1.0),
        ("a tenth of both", 0.1, 0.1),
    ];
    for (name, cheap, dear) in rows {
        let wrong = Wrong::shares(&by_cost.classes, &[cheap, dear]);
        let as_equal = Wrong::shares(&equal.classes, &[cheap, dear]);
        let saved = wrong.cost_share() * a.work;
        let w = watched(a, &by_cost, &wrong, saved, &Watch::default(), &mut chance)?;
        let e = watched(a, &equal, &as_equal, saved, &Watch::default(), &mut chance)?;
        section.row([
            name.into(),
            wrong.cost_share().into(),
            wrong.cost_share().into(),
            w.gain.into(),
            w.played.gain.mean().into(),
            w.off.1.into(),
            as_equal.cost_share().into(),
            e.gain.into(),
            e.played.gain.mean().into(),
            e.off.1.into(),
        ]);
    }
    Ok(section)
}

/// A picture, by its true costs.
struct Picture {
    name: &'static str,
    centre: (f64, f64),
    span: f64,
    max_iter: u32,
}

const PICTURES: [Picture; 3] = [
    // What `assay demo` computes.
    Picture { name: "demo", centre: (-0.743_5, 0.131_4), span: 0.011, max_iter: 1_000 },
    Picture { name: "whole set", centre: (-0.75, 0.0), span: 3.5, max_iter: 4_096 },
    // As far away as the kernel goes: almost all work lies in few pixels.
    Picture { name: "set from afar", centre: (-0.05, 0.0), span: 7.8, max_iter: 4_096 },
];
const WIDTH: u32 = 240;
const HEIGHT: u32 = 136;

impl Picture {
    /// Iterations of its pixels, most first.
    fn costs(&self) -> Vec<u32> {
        let step = self.span / f64::from(WIDTH);
        let fixed = |x: f64| (x * f64::from(1u32 << FRACTION_BITS)) as i64;
        let at = |centre: f64, i: u32, of: u32| fixed(centre + (f64::from(i) - f64::from(of) / 2.0) * step);
        let mut costs: Vec<u32> = (0..HEIGHT)
            .flat_map(|j| (0..WIDTH).map(move |i| (i, j)))
            .map(|(i, j)| {
                let (x, y) = (at(self.centre.0, i, WIDTH), at(self.centre.1, j, HEIGHT));
                // At least one: a pixel is also written and hashed.
                u32::from(pixel(x, y, self.max_iter).count).max(1)
            })
            .collect();
        costs.sort_unstable_by(|x, y| y.cmp(x));
        costs
    }
}

/// A fractal whose pixels stop when they escape, as `escape_time` did at first: equal cells by declaration, very different
/// ones in truth.
pub fn hidden(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "hidden_cost",
        "Undeclared costs: a fractal whose pixels stop at their escape, those with most iterations left out",
        "Not a kernel of ours: the pixels of `escape_time` all take as many iterations. \
         Iteration counts at 240 x 136 pixels. The cells are declared equal, A = 1. \"A needed\": with k draws, \
         so that nothing is gained. A cheater knows roughly which pixels are dear from a coarse preview.",
        &[
            ("picture", Unit::Text),
            ("pixels", Unit::Share),
            ("saved share", Unit::Share),
            ("gain, k draws", Unit::Prices),
            ("played", Unit::Prices),
            ("off", Unit::Sigma),
            ("gain, named too", Unit::Prices),
            ("gain, 10 % re-checked", Unit::Prices),
            ("A needed", Unit::Factor),
        ],
    );
    let deal = Deal::plain(a);
    let stakes = deal.stakes()?;
    let mut chance = a.chance(section.id);
    for picture in PICTURES {
        let costs = picture.costs();
        let all: f64 = costs.iter().map(|c| f64::from(*c)).sum();
        let mut saved_by = vec![0.0];
        for cost in &costs {
            saved_by.push(saved_by.last().copied().unwrap_or(0.0) + f64::from(*cost) / all * a.work);
        }
        let saved_at = |share: f64| {
            let count = (costs.len() as f64 * share).round() as usize;
            saved_by.get(count).copied().unwrap_or(a.work)
        };
        let k = u32::from(deal.samples()?);
        let (best, _) = closed::best_share(|share| saved_at(share) - closed::found(share, k) * stakes.loss());
        for (name, share) in [("best", best), ("", 0.02), ("", 0.1), ("", 0.25)] {
            let saved = saved_at(share);
            let wrong = Wrong::shares(&deal.classes, &[share]);
            let hit = wrong.count() as f64 / CELLS as f64;
            let w = watched(a, &deal, &wrong, saved, &Watch::default(), &mut chance)?;
            let with = |watch: Watch| -> Result<f64> {
                let (asked, looked) = super::chances(&deal, &wrong, &watch)?;
                Ok(saved - asked * stakes.loss() - (1.0 - asked) * looked * stakes.full_loss())
            };
            let needed = closed::break_even_lock(saved, closed::found(hit, k), stakes.pay, stakes.bounty / stakes.lock);
            section.row([
                format!("{}{}{name}", picture.name, if name.is_empty() { "" } else { ", " }).into(),
                share.into(),
                (saved / a.work).into(),
                w.gain.into(),
                w.played.gain.mean().into(),
                w.off.1.into(),
                with(Watch { naming: 1.0, recheck: 0.0 })?.into(),
                with(Watch { naming: 1.0, recheck: 0.1 })?.into(),
                (needed / stakes.lock).max(1.0).into(),
            ]);
        }
    }
    Ok(section)
}
