//! What a job asks for, worked out before anything is sent: parameters, padded inputs, how it is cut into shards.

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
const MAX_INPUT_BYTES: u64 = 8 << 30;

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

fn refused(kernel: AnyKernel, error: &dyn std::fmt::Display) -> CliError {
    CliError::usage(format!("{} can't compute this: {error}. Nothing was sent or paid.", kernel.name()))
}

impl Work {
    fn new(kernel: AnyKernel, params: Vec<u8>, inputs: Vec<Input>, wanted_shards: u32) -> Result<Self> {
        let geometry = kernel.geometry(&params).map_err(|e| refused(kernel, &e))?;
        let leaves =
            geometry.leaves().ok_or_else(|| CliError::internal("a job with more leaves than can be counted"))?;
        let shard_leaves = cut(&geometry, leaves, wanted_shards)?;
        let shards = u32::try_from(leaves.div_ceil(shard_leaves)).map_err(|_| CliError::usage("too many shards"))?;
        Ok(Self { kernel, params, inputs, leaves, shard_leaves, shards })
    }

    /// An escape-time image in about this many shards.
    ///
    /// # Errors
    /// An image that the kernel does not compute, or shards that it can't be cut into.
    pub fn image(params: &escape_time::Params, shards: u32) -> Result<Self> {
        Self::new(AnyKernel::EscapeTime, params.to_bytes().to_vec(), Vec::new(), shards)
    }

    /// The product of two int8 matrices in about this many shards.
    ///
    /// # Errors
    /// Matrices that don't fit together (exit code 3), a product that the kernel does not compute, or shards that it
    /// can't be cut into.
    pub fn product(a: &Matrix<i8>, b: &Matrix<i8>, shards: u32) -> Result<Self> {
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
        Self::new(AnyKernel::GemmI8, bytes, inputs, shards)
    }

    /// Bytes of the whole result.
    pub fn result_bytes(&self) -> u64 {
        self.kernel.geometry(&self.params).ok().and_then(|g| g.bytes()).unwrap_or(0)
    }
}

/// Leaves of a shard so that there are about `shards` of them, cut where the kernel allows.
fn cut(geometry: &Geometry, leaves: u64, shards: u32) -> Result<u64> {
    if shards == 0 || u64::from(shards) > leaves {
        return Err(CliError::usage(format!(
            "this job has {leaves} leaves and can be cut into 1 to {leaves} shards, not {shards}. Nothing was sent or paid."
        )));
    }
    let even = leaves.div_ceil(u64::from(shards));
    Ok(even.next_multiple_of(geometry.shard_align.max(1)))
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
    Input { root: Tree::from_bytes(&bytes, CHUNK_BYTES, None).root(), bytes }
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
        assert_eq!((work.leaves, work.shard_leaves, work.shards), (16_200, 2_025, 8));
        assert_eq!(work.result_bytes(), 1920 * 1080 * 2);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = Work::product(&matrix(3, 4), &matrix(3, 4), 1).unwrap_err();
        assert_eq!((error.code.as_str(), error.exit as u8), ("wrong-shape", 3));
        let params = escape_time::Params { width: 16, height: 16, max_iter: 10, x0: 0, y0: 0, step: 1 };
        assert_eq!(Work::image(&params, 0).unwrap_err().exit as u8, 2);
        assert_eq!(Work::image(&params, 3).unwrap_err().exit as u8, 2);
        let too_deep = escape_time::Params { max_iter: 1 << 20, ..params };
        assert_eq!(Work::image(&too_deep, 1).unwrap_err().exit as u8, 2);
    }
}
