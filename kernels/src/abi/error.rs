//! Every way in which a verifier refuses, with the number that a client sees on chain.

/// A request that is not in the form of the ABI, or lacks what the cell reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbiError {
    /// Fewer bytes than the header, params and openings announce.
    Truncated,
    /// The first byte is not this ABI's version.
    Version,
    /// No such operation.
    UnknownOp,
    /// An opening names a source that is neither an input (0 to 3) nor leaves (255).
    Source,
    /// An opening's bytes lie outside of the inline bytes or of the evidence account.
    OutOfBounds,
    /// Nothing opened covers what the cell reads.
    MissingOpening,
    /// The job has no such leaf or the leaf no such cell.
    NoSuchCell,
    /// The output buffer is smaller than the cell.
    OutputTooSmall,
}

/// Params that no job can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamError {
    /// Not the kernel's number of bytes.
    Length,
    /// A dimension, step or limit is zero.
    Zero,
    /// A dimension or limit is larger than the kernel allows.
    TooLarge,
    /// `escape_time`: a pixel of the image lies outside of the plane in which no intermediate value overflows.
    OutOfPlane,
}

macro_rules! verifier_errors {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $text:literal;)*) => {
        /// Why a verifier failed. On chain it is `ProgramError::Custom(code)`; codes never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum VerifierError {
            $($(#[doc = $doc])+ $name = $code,)*
        }

        impl VerifierError {
            /// All of them, in the order of their codes.
            pub const ALL: &[VerifierError] = &[$(VerifierError::$name),*];

            /// The custom error code on chain.
            pub const fn code(self) -> u32 {
                self as u32
            }

            /// The error with this custom code.
            pub fn from_code(code: u32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The error's name as it stands in this source.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// What it means, in a sentence without full stop.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

verifier_errors! {
    /// Fewer bytes than the header, params and openings announce.
    Truncated = 9000, "the request is shorter than it announces";
    /// The first byte is not this ABI's version.
    Version = 9001, "the request is for another version of the verifier ABI";
    /// No such operation.
    UnknownOp = 9002, "the verifier has no such operation";
    /// An opening names a source that is neither an input (0 to 3) nor leaves (255).
    OpeningSource = 9003, "an opening names a source that does not exist";
    /// An opening's bytes lie outside of the inline bytes or of the evidence account.
    OpeningOutOfBounds = 9004, "an opening's bytes lie outside of the data";
    /// Nothing opened covers what the cell reads.
    MissingOpening = 9005, "the cell reads bytes that are not opened";
    /// The job has no such leaf or the leaf no such cell.
    NoSuchCell = 9006, "the job has no such leaf or the leaf no such cell";
    /// The output buffer is smaller than the cell.
    OutputTooSmall = 9007, "the output buffer is smaller than the cell";
    /// The verifier has no kernel of this number.
    UnknownKernel = 9008, "the verifier has no kernel of this number";
    /// `step` was asked for a job whose cells are computed in one go.
    NotStepped = 9009, "the job's cells are computed in one go, without steps";
    /// More than one account was passed.
    TooManyAccounts = 9010, "a verifier takes at most one account";
    /// The evidence account was passed as writable.
    EvidenceWritable = 9011, "the evidence account must be read-only";
    /// `cell` was asked for a job whose cells are too large for one transaction.
    Stepped = 9012, "the job's cells are too large for one transaction: they are computed in steps";
    /// More steps are done than the cell has.
    NoSuchStep = 9013, "the cell does not have so many steps";
    /// Params are not the kernel's number of bytes.
    ParamsLength = 9020, "the params do not have the kernel's length";
    /// A dimension, step or limit in the params is zero.
    ParamsZero = 9021, "a dimension, step or limit in the params is zero";
    /// A dimension or limit in the params is larger than the kernel allows.
    ParamsTooLarge = 9022, "a dimension or limit in the params is larger than the kernel allows";
    /// `escape_time`: a pixel lies outside of the plane in which no intermediate value overflows.
    ParamsOutOfPlane = 9023, "a pixel of the image lies outside of the plane from -4 to 4";
}

impl From<AbiError> for VerifierError {
    fn from(error: AbiError) -> Self {
        match error {
            AbiError::Truncated => Self::Truncated,
            AbiError::Version => Self::Version,
            AbiError::UnknownOp => Self::UnknownOp,
            AbiError::Source => Self::OpeningSource,
            AbiError::OutOfBounds => Self::OpeningOutOfBounds,
            AbiError::MissingOpening => Self::MissingOpening,
            AbiError::NoSuchCell => Self::NoSuchCell,
            AbiError::OutputTooSmall => Self::OutputTooSmall,
        }
    }
}

impl From<ParamError> for VerifierError {
    fn from(error: ParamError) -> Self {
        match error {
            ParamError::Length => Self::ParamsLength,
            ParamError::Zero => Self::ParamsZero,
            ParamError::TooLarge => Self::ParamsTooLarge,
            ParamError::OutOfPlane => Self::ParamsOutOfPlane,
        }
    }
}

macro_rules! display_as_verifier_error {
    ($($error:ty),*) => {$(
        impl core::fmt::Display for $error {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(VerifierError::from(*self).text())
            }
        }

        impl core::error::Error for $error {}
    )*};
}

display_as_verifier_error!(AbiError, ParamError, VerifierError);
