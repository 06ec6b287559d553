//! What a device process may take before it counts as hanging, and how often it is started anew.

use std::time::Duration;

/// Limits of a device process and of its restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How often it gives a sign of life.
    pub beat: Duration,
    /// Without a sign of life for so long it is killed.
    pub silence: Duration,
    /// From its start until its card is open: the driver may compile kernels meanwhile.
    pub start: Duration,
    /// With a run to do it must get something done in this time: compute a part of it, take or send a piece. A worker
    /// gives it runs of a few seconds.
    pub progress: Duration,
    /// Pause before the first restart; doubled with every fault of the window.
    pub backoff: Duration,
    /// Longest pause before a restart.
    pub max_backoff: Duration,
    /// Faults within [`window`](Self::window) after which the card counts as broken for good.
    pub max_faults: usize,
    /// See [`max_faults`](Self::max_faults).
    pub window: Duration,
    /// Most bytes of inputs that a process keeps; a job with more is refused.
    pub cache_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(1),
            silence: Duration::from_secs(20),
            start: Duration::from_secs(180),
            progress: Duration::from_secs(120),
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            max_faults: 5,
            window: Duration::from_secs(3_600),
            // What a worker takes at most for a job, and the known answers beside it.
            cache_bytes: (4 << 30) | (256 << 20),
        }
    }
}

impl Limits {
    /// Pause before the restart after so many faults within the window.
    pub fn pause_after(&self, faults: usize) -> Duration {
        let doublings = u32::try_from(faults.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = 2u32.checked_pow(doublings).unwrap_or(u32::MAX);
        self.backoff.saturating_mul(factor).min(self.max_backoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let limits = Limits::default();
        let seconds = |faults| limits.pause_after(faults).as_secs();
        assert_eq!([1, 2, 3, 4, 7, 8, 1_000].map(seconds), [1, 2, 4, 8, 60, 60, 60]);
    }
}
