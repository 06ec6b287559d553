//! `gemm_i8` in the hands of workers and renters: multiplications as work, an int32 matrix as result.

use std::borrow::Cow;

use super::{ELEMENT_BYTES, GemmI8, MAX_K, Params};
use crate::abi::ParamError;
use crate::handling::{Format, Handling, Part, Trial, doubled, noise};
use crate::kernel::Kernel;
use crate::random::Random;

impl Handling for GemmI8 {
    /// Multiplications.
    fn work_of_cost_one(&self, params: &[u8]) -> Result<u64, ParamError> {
        Ok(u64::from(Self::parse(params)?.k))
    }

    fn trial(&self, size: u32) -> Option<Trial> {
        let rows = doubled(16, size, 4_096)?;
        let product = Params { m: rows, n: rows, k: 1_024 };
        let input = vec![3; usize::try_from(u64::from(rows).checked_mul(product.row_bytes())?).ok()?];
        Some(Trial::new(product.to_bytes(), [input.clone(), input]))
    }

    fn checks(&self) -> Vec<Trial> {
        let product = Params { m: 67, n: 70, k: 1027 };
        let rows = |rows: u32, seed: u64| noise(u64::from(rows).saturating_mul(product.row_bytes()), seed);
        vec![Trial::new(product.to_bytes(), [rows(product.m, 1), rows(product.n, 2)])]
    }

    fn random(&self, random: &mut Random) -> Option<Vec<u8>> {
        // Sides at and around the sizes of tiles, rows of whole words and not, and now and then a long one.
        let side = |random: &mut Random| {
            let side = random.small(1, 600) as u32;
            if random.once_in(3) { side.next_multiple_of(16) } else { side }
        };
        let (m, n) = (side(random), side(random));
        let k =
            if random.once_in(16) { random.between(32_700, u64::from(MAX_K)) } else { random.small(1, 4_100) } as u32;
        let k = if random.once_in(3) { k.next_multiple_of(64).min(MAX_K) } else { k };
        Some(Params { m, n, k }.to_bytes().to_vec())
    }

    fn parts(&self, params: &[u8]) -> Result<Vec<Part>, ParamError> {
        let Params { m, n, .. } = Self::parse(params)?;
        Ok(vec![Part::new("product", Format::Array { dtype: "<i4", shape: vec![m.into(), n.into()] })])
    }

    fn content<'a>(&self, params: &[u8], part: &str, result: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let bytes = Self::parse(params).ok()?.elements().saturating_mul(u64::from(ELEMENT_BYTES));
        (part == "product" && result.len() as u64 == bytes).then(|| result.into())
    }
}
