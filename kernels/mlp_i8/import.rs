//! A renter's own network: NumPy files in, params and input bytes out.
//!
//! A network is a folder. For layer i, from 0: `weights_i.npy`, int8, one row for each neuron (outputs x inputs, as
//! PyTorch's `nn.Linear.weight`; scikit-learn's `coefs_[i]` transposed); `biases_i.npy`, int32, one for each neuron.
//! And `requantise.npy`, int32, one row for each layer but the last: multiplier (Q0.31), right shift, and 1 for a ReLU
//! or 0 for none; not there for a network of one layer. Samples are one int8 matrix, a row for each.
//!
//! Both orders of elements are taken, C's and Fortran's. The crate npyz reads the headers: the command line has it
//! already, and files come from strangers, so no parser of our own.

use std::fs;
use std::path::{Path, PathBuf};

use super::params::{Activation, Layer, MAX_INPUT_WIDTH, MAX_LAYERS, MAX_WIDTH, Output, Params, Row};
use super::{BIAS_BYTES, MAX_SHIFT};
use crate::abi::{ParamError, VerifierError};
use crate::merkle::CHUNK_BYTES;

/// Most bytes of one file.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Why files are not a network or samples, for people.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file can't be read.
    #[error("{path} can't be read: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// More than a network or a batch can have.
    #[error("{path} has {bytes} bytes; a file of a network or a batch may have {MAX_FILE_BYTES} at most")]
    TooLong {
        /// Which.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// Not a NumPy file.
    #[error("{path} is not a NumPy .npy file: {error}; write it with numpy.save")]
    NotNpy {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Elements of another type.
    #[error("{path} holds elements of type {found}; {wanted} is needed: convert it with array.astype(numpy.{wanted})")]
    ElementType {
        /// Which.
        path: PathBuf,
        /// NumPy's name of what is in it.
        found: String,
        /// What is needed.
        wanted: &'static str,
    },
    /// Another shape.
    #[error("{path} has shape {found:?}; {wanted} is needed")]
    Shape {
        /// Which.
        path: PathBuf,
        /// Its shape.
        found: Vec<u64>,
        /// What is needed.
        wanted: String,
    },
    /// Fewer or more elements than the header says.
    #[error("{path} should hold {expected} bytes of elements and holds {found}: it is damaged")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// By its header.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// A requantisation that the kernel does not have.
    #[error(
        "{path}, row {row}: multiplier {multiplier}, shift {shift}, activation {activation}; the multiplier is 1 to \
         2147483647, the shift 0 to {MAX_SHIFT}, the activation 0 (none) or 1 (ReLU)"
    )]
    Requantisation {
        /// Which.
        path: PathBuf,
        /// Layer.
        row: usize,
        /// As found.
        multiplier: i32,
        /// As found.
        shift: i32,
        /// As found.
        activation: i32,
    },
    /// No layer, or too many.
    #[error("{0} has no weights_0.npy, or more than {MAX_LAYERS} layers")]
    Layers(PathBuf),
    /// Sums that could leave 32 bits.
    #[error(
        "layer {layer}, neuron {neuron}: with this bias a sum can leave 32 bits, where it would wrap; check the scale \
         with which the biases were quantised"
    )]
    BiasTooLarge {
        /// Layer.
        layer: usize,
        /// Neuron.
        neuron: usize,
    },
    /// A real multiplier that no integer one stands for.
    #[error("a requantisation by {0} can't be expressed: it must lie above 2^-32 and below 1")]
    Scale(f64),
    /// A batch that the network does not read.
    #[error("the samples have {samples} values each and the network reads {network}")]
    SampleWidth {
        /// Of the samples.
        samples: u32,
        /// Of the network.
        network: u32,
    },
    /// Params that no job has.
    #[error("no job can have this network, batch and number of groups: {}", VerifierError::from(*.0).text())]
    Params(ParamError),
}

/// A matrix, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix<T> {
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
    /// Elements, row by row.
    pub data: Vec<T>,
}

impl<T> Matrix<T> {
    fn each_row(&self) -> impl Iterator<Item = &[T]> {
        self.data.chunks((self.columns as usize).max(1))
    }
}

/// A dense layer with its weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dense {
    /// One row for each neuron.
    pub weights: Matrix<i8>,
    /// One for each neuron.
    pub biases: Vec<i32>,
    /// Its width, and how its sums become values.
    pub layer: Layer,
}

/// A network with its weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    layers: Vec<Dense>,
}

impl Network {
    /// Reads a network's folder.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub fn read(folder: &Path) -> Result<Self, ImportError> {
        let file = |name: &str, i: usize| folder.join(format!("{name}_{i}.npy"));
        let count = (0..=MAX_LAYERS).take_while(|i| file("weights", *i).exists()).count();
        if count == 0 || count > MAX_LAYERS {
            return Err(ImportError::Layers(folder.to_owned()));
        }
        let hidden = count.saturating_sub(1);
        let requantise_path = folder.join("requantise.npy");
        let requantise =
            if hidden == 0 { Matrix { rows: 0, columns: 3, data: Vec::new() } } else { read_int32(&requantise_path)? };
        if requantise.columns != 3 || requantise.rows as usize != hidden {
            return Err(ImportError::Shape {
                path: requantise_path,
                found: vec![requantise.rows.into(), requantise.columns.into()],
                wanted: format!("({hidden}, 3), a row for each layer but the last,"),
            });
        }
        let mut rows = requantise.each_row();
        let mut layers: Vec<Dense> = Vec::new();
        for i in 0..count {
            let path = file("weights", i);
            let weights = read_int8(&path)?;
            let inputs = layers.last().map_or(MAX_INPUT_WIDTH, |before| before.layer.width);
            let fits = if i == 0 { weights.columns <= inputs } else { weights.columns == inputs };
            if !fits || weights.rows > MAX_WIDTH {
                let wanted = if i == 0 {
                    format!("at most {MAX_WIDTH} neurons of at most {MAX_INPUT_WIDTH} inputs")
                } else {
                    format!("at most {MAX_WIDTH} neurons of {inputs} inputs, as many as the layer before has neurons,")
                };
                let found = vec![weights.rows.into(), weights.columns.into()];
                return Err(ImportError::Shape { path, found, wanted });
            }
            let path = file("biases", i);
            let biases = read_int32(&path)?;
            if (biases.rows, biases.columns) != (1, weights.rows) {
                let found = vec![biases.rows.into(), biases.columns.into()];
                let wanted = format!("({},), one for each neuron,", weights.rows);
                return Err(ImportError::Shape { path, found, wanted });
            }
            check_sums(i, &weights, &biases.data)?;
            let layer = match rows.next() {
                Some(row) if i < hidden => layer_of(&requantise_path, i, weights.rows, row)?,
                _ => Layer::last(weights.rows),
            };
            layers.push(Dense { weights, biases: biases.data, layer });
        }
        Ok(Self { layers })
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// Values of a sample.
    pub fn input_width(&self) -> u32 {
        self.layers.first().map_or(0, |layer| layer.weights.columns)
    }

    /// Params for these samples.
    ///
    /// # Errors
    /// [`ImportError::SampleWidth`], [`ImportError::Params`].
    pub fn params(&self, samples: &Matrix<i8>, groups: u8, output: Output) -> Result<Params, ImportError> {
        let network = self.input_width();
        if samples.columns != network {
            return Err(ImportError::SampleWidth { samples: samples.columns, network });
        }
        let layers: Vec<Layer> = self.layers.iter().map(|dense| dense.layer).collect();
        Params::new(samples.rows, groups, output, network, &layers).map_err(ImportError::Params)
    }

    /// Input 1 of a job with these params: the weights of all layers.
    pub fn weights_input(&self, params: &Params) -> Vec<u8> {
        let mut bytes = zeros(params.input_chunks().1);
        for (stage, dense) in self.layers.iter().enumerate() {
            for ((neuron, weights), bias) in (0..).zip(dense.weights.each_row()).zip(&dense.biases) {
                let Some(row) = row_mut(&mut bytes, &params.weight_row(stage, neuron)) else { continue };
                fill(row, weights);
                if let Some(to) = row.last_chunk_mut::<{ BIAS_BYTES as usize }>() {
                    *to = bias.to_le_bytes();
                }
            }
        }
        bytes
    }
}

/// Input 0 of a job with these params: the samples.
pub fn samples_input(params: &Params, samples: &Matrix<i8>) -> Vec<u8> {
    let mut bytes = zeros(params.input_chunks().0);
    for (number, sample) in (0..).zip(samples.each_row()) {
        if let Some(row) = row_mut(&mut bytes, &params.sample_row(number)) {
            fill(row, sample);
        }
    }
    bytes
}

/// Multiplier and shift that stand for a real factor between layers, as TensorFlow Lite's `QuantizeMultiplier` finds
/// them: the multiplier's top bit is 2^30, it rounds to the nearest. A factor of 1 or more has none here.
///
/// # Errors
/// [`ImportError::Scale`].
pub fn quantise_multiplier(real: f64) -> Result<(u32, u8), ImportError> {
    if !(real > 0.0 && real < 1.0) {
        return Err(ImportError::Scale(real));
    }
    // Doubling is exact, and so is the multiplication by 2^31.
    let (mut fraction, mut shift) = (real, 0u8);
    while fraction < 0.5 {
        fraction += fraction;
        shift = shift.saturating_add(1);
        if shift > MAX_SHIFT {
            return Err(ImportError::Scale(real));
        }
    }
    match (fraction * 2_147_483_648.0).round() as u32 {
        0x8000_0000 if shift == 0 => Err(ImportError::Scale(real)),
        0x8000_0000 => Ok((1 << 30, shift.saturating_sub(1))),
        multiplier => Ok((multiplier, shift)),
    }
}

fn layer_of(path: &Path, row: usize, width: u32, of: &[i32]) -> Result<Layer, ImportError> {
    let [multiplier, shift, activation] = *of else { return Err(ImportError::Layers(path.to_owned())) };
    let refused = || ImportError::Requantisation { path: path.to_owned(), row, multiplier, shift, activation };
    let kind = match activation {
        0 => Activation::None,
        1 => Activation::Relu,
        _ => return Err(refused()),
    };
    let factor = u32::try_from(multiplier).ok().filter(|multiplier| *multiplier > 0).ok_or_else(refused)?;
    let shift = u8::try_from(shift).ok().filter(|shift| *shift <= MAX_SHIFT).ok_or_else(refused)?;
    Ok(Layer { width, multiplier: factor, shift, activation: kind })
}

/// Refuses biases with which a sum could wrap: the chain would agree, but nobody wants it.
fn check_sums(layer: usize, weights: &Matrix<i8>, biases: &[i32]) -> Result<(), ImportError> {
    for (neuron, (row, bias)) in weights.each_row().zip(biases).enumerate() {
        let reach = row.iter().map(|weight| u64::from(weight.unsigned_abs())).sum::<u64>().saturating_mul(128);
        if reach.saturating_add(u64::from(bias.unsigned_abs())) > u64::from(i32::MAX.unsigned_abs()) {
            return Err(ImportError::BiasTooLarge { layer, neuron });
        }
    }
    Ok(())
}

fn zeros(chunks: u64) -> Vec<u8> {
    vec![0; usize::try_from(chunks.saturating_mul(CHUNK_BYTES as u64)).unwrap_or(0)]
}

fn row_mut<'a>(input: &'a mut [u8], row: &Row) -> Option<&'a mut [u8]> {
    let start = row.chunk.checked_mul(CHUNK_BYTES as u64)?.checked_add(u64::from(row.offset))?;
    input.get_mut(usize::try_from(start).ok()?..)?.get_mut(..row.bytes as usize)
}

fn fill(row: &mut [u8], values: &[i8]) {
    for (to, value) in row.iter_mut().zip(values) {
        *to = value.cast_unsigned();
    }
}

/// Reads an int8 matrix.
///
/// # Errors
/// See [`ImportError`].
pub fn read_int8(path: &Path) -> Result<Matrix<i8>, ImportError> {
    read(path, "int8", |bytes: &[u8; 1], _| i8::from_le_bytes(*bytes))
}

/// Reads an int32 matrix; a vector becomes one row.
///
/// # Errors
/// See [`ImportError`].
pub fn read_int32(path: &Path) -> Result<Matrix<i32>, ImportError> {
    read(
        path,
        "int32",
        |bytes: &[u8; 4], big| {
            if big { i32::from_be_bytes(*bytes) } else { i32::from_le_bytes(*bytes) }
        },
    )
}

/// Reads a matrix of signed integers of N bytes.
fn read<T: Copy, const N: usize>(
    path: &Path,
    wanted: &'static str,
    element: impl Fn(&[u8; N], bool) -> T,
) -> Result<Matrix<T>, ImportError> {
    let unreadable = |error| ImportError::Unreadable { path: path.to_owned(), error };
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_FILE_BYTES {
        return Err(ImportError::TooLong { path: path.to_owned(), bytes: length });
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let mut rest = bytes.as_slice();
    let header = npyz::NpyHeader::from_reader(&mut rest)
        .map_err(|error| ImportError::NotNpy { path: path.to_owned(), error })?;
    let dtype = header.dtype();
    let big = match &dtype {
        npyz::DType::Plain(t) if t.type_char() == npyz::TypeChar::Int && t.size_field() == N as u64 => {
            t.endianness() == npyz::Endianness::Big
        }
        _ => return Err(ImportError::ElementType { path: path.to_owned(), found: dtype.descr(), wanted }),
    };
    let shape = header.shape();
    let side = |n: u64| u32::try_from(n).ok().filter(|n| *n > 0);
    let sides = match *shape {
        [columns] => side(1).zip(side(columns)),
        [rows, columns] => side(rows).zip(side(columns)),
        _ => None,
    };
    let Some((rows, columns)) = sides else {
        let wanted = "a matrix with one row and one column at least".to_owned();
        return Err(ImportError::Shape { path: path.to_owned(), found: shape.to_vec(), wanted });
    };
    let expected = u64::from(rows).saturating_mul(u64::from(columns)).saturating_mul(N as u64);
    if rest.len() as u64 != expected {
        return Err(ImportError::Damaged { path: path.to_owned(), expected, found: rest.len() as u64 });
    }
    let data: Vec<T> = rest.as_chunks::<N>().0.iter().map(|bytes| element(bytes, big)).collect();
    let data = match header.order() {
        npyz::Order::C => data,
        // Column by column: every `rows`-th element from the row's own on is one row.
        npyz::Order::Fortran => {
            let rows = rows as usize;
            (0..rows).flat_map(|row| data.iter().copied().skip(row).step_by(rows)).collect()
        }
    };
    Ok(Matrix { rows, columns, data })
}
