//! The page about known attack classes names tests that exist.

use std::path::PathBuf;

#[test]
fn every_test_that_the_page_names_exists() {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(here.join("../docs/attacks.md")).unwrap();
    let named: Vec<(&str, &str)> =
        page.split('`').skip(1).step_by(2).filter_map(|text| text.split_once("::")).collect();
    assert!(named.len() > 50, "the page names tests");
    for (file, test) in named {
        let source = std::fs::read_to_string(here.join(format!("tests/settlement/{file}.rs")))
            .unwrap_or_else(|e| panic!("{file}: {e}"));
        let (before, _) = source.split_once(&format!("\nfn {test}() {{")).unwrap_or_else(|| panic!("{file}::{test}"));
        assert!(before.ends_with("#[test]"), "{file}::{test} is no test");
    }
}
