//! Where a picture lies in the complex plane, in the kernel's fixed-point numbers.

use crate::error::{CliError, Result};
use assay_kernels::{
    escape_time::{FRACTION_BITS, Params},
    kernel::Kernel,
};

/// Centre of the picture that is drawn unless told otherwise.
pub const CENTRE: (f64, f64) = (-0.743_5, 0.131_4);
/// Its width in the complex plane.
pub const SPAN: f64 = 0.011;

/// The picture of `width` x `height` pixels around (`x`, `y`) that is `span` wide in the complex plane.
///
/// # Errors
/// A picture that the kernel does not compute.
pub fn picture(width: u32, height: u32, max_iter: u32, (x, y): (f64, f64), span: f64) -> Result<Params> {
    let refuse =
        |why: &str| CliError::usage(format!("this picture can't be computed: {why}. Nothing was sent or paid."));
    if ![x, y, span].iter().all(|number| number.is_finite())
        || span <= 0.0
        || x.abs() > 4.0
        || y.abs() > 4.0
        || span > 8.0
    {
        return Err(refuse("its centre must lie within 4 of the origin and its span between 0 and 8"));
    }
    // Up to 2^31 after the checks above: the casts only cut off what is below one unit.
    let fixed = |number: f64| (number * f64::from(1u32 << FRACTION_BITS)).round() as i64;
    let step = fixed(span / f64::from(width.max(1)));
    if step < 1 {
        return Err(refuse("pixels this close are not told apart; take a larger span or fewer pixels"));
    }
    let first = |centre: f64, pixels: u32| {
        let half = step.saturating_mul(i64::from(pixels)) / 2;
        fixed(centre).saturating_sub(half)
    };
    let params = Params { width, height, max_iter, x0: first(x, width), y0: first(y, height), step };
    assay_kernels::escape_time::EscapeTime::parse(&params.to_bytes()).map_err(|e| refuse(&e.to_string()))?;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_view_is_centred() {
        let p = picture(1920, 1080, 1000, CENTRE, SPAN).unwrap();
        let centre = p.x0 + 960 * p.step;
        assert!((centre as f64 / f64::from(1u32 << FRACTION_BITS) - CENTRE.0).abs() < 1e-6);
        assert!(p.step > 1_000, "neighbouring pixels are told apart");
    }

    #[test]
    fn what_the_kernel_refuses_is_refused_here() {
        for (width, height, iterations, centre, span) in [
            (0, 10, 10, (0.0, 0.0), 1.0),
            (10, 10, 0, (0.0, 0.0), 1.0),
            (10, 10, 5_000, (0.0, 0.0), 1.0),
            (10, 10, 10, (3.9, 0.0), 1.0),
            (10, 10, 10, (f64::NAN, 0.0), 1.0),
            (10, 10, 10, (0.0, 0.0), -1.0),
            (65_536, 10, 10, (0.0, 0.0), 1e-9),
        ] {
            assert_eq!(picture(width, height, iterations, centre, span).unwrap_err().exit as u8, 2);
        }
    }
}
