//! What a job asks for, worked out before anything is sent: parameters, padded inputs, how it is cut into shards.

pub mod alignment;
pub mod network;
pub mod risk;
pub mod search;

use crate::{
    error::{CliError, Result},
    npy::Matrix,
};
use assay_kernels::{
    abi::Geometry,
    escape_time, gemm_i8,
    hash::Hash,
    kernel::Kernel,
    merkle::{CHUNK_BYTES, Tree},
    registry::AnyKernel,
};

/// Most bytes of the inputs of one job that this program prepares in memory.
pub(crate) const MAX_INPUT_BYTES: u64 = 8 << 30;

/// One input: its bytes, padded to whole chunks, and the root that names them.
#[derive(Clone, Debug)]
pub struct Input {
    /// RFC 6962 root over chunks of 1,024 bytes.
    pub root: Hash,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A job, except for its price.
#[derive(Clone, Debug)]
pub struct Work {
    /// The kernel.
    pub kernel: AnyKernel,
    /// Its parameters.
    pub params: Vec<u8>,
    /// The inputs, in the kernel's order.
    pub inputs: Vec<Input>,
    /// Leaves of the job.
    pub leaves: u64,
    /// Leaves of a shard.
    pub shard_leaves: u64,
    /// Shards.
    pub shards: u32,
}

impl Input {
    /// Of bytes that are a whole number of chunks.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { root: Tree::from_bytes(&bytes, CHUNK_BYTES, None).root(), bytes }
    }
}

/// Shards where nobody says how many.
const SHARDS: u32 = 4;

/// How many shards are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shards {
    /// Four, or as many as there can be.
    #[default]
    Some,
    /// Not more than this, and about as many: an error where there can't be.
    About(u32),
}

impl From<u32> for Shards {
    fn from(wanted: u32) -> Self {
        Self::About(wanted)
    }
}

impl From<Option<u32>> for Shards {
    fn from(wanted: Option<u32>) -> Self {
        wanted.map_or(Self::Some, Self::About)
    }
}

impl Shards {
    /// The number, where there can be 1 to `most`.
    ///
    /// # Errors
    /// None or more than `most` are wanted. `what` can be cut into so many.
    pub fn within(self, most: u64, what: &str) -> Result<u32> {
        match self {
            Self::Some => Ok(u32::try_from(most).unwrap_or(SHARDS).min(SHARDS)),
            Self::About(wanted) if wanted > 0 && u64::from(wanted) <= most => Ok(wanted),
            Self::About(wanted) => Err(CliError::usage(format!(
                "{what} can be cut into 1 to {most} shards, not {wanted}. Nothing was sent or paid."
            ))),
        }
    }
}

pub(crate) fn refused(kernel: AnyKernel, error: &dyn std::fmt::Display) -> CliError {
    CliError::usage(format!("{} can't compute this: {error}. Nothing was sent or paid.", kernel.name()))
}

impl Work {
    /// A job of any kernel.
    ///
    /// # Errors
    /// Params that the kernel does not have, or shards that the job can't be cut into. Inputs are taken as they are.
    pub fn new(kernel: AnyKernel, params: Vec<u8>, inputs: Vec<Input>, shards: Shards) -> Result<Self> {
        let geometry = kernel.geometry(&params).map_err(|e| refused(kernel, &e))?;
        let leaves =
            geometry.leaves().ok_or_else(|| CliError::internal("a job with more leaves than can be counted"))?;
        let shard_leaves = cut(&geometry, leaves, shards)?;
        let shards = u32::try_from(leaves.div_ceil(shard_leaves)).map_err(|_| CliError::usage("too many shards"))?;
        Ok(Self { kernel, params, inputs, leaves, shard_leaves, shards })
    }

    /// An escape-time image in about this many shards.
    ///
    /// # Errors
    /// An image that the kernel does not compute, or shards that it can't be cut into.
    pub fn image(params: &escape_time::Params, shards: impl Into<Shards>) -> Result<Self> {
        Self::new(AnyKernel::EscapeTime, params.to_bytes().to_vec(), Vec::new(), shards.into())
    }

    /// The product of two int8 matrices in about this many shards.
    ///
    /// # Errors
    /// Matrices that don't fit together (exit code 3), a product that the kernel does not compute, or shards that it
    /// can't be cut into.
    pub fn product(a: &Matrix<i8>, b: &Matrix<i8>, shards: impl Into<Shards>) -> Result<Self> {
        if a.columns != b.rows {
            let text = format!(
                "A is {} x {} and B is {} x {}: A must have as many columns as B has rows. Nothing was sent or paid.",
                a.rows, a.columns, b.rows, b.columns
            );
            return Err(CliError::file("wrong-shape", text));
        }
        let params = gemm_i8::Params { m: a.rows, n: b.columns, k: a.columns };
        let bytes = params.to_bytes().to_vec();
        gemm_i8::GemmI8::parse(&bytes).map_err(|e| refused(AnyKernel::GemmI8, &e))?;
        let all_rows = u64::from(params.m).saturating_add(u64::from(params.n));
        if all_rows.saturating_mul(params.row_bytes()) > MAX_INPUT_BYTES {
            return Err(CliError::file(
                "file-too-large",
                format!(
                    "the padded inputs have more than {MAX_INPUT_BYTES} bytes. Nothing was sent or paid. Cut the product into several jobs."
                ),
            ));
        }
        let inputs = vec![padded_rows(a), padded_rows(&b.transposed())];
        Self::new(AnyKernel::GemmI8, bytes, inputs, shards.into())
    }

    /// Bytes of the whole result.
    pub fn result_bytes(&self) -> u64 {
        self.kernel.geometry(&self.params).ok().and_then(|g| g.bytes()).unwrap_or(0)
    }
}

/// Leaves of a shard so that there are about `shards` of them, cut where the kernel allows.
fn cut(geometry: &Geometry, leaves: u64, shards: Shards) -> Result<u64> {
    let align = geometry.shard_align.max(1);
    let shards = shards.within(leaves.div_ceil(align), &format!("this job of {leaves} leaves"))?;
    Ok(leaves.div_ceil(u64::from(shards)).next_multiple_of(align))
}

/// The rows, each padded with zeros to whole chunks.
fn padded_rows(matrix: &Matrix<i8>) -> Input {
    let width = usize::try_from(matrix.columns).unwrap_or(usize::MAX).max(1);
    let padded = width.next_multiple_of(CHUNK_BYTES);
    let rows = usize::try_from(matrix.rows).unwrap_or(usize::MAX);
    let mut bytes = vec![0u8; rows.saturating_mul(padded)];
    for (to, from) in bytes.chunks_mut(padded).zip(matrix.data.chunks(width)) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from.cast_unsigned();
        }
    }
    Input::new(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: u32, columns: u32) -> Matrix<i8> {
        let data = (0..rows * columns).map(|i| (i % 251) as u8 as i8).collect();
        Matrix { rows, columns, data }
    }

    #[test]
    fn rows_are_padded_to_chunks() {
        let work = Work::product(&matrix(3, 1_025), &matrix(1_025, 2), 1).unwrap();
        let [a, b] = work.inputs.as_slice() else { panic!("two inputs") };
        assert_eq!((a.bytes.len(), b.bytes.len()), (3 * 2_048, 2 * 2_048));
        assert_eq!(a.bytes[2_048], matrix(3, 1_025).data[1_025] as u8, "row 1 begins at a chunk");
        assert!(a.bytes[1_025..2_048].iter().all(|byte| *byte == 0));
        assert_eq!(b.bytes[1], matrix(1_025, 2).data[2] as u8, "B is turned: its first column is a row");
    }

    #[test]
    fn the_demo_cuts_at_rows() {
        let params = escape_time::Params { width: 1920, height: 1080, max_iter: 10, x0: 0, y0: 0, step: 1 };
        let work = Work::image(&params, 8).unwrap();
        assert_eq!((work.leaves, work.shard_leaves, work.shards), (32_400, 4_050, 8));
        assert_eq!(work.result_bytes(), 1920 * 1080 * 4);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = Work::product(&matrix(3, 4), &matrix(3, 4), 1).unwrap_err();
        assert_eq!((error.code.as_str(), error.exit as u8), ("wrong-shape", 3));
        let params = escape_time::Params { width: 16, height: 8, max_iter: 10, x0: 0, y0: 0, step: 1 };
        assert_eq!(Work::image(&params, 0).unwrap_err().exit as u8, 2);
        assert_eq!(Work::image(&params, 3).unwrap_err().exit as u8, 2);
        assert_eq!(Work::image(&params, None).unwrap().shards, 2, "as many as there can be");
        let too_deep = escape_time::Params { max_iter: 1 << 20, ..params };
        assert_eq!(Work::image(&too_deep, 1).unwrap_err().exit as u8, 2);
    }
}
