//! Challenges opened out of spite, and challenges that a cheater opens against itself to be judged later.

use assay_kernels::{
    escape_time::{self, EscapeTime},
    gemm_i8::{self, GemmI8},
    kernel::Kernel,
};
use assay_settlement::{constants::MAX_ANSWER_TRANSACTIONS, error::AssayError, rules::challenge, state::unit_seconds};

use crate::{
    Result,
    assume::Assumptions,
    deal::Deal,
    life::{Life, POCKET, STRANGER},
    report::{Section, Unit},
};

/// Transactions that answering a gemm_i8 cell of k = 4,096 takes (measured: 9.9 KB of evidence, 12 v0 transactions).
const GEMM_4096_TRANSACTIONS: u16 = 12;

struct Answer {
    name: &'static str,
    /// Transactions of this answer.
    transactions: u16,
    /// What the kernel registered: unit of the queue.
    registered: u16,
    evidence_bytes: u32,
}

impl Answer {
    /// A job of this kernel.
    fn deal(&self, a: &Assumptions) -> Deal {
        Deal { evidence_bytes: self.evidence_bytes, answer_transactions: self.registered, ..Deal::plain(a) }
    }
}

fn answers() -> Result<[Answer; 3]> {
    // A picture of 1,920 x 1,080 pixels.
    let one = 1i64 << escape_time::FRACTION_BITS;
    let picture = escape_time::Params {
        width: 1_920,
        height: 1_080,
        max_iter: escape_time::MAX_ITER,
        x0: one.saturating_mul(-2),
        y0: one.saturating_neg(),
        step: one / 1_024,
    };
    let inline = EscapeTime::geometry(&picture).map_err(|_| AssayError::VerifierAnswer)?;
    // What the verifier states of a job of square matrices, 4,096 rows, with this k.
    let of_gemm = |name, k, transactions: Option<u16>| -> Result<Answer> {
        let params = gemm_i8::Params { m: 4_096, n: 4_096, k };
        let job = GemmI8::geometry(&params).map_err(|_| AssayError::VerifierAnswer)?;
        Ok(Answer {
            name,
            transactions: transactions.unwrap_or(job.answer_transactions),
            registered: job.answer_transactions,
            evidence_bytes: u32::from(job.evidence_kib).saturating_mul(1_024),
        })
    };
    Ok([
        Answer {
            name: "escape_time, inline",
            transactions: inline.answer_transactions,
            registered: inline.answer_transactions,
            evidence_bytes: 0,
        },
        of_gemm("gemm_i8, k = 4,096", 4_096, Some(GEMM_4096_TRANSACTIONS))?,
        of_gemm("gemm_i8, k = 131,071", gemm_i8::MAX_K, None)?,
    ])
}

/// Base units of a mint with six decimals that is worth a dollar.
fn usd(units: u64) -> f64 {
    units as f64 * 1e-6
}

/// What one needless challenge costs both sides.
pub fn griefing(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "griefing",
        "One needless challenge",
        "The bond's half must exceed the cost of the answer. A renter that challenges gets the other half back into its \
         escrow. \"until SOL\" and \"until fee\": where half the bond just covers the answer.",
        &[
            ("answer", Unit::Text),
            ("transactions", Unit::Count),
            ("bond", Unit::Usd),
            ("stranger pays", Unit::Usd),
            ("renter pays", Unit::Usd),
            ("provider gets", Unit::Usd),
            ("answer costs", Unit::Usd),
            ("half / answer", Unit::Factor),
            ("until SOL, USD", Unit::Usd),
            ("until fee a tx, lamports", Unit::Count),
        ],
    );
    for answer in answers()? {
        let deal = answer.deal(a);
        let mut life = Life::committed(&deal, &mut a.chance(section.id))?;
        let (mut made, _) = life.challenge(5, &STRANGER)?;
        let bond = made.bond;
        let (half, back) = life.answer_challenge(&mut made)?;
        let lamports = a.signature_lamports as f64 * f64::from(answer.transactions);
        let own_fee = a.lamports_usd(a.signature_lamports as f64);
        let cost = a.lamports_usd(lamports);
        section.row([
            answer.name.into(),
            f64::from(answer.transactions).into(),
            usd(bond).into(),
            (usd(bond) + own_fee).into(),
            (usd(bond.saturating_sub(back)) + own_fee).into(),
            usd(half).into(),
            cost.into(),
            (usd(half) / cost).into(),
            (usd(half) / (lamports * 1e-9)).into(),
            (usd(half) / a.sol_usd * 1e9 / f64::from(answer.transactions) - a.signature_lamports as f64).into(),
        ]);
    }
    Ok(section)
}

/// What proving an honest shard costs its provider.
pub fn proving(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "proving",
        "What an honest shard costs to prove",
        "Claim, commitment, seed, draw and settlement are one transaction each; then the answers to k drawn and m named \
         cells. \"price\": of a shard of which this is 2 %, as much as the fee.",
        &[
            ("answer", Unit::Text),
            ("transactions, k", Unit::Count),
            ("cost, k", Unit::Usd),
            ("cost, k + m", Unit::Usd),
            ("price, k", Unit::Usd),
            ("price, k + m", Unit::Usd),
        ],
    );
    for answer in answers()? {
        let deal = answer.deal(a);
        let (k, m) = (f64::from(deal.samples()?), f64::from(deal.terms.named));
        let transactions = |cells: f64| 5.0 + cells * f64::from(answer.transactions);
        let cost = |cells: f64| a.lamports_usd(transactions(cells) * a.signature_lamports as f64);
        section.row([
            answer.name.into(),
            transactions(k).into(),
            cost(k).into(),
            cost(k + m).into(),
            (cost(k) / 0.02).into(),
            (cost(k + m) / 0.02).into(),
        ]);
    }
    Ok(section)
}

fn last<'a>(own: &[Life<'a>]) -> Result<Life<'a>> {
    own.last().cloned().ok_or(AssayError::NoSuchShard)
}

/// What it costs to fill one's own queue.
pub fn queueing(a: &Assumptions) -> Result<Section> {
    let mut section = Section::new(
        "queue",
        "A cheater delays its judgement by challenging itself",
        "Every challenge that exists gives the provider 2 s more for each registered answer transaction to answer the next. In \
         somebody else's job half of each bond goes to that renter. In a job of its own the cheater accepts its own shard, has \
         it settled and gets every bond back: then the delay is over, too. So a delay ties its bonds up for as long as it lasts.",
        &[
            ("kernel", Unit::Text),
            ("days", Unit::Count),
            ("challenges", Unit::Count),
            ("days played", Unit::Factor),
            ("bonds tied up", Unit::Usd),
            ("lost, stranger's job", Unit::Usd),
            ("fees, own job", Unit::Usd),
            ("days left after", Unit::Factor),
        ],
    );
    let [inline, _, gemm] = answers()?;
    let made = Answer {
        name: "made for it, the most allowed",
        transactions: 1,
        registered: MAX_ANSWER_TRANSACTIONS,
        evidence_bytes: 0,
    };
    for (answer, delays) in [(inline, [1u32, 7]), (gemm, [1, 30]), (made, [1, 30])] {
        let deal = answer.deal(a);
        let unit = u64::from(unit_seconds(answer.registered));
        for days in delays {
            let challenges = (u64::from(days).saturating_mul(86_400)).div_ceil(unit);
            let mut chance = a.chance(section.id);
            let fresh = |other: &Life, chance: &mut _| -> Result<(u64, i64)> {
                let (made, due) = other.elsewhere(&deal, chance)?.challenge(0, &STRANGER)?;
                Ok((made.bond, due))
            };
            let mut own = vec![Life::committed(&deal, &mut chance)?];
            let (_, before) = fresh(&last(&own)?, &mut chance)?;
            let (mut left, mut open) = (challenges, Vec::new());
            while left > 0 {
                // Each cell has one challenge at most; when all have one, the next shard is taken.
                let mut shard = last(&own)?;
                if !open.is_empty() {
                    shard = shard.elsewhere(&deal, &mut chance)?;
                }
                for cell in 0..left.min(deal.cells()) {
                    open.push(shard.challenge(cell, &POCKET)?.0);
                    left = left.saturating_sub(1);
                }
                own.push(shard);
            }
            let (bond, after) = fresh(&last(&own)?, &mut chance)?;
            // The first of them stands here as it was before it was challenged.
            let mut queued = last(&own)?.queued();
            for shard in own.iter_mut().skip(1) {
                queued = shard.accept_of(queued)?;
            }
            let ended = last(&own)?;
            open.iter().try_for_each(|made| ended.return_bond(made))?;
            let (_, at_last) = fresh(&ended, &mut chance)?;
            let lost = challenge::divide(bond, true)?.renter;
            let (n, in_days) = (challenges as f64, |from: i64, to: i64| to.saturating_sub(from) as f64 / 86_400.0);
            section.row([
                answer.name.into(),
                f64::from(days).into(),
                n.into(),
                in_days(before, after).into(),
                (n * usd(bond)).into(),
                (n * usd(lost)).into(),
                (n * a.lamports_usd(2.0 * a.signature_lamports as f64)).into(),
                in_days(before, at_last).into(),
            ]);
        }
    }
    Ok(section)
}
