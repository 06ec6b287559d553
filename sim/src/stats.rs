//! Means, and how far they lie from where they should.

/// A sample of outcomes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Sample {
    /// Adds one outcome (Welford).
    pub fn add(&mut self, x: f64) {
        self.n += 1.0;
        let from_old = x - self.mean;
        self.mean += from_old / self.n;
        self.squares += from_old * (x - self.mean);
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Distance of the mean from `expected` in standard errors, for outcomes whose standard deviation is not known.
    pub fn off(&self, expected: f64) -> f64 {
        distance(self.mean - expected, (self.squares / (self.n - 1.0)).sqrt() / self.n.sqrt())
    }

    /// The same with a standard deviation that the formula gives, so that a sample without a single rare event is
    /// measured right.
    pub fn off_with(&self, expected: f64, deviation: f64) -> f64 {
        distance(self.mean - expected, deviation / self.n.sqrt())
    }

    /// The same for something that happens or does not, with chance `p`.
    pub fn off_chance(&self, p: f64) -> f64 {
        self.off_with(p, deviation(&[(p, 1.0)]))
    }
}

/// Standard deviation of an amount that takes each of `outcomes` (chance, amount), and else nothing.
pub fn deviation(outcomes: &[(f64, f64)]) -> f64 {
    let mean: f64 = outcomes.iter().map(|(p, x)| p * x).sum();
    let square: f64 = outcomes.iter().map(|(p, x)| p * x * x).sum();
    (square - mean * mean).max(0.0).sqrt()
}

/// `by` in units of `error`. Rounding in base units and in f64 is not a deviation.
fn distance(by: f64, error: f64) -> f64 {
    if by.abs() < 1e-6 { 0.0 } else { by / error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_and_its_error() {
        let mut s = Sample::default();
        [1.0, 2.0, 3.0, 4.0].into_iter().for_each(|x| s.add(x));
        assert!((s.mean() - 2.5).abs() < 1e-12);
        // Standard deviation sqrt(5/3), error sqrt(5/12).
        assert!((s.off(1.5) - 1.0 / (5.0f64 / 12.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn deviations_of_two_and_three_outcomes() {
        assert!((deviation(&[(0.25, 2.0)]) - 2.0 * (0.25f64 * 0.75).sqrt()).abs() < 1e-12);
        // 1, 3 and 0, a third each: mean 4/3, mean square 10/3.
        assert!((deviation(&[(1.0 / 3.0, 1.0), (1.0 / 3.0, 3.0)]) - (10.0f64 / 3.0 - 16.0 / 9.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn no_event_at_all_is_far_from_a_chance_that_would_have_shown() {
        let mut s = Sample::default();
        (0..10_000).for_each(|_| s.add(0.0));
        assert!(s.off_chance(0.01) < -9.0);
        assert!(s.off_chance(1e-5).abs() < 1.0);
        assert_eq!(s.off_chance(0.0), 0.0);
        assert!(s.off_chance(1.0).is_infinite(), "what is certain must be played as certain");
    }
}
