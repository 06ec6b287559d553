//! Two things measured in turns in one run, so that a busy machine is as busy for one as for the other.

use std::time::Instant;

use anyhow::Result;

/// Rounds of a comparison: odd, so that there is a middle one.
pub const ROUNDS: usize = 7;

/// Seconds that something takes.
pub fn seconds<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64().max(1e-9))
}

/// Units a second of two ways, and the ratio of the rounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Turns {
    /// Median of the first.
    pub ours: f64,
    /// Median of the second.
    pub theirs: f64,
    /// Median, least and most of the rounds' ratios, first over second.
    pub ratio: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

/// The middle one; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

impl Turns {
    fn of(rounds: &[(f64, f64)]) -> Self {
        let (ours, theirs): (Vec<f64>, Vec<f64>) = rounds.iter().copied().unzip();
        let ratios: Vec<f64> = rounds.iter().map(|(ours, theirs)| ours / theirs).collect();
        Self {
            ours: median(&ours),
            theirs: median(&theirs),
            ratio: median(&ratios),
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            most: ratios.iter().copied().fold(0.0, f64::max),
        }
    }
}

/// Measures both, each first in every other round, after a round that does not count. Each returns its units a second.
///
/// # Errors
/// What either says.
pub fn turns(mut ours: impl FnMut() -> Result<f64>, mut theirs: impl FnMut() -> Result<f64>) -> Result<Turns> {
    ours()?;
    theirs()?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        rounds.push(if round % 2 == 0 {
            let first = ours()?;
            (first, theirs()?)
        } else {
            let first = theirs()?;
            (ours()?, first)
        });
    }
    Ok(Turns::of(&rounds))
}

/// Median units a second of one way alone, after a run that does not count.
///
/// # Errors
/// What it says.
pub fn alone(mut work: impl FnMut() -> Result<f64>) -> Result<f64> {
    work()?;
    let speeds = (0..ROUNDS).map(|_| work()).collect::<Result<Vec<f64>>>()?;
    Ok(median(&speeds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        // Half of the time everything is ten times slower: the ratio stays.
        let turns = Turns::of(&[(20.0, 10.0), (2.0, 1.0), (22.0, 10.0), (2.0, 1.0), (1.8, 1.0)]);
        assert_eq!(turns, Turns { ours: 2.0, theirs: 1.0, ratio: 2.0, least: 1.8, most: 2.2 });
    }

    #[test]
    fn each_is_first_in_turn_and_the_first_round_does_not_count() {
        let order = std::cell::RefCell::new(String::new());
        let mut speeds = vec![1.0; ROUNDS];
        speeds.push(1_000.0);
        let measured = turns(
            || {
                order.borrow_mut().push('o');
                Ok(speeds.pop().unwrap())
            },
            || {
                order.borrow_mut().push('t');
                Ok(2.0)
            },
        );
        assert_eq!(measured.unwrap(), Turns { ours: 1.0, theirs: 2.0, ratio: 0.5, least: 0.5, most: 0.5 });
        assert_eq!(order.into_inner(), "ot".to_owned() + "ot" + &"toot".repeat(ROUNDS / 2));
    }
}
