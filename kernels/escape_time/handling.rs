//! `escape_time` in the hands of workers and renters: iterations as work, and the colours of a picture.

use std::borrow::Cow;

use super::{EscapeTime, FRACTION_BITS, MAX_ITER, Params};
use crate::abi::ParamError;
use crate::handling::{Format, Handling, Part, Trial, doubled};
use crate::kernel::Kernel;
use crate::random::Random;

/// Colours of the palette; the last one is for points that never escaped.
const COLOURS: usize = 256;

impl Handling for EscapeTime {
    /// Iterations, at most: how many it will be is not known before.
    fn work_of_cost_one(&self, params: &[u8]) -> Result<u64, ParamError> {
        Ok(u64::from(Self::parse(params)?.max_iter))
    }

    fn trial(&self, size: u32) -> Option<Trial> {
        // All of it inside the set, where every pixel takes all iterations.
        let height = doubled(16, size, 4_096)?;
        let image = Params { width: 512, height, max_iter: 1_024, x0: 0, y0: 0, step: 1 };
        Some(Trial::new(image.to_bytes(), []))
    }

    fn checks(&self) -> Vec<Trial> {
        let image = Params {
            width: 61,
            height: 37,
            max_iter: 500,
            x0: -(2 << FRACTION_BITS),
            y0: -(5 << (FRACTION_BITS - 2)),
            step: 13_191_017,
        };
        vec![Trial::new(image.to_bytes(), [])]
    }

    fn random(&self, random: &mut Random) -> Option<Vec<u8>> {
        let (width, height) = (random.small(1, 1_000) as u32, random.small(1, 1_000) as u32);
        let max_iter = random.small(1, u64::from(MAX_ITER)) as u32;
        // A square around the set or somewhere in it, at any zoom.
        let side = random.small(1, 4 << FRACTION_BITS);
        let step = side.checked_div(u64::from(width.max(height)))?.max(1) as i64;
        let mut corner = || random.between(0, (4 << FRACTION_BITS) - 1) as i64;
        let (x0, y0) = (corner().wrapping_sub(5 << (FRACTION_BITS - 1)), corner().wrapping_sub(2 << FRACTION_BITS));
        let image = Params { width, height, max_iter, x0, y0, step }.to_bytes();
        Self::parse(&image).is_ok().then(|| image.to_vec())
    }

    fn parts(&self, params: &[u8]) -> Result<Vec<Part>, ParamError> {
        let Params { width, height, .. } = Self::parse(params)?;
        let shape = vec![u64::from(height), u64::from(width)];
        Ok(vec![
            Part::new("picture", Format::Picture { width, height, palette: palette() }),
            Part::new("counts", Format::Array { dtype: "<u2", shape }),
        ])
    }

    fn content<'a>(&self, params: &[u8], part: &str, result: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let params = Self::parse(params).ok()?;
        let (counts, []) = result.as_chunks::<2>() else { return None };
        if counts.len() as u64 != params.pixels() {
            return None;
        }
        match part {
            "picture" => {
                let colour = |count: &[u8; 2]| colour_of(u16::from_le_bytes(*count), params.max_iter);
                Some(counts.iter().map(colour).collect())
            }
            "counts" => Some(result.into()),
            _ => None,
        }
    }
}

/// The palette index of a count. Bands get wider with the count, as neighbouring counts lie closer there.
fn colour_of(count: u16, max_iter: u32) -> u8 {
    if u32::from(count) >= max_iter {
        return u8::MAX;
    }
    let turns = f32::from(count).sqrt() * 12.0;
    // A remainder below 255 of a number that is not negative: the cast cuts off the fraction.
    (turns % 255.0) as u8
}

/// Night blue, teal, sand, rust and back; black at the end.
fn palette() -> Vec<[u8; 3]> {
    const STOPS: [[f32; 3]; 6] = [
        [6.0, 12.0, 48.0],
        [20.0, 96.0, 150.0],
        [120.0, 205.0, 200.0],
        [250.0, 240.0, 205.0],
        [232.0, 140.0, 60.0],
        [96.0, 24.0, 40.0],
    ];
    let mut colours = Vec::with_capacity(COLOURS);
    for index in 0..255u16 {
        let at = f32::from(index) / 255.0 * 6.0;
        let from = at as usize;
        let part = at.fract();
        let (Some(a), Some(b)) = (STOPS.get(from % 6), STOPS.get(from.wrapping_add(1) % 6)) else { continue };
        // Eased, so that no stop shows as an edge.
        let eased = part * part * (3.0 - 2.0 * part);
        let mut colour = [0; 3];
        for (to, (a, b)) in colour.iter_mut().zip(a.iter().zip(b)) {
            *to = (a + (b - a) * eased) as u8;
        }
        colours.push(colour);
    }
    colours.push([4, 4, 10]);
    colours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_that_never_escape_have_a_colour_of_their_own() {
        assert_eq!(palette().len(), COLOURS);
        let params = Params { width: 3, height: 2, max_iter: 100, x0: 0, y0: 0, step: 1 }.to_bytes();
        let counts: Vec<u8> = [0u16, 1, 99, 100, 50, 7].iter().flat_map(|c| c.to_le_bytes()).collect();
        let pixels = EscapeTime.content(&params, "picture", &counts).unwrap();
        assert_eq!(pixels[3], u8::MAX);
        assert!(pixels.iter().enumerate().all(|(i, colour)| (*colour == u8::MAX) == (i == 3)));
    }
}
