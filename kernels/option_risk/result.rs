//! What a result says: values of the paths, the price they give, value at risk and expected shortfall.

use super::Params;

/// Percents of the paths on which the loss is not above the value at risk.
pub const LEVELS: [u8; 2] = [95, 99];

/// A mean over paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// How far it is from the true one in about two of three cases.
    pub standard_error: f64,
}

/// Losses at a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    /// Percent.
    pub level: u8,
    /// The least of the worst 100 - `level` percent of losses.
    pub value_at_risk: f64,
    /// Their mean.
    pub expected_shortfall: f64,
}

/// What a portfolio is worth and what it may lose, in the model's units of money.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Risk {
    /// Paths.
    pub paths: u64,
    /// Discounted value.
    pub value: Estimate,
    /// Losses, at each of [`LEVELS`].
    pub losses: [Losses; 2],
}

/// The cells of a whole result; `None` when these are not its bytes.
fn cells<'a>(params: &Params, result: &'a [u8]) -> Option<impl Iterator<Item = &'a [[u8; 8]]> + use<'a>> {
    let (words, rest) = result.as_chunks::<8>();
    let per_cell = params.cell_words();
    let whole = params.cells.checked_mul(u64::from(per_cell)) == Some(words.len() as u64) && rest.is_empty();
    whole.then(|| words.chunks_exact(per_cell.max(1) as usize))
}

/// The portfolio's value on each path, [`Params::value_bits`] fractional bits; `None` when this is not a whole result.
pub fn values(params: &Params, result: &[u8]) -> Option<Vec<i64>> {
    let count = usize::from(params.paths);
    let of =
        |cell: &[[u8; 8]]| cell.iter().skip(1).take(count).map(|word| i64::from_le_bytes(*word)).collect::<Vec<_>>();
    Some(cells(params, result)?.flat_map(of).collect())
}

/// For each cell and each position, the sum of its payoffs, 20 fractional bits, neither discounted nor times a quantity; none
/// unless they were asked for. `None` when this is not a whole result.
pub fn sums(params: &Params, result: &[u8]) -> Option<Vec<i64>> {
    let skip = usize::from(params.paths).saturating_add(1);
    Some(cells(params, result)?.flat_map(|cell| cell.iter().skip(skip).map(|word| i64::from_le_bytes(*word))).collect())
}

/// The mean of what each position pays, not discounted, in the units of prices. The error comes from how the cells differ, so
/// it is known for two cells or more. Empty unless the sums were asked for.
pub fn payoffs(params: &Params, result: &[u8]) -> Option<Vec<Estimate>> {
    let sums = sums(params, result)?;
    let positions = usize::from(params.positions);
    let per_cell = f64::from(params.paths);
    let column = |at: usize| sums.iter().skip(at).step_by(positions.max(1)).copied();
    let count = if sums.is_empty() { 0 } else { positions };
    Some((0..count).map(|at| estimate(column(at), scale(20) / per_cell)).collect())
}

fn scale(bits: u8) -> f64 {
    f64::exp2(-f64::from(bits))
}

/// Of numbers that are to be multiplied by `scale`. Their sum is exact.
fn estimate(numbers: impl Iterator<Item = i64> + Clone, scale: f64) -> Estimate {
    let (count, sum) =
        numbers.clone().fold((0u64, 0i128), |(n, sum), x| (n.saturating_add(1), sum.saturating_add(i128::from(x))));
    let count = count as f64;
    let mean = sum as f64 / count;
    let squares: f64 = numbers.map(|x| (x as f64 - mean).powi(2)).sum();
    Estimate { mean: mean * scale, standard_error: (squares / (count - 1.0).max(1.0) / count).sqrt() * scale }
}

/// The cells of the job that have the least and the largest value, with it: `None` when this is not a whole result. A forged
/// value that moves the mean is one of them.
pub fn extremes(params: &Params, result: &[u8]) -> Option<[(u64, i64); 2]> {
    let values = values(params, result)?;
    let numbered = || (0u64..).zip(values.iter().copied());
    let (least, most) = (numbered().min_by_key(|(_, value)| *value)?, numbered().max_by_key(|(_, value)| *value)?);
    let cell = |(path, value): (u64, i64)| (path.checked_div(u64::from(params.paths)).unwrap_or(0), value);
    Some([cell(least), cell(most)])
}

/// What a whole result says; `None` when it is none.
pub fn risk(params: &Params, result: &[u8]) -> Option<Risk> {
    let mut values = values(params, result)?;
    let scale = scale(params.value_bits);
    let value = estimate(values.iter().copied(), scale);
    let from = if params.has(super::REFERENCE) { params.reference as f64 * scale } else { value.mean };
    values.sort_unstable();
    let paths = values.len() as u64;
    let losses = LEVELS.map(|level| {
        let share = u64::from(100u8.saturating_sub(level));
        let worst = paths.saturating_mul(share).div_ceil(100);
        let worst = values.get(..usize::try_from(worst).unwrap_or(usize::MAX)).unwrap_or(&values);
        let edge = worst.last().map_or(0.0, |value| *value as f64 * scale);
        let mean = estimate(worst.iter().copied(), scale).mean;
        Losses { level, value_at_risk: from - edge, expected_shortfall: from - mean }
    });
    Some(Risk { paths, value, losses })
}
