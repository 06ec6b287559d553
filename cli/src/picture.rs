//! Escape counts as a PNG.

use crate::error::{CliError, Result};
use assay_kernels::escape_time::Params;

/// Colours of the palette; the last one is for points that never escaped.
const COLOURS: usize = 256;

/// Draws escape counts (u16, little-endian, row by row) as an indexed PNG.
///
/// # Errors
/// Counts that are not one for each pixel.
pub fn png(params: &Params, counts: &[u8]) -> Result<Vec<u8>> {
    if counts.len() as u64 != params.pixels().saturating_mul(2) {
        return Err(CliError::internal("the picture does not have one count for each pixel"));
    }
    let pixels: Vec<u8> =
        counts.as_chunks::<2>().0.iter().map(|count| colour_of(u16::from_le_bytes(*count), params.max_iter)).collect();
    let failed = |error: png::EncodingError| CliError::internal(format!("the PNG could not be made: {error}"));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, params.width, params.height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette());
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
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
fn palette() -> Vec<u8> {
    const STOPS: [[f32; 3]; 6] = [
        [6.0, 12.0, 48.0],
        [20.0, 96.0, 150.0],
        [120.0, 205.0, 200.0],
        [250.0, 240.0, 205.0],
        [232.0, 140.0, 60.0],
        [96.0, 24.0, 40.0],
    ];
    let mut bytes = Vec::with_capacity(COLOURS.saturating_mul(3));
    for index in 0..255u16 {
        let at = f32::from(index) / 255.0 * 6.0;
        let from = at as usize;
        let part = at.fract();
        let (Some(a), Some(b)) = (STOPS.get(from % 6), STOPS.get(from.wrapping_add(1) % 6)) else { continue };
        // Eased, so that no stop shows as an edge.
        let eased = part * part * (3.0 - 2.0 * part);
        bytes.extend(a.iter().zip(b).map(|(a, b)| (a + (b - a) * eased) as u8));
    }
    bytes.extend([4, 4, 10]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(width: u32, height: u32) -> Params {
        Params { width, height, max_iter: 100, x0: 0, y0: 0, step: 1 }
    }

    #[test]
    fn a_png_of_the_right_size_with_the_right_colours() {
        let counts: Vec<u8> = [0u16, 1, 99, 100, 50, 7].iter().flat_map(|c| c.to_le_bytes()).collect();
        let bytes = png(&params(3, 2), &counts).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (3, 2));
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels.len(), 6);
        assert_eq!(pixels[3], 255, "a point that never escaped");
        assert_eq!(palette().len(), COLOURS * 3);
    }

    #[test]
    fn a_wrong_number_of_counts_is_refused() {
        assert!(png(&params(3, 2), &[0; 11]).is_err());
    }
}
