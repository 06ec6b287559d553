//! What an instruction needs: every condition that does not hold is one way in which it may be refused. Which of them a
//! program names first is its own affair.

/// Nothing stands in the way, or the codes with which the program may refuse.
pub type Verdict = Result<(), Vec<u32>>;

/// SPL Token: the account holds too little.
pub const TOO_LITTLE: u32 = 1;
/// SPL Token: the account is frozen.
pub const FROZEN: u32 = 17;
/// The system program: there is already such an account.
pub const IN_USE: u32 = 0;

/// How the program refuses an account that is not there: by Anchor, as not initialised or as the system program's.
pub fn gone() -> Vec<u32> {
    vec![3_012, 3_007]
}

/// Conditions, collected.
#[derive(Debug, Default)]
pub struct Gate(Vec<u32>);

impl Gate {
    /// A condition, and the code for its absence.
    pub fn need(&mut self, holds: bool, code: impl Into<u32>) {
        if !holds {
            self.0.push(code.into());
        }
    }

    /// A condition that is refused as a missing account.
    pub fn exists(&mut self, holds: bool) {
        if !holds {
            self.0.extend(gone());
        }
    }

    /// The verdict.
    pub fn verdict(self) -> Verdict {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}
