//! Numbers for people.

/// `12,345`.
pub fn spell(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| core::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_in_groups_of_three() {
        assert_eq!([0, 999, 1_000, 12_345, 1_234_567].map(spell), ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
