//! One graphics card: memory, loaded kernels and launches, with errors in the executor's words.
//!
//! Launches and plain copies go to the default stream, so copies wait for launches. Only [`Tiles`](super::Tiles) uses
//! others. cudarc's events between streams are switched off before the first allocation.

use std::collections::HashMap;
use std::sync::Arc;

use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DeviceRepr, DriverError, LaunchArgs, LaunchConfig, PushKernelArg,
    sys::CUresult,
};
use cudarc::nvrtc::Ptx;

use super::tiles::Flow;
use super::{CudaSource, ExecError};

/// A card with its kernels loaded.
pub struct Gpu {
    pub(super) stream: Arc<CudaStream>,
    functions: HashMap<(u16, &'static str), CudaFunction>,
    /// How results leave the card.
    pub(super) flow: Flow,
}

/// An entry point on the card.
#[derive(Clone)]
pub struct Function(pub(super) CudaFunction);

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
        for source in sources {
            let module = context.load_module(Ptx::from_src(source.ptx))?;
            for name in source.functions {
                functions.insert((source.kernel, *name), module.load_function(name)?);
            }
        }
        let flow = Flow::new(&context)?;
        Ok(Self { stream: context.default_stream(), functions, flow })
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
        function.map(Function).ok_or_else(|| ExecError::Device(format!("no function {name} of kernel {kernel}")))
    }

    /// Zeroed memory; at least one byte is taken.
    ///
    /// # Errors
    /// [`ExecError::DeviceMemory`], [`ExecError::Device`].
    pub fn zeros(&self, bytes: usize) -> Result<Buffer, ExecError> {
        self.stream.alloc_zeros(bytes.max(1)).map(Buffer).map_err(|error| memory_error(error, bytes))
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
        Launch { args: self.stream.launch_builder(&function.0) }
    }
}

/// A launch under construction; arguments in the order of the function's parameters.
pub struct Launch<'a> {
    args: LaunchArgs<'a>,
}

impl<'a> Launch<'a> {
    /// A pointer that is only read.
    pub fn bytes<'b: 'a>(&mut self, buffer: &'b Buffer) -> &mut Self {
        self.args.arg(&buffer.0);
        self
    }

    /// A pointer that is written.
    pub fn bytes_mut<'b: 'a>(&mut self, buffer: &'b mut Buffer) -> &mut Self {
        self.args.arg(&mut buffer.0);
        self
    }

    /// A number.
    pub fn value<'b: 'a, T: DeviceRepr>(&mut self, value: &'b T) -> &mut Self {
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
    /// [`ExecError::Device`].
    pub unsafe fn run(&mut self, grid: (u32, u32), block: (u32, u32)) -> Result<(), ExecError> {
        let config =
            LaunchConfig { grid_dim: (grid.0, grid.1, 1), block_dim: (block.0, block.1, 1), shared_mem_bytes: 0 };
        // SAFETY: as the caller promises.
        unsafe { self.args.launch(config) }.map(|_| ()).map_err(device_error)
    }
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
