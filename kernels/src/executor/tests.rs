use super::*;
use crate::registry;

#[test]
fn every_kernel_describes_itself_within_the_abi() {
    for kernel in AnyKernel::ALL {
        let describe = kernel.describe();
        assert_eq!(describe.abi, crate::abi::ABI);
        assert_eq!(describe.kernel, kernel.id());
        assert_eq!(describe.name(), kernel.name());
        assert_eq!(AnyKernel::from_id(kernel.id()), Ok(*kernel));
        assert_eq!(AnyKernel::from_name(kernel.name()), Some(*kernel));
        assert_eq!(registry::describe(kernel.id()), Ok(describe));
        assert!(usize::from(describe.inputs) <= MAX_INPUTS);
        assert!(describe.stages >= 1 && describe.max_cost_classes >= 1 && describe.amplification_bps >= 10_000);
        assert!(describe.cell_bytes_max <= crate::abi::MAX_CELL_BYTES && describe.leaf_bytes_max <= 1024);
        assert!(describe.cell_cu_max <= 700_000 && describe.answer_transactions >= 1);
    }
    assert_eq!(registry::describe(0), Err(VerifierError::UnknownKernel));
}

#[test]
fn sources_and_ptx_have_every_function() {
    for source in cuda_sources() {
        for function in source.functions {
            // Sources may make names with macros; that the PTX is theirs is checked with NVRTC.
            assert!(source.ptx.contains(&format!(".visible .entry {function}(")), "PTX of {} is stale", source.name);
        }
        assert!(source.ptx.contains(".target sm_75"));
        for variant in cuda_variants(source.kernel) {
            for function in source.functions.iter().chain(variant.functions) {
                let entry = format!(".visible .entry {function}(");
                assert!(variant.ptx.contains(&entry), "PTX of {} for {} is stale", source.name, variant.arch);
            }
            let target = variant.arch.replace("compute_", "sm_");
            assert!(variant.ptx.contains(&format!(".target {target}\n")));
            assert!(variant.runs_on(variant.capability) && !variant.runs_on((7, 5)));
            assert_eq!(variant.runs_on((99, 0)), !variant.exact);
        }
    }
}

#[test]
fn a_card_works_or_there_is_a_finding() {
    match Cuda::probe() {
        Ok(card) => assert!(!card.name().starts_with("CPU")),
        Err(finding) => assert!(!finding.problem.is_empty() && !finding.remedy.is_empty()),
    }
}
