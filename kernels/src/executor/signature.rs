//! What a function on a card takes: read from its PTX, and held against what a launch passes.

/// Bytes of each parameter of `function`, in order; `None` where the PTX has no such function.
pub(super) fn parameters(ptx: &str, function: &str) -> Option<Vec<usize>> {
    let entry = format!(".visible .entry {function}(");
    let (list, _) = ptx.split_once(&entry)?.1.split_once(')')?;
    list.split(',').map(parameter).collect()
}

/// Bytes of a parameter such as `.param .u64 name` or `.param .align 4 .b8 name[32]`.
fn parameter(text: &str) -> Option<usize> {
    let mut bits = text.split_whitespace().filter_map(|word| {
        let kind = word.strip_prefix('.')?;
        kind.strip_prefix(['u', 's', 'b', 'f'])?.parse::<usize>().ok()
    });
    let bytes = bits.next_back()?.checked_div(8)?;
    match text.split_once('[') {
        Some((_, count)) => bytes.checked_mul(count.split_once(']')?.0.parse().ok()?),
        None => Some(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{cuda_sources, cuda_variants};

    /// What launches pass, read off the code that does: pointers and addresses of 8 bytes, numbers, structs.
    const PASSED: [(&str, &[usize]); 19] = [
        ("merkle_leaves", &[8, 8, 32, 8, 8, 4, 4]),
        ("merkle_nodes", &[8, 8, 4]),
        ("escape_time", &[8, 8, 4, 4, 4, 8, 8, 8]),
        ("gemm_i8", &[8, 8, 8, 4, 4, 4, 4, 4]),
        ("gemm_i8_mma8", &[8, 8, 8, 4, 4, 4, 4, 4]),
        ("gemm_i8_mma16", &[8, 8, 8, 4, 4, 4, 4, 4]),
        ("gemm_i8_wgmma", &[8, 8, 8, 4, 4, 4, 4, 4]),
        ("gemm_i8_clean", &[8, 4, 4, 4]),
        ("gemm_i8_pack", &[8, 8, 4, 4, 4, 4]),
        ("search_segments", &[8, 304, 8, 4]),
        ("search_cells", &[8, 8, 4, 4]),
        ("mlp_i8_rows", &[8, 8, 8, 4, 4, 4, 4]),
        ("mlp_i8_biases", &[8, 8, 8, 4, 4]),
        ("mlp_i8_requantise", &[8, 8, 8, 8, 4, 4, 4, 4, 4, 4, 4]),
        ("mlp_i8_largest", &[8, 8, 4, 4]),
        ("option_risk_4", &[8, 8, 8, 48]),
        ("option_risk_8", &[8, 8, 8, 48]),
        ("option_risk_16", &[8, 8, 8, 48]),
        ("align_pairs", &[8, 8, 8, 8, 8, 8, 4, 4, 4, 4, 4, 4, 4]),
    ];

    #[test]
    fn every_function_takes_what_launches_pass() {
        let mut seen = 0;
        let mut check = |ptx: &str, function: &str| {
            let passed = PASSED.iter().find(|(name, _)| *name == function).map(|(_, passed)| passed.to_vec());
            assert!(passed.is_some(), "{function}");
            assert_eq!(parameters(ptx, function), passed, "{function}");
            seen += 1;
        };
        for source in cuda_sources() {
            source.functions.iter().for_each(|function| check(source.ptx, function));
            for variant in cuda_variants(source.kernel) {
                source.functions.iter().chain(variant.functions).for_each(|function| check(variant.ptx, function));
            }
        }
        assert!(seen >= PASSED.len(), "{seen}");
        assert_eq!(size_of::<crate::option_risk::Launch>(), 48);
        assert_eq!(
            parameters(".visible .entry one(\n\t.param .align 8 .b16 a[3],\n\t.param .f64 b\n)", "one"),
            Some(vec![6, 8])
        );
        assert_eq!(parameters("", "one"), None);
    }
}
