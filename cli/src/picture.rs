//! Pictures as PNG.

use crate::error::{CliError, Result};

/// An indexed PNG: a byte for each pixel, row by row, says which colour of the palette it has.
///
/// # Errors
/// Other than one byte for each pixel, or a colour that the palette does not have.
pub fn png(width: u32, height: u32, palette: &[[u8; 3]], pixels: &[u8]) -> Result<Vec<u8>> {
    if pixels.len() as u64 != u64::from(width).saturating_mul(u64::from(height)) {
        return Err(CliError::internal("the picture does not have one byte for each pixel"));
    }
    if pixels.iter().any(|pixel| usize::from(*pixel) >= palette.len()) {
        return Err(CliError::internal("the picture has a colour that is not in its palette"));
    }
    let failed = |error: png::EncodingError| CliError::internal(format!("the PNG could not be made: {error}"));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette.as_flattened().to_vec());
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_of_the_right_size_with_the_right_colours() {
        let palette = [[1, 2, 3], [250, 0, 7], [9, 9, 9]];
        let bytes = png(3, 2, &palette, &[0, 1, 2, 2, 1, 0]).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (3, 2));
        assert_eq!(reader.info().palette.as_deref(), Some(palette.as_flattened()));
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, [0, 1, 2, 2, 1, 0]);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert!(png(3, 2, &[[0; 3]], &[0; 5]).is_err());
        assert!(png(3, 2, &[[0; 3]], &[0, 0, 0, 1, 0, 0]).is_err());
    }
}
