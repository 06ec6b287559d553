//! The dishonest provider's backend: computes everything right, then alters a few leaves. It exists only here: no
//! worker has such a switch.

use assay_kernels::executor::{Backend, Cpu, ExecError, Inputs};
use std::ops::Range;

/// Parts of a shard at which a byte is altered, in quarters of its length.
const QUARTERS: [usize; 3] = [1, 2, 3];

/// Returns forged leaves: few enough that the draw most likely misses them, so that it takes the validator to find them.
pub struct Forger;

impl Backend for Forger {
    fn name(&self) -> String {
        "a CPU whose owner forges leaves".to_owned()
    }

    fn run(&self, kernel: u16, params: &[u8], inputs: &Inputs, leaves: Range<u64>) -> Result<Vec<u8>, ExecError> {
        let mut bytes = Cpu.run(kernel, params, inputs, leaves)?;
        for quarter in QUARTERS {
            let at = (bytes.len() / 4).saturating_mul(quarter);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1;
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::escape_time::Params;

    #[test]
    fn alters_three_bytes() {
        let params = Params { width: 64, height: 64, max_iter: 50, x0: 0, y0: 0, step: 1 << 20 }.to_bytes();
        let honest = Cpu.run(1, &params, &Inputs::default(), 0..32).unwrap();
        let forged = Forger.run(1, &params, &Inputs::default(), 0..32).unwrap();
        assert_eq!(honest.iter().zip(&forged).filter(|(a, b)| a != b).count(), QUARTERS.len());
    }
}
