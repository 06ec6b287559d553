//! Results on their way from the card: a tile is hashed and copied while the next ones are computed.
//!
//! Three streams: launches (the default one), hashing, copies. A tile has a buffer on the card and one of pinned memory
//! here, and two tiles take turns: the host waits for the copy of the one before the last, launches that write into a
//! buffer wait on the card for its hashing.

use core::ops::Range;
use core::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use cudarc::driver::{CudaContext, CudaEvent, CudaStream, DeviceRepr, DriverError, result};

use super::gpu::{device_error, memory_error};
use super::plan::{Plan, levels, place_of};
use super::{Buffer, Commit, CudaSource, ExecError, Gpu, Launch};
use crate::abi::Geometry;
use crate::hash::Hash;

/// The tree's number among the kernels.
const MERKLE: u16 = 0;
/// Threads of a block: `BLOCK` in merkle.cu.
const BLOCK: u32 = 128;
/// Bytes of a hash.
const HASH_BYTES: u64 = 32;
/// How long the host sleeps before it asks the card again.
const ASK: Duration = Duration::from_micros(20);
/// Buffers that are kept for the next run.
const SPARE: usize = 2;

/// The tree's CUDA side.
pub(super) const SOURCE: CudaSource = CudaSource {
    kernel: MERKLE,
    name: "merkle",
    functions: &["merkle_leaves", "merkle_nodes"],
    cu: concat!(include_str!("../hash/sha256.cuh"), include_str!("../../merkle/merkle.cu")),
    ptx: include_str!("../../merkle/merkle.ptx"),
};

/// The salt's big-endian words, as merkle.cu takes them.
#[derive(Clone, Copy)]
#[repr(C)]
struct Salt([u32; 8]);

// SAFETY: plain words, laid out as the struct of the same name in merkle.cu.
unsafe impl DeviceRepr for Salt {}

impl Salt {
    fn new(salt: &Hash) -> Self {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(salt.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        Self(words)
    }
}

/// The other streams of a card, and what they work on.
pub(super) struct Flow {
    hash: Arc<CudaStream>,
    copy: Arc<CudaStream>,
    hashing: Mutex<Option<Hashing>>,
    spare: Mutex<Vec<Slot>>,
}

/// Hashing of the leaves that are being computed.
struct Hashing {
    plan: Plan,
    /// Address and length of the result here.
    out: (usize, usize),
    salt: Salt,
    level: u8,
    /// Of every leaf.
    hashes: Buffer,
}

impl Flow {
    pub(super) fn new(context: &Arc<CudaContext>) -> Result<Self, DriverError> {
        let (hash, copy) = (context.new_stream()?, context.new_stream()?);
        Ok(Self { hash, copy, hashing: Mutex::default(), spare: Mutex::default() })
    }

    /// Waits for both streams.
    pub(super) fn synchronize(&self) -> Result<(), DriverError> {
        self.hash.synchronize()?;
        self.copy.synchronize()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bytes_of(hashes: u64) -> usize {
    usize::try_from(hashes.saturating_mul(HASH_BYTES)).unwrap_or(usize::MAX)
}

impl Gpu {
    /// The tiles in which `out` is computed, of at most `tile_bytes` each.
    ///
    /// # Errors
    /// [`ExecError::DeviceMemory`], [`ExecError::Device`].
    pub fn tiles<'a>(&'a self, out: &'a mut [u8], tile_bytes: usize) -> Result<Tiles<'a>, ExecError> {
        let tile_bytes = tile_bytes.min(out.len()).max(1);
        let count = out.len().div_ceil(tile_bytes);
        self.pieces(out, tile_bytes, count)
    }

    /// `count` tiles of at most `tile_bytes` each, of which pieces belong to any places of `out`: for
    /// [`emit_pieces`](Tiles::emit_pieces).
    ///
    /// # Errors
    /// [`ExecError::DeviceMemory`], [`ExecError::Device`].
    pub fn pieces<'a>(&'a self, out: &'a mut [u8], tile_bytes: usize, count: usize) -> Result<Tiles<'a>, ExecError> {
        let tile_bytes = tile_bytes.max(1);
        let left = out.len();
        let mut tiles = Tiles { gpu: self, out, tile_bytes, at: 0, left, slots: Vec::new(), turn: 0 };
        while tiles.slots.len() < count.clamp(1, 2) {
            tiles.slots.push(self.slot(tile_bytes)?);
        }
        Ok(tiles)
    }

    /// Gives back the buffers that are kept for the next run; whether there were any.
    pub(super) fn drop_spare(&self) -> bool {
        let spare = core::mem::take(&mut *lock(&self.flow.spare));
        !spare.is_empty()
    }

    /// Buffers for a tile: kept ones that are large enough, or else new ones.
    fn slot(&self, bytes: usize) -> Result<Slot, ExecError> {
        let mut spare = lock(&self.flow.spare);
        if let Some(at) = spare.iter().position(|slot| slot.pinned.len >= bytes) {
            return Ok(spare.swap_remove(at));
        }
        drop(spare);
        // Those that are too small make room.
        self.drop_spare();
        let buffer = self.zeros(bytes)?;
        let pinned = Pinned::new(self.stream.context(), bytes).map_err(|error| memory_error(error, bytes))?;
        Ok(Slot { buffer, pinned, busy: None })
    }

    /// From here on the leaves of `leaves` are hashed as they leave the card for `out`, where there is memory for it.
    pub(super) fn begin_hashing(
        &self,
        geometry: &Geometry,
        leaves: Range<u64>,
        commit: &Commit,
        out: &[u8],
    ) -> Result<(), ExecError> {
        let plan = Plan::new(geometry, leaves);
        if u32::try_from(plan.leaves()).is_err() {
            return Ok(());
        }
        let hashes = match self.zeros(bytes_of(plan.leaves())) {
            Err(ExecError::DeviceMemory(_)) => return Ok(()),
            other => other?,
        };
        // They are zeroed in the default stream.
        self.flow.hash.join(&self.stream).map_err(device_error)?;
        let (salt, level) = (Salt::new(&commit.salt), commit.level);
        let out = (out.as_ptr().addr(), out.len());
        *lock(&self.flow.hashing) = Some(Hashing { plan, out, salt, level, hashes });
        Ok(())
    }

    /// Begins to hash what is about to be copied from byte `start` of `from` to `to`, when the launches so far are done;
    /// nothing where it is no part of what is to be hashed.
    pub(super) fn hash_leaves(&self, from: &Buffer, start: usize, to: &[u8]) -> Result<(), ExecError> {
        let mut hashing = lock(&self.flow.hashing);
        let Some(Hashing { plan, out: (out, len), salt, hashes, .. }) = hashing.as_mut() else { return Ok(()) };
        let Some(tile) = place_of(*out, *len, to) else { return Ok(()) };
        let stream = &self.flow.hash;
        let function = self.function(MERKLE, "merkle_leaves")?;
        stream.join(&self.stream).map_err(device_error)?;
        for run in plan.take(tile) {
            let begin = run.from.saturating_add(start as u64);
            let mut launch = Launch::new(stream, &function);
            launch.bytes_mut(hashes).bytes(from).value(&*salt);
            launch.value(&begin).value(&run.to).value(&run.leaf_bytes).value(&run.count);
            // SAFETY: the arguments are those of merkle.cu in order and type. The plan gives runs that lie in the tile,
            // all of which the caller has found to be in the buffer, and a place for each of their hashes.
            unsafe { launch.run((run.count.div_ceil(BLOCK), 1), (BLOCK, 1)) }?;
        }
        Ok(())
    }

    /// The nodes over all leaves; none where not all of them left the card as they are, or no hashing had begun.
    pub(super) fn end_hashing(&self) -> Result<Option<Vec<Hash>>, ExecError> {
        let Some(Hashing { plan, level, mut hashes, .. }) = lock(&self.flow.hashing).take() else { return Ok(None) };
        let stream = &self.flow.hash;
        // What still writes to the hashes ends before they may be given back, on whatever way out of here.
        stream.synchronize().map_err(device_error)?;
        if !plan.is_complete() {
            return Ok(None);
        }
        let function = self.function(MERKLE, "merkle_nodes")?;
        let mut nodes = plan.leaves();
        // Without memory for that, somebody else hashes: the bytes are there.
        let mut above = match self.zeros(bytes_of(nodes.div_ceil(2))) {
            Err(ExecError::DeviceMemory(_)) => return Ok(None),
            other => other?,
        };
        stream.join(&self.stream).map_err(device_error)?;
        for below in levels(nodes, level) {
            let count = u32::try_from(below).unwrap_or(u32::MAX);
            nodes = below.div_ceil(2);
            let mut launch = Launch::new(stream, &function);
            launch.bytes_mut(&mut above).bytes(&hashes).value(&count);
            // SAFETY: the arguments are those of merkle.cu in order and type; it reads `count` nodes and writes half as
            // many, for which each buffer in turn has room.
            unsafe { launch.run((count.div_ceil(2).div_ceil(BLOCK), 1), (BLOCK, 1)) }?;
            core::mem::swap(&mut above, &mut hashes);
        }
        let mut made = vec![[0; 32]; usize::try_from(nodes).unwrap_or(0)];
        if nodes > 0 {
            let short = || ExecError::Device("fewer hashes on the card than leaves".into());
            let view = hashes.0.try_slice(0..bytes_of(nodes)).ok_or_else(short)?;
            stream.memcpy_dtoh(&view, made.as_flattened_mut()).map_err(device_error)?;
        }
        stream.synchronize().map_err(device_error)?;
        Ok(Some(made))
    }
}

/// A result that leaves the card tile by tile.
///
/// For each [`upcoming`](Self::upcoming) tile: launches that write it to the front of [`buffer`](Self::buffer), then
/// [`emit`](Self::emit). [`finish`](Self::finish) at the end. Where a launch makes pieces for several places,
/// [`emit_pieces`](Self::emit_pieces) takes the place of the first and the last of these.
pub struct Tiles<'a> {
    gpu: &'a Gpu,
    out: &'a mut [u8],
    tile_bytes: usize,
    /// Bytes before the upcoming tile.
    at: usize,
    /// Bytes that are still to be emitted.
    left: usize,
    slots: Vec<Slot>,
    turn: usize,
}

/// Buffers of one tile.
struct Slot {
    buffer: Buffer,
    pinned: Pinned,
    /// The tile that is in it.
    busy: Option<Busy>,
}

/// A tile on its way.
struct Busy {
    /// Where its pieces begin in the buffers, and their places in the result.
    pieces: Vec<(usize, Range<usize>)>,
    copied: CudaEvent,
    hashed: CudaEvent,
}

impl Tiles<'_> {
    /// The bytes of the result that are to be computed next; none after the last.
    pub fn upcoming(&self) -> Option<Range<usize>> {
        let end = self.at.saturating_add(self.tile_bytes).min(self.out.len());
        (self.at < end).then_some(self.at..end)
    }

    /// Where the next tile belongs: its bytes from the front on. What lies there is of no use any more.
    ///
    /// # Errors
    /// [`ExecError::Device`], also for what a launch before it did.
    pub fn buffer(&mut self) -> Result<&mut Buffer, ExecError> {
        let hashed = self.collect(self.turn)?;
        if let Some(hashed) = hashed {
            self.gpu.stream.wait(&hashed).map_err(device_error)?;
        }
        let slot = self.slots.get_mut(self.turn).ok_or_else(no_slot)?;
        Ok(&mut slot.buffer)
    }

    /// The launches so far write the upcoming tile: it is hashed and copied when they are done. Returns at once.
    ///
    /// # Errors
    /// [`ExecError::Device`].
    pub fn emit(&mut self) -> Result<(), ExecError> {
        let Some(tile) = self.upcoming() else { return Ok(()) };
        let end = tile.end;
        self.emit_pieces(vec![(0, tile)])?;
        self.at = end;
        Ok(())
    }

    /// The launches so far write a tile of which pieces, each from a byte of the buffer on, belong to these places in the
    /// result: they are hashed and copied when the launches are done. Every byte of the result comes once. Returns at once.
    ///
    /// # Errors
    /// [`ExecError::Device`], also where a piece or its place is not there.
    pub fn emit_pieces(&mut self, mut pieces: Vec<(usize, Range<usize>)>) -> Result<(), ExecError> {
        pieces.retain(|(_, to)| !to.is_empty());
        if pieces.is_empty() {
            return Ok(());
        }
        let (gpu, Flow { hash, copy, .. }) = (self.gpu, &self.gpu.flow);
        // One that is still on its way would be lost: `buffer` waits for it.
        let slot = self.slots.get_mut(self.turn).filter(|slot| slot.busy.is_none()).ok_or_else(no_slot)?;
        let short = || ExecError::Device("a buffer on the card is shorter than its tile".into());
        copy.join(&gpu.stream).map_err(device_error)?;
        let mut bytes = 0usize;
        for (from, to) in &pieces {
            let held = *from..from.saturating_add(to.len());
            let view = slot.buffer.0.try_slice(held.clone()).ok_or_else(short)?;
            let place = slot.pinned.bytes_mut().get_mut(held).ok_or_else(short)?;
            gpu.hash_leaves(&slot.buffer, *from, self.out.get(to.clone()).ok_or_else(short)?)?;
            // The place is not looked at before `copied` has happened, and outlives it: see `collect` and `drop`.
            copy.memcpy_dtoh(&view, place).map_err(device_error)?;
            bytes = bytes.saturating_add(to.len());
        }
        let hashed = hash.record_event(None).map_err(device_error)?;
        let copied = copy.record_event(None).map_err(device_error)?;
        self.left = self.left.checked_sub(bytes).ok_or_else(short)?;
        slot.busy = Some(Busy { pieces, copied, hashed });
        self.turn = self.turn.saturating_add(1).checked_rem(self.slots.len()).unwrap_or(0);
        Ok(())
    }

    /// Waits for the last tiles: the result is whole.
    ///
    /// # Errors
    /// [`ExecError::Device`], also where tiles are missing.
    pub fn finish(mut self) -> Result<(), ExecError> {
        if self.left > 0 {
            return Err(ExecError::Device("not all of the result was computed".into()));
        }
        for _ in 0..self.slots.len() {
            if let Some(hashed) = self.collect(self.turn)? {
                self.gpu.stream.wait(&hashed).map_err(device_error)?;
            }
            self.turn = self.turn.saturating_add(1).checked_rem(self.slots.len()).unwrap_or(0);
        }
        // Nothing uses the buffers any more but hashing, for which the next launch and the giving back wait.
        let mut spare = lock(&self.gpu.flow.spare);
        spare.append(&mut self.slots);
        spare.truncate(SPARE);
        Ok(())
    }

    /// Waits for the copy of the tile in a slot and puts it to its place; tells what its hashing ends with.
    fn collect(&mut self, slot: usize) -> Result<Option<CudaEvent>, ExecError> {
        let slot = self.slots.get_mut(slot).ok_or_else(no_slot)?;
        let Some(Busy { pieces, copied, hashed }) = slot.busy.take() else { return Ok(None) };
        // `is_complete` would take an error for "not yet".
        while !copied.try_is_complete().map_err(device_error)? {
            sleep(ASK);
        }
        let bytes = slot.pinned.bytes_mut();
        for (from, to) in pieces {
            let piece = bytes.get(from..from.saturating_add(to.len()));
            if let (Some(place), Some(piece)) = (self.out.get_mut(to), piece) {
                place.copy_from_slice(piece);
            }
        }
        Ok(Some(hashed))
    }
}

impl Drop for Tiles<'_> {
    /// After an error: nothing may write to, or read from, what is given back now.
    fn drop(&mut self) {
        if !self.slots.is_empty() {
            let ended = self.gpu.flow.synchronize();
            self.gpu.stream.context().record_err(ended);
        }
    }
}

fn no_slot() -> ExecError {
    ExecError::Device("there is no buffer for a tile".into())
}

/// Memory of this machine that the card writes to by itself: cached, as results are read.
struct Pinned {
    bytes: NonNull<u8>,
    len: usize,
    context: Arc<CudaContext>,
}

// SAFETY: plain memory with one owner; the driver takes it back from any thread.
unsafe impl Send for Pinned {}

impl Pinned {
    fn new(context: &Arc<CudaContext>, len: usize) -> Result<Self, DriverError> {
        let len = len.max(1);
        context.bind_to_thread()?;
        // SAFETY: the driver gives `len` bytes, which are written before anybody reads them.
        let place = unsafe {
            let place = result::malloc_host(len, 0)?.cast::<u8>();
            place.write_bytes(0, len);
            place
        };
        let bytes = NonNull::new(place).ok_or(DriverError(cudarc::driver::sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY))?;
        Ok(Self { bytes, len, context: context.clone() })
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `len` bytes that were written and belong to this.
        unsafe { core::slice::from_raw_parts_mut(self.bytes.as_ptr(), self.len) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.context.record_err(self.context.bind_to_thread());
        // SAFETY: it came from `malloc_host`, and nothing is on its way to it: see `Tiles`.
        self.context.record_err(unsafe { result::free_host(self.bytes.as_ptr().cast()) });
    }
}
