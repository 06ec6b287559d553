//! All kernels of this verifier, by number. A new kernel is its folder and one line here.

use crate::abi::{Describe, Geometry, Request, VerifierError};
use crate::kernel::{Kernel, Read, cell_of, step_of};
use crate::{
    align::Align, escape_time::EscapeTime, gemm_i8::GemmI8, mlp_i8::MlpI8, option_risk::OptionRisk, search::Search,
};

macro_rules! registry {
    ($($kernel:ident),* $(,)?) => {
        /// A kernel of which only the number is known before the program runs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum AnyKernel {
            $(#[doc = concat!("[`", stringify!($kernel), "`]")] $kernel,)*
        }

        impl AnyKernel {
            /// All kernels, in the order of their numbers.
            pub const ALL: &[AnyKernel] = &[$(AnyKernel::$kernel),*];

            /// The kernel of this number.
            ///
            /// # Errors
            /// [`VerifierError::UnknownKernel`].
            pub fn from_id(id: u16) -> Result<Self, VerifierError> {
                match id {
                    $($kernel::ID => Ok(Self::$kernel),)*
                    _ => Err(VerifierError::UnknownKernel),
                }
            }

            /// The kernel of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($kernel::NAME => Some(Self::$kernel),)*
                    _ => None,
                }
            }

            /// Number.
            pub const fn id(self) -> u16 {
                match self { $(Self::$kernel => $kernel::ID,)* }
            }

            /// Name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kernel => $kernel::NAME,)* }
            }

            /// See [`Kernel::describe`].
            pub fn describe(self) -> Describe {
                match self { $(Self::$kernel => $kernel::describe(),)* }
            }

            /// Parses the params; see [`Kernel::geometry`].
            ///
            /// # Errors
            /// Params that no job of this kernel can have.
            pub fn geometry(self, params: &[u8]) -> Result<Geometry, VerifierError> {
                match self { $(Self::$kernel => Ok($kernel::geometry(&$kernel::parse(params)?)?),)* }
            }

            /// Parses the params; see [`Kernel::reads`].
            ///
            /// # Errors
            /// Params that no job of this kernel can have.
            pub fn reads(
                self,
                params: &[u8],
                leaf: u64,
                cell: u32,
                out: &mut dyn FnMut(Read),
            ) -> Result<(), VerifierError> {
                match self {
                    $(Self::$kernel => $kernel::reads(&$kernel::parse(params)?, leaf, cell, out),)*
                }
                Ok(())
            }

            /// Parses the params; see [`Kernel::steps`].
            ///
            /// # Errors
            /// Params that no job of this kernel can have.
            pub fn steps(self, params: &[u8]) -> Result<u64, VerifierError> {
                match self { $(Self::$kernel => Ok($kernel::steps(&$kernel::parse(params)?)),)* }
            }

            /// Parses the params; see [`Kernel::step_reads`].
            ///
            /// # Errors
            /// Params that no job of this kernel can have.
            pub fn step_reads(
                self,
                params: &[u8],
                leaf: u64,
                cell: u32,
                step: u64,
                out: &mut dyn FnMut(Read),
            ) -> Result<(), VerifierError> {
                match self {
                    $(Self::$kernel => $kernel::step_reads(&$kernel::parse(params)?, leaf, cell, step, out),)*
                }
                Ok(())
            }

            /// Computes the step that a request asks for, with the request's own params; see [`Kernel::step`]. The
            /// answer is [`STEP_MORE`](crate::abi::STEP_MORE) and the next state, or
            /// [`STEP_DONE`](crate::abi::STEP_DONE) and the cell.
            ///
            /// # Errors
            /// What [`Kernel::parse`] and [`Kernel::step`] refuse, [`VerifierError::NotStepped`],
            /// [`VerifierError::NoSuchStep`].
            pub fn step(self, request: &Request, out: &mut [u8]) -> Result<usize, VerifierError> {
                match self { $(Self::$kernel => step_of::<$kernel>(request, out),)* }
            }

            /// Computes the cell that a request asks for, with the request's own params; see [`Kernel::cell`].
            ///
            /// # Errors
            /// What [`Kernel::parse`] and [`Kernel::cell`] refuse, [`VerifierError::Stepped`].
            pub fn cell(self, request: &Request, out: &mut [u8]) -> Result<usize, VerifierError> {
                match self { $(Self::$kernel => cell_of::<$kernel>(request, out),)* }
            }

            /// The kernel on processors and graphics cards.
            #[cfg(feature = "std")]
            pub(crate) fn accelerated(self) -> &'static dyn crate::executor::Accelerated {
                match self { $(Self::$kernel => &$kernel,)* }
            }

            /// The kernel in the hands of workers and renters.
            #[cfg(feature = "std")]
            pub fn handling(self) -> &'static dyn crate::handling::Handling {
                match self { $(Self::$kernel => &$kernel,)* }
            }
        }
    };
}

registry! {
    EscapeTime,
    GemmI8,
    Search,
    MlpI8,
    OptionRisk,
    Align,
}

/// See [`AnyKernel::describe`].
///
/// # Errors
/// [`VerifierError::UnknownKernel`].
pub fn describe(id: u16) -> Result<Describe, VerifierError> {
    Ok(AnyKernel::from_id(id)?.describe())
}

/// See [`AnyKernel::geometry`].
///
/// # Errors
/// [`VerifierError::UnknownKernel`], or params that no job of this kernel can have.
pub fn geometry(id: u16, params: &[u8]) -> Result<Geometry, VerifierError> {
    AnyKernel::from_id(id)?.geometry(params)
}

/// See [`AnyKernel::reads`].
///
/// # Errors
/// [`VerifierError::UnknownKernel`], or params that no job of this kernel can have.
pub fn reads(id: u16, params: &[u8], leaf: u64, cell: u32, out: &mut dyn FnMut(Read)) -> Result<(), VerifierError> {
    AnyKernel::from_id(id)?.reads(params, leaf, cell, out)
}

/// See [`AnyKernel::steps`].
///
/// # Errors
/// [`VerifierError::UnknownKernel`], or params that no job of this kernel can have.
pub fn steps(id: u16, params: &[u8]) -> Result<u64, VerifierError> {
    AnyKernel::from_id(id)?.steps(params)
}

/// See [`AnyKernel::step_reads`].
///
/// # Errors
/// [`VerifierError::UnknownKernel`], or params that no job of this kernel can have.
pub fn step_reads(
    id: u16,
    params: &[u8],
    leaf: u64,
    cell: u32,
    step: u64,
    out: &mut dyn FnMut(Read),
) -> Result<(), VerifierError> {
    AnyKernel::from_id(id)?.step_reads(params, leaf, cell, step, out)
}

/// See [`AnyKernel::cell`].
///
/// # Errors
/// [`VerifierError::UnknownKernel`] and what the kernel refuses.
pub fn cell(request: &Request, out: &mut [u8]) -> Result<usize, VerifierError> {
    AnyKernel::from_id(request.kernel)?.cell(request, out)
}

#[cfg(all(test, feature = "std"))]
mod tests;
