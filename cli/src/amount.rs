//! Token amounts as people write them ("0.25") and as the chain counts them (base units).

use crate::error::{CliError, Result};

/// Base units of a decimal amount, exactly: more decimals than the mint has are refused, not rounded.
///
/// # Errors
/// Text that is no such amount.
pub fn parse(text: &str, decimals: u8) -> Result<u64> {
    let bad = |why: &str| {
        CliError::usage(format!(
            "\"{text}\" is no amount of this token: {why}. Nothing was sent or paid. Example: 0.25"
        ))
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(bad("digits and at most one point are allowed"));
    }
    let places = usize::from(decimals);
    if fraction.len() > places {
        return Err(bad(&format!("it has {decimals} decimals at most")));
    }
    let padded = format!("{whole}{fraction:0<places$}");
    padded.trim_start_matches('0').parse::<u64>().or_else(|error| {
        // All zeros trim to nothing, which is the amount 0.
        if padded.bytes().all(|b| b == b'0') { Ok(0) } else { Err(bad(&error.to_string())) }
    })
}

/// An amount of base units as people read it.
pub fn show(amount: u64, decimals: u8) -> String {
    let places = usize::from(decimals);
    if places == 0 {
        return amount.to_string();
    }
    let digits = format!("{amount:0>width$}", width = places.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    format!("{whole}.{fraction}")
}

/// A change of an amount, with its sign.
pub fn show_change(before: u64, after: u64, decimals: u8) -> String {
    let sign = if after > before {
        "+"
    } else if after < before {
        "-"
    } else {
        ""
    };
    format!("{sign}{}", show(before.abs_diff(after), decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_both_ways() {
        for (text, units, shown) in [
            ("0.25", 250_000, "0.250000"),
            ("1", 1_000_000, "1.000000"),
            (".000001", 1, "0.000001"),
            ("0", 0, "0.000000"),
            ("18446744073709.551615", u64::MAX, "18446744073709.551615"),
        ] {
            assert_eq!(parse(text, 6).unwrap(), units, "{text}");
            assert_eq!(show(units, 6), shown);
        }
        assert_eq!(parse("7", 0).unwrap(), 7);
        assert_eq!(show(7, 0), "7");
    }

    #[test]
    fn nothing_is_rounded_or_guessed() {
        for text in ["", ".", "1.0000001", "-1", "1e3", "1,5", "18446744073709.551616", "0x1"] {
            assert_eq!(parse(text, 6).unwrap_err().exit as u8, 2, "{text}");
        }
    }

    #[test]
    fn changes_have_a_sign() {
        assert_eq!(show_change(3, 5, 0), "+2");
        assert_eq!(show_change(5, 3, 1), "-0.2");
        assert_eq!(show_change(5, 5, 0), "0");
    }
}
