//! Every error of the program is reached by a test here.

use assay_client::explain;

/// The tests, whose text says which errors they expect.
const TESTS: &[(&str, &str)] = &[
    ("accept", include_str!("accept.rs")),
    ("authority", include_str!("authority.rs")),
    ("bonds", include_str!("bonds.rs")),
    ("challenges", include_str!("challenges.rs")),
    ("claims", include_str!("claims.rs")),
    ("delivery", include_str!("delivery.rs")),
    ("draws", include_str!("draws.rs")),
    ("frozen", include_str!("frozen.rs")),
    ("halts", include_str!("halts.rs")),
    ("jobs", include_str!("jobs.rs")),
    ("markets_and_kernels", include_str!("markets_and_kernels.rs")),
    ("mints", include_str!("mints.rs")),
    ("openings", include_str!("openings.rs")),
    ("queue", include_str!("queue.rs")),
    ("retire", include_str!("retire.rs")),
    ("six_refusals", include_str!("six_refusals.rs")),
    ("step_refusals", include_str!("step_refusals.rs")),
    ("stepped", include_str!("stepped.rs")),
    ("swapped_accounts", include_str!("swapped_accounts.rs")),
    ("swapped_disputes", include_str!("swapped_disputes.rs")),
    ("waive", include_str!("waive.rs")),
    ("whole_jobs", include_str!("whole_jobs.rs")),
];

/// Whether a text expects the error of this name.
fn expects(text: &str, name: &str) -> bool {
    let wanted = format!("E::{name}");
    text.match_indices(&wanted).any(|(at, found)| {
        let next = text[at + found.len()..].chars().next();
        !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[test]
fn every_error_is_expected_by_some_test() {
    let mut missing = Vec::new();
    for error in explain::ALL {
        let name = error.name();
        let by: Vec<&str> = TESTS.iter().filter(|(_, text)| expects(text, &name)).map(|(file, _)| *file).collect();
        println!("{name}: {}", by.join(", "));
        if by.is_empty() {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "no test expects {missing:?}");
}
