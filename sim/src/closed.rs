//! The formulas. Amounts are in prices, chances and shares between 0 and 1.

/// What is paid for a shard and what is lost with it, in prices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stakes {
    /// What a settled shard pays its provider.
    pub pay: f64,
    /// The market's fee out of the price.
    pub fee: f64,
    /// The collateral.
    pub lock: f64,
    /// Part of a seized lock that goes to whoever proved the fault.
    pub bounty: f64,
    /// Part of it that goes to the treasury.
    pub treasury: f64,
}

impl Stakes {
    /// What being caught costs a cheater that proves its own fault and takes the bounty.
    pub fn loss(&self) -> f64 {
        self.pay + self.lock - self.bounty
    }

    /// What it costs when somebody else takes the bounty.
    pub fn full_loss(&self) -> f64 {
        self.pay + self.lock
    }

    /// What it costs a cheater that takes the bounty and is the market's authority, who gets fees and what is left.
    pub fn authority_loss(&self) -> f64 {
        self.loss() + self.fee - self.treasury
    }
}

/// The chance that one of `draws` independent draws hits, when each hits with chance `q`.
pub fn found(q: f64, draws: u32) -> f64 {
    1.0 - (1.0 - q).powi(i32::try_from(draws).unwrap_or(i32::MAX))
}

/// What cheating brings, compared with honest work: the saved work against what being caught costs.
pub fn gain(saved: f64, caught: f64, loss: f64) -> f64 {
    saved - caught * loss
}

/// The collateral, in prices, at which cheating brings exactly nothing; 0 when the lost pay alone is enough.
pub fn break_even_lock(saved: f64, caught: f64, pay: f64, bounty_share: f64) -> f64 {
    ((saved / caught - pay) / (1.0 - bounty_share)).max(0.0)
}

/// The least chance q that a draw must have to hit, so that saving `saved` brings nothing with `draws` draws.
/// None when even certain detection does not cover it.
pub fn least_hit(saved: f64, draws: u32, loss: f64) -> Option<f64> {
    let needed = saved / loss;
    (needed <= 1.0).then(|| 1.0 - (1.0 - needed).powf(1.0 / f64::from(draws.max(1))))
}

/// The chance that at least one of `tries` seeds spares the wrong cells, when one does with chance `e`.
pub fn spared(e: f64, tries: f64) -> f64 {
    // ln(1 - e) keeps what 1 - e would round away.
    if e >= 1.0 { 1.0 } else { -(tries * (-e).ln_1p()).exp_m1() }
}

/// The chance that draws by chain and renter or a re-check find something: independent of each other.
pub fn either(chances: &[f64]) -> f64 {
    1.0 - chances.iter().map(|c| 1.0 - c).product::<f64>()
}

/// What a provider ends with, work not counted, that looks at every window nobody recorded and rolls when it is bad:
/// first `free` windows for nothing, then for `lock / k` each until the k-th roll takes the lock.
/// `e`: chance that a window spares it. `named`: chance that the renter's cells find something afterwards.
pub fn rolling(s: &Stakes, k: u32, e: f64, free: u32, named: f64) -> f64 {
    let caught = s.bounty - s.lock;
    let step = s.lock / f64::from(k.max(1));
    let looks = free.saturating_add(k.max(1));
    let mut left = 1.0;
    let mut sum = 0.0;
    for look in 0..looks {
        let paid = f64::from(look.saturating_sub(free)) * step;
        sum += left * e * ((1.0 - named) * (s.pay - paid) + named * caught);
        left *= 1.0 - e;
    }
    sum + left * caught
}

/// The share in `0.001, 0.002 .. 1` at which `gain` is largest, and that gain.
pub fn best_share(gain: impl Fn(f64) -> f64) -> (f64, f64) {
    (1..=1_000u32)
        .map(|i| f64::from(i) / 1_000.0)
        .map(|g| (g, gain(g)))
        .fold((0.0, f64::NEG_INFINITY), |best, this| if this.1 > best.1 { this } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Stakes = Stakes { pay: 0.98, fee: 0.02, lock: 1.5, bounty: 0.15, treasury: 0.35 };

    #[test]
    fn the_lost_parts_add_up() {
        assert!((S.loss() - 2.33).abs() < 1e-12);
        assert!((S.full_loss() - 2.48).abs() < 1e-12);
        assert!((S.authority_loss() - 2.0).abs() < 1e-12, "pay, fee and the renter's compensation");
    }

    #[test]
    fn break_even_is_where_the_gain_is_nothing() {
        for g in [0.01, 0.3, 1.0] {
            let q = least_hit(g, 3, S.loss()).unwrap_or(f64::NAN);
            assert!(gain(g, found(q, 3), S.loss()).abs() < 1e-12);
            let lock = break_even_lock(g, 0.1, 0.98, 0.1);
            assert!(gain(g, 0.1, 0.98 + 0.9 * lock).abs() < 1e-12 || lock == 0.0);
        }
        assert_eq!(least_hit(3.0, 3, 2.33), None);
    }

    #[test]
    fn many_tries_of_a_small_chance_are_not_rounded_away() {
        assert!((spared(1e-18, 1e18) - (1.0 - (-1.0f64).exp())).abs() < 1e-9);
        assert!((spared(0.25, 2.0) - 0.4375).abs() < 1e-12);
        assert_eq!((spared(0.0, 1e6), spared(1.0, 1.0)), (0.0, 1.0));
    }

    #[test]
    fn rolling_once_is_being_drawn_once() {
        let e = 0.4;
        assert!((rolling(&S, 1, e, 0, 0.0) - (e * S.pay - (1.0 - e) * (S.lock - S.bounty))).abs() < 1e-12);
        let two = e * S.pay + 0.6 * e * (S.pay - 0.75) - 0.36 * (S.lock - S.bounty);
        assert!((rolling(&S, 2, e, 0, 0.0) - two).abs() < 1e-12);
    }

    #[test]
    fn watchers_find_independently() {
        assert!((either(&[0.5, 0.5, 0.0]) - 0.75).abs() < 1e-12);
        let (g, best) = best_share(|g| -(g - 0.3) * (g - 0.3));
        assert!((g - 0.3).abs() < 1e-9 && best.abs() < 1e-9);
    }
}
