//! `gemm_i8` on a graphics card: whichever of the ways to multiply is fastest there and gives the right numbers.

use core::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::plan::SPARE_ROWS;
use super::rows::{Pack, Rows, Tiled, by_rows};
use super::stream::{Limits, Machine, Part, stream};
use super::{ELEMENT_BYTES, GemmI8, Params, cpu};
use crate::executor::blaslt::{BlasLt, Product};
use crate::executor::{Buffer, ExecError, Function, Gpu, Tiles};
use crate::handling::noise;
use crate::kernel::Kernel;

/// Products of one launch: some tens of milliseconds on a small card.
const LAUNCH_WORK: u64 = 1 << 40;
/// Bytes of results of one launch, and of those that leave the card together.
const LAUNCH_BYTES: u64 = 1 << 29;
/// Bytes of the streaming matrix that go to the card at a time.
const STREAMED_BYTES: u64 = 1 << 30;
/// Threads of a block, in all entries.
const THREADS: u32 = 256;

/// An entry of gemm_i8.cu that multiplies, as the table there has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Rows and columns of C that a block makes.
    pub tile: (u32, u32),
    /// Bytes of shared memory that a launch gives each block.
    pub shared: u32,
}

/// All of them, the newest first; a card has those that its architecture has.
pub const ENTRIES: [Entry; 4] = [
    Entry { name: "gemm_i8_wgmma", tile: (128, 256), shared: 4 * (128 + 256) * 128 + 1024 },
    Entry { name: "gemm_i8_mma16", tile: (128, 256), shared: 4 * (128 + 256) * 64 },
    Entry { name: "gemm_i8_mma8", tile: (128, 128), shared: 0 },
    Entry { name: "gemm_i8", tile: (64, 64), shared: 0 },
];

/// A way to multiply on this card.
enum Way {
    Library(BlasLt),
    Own(&'static Entry, Function),
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Self::Library(_) => "cuBLASLt",
            Self::Own(entry, _) => entry.name,
        }
    }

    /// Begins to multiply; `false` where this way does not make such a product.
    ///
    /// # Safety
    /// The matrices must lie where `product` says, whole.
    unsafe fn multiply(&self, gpu: &Gpu, product: &Product) -> Result<bool, ExecError> {
        let (entry, function) = match self {
            // SAFETY: as the caller promises.
            Self::Library(library) => return Ok(unsafe { library.multiply(gpu, product) }.is_ok()),
            Self::Own(entry, function) => (entry, function),
        };
        let Product { out, a, b, row_bytes, k, rows, columns, stride } = product;
        // Both are limited by a launch's bytes.
        let blocks = rows.div_ceil(entry.tile.0).saturating_mul(columns.div_ceil(entry.tile.1));
        let mut launch = gpu.launch(function);
        launch.value(out).value(a).value(b).value(row_bytes).value(k).value(rows).value(columns).value(stride);
        // SAFETY: the arguments are those of gemm_i8.cu in order and type, addresses for pointers, and the caller promises
        // what lies there.
        unsafe { launch.run_with_shared((blocks, 1), (THREADS, 1), entry.shared) }?;
        Ok(true)
    }
}

/// The ways to multiply that have given the right numbers on this card, the fastest first.
pub(crate) struct Ways {
    ways: Vec<Way>,
    clean: Function,
    pack: Function,
}

impl Ways {
    /// Those of this card, found out at the first call.
    ///
    /// # Errors
    /// [`ExecError::DeviceMemory`], [`ExecError::Device`] also where no way gives the right numbers.
    pub(crate) fn of(gpu: &Gpu) -> Result<Arc<Self>, ExecError> {
        gpu.kept(GemmI8::ID, || Self::find(gpu))
    }

    /// Tries what there is on this card.
    fn find(gpu: &Gpu) -> Result<Self, ExecError> {
        let clean = gpu.function(GemmI8::ID, "gemm_i8_clean")?;
        let pack = gpu.function(GemmI8::ID, "gemm_i8_pack")?;
        let mut ways = Vec::new();
        match BlasLt::open(gpu) {
            Ok(library) => ways.push(Way::Library(library)),
            Err(refusal) => gpu.note(refusal.to_string()),
        }
        for entry in &ENTRIES {
            let Ok(function) = gpu.function(GemmI8::ID, entry.name) else { continue };
            match function.allow_shared(entry.shared) {
                Ok(()) => ways.push(Way::Own(entry, function)),
                Err(error) => gpu.note(format!("{} has not enough shared memory: {error}", entry.name)),
            }
        }
        // Ragged in every direction, with padding that is not zero; whole tiles; and one that takes long enough to be
        // timed.
        let small = [Params { m: 150, n: 275, k: 1_043 }, Params { m: 256, n: 512, k: 1_024 }];
        let small = small.map(|params| Trial::new(gpu, &clean, params));
        let long = Trial::new(gpu, &clean, Params { m: 4_096, n: 4_096, k: 4_096 })?;
        let mut timed = Vec::new();
        for way in ways {
            let (mut right, mut wrong) = (false, false);
            for trial in &small {
                match trial.as_ref().map_err(Clone::clone)?.is_right(gpu, &way)? {
                    Some(true) => right = true,
                    Some(false) => wrong = true,
                    None => gpu.note(format!("{} does not make every product", way.name())),
                }
            }
            if wrong {
                gpu.note(format!("{} does not give the right numbers here: it is not used", way.name()));
            } else if right && let Some(seconds) = long.seconds(gpu, &way)? {
                timed.push((seconds, way));
            }
        }
        timed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let ways: Vec<Way> = timed.into_iter().map(|(_, way)| way).collect();
        if ways.is_empty() {
            return Err(ExecError::Device("no way of multiplying int8 gives the right numbers".into()));
        }
        Ok(Self { ways, clean, pack })
    }

    /// Begins to multiply in the first way that makes such a product.
    ///
    /// # Safety
    /// As [`Way::multiply`].
    pub(crate) unsafe fn multiply(&self, gpu: &Gpu, product: &Product) -> Result<(), ExecError> {
        for way in &self.ways {
            // SAFETY: as the caller promises.
            if unsafe { way.multiply(gpu, product) }? {
                return Ok(());
            }
        }
        Err(ExecError::Device("no way of multiplying takes this product".into()))
    }
}

/// Makes what is behind k in rows of A zeros.
fn clean(gpu: &Gpu, function: &Function, a: &mut Buffer, params: &Params, rows: u64) -> Result<(), ExecError> {
    if params.k.is_multiple_of(128) {
        return Ok(());
    }
    let (row_bytes, rows) = (params.row_bytes() as u32, rows as u32);
    let mut launch = gpu.launch(function);
    launch.bytes_mut(a).value(&row_bytes).value(&params.k).value(&rows);
    // SAFETY: the arguments are those of gemm_i8_clean, and `a` has so many rows.
    unsafe { launch.run((rows.saturating_mul(128).div_ceil(THREADS), 1), (THREADS, 1)) }
}

/// A product on the card whose numbers are known.
struct Trial {
    product: Product,
    a: Vec<u8>,
    b: Vec<u8>,
    params: Params,
    out: Buffer,
    /// What the addresses of `product` are in.
    _held: (Buffer, Buffer),
}

impl Trial {
    fn new(gpu: &Gpu, function: &Function, params: Params) -> Result<Self, ExecError> {
        let bytes = |rows: u32| u64::from(rows).saturating_mul(params.row_bytes());
        let (a, b) = (noise(bytes(params.m), 3), noise(bytes(params.n), 4));
        let mut on_card = gpu.upload(&a)?;
        clean(gpu, function, &mut on_card, &params, params.m.into())?;
        let spare = usize::try_from(SPARE_ROWS.saturating_mul(params.row_bytes())).unwrap_or(0);
        let mut b_on_card = gpu.zeros(b.len().saturating_add(spare))?;
        gpu.upload_to(&mut b_on_card, &b)?;
        let stride = params.n.next_multiple_of(4);
        let elements = u64::from(params.m).saturating_mul(stride.into());
        let out = gpu.zeros(usize::try_from(elements.saturating_mul(ELEMENT_BYTES.into())).unwrap_or(usize::MAX))?;
        let product = Product {
            out: out.address(),
            a: on_card.address(),
            b: b_on_card.address(),
            row_bytes: params.row_bytes() as u32,
            k: params.k,
            rows: params.m,
            columns: params.n,
            stride,
        };
        Ok(Self { product, a, b, params, out, _held: (on_card, b_on_card) })
    }

    /// Whether this way makes the same of it as the processor; `None` where it does not make it.
    fn is_right(&self, gpu: &Gpu, way: &Way) -> Result<Option<bool>, ExecError> {
        let elements = usize::try_from(self.params.elements()).unwrap_or(usize::MAX);
        let mut expected = vec![0; elements.saturating_mul(ELEMENT_BYTES as usize)];
        cpu::multiply(&self.params, &self.a, &self.b, 0..self.params.elements(), &mut expected)?;
        // SAFETY: the buffers are held, and as large as the product says.
        if !unsafe { way.multiply(gpu, &self.product) }? {
            return Ok(None);
        }
        let mut made = vec![0; self.out.len()];
        gpu.fetch(&self.out, &mut made)?;
        let row = |bytes: u32| bytes.saturating_mul(ELEMENT_BYTES) as usize;
        let mut rows = made.chunks(row(self.product.stride)).zip(expected.chunks(row(self.params.n)));
        Ok(Some(rows.all(|(made, expected)| made.starts_with(expected))))
    }

    /// Seconds that it takes, at best; `None` where this way does not make it.
    fn seconds(&self, gpu: &Gpu, way: &Way) -> Result<Option<f64>, ExecError> {
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            gpu.finish()?;
            let start = Instant::now();
            // SAFETY: as in `is_right`.
            if !unsafe { way.multiply(gpu, &self.product) }? {
                return Ok(None);
            }
            gpu.finish()?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(Some(best))
    }
}

/// Room on the card for a piece of a product.
struct Room<'a> {
    gpu: &'a Gpu,
    ways: &'a Ways,
    params: &'a Params,
    a: Buffer,
    b: Buffer,
    out: Buffer,
}

impl Machine for Room<'_> {
    fn prepare(&mut self, a: usize, b: usize, out: usize) -> Result<(), ExecError> {
        (self.a, self.b) = (self.gpu.zeros(a)?, self.gpu.zeros(b)?);
        self.out = self.gpu.zeros(out)?;
        Ok(())
    }

    fn load_a(&mut self, rows: &[u8]) -> Result<(), ExecError> {
        self.gpu.upload_to(&mut self.a, rows)?;
        let count = (rows.len() as u64).checked_div(self.params.row_bytes()).unwrap_or(0);
        clean(self.gpu, &self.ways.clean, &mut self.a, self.params, count)
    }

    fn load_b(&mut self, rows: &[u8]) -> Result<(), ExecError> {
        self.gpu.upload_to(&mut self.b, rows)
    }

    fn multiply(&mut self, part: &Part) -> Result<(), ExecError> {
        self.multiply_to(part, self.out.address())
    }

    fn fetch(&mut self, start: usize, to: &mut [u8]) -> Result<(), ExecError> {
        self.gpu.fetch_from(&self.out, start, to)
    }
}

impl Room<'_> {
    /// Begins to multiply to what begins at the address `out`.
    fn multiply_to(&self, part: &Part, out: u64) -> Result<(), ExecError> {
        let Part { a, b, out: at, rows, columns, stride } = *part;
        let product = Product {
            out: out.saturating_add(at),
            a: self.a.address().saturating_add(a),
            b: self.b.address().saturating_add(b),
            row_bytes: self.params.row_bytes() as u32,
            k: self.params.k,
            rows,
            columns,
            stride,
        };
        // SAFETY: so much of both matrices has been loaded, with rows to spare behind it, and the result has room for the
        // largest part.
        unsafe { self.ways.multiply(self.gpu, &product) }
    }
}

/// The same, for results that leave run by run.
struct RunRoom<'a> {
    room: Room<'a>,
    tiles: Tiles<'a>,
}

impl Tiled for RunRoom<'_> {
    fn load_a(&mut self, rows: &[u8]) -> Result<(), ExecError> {
        self.room.load_a(rows)
    }

    fn load_b(&mut self, rows: &[u8]) -> Result<(), ExecError> {
        self.room.load_b(rows)
    }

    fn upcoming(&self) -> Option<Range<usize>> {
        self.tiles.upcoming()
    }

    fn multiply(&mut self, part: &Part, direct: bool) -> Result<(), ExecError> {
        let out = if direct { self.tiles.buffer()?.address() } else { self.room.out.address() };
        self.room.multiply_to(part, out)
    }

    fn pack(&mut self, pack: &Pack) -> Result<(), ExecError> {
        let mut launch = self.room.gpu.launch(&self.room.ways.pack);
        launch.bytes_mut(self.tiles.buffer()?).bytes(&self.room.out);
        launch.value(&pack.columns).value(&pack.stride).value(&pack.skip).value(&pack.count);
        // SAFETY: the arguments are those of gemm_i8_pack in order and type. The plan has it read what was multiplied, and
        // a run has room for its numbers.
        unsafe { launch.run((pack.count.div_ceil(THREADS), 1), (THREADS, 1)) }
    }

    fn emit(&mut self) -> Result<(), ExecError> {
        self.tiles.emit()
    }
}

/// Makes elements run by run, as `plan` has it.
fn run_by_run(
    gpu: &Gpu,
    ways: &Ways,
    params: &Params,
    plan: &Rows,
    inputs: [&[u8]; 2],
    out: &mut [u8],
) -> Result<(), ExecError> {
    let bytes = |count: u64| usize::try_from(count).map_err(|_| ExecError::DeviceMemory(count));
    let [a, b, beside] = plan.rooms();
    let (a, b, beside) = (gpu.zeros(bytes(a)?)?, gpu.zeros(bytes(b)?)?, gpu.zeros(bytes(beside)?)?);
    let room = Room { gpu, ways, params, a, b, out: beside };
    let mut room = RunRoom { room, tiles: gpu.tiles(out, bytes(plan.run_bytes())?)? };
    by_rows(&mut room, plan, inputs)?;
    room.tiles.finish()
}

/// Writes the elements `range` of C, in row-major order, to `out`.
///
/// # Errors
/// [`ExecError::DeviceMemory`] where not even a piece fits, [`ExecError::Device`], [`ExecError::LeafRange`].
pub(super) fn multiply(
    gpu: &Gpu,
    params: &Params,
    inputs: [&[u8]; 2],
    range: Range<u64>,
    out: &mut [u8],
) -> Result<(), ExecError> {
    let ways = Ways::of(gpu)?;
    let free = gpu.free_memory()?;
    // An eighth is left to others and to what allocation loses at its edges.
    let memory = free.saturating_sub(free / 8);
    let mut limits = Limits { memory, work: LAUNCH_WORK, out: LAUNCH_BYTES, streamed: STREAMED_BYTES };
    loop {
        let done = if let Some(plan) = Rows::new(params, &range, &limits) {
            run_by_run(gpu, &ways, params, &plan, inputs, out)
        } else {
            let none = || gpu.zeros(1);
            let mut room = Room { gpu, ways: &ways, params, a: none()?, b: none()?, out: none()? };
            stream(&mut room, &limits, params, inputs, range.clone(), out)
        };
        match done {
            // Free memory need not be in one piece.
            Err(ExecError::DeviceMemory(_)) if limits.memory > memory / 8 => limits.memory /= 2,
            done => return done,
        }
    }
}
