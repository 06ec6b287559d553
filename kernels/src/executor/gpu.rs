//! One graphics card: memory, loaded kernels and launches, with errors in the executor's words.
//!
//! Launches and plain copies go to the default stream, so copies wait for launches. Only [`Tiles`](super::Tiles) uses
//! others. cudarc's events between streams are switched off before the first allocation.

use core::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{
    CudaContext, CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr, DeviceRepr, DriverError, LaunchArgs,
    LaunchConfig, PushKernelArg,
    sys::{CUfunction_attribute, CUresult},
};
use cudarc::nvrtc::Ptx;

use super::signature::parameters;
use super::tiles::Flow;
use super::{CudaSource, CudaVariant, ExecError, cubins, cuda_variants};

/// A card with its kernels loaded.
pub struct Gpu {
    pub(super) stream: Arc<CudaStream>,
    functions: HashMap<(u16, &'static str), Function>,
    /// What kernels have found out about this card, by number.
    kept: Mutex<HashMap<u16, Arc<dyn Any + Send + Sync>>>,
    /// What serves less well than it could, for people.
    notes: Mutex<Vec<String>>,
    /// How results leave the card.
    pub(super) flow: Flow,
}

/// An entry point on the card.
#[derive(Clone)]
pub struct Function {
    entry: CudaFunction,
    /// Bytes of each of its parameters.
    takes: Arc<[usize]>,
}

impl Function {
    /// Lets launches take up to `bytes` of shared memory besides what the function declares.
    ///
    /// # Errors
    /// [`ExecError::Device`] when the card does not have so much for a block.
    pub fn allow_shared(&self, bytes: u32) -> Result<(), ExecError> {
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        self.entry.set_attribute(attribute, i32::try_from(bytes).unwrap_or(i32::MAX)).map_err(device_error)
    }
}

/// Bytes on the card.
pub struct Buffer(pub(super) CudaSlice<u8>);

impl Buffer {
    /// Bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where it lies on the card: for launches that take a place inside of it, as a number of eight bytes.
    pub fn address(&self) -> u64 {
        // No events are tracked: nothing waits for this to be dropped.
        self.0.device_ptr(self.0.stream()).0
    }
}

impl Gpu {
    /// Opens card `ordinal` and loads the PTX of these kernels.
    ///
    /// # Errors
    /// Whatever the driver refuses.
    pub(super) fn open(ordinal: usize, sources: impl Iterator<Item = CudaSource>) -> Result<Self, DriverError> {
        let context = CudaContext::new(ordinal)?;
        // SAFETY: what goes to several streams waits by events of its own, see `Tiles`.
        unsafe { context.disable_event_tracking() };
        let mut functions = HashMap::new();
        let mut notes = Vec::new();
        let capability = context.compute_capability()?;
        for source in sources {
            let module = load(&context, &source, capability, &mut notes)?;
            let takes = |ptx, name| parameters(ptx, name).unwrap_or_default().into();
            for name in source.functions {
                let entry = module.load_function(name)?;
                functions.insert((source.kernel, *name), Function { entry, takes: takes(source.ptx, name) });
            }
            for variant in cuda_variants(source.kernel) {
                for name in variant.functions {
                    // There or not, as the card is.
                    if let Ok(entry) = module.load_function(name) {
                        functions.insert((source.kernel, *name), Function { entry, takes: takes(variant.ptx, name) });
                    }
                }
            }
        }
        let (flow, notes) = (Flow::new(&context)?, Mutex::new(notes));
        Ok(Self { stream: context.default_stream(), functions, kept: Mutex::default(), notes, flow })
    }

    /// The stream that everything goes to.
    pub(super) fn stream(&self) -> &CudaStream {
        &self.stream
    }

    /// Makes this card the one that calls of this thread are for.
    ///
    /// # Errors
    /// [`ExecError::Device`].
    pub(super) fn bind(&self) -> Result<(), ExecError> {
        self.stream.context().bind_to_thread().map_err(device_error)
    }

    /// Bytes of memory that nobody has taken.
    ///
    /// # Errors
    /// [`ExecError::Device`].
    pub fn free_memory(&self) -> Result<u64, ExecError> {
        self.stream.context().mem_get_info().map(|(free, _)| free as u64).map_err(device_error)
    }

    /// What kernel `kernel` keeps for this card: made at the first call, the same from then on.
    ///
    /// # Errors
    /// Those of `make`; then nothing is kept.
    pub fn kept<T: Any + Send + Sync>(
        &self,
        kernel: u16,
        make: impl FnOnce() -> Result<T, ExecError>,
    ) -> Result<Arc<T>, ExecError> {
        let held = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&kernel).cloned();
        if let Some(kept) = held.and_then(|kept| kept.downcast::<T>().ok()) {
            return Ok(kept);
        }
        let made = Arc::new(make()?);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(kernel, made.clone());
        Ok(made)
    }

    /// Notes for people that something serves less well than it could.
    pub fn note(&self, text: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// What has been noted.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Name of the card as its driver has it.
    ///
    /// # Errors
    /// Whatever the driver refuses.
    pub(super) fn name(&self) -> Result<String, DriverError> {
        self.stream.context().name()
    }

    /// The entry point `name` of a kernel.
    ///
    /// # Errors
    /// [`ExecError::Device`] when it was not loaded.
    pub fn function(&self, kernel: u16, name: &'static str) -> Result<Function, ExecError> {
        let function = self.functions.get(&(kernel, name)).cloned();
        function.ok_or_else(|| ExecError::Device(format!("no function {name} of kernel {kernel}")))
    }

    /// Zeroed memory; at least one byte is taken.
    ///
    /// # Errors
    /// [`ExecError::DeviceMemory`], [`ExecError::Device`].
    pub fn zeros(&self, bytes: usize) -> Result<Buffer, ExecError> {
        let make = || self.stream.alloc_zeros(bytes.max(1)).map(Buffer).map_err(|error| memory_error(error, bytes));
        match make() {
            // What is kept for later goes first; what is given back is there when the streams are done.
            Err(ExecError::DeviceMemory(_)) if self.drop_spare() => self.finish().and_then(|()| make()),
            made => made,
        }
    }

    /// Makes the first `bytes` bytes zeros, after the launches so far.
    ///
    /// # Errors
    /// [`ExecError::Device`], also where it has fewer.
    pub fn clear(&self, buffer: &mut Buffer, bytes: usize) -> Result<(), ExecError> {
        let short = || ExecError::Device("a buffer on the card is shorter than what is cleared".into());
        let mut front = buffer.0.try_slice_mut(0..bytes).ok_or_else(short)?;
        if bytes == 0 { Ok(()) } else { self.stream.memset_zeros(&mut front).map_err(device_error) }
    }

    /// A copy of `bytes` on the card.
    ///
    /// # Errors
    /// [`ExecError::DeviceMemory`], [`ExecError::Device`].
    pub fn upload(&self, bytes: &[u8]) -> Result<Buffer, ExecError> {
        let mut buffer = self.zeros(bytes.len())?;
        if !bytes.is_empty() {
            self.stream.memcpy_htod(bytes, &mut buffer.0).map_err(device_error)?;
        }
        Ok(buffer)
    }

    /// Copies `bytes` to the front of `to`.
    ///
    /// # Errors
    /// [`ExecError::Device`], also when `to` is too short.
    pub fn upload_to(&self, to: &mut Buffer, bytes: &[u8]) -> Result<(), ExecError> {
        let short = || ExecError::Device("a buffer on the card is shorter than what is copied to it".into());
        let mut front = to.0.try_slice_mut(0..bytes.len()).ok_or_else(short)?;
        if bytes.is_empty() { Ok(()) } else { self.stream.memcpy_htod(bytes, &mut front).map_err(device_error) }
    }

    /// Waits for all launches and copies the front of `from` into `to`.
    ///
    /// # Errors
    /// [`ExecError::Device`], also for what a launch before it did.
    pub fn fetch(&self, from: &Buffer, to: &mut [u8]) -> Result<(), ExecError> {
        self.fetch_from(from, 0, to)
    }

    /// Waits for all launches and copies what begins at byte `start` of `from` into `to`.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn fetch_from(&self, from: &Buffer, start: usize, to: &mut [u8]) -> Result<(), ExecError> {
        let short = || ExecError::Device("a buffer on the card is shorter than what is fetched".into());
        if !to.is_empty() {
            let view = from.0.try_slice(start..start.saturating_add(to.len())).ok_or_else(short)?;
            self.hash_leaves(from, start, to)?;
            self.stream.memcpy_dtoh(&view, to).map_err(device_error)?;
        }
        self.finish()
    }

    /// Waits for everything given to the card and reports what went wrong on the way, in drops, too.
    ///
    /// # Errors
    /// [`ExecError::Device`].
    pub fn finish(&self) -> Result<(), ExecError> {
        self.stream.synchronize().and_then(|()| self.flow.synchronize()).map_err(device_error)?;
        self.stream.context().check_err().map_err(device_error)
    }

    /// Begins a launch of `function`.
    pub fn launch<'a>(&'a self, function: &'a Function) -> Launch<'a> {
        Launch::new(&self.stream, function)
    }
}

/// A launch under construction; arguments in the order of the function's parameters.
pub struct Launch<'a> {
    args: LaunchArgs<'a>,
    takes: &'a [usize],
    /// Bytes of each argument so far.
    passed: Vec<usize>,
}

impl<'a> Launch<'a> {
    /// Begins a launch in a stream.
    pub(super) fn new(stream: &'a CudaStream, function: &'a Function) -> Self {
        Self { args: stream.launch_builder(&function.entry), takes: &function.takes, passed: Vec::new() }
    }

    /// A pointer that is only read.
    pub fn bytes<'b: 'a>(&mut self, buffer: &'b Buffer) -> &mut Self {
        self.passed.push(size_of::<u64>());
        self.args.arg(&buffer.0);
        self
    }

    /// A pointer that is written.
    pub fn bytes_mut<'b: 'a>(&mut self, buffer: &'b mut Buffer) -> &mut Self {
        self.passed.push(size_of::<u64>());
        self.args.arg(&mut buffer.0);
        self
    }

    /// A number.
    pub fn value<'b: 'a, T: DeviceRepr>(&mut self, value: &'b T) -> &mut Self {
        self.passed.push(size_of::<T>());
        self.args.arg(value);
        self
    }

    /// Starts `grid` blocks of `block` threads and returns at once.
    ///
    /// # Safety
    /// The arguments must be those of the function in number, order and type, and the function must stay inside of
    /// the buffers with them.
    ///
    /// # Errors
    /// [`ExecError::Device`], also where the function's PTX has other parameters in number or width.
    pub unsafe fn run(&mut self, grid: (u32, u32), block: (u32, u32)) -> Result<(), ExecError> {
        // SAFETY: as the caller promises.
        unsafe { self.run_with_shared(grid, block, 0) }
    }

    /// As [`run`](Self::run), with `shared_mem_bytes` of shared memory for each block besides what the function declares.
    ///
    /// # Safety
    /// As [`run`](Self::run).
    ///
    /// # Errors
    /// [`ExecError::Device`].
    pub unsafe fn run_with_shared(
        &mut self,
        grid: (u32, u32),
        block: (u32, u32),
        shared_mem_bytes: u32,
    ) -> Result<(), ExecError> {
        // Types are the caller's word; number and widths are known.
        if self.passed != self.takes {
            let (passed, takes) = (&self.passed, self.takes);
            return Err(ExecError::Device(format!("a launch passes {passed:?} bytes to a function of {takes:?}")));
        }
        let config = LaunchConfig { grid_dim: (grid.0, grid.1, 1), block_dim: (block.0, block.1, 1), shared_mem_bytes };
        // SAFETY: as the caller promises.
        unsafe { self.args.launch(config) }.map(|_| ()).map_err(device_error)
    }
}

/// What was compiled for this card beforehand, else the best PTX of a source that it and its driver take.
fn load(
    context: &Arc<CudaContext>,
    source: &CudaSource,
    capability: (i32, i32),
    notes: &mut Vec<String>,
) -> Result<Arc<CudaModule>, DriverError> {
    if let Some(cubin) = cubins::image(source.name, capability) {
        match context.load_module(Ptx::from_binary(cubin)) {
            Ok(module) => return Ok(module),
            Err(error) => notes.push(format!("the driver refuses the cubin of {}: {error}", source.name)),
        }
    }
    let mut fitting: Vec<&CudaVariant> =
        cuda_variants(source.kernel).iter().filter(|variant| variant.runs_on(capability)).collect();
    fitting.sort_by_key(|variant| core::cmp::Reverse(variant.capability));
    for variant in fitting {
        match context.load_module(Ptx::from_src(variant.ptx)) {
            Ok(module) => return Ok(module),
            Err(error) => notes.push(format!("the driver refuses {} for {}: {error}", source.name, variant.arch)),
        }
    }
    context.load_module(Ptx::from_src(source.ptx))
}

pub(super) fn memory_error(error: DriverError, bytes: usize) -> ExecError {
    if error.0 == CUresult::CUDA_ERROR_OUT_OF_MEMORY {
        ExecError::DeviceMemory(bytes as u64)
    } else {
        device_error(error)
    }
}

pub(super) fn device_error(error: DriverError) -> ExecError {
    ExecError::Device(error.to_string())
}
