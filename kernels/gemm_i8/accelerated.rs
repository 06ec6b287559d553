//! `gemm_i8` on a graphics card; what runs on all cores is in [`super::cpu`].

use core::ops::Range;

use super::{ELEMENTS_PER_LEAF, GemmI8, Params, card, cpu};
use crate::executor::{Accelerated, CudaSource, CudaVariant, ExecError, Gpu, Inputs};
use crate::kernel::Kernel;

/// What newer cards have besides: their own tensor cores.
const VARIANTS: [CudaVariant; 2] = [
    CudaVariant {
        arch: "compute_80",
        capability: (8, 0),
        exact: false,
        functions: &["gemm_i8_mma16"],
        ptx: include_str!("gemm_i8.compute_80.ptx"),
    },
    CudaVariant {
        arch: "compute_90a",
        capability: (9, 0),
        exact: true,
        functions: &["gemm_i8_mma16", "gemm_i8_wgmma"],
        ptx: include_str!("gemm_i8.compute_90a.ptx"),
    },
];

/// Elements of `leaves` in a job with these params.
fn elements(params: &Params, leaves: &Range<u64>) -> Range<u64> {
    let before = |leaf: u64| leaf.saturating_mul(u64::from(ELEMENTS_PER_LEAF)).min(params.elements());
    before(leaves.start)..before(leaves.end)
}

impl Accelerated for GemmI8 {
    fn cuda_source(&self) -> CudaSource {
        CudaSource {
            kernel: Self::ID,
            name: Self::NAME,
            functions: &["gemm_i8", "gemm_i8_clean", "gemm_i8_mma8", "gemm_i8_pack"],
            cu: include_str!("gemm_i8.cu"),
            ptx: include_str!("gemm_i8.ptx"),
        }
    }

    fn cuda_variants(&self) -> &'static [CudaVariant] {
        &VARIANTS
    }

    fn cpu(&self, params: &[u8], inputs: &Inputs, leaves: Range<u64>, out: &mut [u8]) -> Result<(), ExecError> {
        let params = Self::parse(params)?;
        let [a, b, ..] = inputs.inputs;
        cpu::multiply(&params, a, b, elements(&params, &leaves), out)
    }

    fn cuda(
        &self,
        gpu: &Gpu,
        params: &[u8],
        inputs: &Inputs,
        leaves: Range<u64>,
        out: &mut [u8],
    ) -> Result<(), ExecError> {
        let params = Self::parse(params)?;
        let [a, b, ..] = inputs.inputs;
        card::multiply(gpu, &params, [a, b], elements(&params, &leaves), out)
    }
}

/// `len` bytes of an input from `start` on.
pub(crate) fn slice(input: &[u8], start: u64, len: u64) -> Result<&[u8], ExecError> {
    let (start, len) = (usize::try_from(start), usize::try_from(len));
    match (start, len) {
        (Ok(start), Ok(len)) => input.get(start..).and_then(|rest| rest.get(..len)).ok_or(ExecError::LeafRange),
        _ => Err(ExecError::LeafRange),
    }
}
