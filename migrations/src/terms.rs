//! The terms that markets are opened with.

use assay_settlement::state::Terms;

/// One unit of a mint with six decimals, base units.
const UNIT: u64 = 1_000_000;

/// The default terms (protocol.md, section 9), for a mint with six decimals that is worth about a dollar: k = m = 3,
/// challenge window 4 h, response 12 h, collateral 1.5 x A x price, fee 2 %, bounty 10 %, release penalty 2 to 20 %,
/// expiry 25 %, bond 1 + 0.02 per KiB.
pub fn standard() -> Terms {
    Terms {
        bond_base: UNIT,
        bond_per_kib: UNIT / 50,
        post_per_kib: UNIT / 500,
        collateral_bps: 15_000,
        challenge_seconds: 4 * 3_600,
        response_seconds: 12 * 3_600,
        fee_bps: 200,
        bounty_bps: 1_000,
        release_min_bps: 200,
        release_max_bps: 2_000,
        expiry_bps: 2_500,
        samples: 3,
        named: 3,
        reserved: [0; 5],
    }
}

/// The default terms with short windows, seconds: for experimental markets on local chains.
pub fn experimental(challenge_seconds: u32, response_seconds: u32) -> Terms {
    Terms { challenge_seconds, response_seconds, ..standard() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_settlement::rules::terms::check_market;

    #[test]
    fn the_program_takes_both() {
        assert_eq!(check_market(&standard(), false), Ok(()));
        assert_eq!(check_market(&experimental(15, 60), true), Ok(()));
        assert!(check_market(&experimental(15, 60), false).is_err(), "short windows need an experimental market");
    }
}
