//! Which devices compute, and `assay kernel`: the commands about what is computed on them.

use assay_device::Choice;
use clap::{Args, Subcommand};
use std::str::FromStr;

/// What is computed on.
#[derive(Args, Clone, Debug, Default)]
pub struct DeviceArgs {
    /// Use the CPU even where there is a graphics card
    #[arg(long, conflicts_with = "gpu")]
    pub cpu: bool,
    /// Graphics cards to use: all, or their numbers among those that are visible: 0,2. Those named must work. Default: all that work, else the CPU
    #[arg(long, value_name = "WHICH")]
    pub gpu: Option<Cards>,
}

/// Which cards are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cards(pub Choice);

impl FromStr for Cards {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(Choice::All));
        }
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| format!("{text:?} is no number of a card"));
        let mut numbers = text.split(',').map(number).collect::<Result<Vec<_>, _>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Self(Choice::These(numbers)))
    }
}

/// `assay kernel`
#[derive(Debug, Subcommand)]
pub enum KernelCommand {
    /// Show the kernels of this version and their limits
    List,
    /// Compute known and random jobs on this machine's devices and compare them with the reference
    Selftest(Selftest),
}

/// `assay kernel selftest`
#[derive(Args, Clone, Debug)]
pub struct Selftest {
    /// What is tested.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Only this kernel; may be given several times
    #[arg(long, value_name = "NAME")]
    pub kernel: Vec<String>,
    /// Seconds of random jobs for each kernel on each device
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    pub seconds: u64,
    /// Where random jobs begin, to repeat those of another test. Default: at random
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_named_by_number() {
        let cards = |text: &str| Cards::from_str(text).map(|cards| cards.0);
        assert_eq!(cards("all"), Ok(Choice::All));
        assert_eq!(cards("2, 0,2"), Ok(Choice::These(vec![0, 2])));
        assert!(["", "0,", "-1", "gpu0", "0;1"].iter().all(|text| cards(text).is_err()));
    }
}
