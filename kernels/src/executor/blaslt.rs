//! NVIDIA's own matrix products (cuBLASLt), where the library is on this machine: int8 in, int32 out, sums in int32.
//!
//! Nothing here decides whether its numbers are right: who uses it compares them with its own first.

use core::ffi::c_void;
use core::ptr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cudarc::cublaslt::result::{self, CublasError};
use cudarc::cublaslt::sys::{
    self, cublasComputeType_t, cublasLtMatmulDescAttributes_t, cublasLtMatmulPreferenceAttributes_t, cudaDataType_t,
};

use super::cuda::panic_text;
use super::{Buffer, ExecError, Gpu};

/// Memory on the card that the library may work in: what NVIDIA recommends for Hopper, more than older cards want.
const WORKSPACE_BYTES: usize = 32 << 20;
/// What addresses of matrices are multiples of, in bytes.
const ALIGNMENT: u32 = 16;

/// A product of matrices that lie on the card, all given by address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    /// C: `rows` rows of `stride` i32. All three addresses are multiples of 16.
    pub out: u64,
    /// A: `rows` rows of `row_bytes` bytes, of which the first `k` count, zeros behind them up to a multiple of 128.
    pub a: u64,
    /// B transposed: `columns` rows of the same length, what is behind `k` bytes may be anything. The library reads up to
    /// three rows more, so the memory must be longer by as much.
    pub b: u64,
    /// Bytes from a row to the next, a multiple of 128.
    pub row_bytes: u32,
    /// Products of a sum.
    pub k: u32,
    /// Rows of C.
    pub rows: u32,
    /// Columns of C.
    pub columns: u32,
    /// Numbers from a row of C to the next, a multiple of four, at least `columns`.
    pub stride: u32,
}

/// Why the library did not multiply; the card is as good as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not on this machine, too old or too new.
    Library(String),
    /// It has no way of making this product.
    Product(String),
}

impl Refusal {
    fn product(error: CublasError) -> Self {
        Self::Product(format!("cuBLASLt does not make it: {error}"))
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Library(why) | Self::Product(why) => f.write_str(why),
        }
    }
}

/// The library, ready for a card.
pub(crate) struct BlasLt {
    handle: sys::cublasLtHandle_t,
    workspace: Buffer,
}

// SAFETY: NVIDIA documents a handle as usable from any thread, by several at once; the workspace is used by launches in
// one stream, one after the other.
unsafe impl Send for BlasLt {}
// SAFETY: as above.
unsafe impl Sync for BlasLt {}

impl BlasLt {
    /// Loads the library. cudarc panics where one is missing or lacks a function: that becomes a refusal, too.
    pub(crate) fn open(gpu: &Gpu) -> Result<Self, Refusal> {
        // SAFETY: only tries to load the library, which is what this is for.
        let there = guarded(|| Ok(unsafe { sys::is_culib_present() }))?;
        if !there {
            return Err(Refusal::Library(
                "cuBLASLt is not on this machine (libcublasLt.so.12): own kernels multiply; the package \
                 nvidia-cublas-cu12 or CUDA 12 has it"
                    .to_owned(),
            ));
        }
        let workspace = gpu.zeros(WORKSPACE_BYTES).map_err(|error| Refusal::Library(error.to_string()))?;
        guarded(|| {
            let failed = |error: String| Refusal::Library(format!("cuBLASLt does not start: {error}"));
            gpu.stream().context().bind_to_thread().map_err(|error| failed(error.to_string()))?;
            let handle = result::create_handle().map_err(|error| failed(error.to_string()))?;
            Ok(Self { handle, workspace })
        })
    }

    /// Begins to multiply and returns at once.
    ///
    /// # Safety
    /// The matrices must lie where `product` says, whole.
    pub(crate) unsafe fn multiply(&self, gpu: &Gpu, product: &Product) -> Result<(), Refusal> {
        // SAFETY: as the caller promises.
        guarded(|| unsafe { self.try_multiply(gpu, product) })
    }

    unsafe fn try_multiply(&self, gpu: &Gpu, product: &Product) -> Result<(), Refusal> {
        let bound = gpu.stream().context().bind_to_thread();
        bound.map_err(|error| Refusal::Product(error.to_string()))?;
        // The library counts by columns: what is a row of ours is a column there. So it makes C transposed, which is
        // B's rows times A's columns. With int8 it wants the first of the two transposed, and its rows and k to be
        // multiples of four (of sixteen for its fastest ways): the stride of C has room for the former, A's zeros make
        // up for the latter.
        let (m, n) = (u64::from(product.columns.next_multiple_of(4)), u64::from(product.rows));
        let k = u64::from(product.k.next_multiple_of(16));
        let (row_bytes, stride) = (i64::from(product.row_bytes), i64::from(product.stride));
        let first = Layout::new(cudaDataType_t::CUDA_R_8I, k, m, row_bytes)?;
        let second = Layout::new(cudaDataType_t::CUDA_R_8I, k, n, row_bytes)?;
        let made = Layout::new(cudaDataType_t::CUDA_R_32I, m, n, stride)?;
        let how = Descriptor::new()?;
        let preference = Preference::new(self.workspace.len())?;
        // SAFETY: all of these live until the end of this function.
        let heuristic = unsafe {
            result::get_matmul_algo_heuristic(self.handle, how.0, first.0, second.0, made.0, made.0, preference.0)
        }
        .map_err(Refusal::product)?;
        // Scales of this product are int32, as its sums.
        let (one, zero) = (1i32, 0i32);
        let out = product.out as *mut c_void;
        // SAFETY: the layouts describe what lies at these addresses, as the caller promises; scales are read before the
        // function returns, the rest belongs to the card.
        unsafe {
            result::matmul(
                self.handle,
                how.0,
                ptr::from_ref(&one).cast(),
                ptr::from_ref(&zero).cast(),
                product.b as *const c_void,
                first.0,
                product.a as *const c_void,
                second.0,
                out,
                made.0,
                out,
                made.0,
                &heuristic.algo,
                self.workspace.address() as *mut c_void,
                self.workspace.len(),
                gpu.stream().cu_stream().cast(),
            )
        }
        .map_err(Refusal::product)
    }
}

impl Drop for BlasLt {
    fn drop(&mut self) {
        // A handle that the library doesn't take back is lost: nothing to be done about it here.
        // SAFETY: made in `open`, and this is the only place that gives it back.
        guarded(|| unsafe { result::destroy_handle(self.handle) }.map_err(Refusal::product)).unwrap_or(());
    }
}

/// Turns a panic of cudarc, for a function that the library lacks, into a refusal.
fn guarded<T>(step: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        Err(Refusal::Library(format!("cuBLASLt can't be used: {}", panic_text(panic.as_ref()))))
    })
}

impl From<Refusal> for ExecError {
    fn from(refusal: Refusal) -> Self {
        Self::Device(refusal.to_string())
    }
}

/// How a matrix lies in memory.
struct Layout(sys::cublasLtMatrixLayout_t);

impl Layout {
    fn new(kind: cudaDataType_t, rows: u64, columns: u64, distance: i64) -> Result<Self, Refusal> {
        result::create_matrix_layout(kind, rows, columns, distance).map(Self).map_err(Refusal::product)
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and this is the only place that gives it back.
        unsafe { result::destroy_matrix_layout(self.0) }.unwrap_or(());
    }
}

/// What is to be made of two matrices.
struct Descriptor(sys::cublasLtMatmulDesc_t);

impl Descriptor {
    /// The first one transposed times the second one, all in int32.
    fn new() -> Result<Self, Refusal> {
        let compute = cublasComputeType_t::CUBLAS_COMPUTE_32I;
        let made = result::create_matmul_desc(compute, cudaDataType_t::CUDA_R_32I).map(Self);
        let made = made.map_err(Refusal::product)?;
        // CUBLAS_OP_T.
        let transposed = 1i32;
        let attribute = cublasLtMatmulDescAttributes_t::CUBLASLT_MATMUL_DESC_TRANSA;
        // SAFETY: the attribute is an int of four bytes, copied at once.
        unsafe { result::set_matmul_desc_attribute(made.0, attribute, ptr::from_ref(&transposed).cast(), 4) }
            .map_err(Refusal::product)?;
        Ok(made)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and this is the only place that gives it back.
        unsafe { result::destroy_matmul_desc(self.0) }.unwrap_or(());
    }
}

/// What the choice of a way goes by.
struct Preference(sys::cublasLtMatmulPreference_t);

impl Preference {
    fn new(workspace: usize) -> Result<Self, Refusal> {
        use cublasLtMatmulPreferenceAttributes_t as Attribute;

        let made = result::create_matmul_pref().map(Self).map_err(Refusal::product)?;
        let largest = Attribute::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
        made.set(largest, &workspace)?;
        // Otherwise it takes matrices to begin at multiples of 256, and may choose a way that needs that.
        for alignment in [
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
            Attribute::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
        ] {
            made.set(alignment, &ALIGNMENT)?;
        }
        Ok(made)
    }

    /// Sets an attribute that is a number of this size: a size_t or a u32, as NVIDIA documents it.
    fn set<T: Copy>(&self, attribute: cublasLtMatmulPreferenceAttributes_t, value: &T) -> Result<(), Refusal> {
        // SAFETY: the value is as long as is said, and copied at once.
        unsafe { result::set_matmul_pref_attribute(self.0, attribute, ptr::from_ref(value).cast(), size_of::<T>()) }
            .map_err(Refusal::product)
    }
}

impl Drop for Preference {
    fn drop(&mut self) {
        // SAFETY: made in `new`, and this is the only place that gives it back.
        unsafe { result::destroy_matmul_pref(self.0) }.unwrap_or(());
    }
}
