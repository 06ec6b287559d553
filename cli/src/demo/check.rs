//! The demo's own arithmetic, which shares nothing with what the providers ran: whether the fetched results are right.

use crate::{
    error::{CliError, Result},
    npy::Matrix,
};
use assay_kernels::{
    escape_time::{EscapeTime, Params},
    executor::{Inputs, reference_leaf},
    kernel::Kernel,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Two random int8 matrices of `size` x `size`.
pub fn matrices(seed: u64, size: u32) -> [Matrix<i8>; 2] {
    let mut rng = StdRng::seed_from_u64(seed);
    let elements = u64::from(size).saturating_mul(u64::from(size));
    [(); 2].map(|()| Matrix { rows: size, columns: size, data: (0..elements).map(|_| rng.random::<i8>()).collect() })
}

/// A x B in plain i32 loops, as little-endian bytes row by row. Exact: |sum| <= 128 x 128 x columns, below 2^31 for up
/// to 131,071 columns.
pub fn product(a: &Matrix<i8>, b: &Matrix<i8>) -> Vec<u8> {
    let (inner, width) = (a.columns as usize, b.columns as usize);
    let rows: Vec<&[i8]> = a.data.chunks(inner.max(1)).collect();
    on_all_cores(&rows, |row| {
        let mut sums = vec![0i32; width];
        for (x, line) in row.iter().zip(b.data.chunks(width.max(1))) {
            for (sum, y) in sums.iter_mut().zip(line) {
                *sum = sum.wrapping_add(i32::from(*x).wrapping_mul(i32::from(*y)));
            }
        }
        sums.iter().flat_map(|sum| sum.to_le_bytes()).collect()
    })
}

/// The picture by the reference that defines the kernel, leaf by leaf.
///
/// # Errors
/// Parameters that no picture has.
pub fn picture(params: &Params) -> Result<Vec<u8>> {
    let broken =
        |e: &dyn std::fmt::Display| CliError::internal(format!("the reference can't compute the picture: {e}"));
    let geometry = EscapeTime::geometry(params).map_err(|e| broken(&e))?;
    let leaves: Vec<u64> = (0..geometry.leaves().unwrap_or(0)).collect();
    let bytes = params.to_bytes();
    let failed = std::sync::Mutex::new(None);
    let out = on_all_cores(&leaves, |leaf| {
        reference_leaf(EscapeTime::ID, &bytes, &Inputs::default(), *leaf).unwrap_or_else(|error| {
            *failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
            Vec::new()
        })
    });
    match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(error) => Err(broken(&error)),
        None => Ok(out),
    }
}

/// The pieces of all items, in order, computed on all cores.
fn on_all_cores<T: Sync>(items: &[T], piece: impl Fn(&T) -> Vec<u8> + Sync) -> Vec<u8> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(1);
    let piece = &piece;
    std::thread::scope(|scope| {
        let parts: Vec<_> = items
            .chunks(share)
            .map(|some| scope.spawn(move || some.iter().flat_map(piece).collect::<Vec<u8>>()))
            .collect();
        // A part that panicked leaves its bytes out, and the comparison fails.
        parts.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_by_hand() {
        let a = Matrix { rows: 2, columns: 3, data: vec![1, 2, 3, -128, 0, 127] };
        let b = Matrix { rows: 3, columns: 2, data: vec![1, -1, 2, -2, 3, -128] };
        let expected: Vec<u8> = [14i32, -389, 253, -16_128].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(product(&a, &b), expected);
    }

    #[test]
    fn the_seed_fixes_the_matrices() {
        assert_eq!(matrices(7, 16), matrices(7, 16));
        assert_ne!(matrices(7, 16), matrices(8, 16));
        let [a, b] = matrices(7, 16);
        assert_ne!(a, b);
    }

    #[test]
    fn the_reference_picture_has_every_pixel() {
        let params = Params { width: 33, height: 9, max_iter: 30, x0: -(1 << 29), y0: 0, step: 1 << 20 };
        let cpu = assay_kernels::executor::Cpu;
        let leaves = EscapeTime::geometry(&params).unwrap().leaves().unwrap();
        let expected =
            assay_kernels::executor::Backend::run(&cpu, 1, &params.to_bytes(), &Inputs::default(), 0..leaves).unwrap();
        assert_eq!(picture(&params).unwrap(), expected);
    }
}
