//! mlp_i8.cu on CPU threads; the products between its launches are gemm_i8.cu's.

use assay_kernels::gemm_i8::Entry;

use super::gemm::product;

unsafe extern "C" {
    fn host_mlp_i8_rows(to: *mut u32, from: *const u32, at: u64, from_words: u32, to_words: u32, k: u32, rows: u32);
    fn host_mlp_i8_biases(to: *mut i32, weights: *const i32, weights_at: u64, weight_words: u32, n: u32);
    fn host_mlp_i8_requantise(
        threads: u64,
        sums: *mut i32,
        next: *mut u32,
        products: *const i32,
        biases: *const i32,
        n: u32,
        stride: u32,
        next_words: u32,
        samples: u32,
        multiplier: i32,
        shift: i32,
        low: i32,
    );
    fn host_mlp_i8_largest(out: *mut u16, sums: *const i32, n: u32, samples: u32);
}

/// A dense layer as mlp_i8.cu takes it; rows are words of four bytes.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// Weights of all layers, a row for each neuron.
    pub weights: &'a [u32],
    /// Word of them with which the layer's begin.
    pub weights_at: u64,
    /// Words of a row of weights, the bias in the last.
    pub weight_words: u32,
    /// Words of a row of the next layer's values, 0 for none.
    pub next_words: u32,
    /// Bytes of a row that count.
    pub k: u32,
    /// Neurons.
    pub n: u32,
    /// Samples.
    pub samples: u32,
    /// Multiplier of the requantisation.
    pub multiplier: i32,
    /// Its shift.
    pub shift: i32,
    /// Its least value.
    pub low: i32,
}

fn words(rows: u32, of: u32) -> Option<usize> {
    usize::try_from(u64::from(rows).checked_mul(u64::from(of))?).ok()
}

/// Rows as the products take them: `to_words` words, zeros behind k bytes; `None` when a slice is too short.
pub fn mlp_i8_rows(from: &[u32], at: u64, from_words: u32, to_words: u32, k: u32, rows: u32) -> Option<Vec<u32>> {
    let there = from.get(usize::try_from(at).ok()?..)?;
    if there.len() < words(rows, from_words)? || k.div_ceil(4) > from_words.min(to_words) {
        return None;
    }
    // Nothing may depend on what memory holds at first.
    let mut to = vec![0xa5a5_a5a5; words(rows, to_words)?];
    // SAFETY: the kernel reads k bytes of each row and writes `rows` rows, checked above.
    unsafe { host_mlp_i8_rows(to.as_mut_ptr(), from.as_ptr(), at, from_words, to_words, k, rows) };
    Some(to)
}

/// The layer's sums and the next layer's rows, of rows of values; `None` when a slice is too short.
pub fn mlp_i8_layer(entry: Entry, layer: Layer, values: &[u32]) -> Option<(Vec<i32>, Vec<u32>)> {
    let Layer { weights, weights_at, weight_words, next_words, k, n, samples, multiplier, shift, low } = layer;
    let row_words = k.next_multiple_of(128) / 4;
    let there = weights.get(usize::try_from(weights_at).ok()?..)?;
    let short = values.len() < words(samples, row_words)?
        || there.len() < words(n, weight_words)?
        || k.div_ceil(4) >= weight_words
        || !(0..=31).contains(&shift);
    if short {
        return None;
    }
    let rows = mlp_i8_rows(weights, weights_at, weight_words, row_words, k, n)?;
    let mut biases = vec![i32::MIN; words(n, 1)?];
    // SAFETY: the kernel reads n rows of weights, checked above, and writes n numbers.
    unsafe { host_mlp_i8_biases(biases.as_mut_ptr(), weights.as_ptr().cast(), weights_at, weight_words, n) };
    let stride = n.next_multiple_of(4);
    let products = product(entry, values, &rows, k, samples, n)?;
    let mut sums = vec![i32::MIN; words(samples, n)?];
    let mut next = vec![0xa5a5_a5a5; words(samples, next_words)?];
    let threads = u64::from(samples).saturating_mul(next_words.max(stride / 4).into());
    // SAFETY: the kernel reads `samples` rows of products and n biases, and writes `samples` rows of n sums and of
    // `next_words` words.
    unsafe {
        host_mlp_i8_requantise(
            threads,
            sums.as_mut_ptr(),
            next.as_mut_ptr(),
            products.as_ptr(),
            biases.as_ptr(),
            n,
            stride,
            next_words,
            samples,
            multiplier,
            shift,
            low,
        );
    }
    Some((sums, next))
}

/// Number of the largest of each `n` sums, by mlp_i8.cu; `None` without sums.
pub fn mlp_i8_largest(sums: &[i32], n: u32) -> Option<Vec<u16>> {
    let samples = u32::try_from(sums.len().checked_div(usize::try_from(n).ok()?)?).ok()?;
    let mut out = vec![u16::MAX; usize::try_from(samples).ok()?];
    // SAFETY: the kernel reads `samples` times n sums and writes `samples` numbers.
    unsafe { host_mlp_i8_largest(out.as_mut_ptr(), sums.as_ptr(), n, samples) };
    Some(out)
}
