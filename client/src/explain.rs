//! Custom error codes of the programs, back to names and sentences.

use assay_kernels::abi::VerifierError;
use assay_settlement::error::AssayError;

/// A custom error of one of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramFault {
    /// The settlement program refused.
    Settlement(AssayError),
    /// The verifier refused.
    Verifier(VerifierError),
}

impl ProgramFault {
    /// Recognises a custom code.
    pub fn from_code(code: u32) -> Option<Self> {
        settlement_error(code).map(Self::Settlement).or_else(|| VerifierError::from_code(code).map(Self::Verifier))
    }

    /// The name in the source, stable.
    pub fn name(&self) -> String {
        match self {
            Self::Settlement(e) => e.name(),
            Self::Verifier(e) => e.name().to_owned(),
        }
    }
}

impl core::fmt::Display for ProgramFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Settlement(e) => write!(f, "{e}"),
            Self::Verifier(e) => f.write_str(e.text()),
        }
    }
}

/// The settlement error with this code.
pub fn settlement_error(code: u32) -> Option<AssayError> {
    ALL.iter().copied().find(|e| u32::from(*e) == code)
}

/// Name and sentence of a custom code; none for codes of other programs.
pub fn explain(code: u32) -> Option<(String, String)> {
    ProgramFault::from_code(code).map(|f| (f.name(), f.to_string()))
}

macro_rules! all {
    ($($name:ident)*) => {
        /// Every error of the settlement program, in the order of its codes.
        pub const ALL: &[AssayError] = &[$(AssayError::$name),*];
        // Fails to compile when a variant is missing above.
        const _: fn(AssayError) = |e| match e { $(AssayError::$name => (),)* };
    };
}

all! {
    Overflow WrongMarket WrongJob WrongProvider WrongVault WrongMint WrongTokenProgram WrongTokenOwner
    WrongRentPayer WrongAddress NotAuthorized MintNotAllowed TermsOutOfRange TermsBelowFloor MarketPaused
    VerifierMutable VerifierNotProgram WrongVerifier VerifierAnswer KernelOutOfRange VerifierAbi WrongNonce
    JobOutOfRange ShardAlignment InputLength BadUrl TermsChanged PriceTooLow Reserved JobClosed NoSuchShard
    ShardClaimed StakeTooSmall WrongState TooEarly WindowOver WindowOpen DrawTooEarly DrawAgedOut
    DrawStillPossible WrongWindow AlreadyNamed TooManyCells NoSuchCell NotDemanded WrongPath BadOpening
    NotEvidence WrongEvidenceOwner EvidenceBounds Unanswered NothingUnanswered NothingOwed StillNeeded
    ZeroAmount MintTransferFee MintTransferHook MintPermanentDelegate MintDefaultState MintPausable
    MintNonTransferable MintConfidential MintExtension BadDelivery Accepted AlreadyAnswered AlreadyChallenged
    ChallengeRestricted WrongChallenge ChallengeOpen ChallengeAnswered WrongDelivery AlreadyDemanded BadLeaves
    AlreadyPosted AlreadyDelivered DeliveryOpen NotProposed NotFrozen OtherCell
    MarketTermsChanged CellsTooDear ProviderLoaded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_stable_and_told_apart() {
        for (i, e) in (6000u32..).zip(ALL) {
            assert_eq!(u32::from(*e), i);
            assert_eq!(ProgramFault::from_code(i), Some(ProgramFault::Settlement(*e)));
        }
        for e in VerifierError::ALL {
            assert_eq!(ProgramFault::from_code(e.code()), Some(ProgramFault::Verifier(*e)));
        }
        assert_eq!(ProgramFault::from_code(1), None);
    }
}
