//! mlp_i8.cu on CPU threads.

unsafe extern "C" {
    fn host_mlp_i8_layer(
        grid_x: u32,
        grid_y: u32,
        sums: *mut i32,
        next: *mut i8,
        values: *const i32,
        weights: *const i32,
        weights_at: u64,
        value_words: u32,
        weight_words: u32,
        next_words: u32,
        k: u32,
        n: u32,
        samples: u32,
        multiplier: i32,
        shift: i32,
        low: i32,
    );
    fn host_mlp_i8_largest(grid: u32, block: u32, out: *mut u16, sums: *const i32, n: u32, samples: u32);
}

/// A dense layer as mlp_i8.cu takes it; rows are words of four bytes.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// A row for each sample.
    pub values: &'a [i32],
    /// Weights of all layers, a row for each neuron.
    pub weights: &'a [i32],
    /// Word of them with which the layer's begin.
    pub weights_at: u64,
    /// Words of a row of values.
    pub value_words: u32,
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

/// The layer's sums and the next layer's values, by mlp_i8.cu in tiles of 64 x 64; `None` when a slice is too short.
pub fn mlp_i8_layer(layer: Layer) -> Option<(Vec<i32>, Vec<i8>)> {
    let words = |rows: u32, of: u32| usize::try_from(u64::from(rows).checked_mul(u64::from(of))?).ok();
    let weights = layer.weights.get(usize::try_from(layer.weights_at).ok()?..)?;
    let short = layer.values.len() < words(layer.samples, layer.value_words)?
        || weights.len() < words(layer.n, layer.weight_words)?
        || layer.k.div_ceil(4) > layer.value_words
        || layer.k.div_ceil(4) >= layer.weight_words
        || !(0..=31).contains(&layer.shift);
    if short {
        return None;
    }
    let mut sums = vec![i32::MIN; words(layer.samples, layer.n)?];
    let mut next = vec![0; words(layer.samples, layer.next_words)?.checked_mul(4)?];
    // SAFETY: the kernel reads `samples` rows of values and n of weights, checked above, and writes `samples` rows of n
    // sums and of `next_words` words.
    unsafe {
        host_mlp_i8_layer(
            layer.n.div_ceil(64),
            layer.samples.div_ceil(64),
            sums.as_mut_ptr(),
            next.as_mut_ptr(),
            layer.values.as_ptr(),
            layer.weights.as_ptr(),
            layer.weights_at,
            layer.value_words,
            layer.weight_words,
            layer.next_words,
            layer.k,
            layer.n,
            layer.samples,
            layer.multiplier,
            layer.shift,
            layer.low,
        );
    }
    Some((sums, next))
}

/// Number of the largest of each `n` sums, by mlp_i8.cu; `None` without sums.
pub fn mlp_i8_largest(sums: &[i32], n: u32) -> Option<Vec<u16>> {
    let samples = u32::try_from(sums.len().checked_div(usize::try_from(n).ok()?)?).ok()?;
    let mut out = vec![u16::MAX; usize::try_from(samples).ok()?];
    // SAFETY: the kernel reads `samples` times n sums and writes `samples` numbers.
    unsafe { host_mlp_i8_largest(samples.div_ceil(128), 128, out.as_mut_ptr(), sums.as_ptr(), n, samples) };
    Some(out)
}
