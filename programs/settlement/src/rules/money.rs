//! Money arithmetic in base units of the market's mint. Everything is checked; what rounds says which way.

use crate::{constants::BPS, error::AssayError, rules::Result};

/// `amount * bps / 10_000`, rounded down.
pub fn share_floor(amount: u64, bps: u32) -> Result<u64> {
    let product = u128::from(amount).checked_mul(u128::from(bps)).ok_or(AssayError::Overflow)?;
    let share = product.checked_div(u128::from(BPS)).ok_or(AssayError::Overflow)?;
    u64::try_from(share).map_err(|_| AssayError::Overflow)
}

/// `amount * bps / 10_000`, rounded up.
pub fn share_ceil(amount: u64, bps: u32) -> Result<u64> {
    let product = u128::from(amount).checked_mul(u128::from(bps)).ok_or(AssayError::Overflow)?;
    u64::try_from(product.div_ceil(u128::from(BPS))).map_err(|_| AssayError::Overflow)
}

/// The reverse Dutch price: `start` at first, rising in a straight line to `max` after `ramp_seconds`, then flat.
/// A ramp of zero seconds is at `max` at once. Rounded down.
pub fn ramp_price(start: u64, max: u64, ramp_from: i64, ramp_seconds: u32, now: i64) -> Result<u64> {
    let span = max.checked_sub(start).ok_or(AssayError::Overflow)?;
    let elapsed = u64::try_from(now.saturating_sub(ramp_from).max(0)).map_err(|_| AssayError::Overflow)?;
    let ramp = u64::from(ramp_seconds);
    if elapsed >= ramp {
        return Ok(max);
    }
    let risen = u128::from(span)
        .checked_mul(u128::from(elapsed))
        .and_then(|p| p.checked_div(u128::from(ramp)))
        .ok_or(AssayError::Overflow)?;
    start.checked_add(u64::try_from(risen).map_err(|_| AssayError::Overflow)?).ok_or(AssayError::Overflow)
}

/// What a claim locks: `collateral_bps` of A x price, rounded up twice, in the renter's favour.
pub fn collateral(price: u64, collateral_bps: u32, amplification_bps: u32) -> Result<u64> {
    share_ceil(share_ceil(price, amplification_bps)?, collateral_bps)
}

/// The penalty for giving a claim back after `held` of `execute_seconds`: from `min_bps` to `max_bps` of the price,
/// rounded up, so that holding work of a tiny price is not free.
pub fn release_penalty(price: u64, min_bps: u16, max_bps: u16, held: i64, execute_seconds: u32) -> Result<u64> {
    let span = u64::from(max_bps.checked_sub(min_bps).ok_or(AssayError::Overflow)?);
    let whole = u64::from(execute_seconds.max(1));
    let held = u64::try_from(held.max(0)).map_err(|_| AssayError::Overflow)?.min(whole);
    let grown = span.checked_mul(held).and_then(|p| p.checked_div(whole)).ok_or(AssayError::Overflow)?;
    let bps = u64::from(min_bps).checked_add(grown).ok_or(AssayError::Overflow)?;
    share_ceil(price, u32::try_from(bps).map_err(|_| AssayError::Overflow)?)
}

/// How a settled shard's escrow is divided. `pay + fee == price`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// To the provider, base units, before what it owes for rolled windows.
    pub pay: u64,
    /// To the market's treasury, base units.
    pub fee: u64,
}

/// Divides the price of a settled shard: the fee comes out of the price, rounded down.
pub fn settlement(price: u64, fee_bps: u16) -> Result<Settlement> {
    let fee = share_floor(price, u32::from(fee_bps))?;
    Ok(Settlement { pay: price.checked_sub(fee).ok_or(AssayError::Overflow)?, fee })
}

/// How a slashed shard's lock is divided. The three parts add up to the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seizure {
    /// To the renter on top of the escrow it gets back: at most A x price, what it is owed for rolled windows first.
    pub compensation: u64,
    /// To whoever proved the fault.
    pub bounty: u64,
    /// To the market's treasury.
    pub treasury: u64,
}

/// Divides the lock of a slashed shard: bounty first, then the renter, the rest to the treasury.
/// `rolled` (base units) is already owed to the renter and counts as part of its compensation.
pub fn seizure(lock: u64, price: u64, amplification_bps: u32, bounty_bps: u16, rolled: u64) -> Result<Seizure> {
    let bounty = share_floor(lock, u32::from(bounty_bps))?;
    let left = lock.checked_sub(bounty).ok_or(AssayError::Overflow)?;
    let compensation = share_floor(price, amplification_bps)?.max(rolled).min(left);
    let treasury = left.checked_sub(compensation).ok_or(AssayError::Overflow)?;
    Ok(Seizure { compensation, bounty, treasury })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn default_terms_on_one_usdc() {
        let lock = collateral(1_000_000, 15_000, 10_000).unwrap();
        assert_eq!(lock, 1_500_000);
        let s = seizure(lock, 1_000_000, 10_000, 1_000, 0).unwrap();
        assert_eq!(s, Seizure { compensation: 1_000_000, bounty: 150_000, treasury: 350_000 });
        assert_eq!(settlement(1_000_000, 200).unwrap(), Settlement { pay: 980_000, fee: 20_000 });
        assert_eq!(release_penalty(1_000_000, 200, 2_000, 0, 100).unwrap(), 20_000);
        assert_eq!(release_penalty(1_000_000, 200, 2_000, 50, 100).unwrap(), 110_000);
        assert_eq!(release_penalty(1_000_000, 200, 2_000, 1_000, 100).unwrap(), 200_000);
    }

    #[test]
    fn limits_do_not_wrap() {
        assert_eq!(collateral(u64::MAX, 15_000, 10_000), Err(AssayError::Overflow));
        assert_eq!(ramp_price(0, u64::MAX, 0, u32::MAX, i64::MAX).unwrap(), u64::MAX);
        assert_eq!(ramp_price(5, 4, 0, 1, 0), Err(AssayError::Overflow));
        assert_eq!(ramp_price(5, 9, i64::MAX, 10, i64::MIN).unwrap(), 5);
    }

    proptest! {
        #[test]
        fn ramp_is_monotonic_and_bounded(start: u32, span: u32, from in 0i64..1 << 40, ramp: u32, a in 0i64..1 << 41, b in 0i64..1 << 41) {
            let (start, max) = (u64::from(start), u64::from(start) + u64::from(span));
            let (a, b) = (a.min(b), a.max(b));
            let (pa, pb) = (ramp_price(start, max, from, ramp, a).unwrap(), ramp_price(start, max, from, ramp, b).unwrap());
            prop_assert!(start <= pa && pa <= pb && pb <= max);
        }

        #[test]
        fn a_settlement_gives_away_exactly_the_price(price: u64, fee in 0u16..=1_000) {
            let s = settlement(price, fee).unwrap();
            prop_assert_eq!(s.pay.checked_add(s.fee), Some(price));
        }

        #[test]
        fn a_seizure_gives_away_exactly_the_lock(price in 0u64..1 << 50, a in 10_000u32..=640_000, c in 15_000u32..=100_000, b in 0u16..=2_000, rolled in 0u64..1 << 50) {
            let lock = collateral(price, c, a).unwrap();
            let s = seizure(lock, price, a, b, rolled.min(lock)).unwrap();
            prop_assert_eq!(s.compensation + s.bounty + s.treasury, lock);
            // The renter is made whole up to A x price whatever the bounty is.
            prop_assert!(s.compensation >= share_floor(price, a).unwrap().min(lock - s.bounty));
        }

        #[test]
        fn penalties_stay_inside_the_lock(price in 0u64..1 << 50, min in 0u16..=2_500, more in 0u16..=2_500, held: i64, exec: u32) {
            let p = release_penalty(price, min, min + more, held, exec).unwrap();
            prop_assert!(p <= collateral(price, COLL, 10_000).unwrap());
            prop_assert!(p >= share_floor(price, u32::from(min)).unwrap());
        }
    }
    const COLL: u32 = crate::constants::COLLATERAL_FLOOR_BPS;
}
