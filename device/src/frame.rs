//! How messages and bytes lie in the pipes: a greeting that every version understands, then frames of bounded length.

use std::{
    io::{self, Read, Write},
    sync::OnceLock,
};

use assay_kernels::{executor::cuda_sources, hash::sha256, registry::AnyKernel};
use borsh::{BorshDeserialize, BorshSerialize};

/// Version of everything behind the greeting.
pub const PROTOCOL: u16 = 1;
/// Most bytes of a message.
pub const MAX_MESSAGE: usize = 64 << 10;
/// Most bytes of a frame of data.
pub const MAX_DATA: usize = 1 << 20;

const MAGIC: [u8; 8] = *b"assaydev";
const MAX_BUILD: usize = 128;
const MESSAGE: u8 = 1;
const DATA: u8 = 2;

/// Why nothing more is read from the other side.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// It closed its end between two frames.
    #[error("it closed its pipe")]
    Ended,
    /// It closed its end inside of a frame, or the system failed.
    #[error("its pipe failed: {0}")]
    Io(#[from] io::Error),
    /// It does not speak this protocol at all.
    #[error("it does not begin with a greeting of this protocol")]
    NotAGreeting,
    /// A frame of no kind that there is.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    /// A frame longer than its kind may be. Nothing of it was read.
    #[error("a frame of {got} bytes, at most {most} are allowed")]
    TooLong {
        /// Bytes announced.
        got: u32,
        /// Bytes allowed.
        most: usize,
    },
    /// A message that does not decode.
    #[error("a message that can't be read: {0}")]
    Message(String),
}

/// What one side says of itself first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Version of the protocol behind it.
    pub protocol: u16,
    /// Which build it is.
    pub build: String,
}

impl Greeting {
    /// The greeting of this build.
    pub fn ours() -> Self {
        Self { protocol: PROTOCOL, build: build().to_owned() }
    }

    /// Whether both sides are of one build.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn check(&self) -> Result<(), String> {
        let ours = Self::ours();
        if self.protocol != ours.protocol {
            return Err(format!(
                "it speaks version {} of the protocol, this build speaks {}",
                self.protocol, ours.protocol
            ));
        }
        if self.build != ours.build {
            return Err(format!("it is build {}, this is {}", self.build, ours.build));
        }
        Ok(())
    }

    /// Writes it.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let build: Vec<u8> = self.build.bytes().take(MAX_BUILD).collect();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.protocol.to_le_bytes());
        bytes.push(u8::try_from(build.len()).unwrap_or(0));
        bytes.extend(build);
        to.write_all(&bytes)?;
        to.flush()
    }

    /// Reads one.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn read(from: &mut impl Read) -> Result<Self, WireError> {
        let magic: [u8; 8] = first(from)?;
        if magic != MAGIC {
            return Err(WireError::NotAGreeting);
        }
        let protocol = u16::from_le_bytes(array(from)?);
        let [length] = array(from)?;
        if usize::from(length) > MAX_BUILD {
            return Err(WireError::TooLong { got: length.into(), most: MAX_BUILD });
        }
        let mut build = vec![0; usize::from(length)];
        from.read_exact(&mut build)?;
        Ok(Self { protocol, build: String::from_utf8_lossy(&build).into_owned() })
    }
}

/// Version of the crate and a digest over what the kernels say of themselves and their code for cards.
fn build() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| {
        let kernels = AnyKernel::ALL.iter().map(|kernel| format!("{:?}", kernel.describe()));
        let code = cuda_sources().map(|source| source.ptx.to_owned());
        let digest = sha256(&[kernels.chain(code).collect::<String>().as_bytes()]);
        let digest = digest.get(..8).map(hex::encode).unwrap_or_default();
        format!("{}+{digest}", env!("CARGO_PKG_VERSION"))
    })
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message, encoded.
    Message(Vec<u8>),
    /// Bytes that a message announced.
    Data(Vec<u8>),
}

impl Frame {
    /// Reads one. Memory is taken only for lengths that are allowed.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn read(from: &mut impl Read) -> Result<Self, WireError> {
        let [kind] = first(from)?;
        let most = match kind {
            MESSAGE => MAX_MESSAGE,
            DATA => MAX_DATA,
            other => return Err(WireError::Kind(other)),
        };
        let got = u32::from_le_bytes(array(from)?);
        let length = usize::try_from(got).ok().filter(|length| *length <= most);
        let mut bytes = vec![0; length.ok_or(WireError::TooLong { got, most })?];
        from.read_exact(&mut bytes)?;
        Ok(if kind == MESSAGE { Self::Message(bytes) } else { Self::Data(bytes) })
    }

    /// Writes it.
    ///
    /// # Errors
    /// The system's, or more bytes than a frame of this kind may have.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Message(bytes) => write(to, MESSAGE, bytes, MAX_MESSAGE),
            Self::Data(bytes) => Self::write_data(to, bytes),
        }
    }

    /// Writes a frame of these data.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_data(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        write(to, DATA, bytes, MAX_DATA)
    }

    /// The frame of a message.
    ///
    /// # Errors
    /// None for messages of this protocol.
    pub fn of(message: &impl BorshSerialize) -> io::Result<Self> {
        borsh::to_vec(message).map(Self::Message).map_err(|error| io::Error::other(error.to_string()))
    }

    /// The message in it.
    ///
    /// # Errors
    /// [`WireError::Message`]: it is data, or another message.
    pub fn message<T: BorshDeserialize>(&self) -> Result<T, WireError> {
        match self {
            Self::Message(bytes) => borsh::from_slice(bytes).map_err(|error| WireError::Message(error.to_string())),
            Self::Data(_) => Err(WireError::Message("data where a message has to be".to_owned())),
        }
    }
}

fn write(to: &mut impl Write, kind: u8, bytes: &[u8], most: usize) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= most);
    let [a, b, c, d] = length.ok_or_else(|| io::Error::other("a frame longer than is allowed"))?.to_le_bytes();
    to.write_all(&[kind, a, b, c, d])?;
    to.write_all(bytes)?;
    to.flush()
}

/// The first bytes of something: none at all is the end.
fn first<const N: usize>(from: &mut impl Read) -> Result<[u8; N], WireError> {
    let mut bytes = [0; N];
    let (head, tail) = bytes.split_at_mut(1);
    loop {
        match from.read(head) {
            Ok(0) => return Err(WireError::Ended),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    from.read_exact(tail)?;
    Ok(bytes)
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Order;

    #[test]
    fn frames_come_back_as_they_were() {
        let mut pipe = Vec::new();
        let order = Order::Begin { beat_ms: 7, cache_bytes: u64::MAX };
        let frames = [Frame::of(&order).unwrap(), Frame::Data(vec![3; MAX_DATA]), Frame::Data(Vec::new())];
        for frame in &frames {
            frame.write(&mut pipe).unwrap();
        }
        let mut from = pipe.as_slice();
        for frame in &frames {
            assert_eq!(Frame::read(&mut from).unwrap(), *frame);
        }
        assert_eq!(frames[0].message::<Order>().unwrap(), order);
        assert!(matches!(Frame::read(&mut from), Err(WireError::Ended)));
        assert!(frames[1].message::<Order>().is_err());
    }

    #[test]
    fn what_is_no_frame_is_refused_before_memory_is_taken() {
        let huge = [&[DATA][..], &u32::MAX.to_le_bytes()].concat();
        assert!(matches!(Frame::read(&mut &huge[..]), Err(WireError::TooLong { got: u32::MAX, .. })));
        let long = [&[MESSAGE][..], &(MAX_MESSAGE as u32 + 1).to_le_bytes()].concat();
        assert!(matches!(Frame::read(&mut &long[..]), Err(WireError::TooLong { .. })));
        assert!(matches!(Frame::read(&mut &b"x"[..]), Err(WireError::Kind(b'x'))));
        let cut = [&[DATA][..], &9u32.to_le_bytes(), &[1, 2, 3]].concat();
        assert!(matches!(Frame::read(&mut &cut[..]), Err(WireError::Io(_))));
        assert!(matches!(Frame::read(&mut &cut[..3]), Err(WireError::Io(_))));
        assert!(Frame::Data(vec![0; MAX_DATA + 1]).write(&mut Vec::new()).is_err());
        // A message with bytes behind it is another message.
        let Frame::Message(mut bytes) = Frame::of(&Order::List).unwrap() else { unreachable!() };
        bytes.push(0);
        assert!(Frame::Message(bytes).message::<Order>().is_err());
    }

    /// Whatever comes is a frame or an error, and a message or an error.
    #[test]
    fn noise_is_never_more_than_an_error() {
        let noise = assay_kernels::handling::noise(1 << 16, 11);
        for start in 0..2_000 {
            let mut bytes = noise[start + 600..][..64].to_vec();
            // Half of them with a head that a frame may have.
            if start % 2 == 0 {
                bytes[..5].copy_from_slice(&[MESSAGE, (start % 59) as u8, 0, 0, 0]);
            }
            if let Ok(frame) = Frame::read(&mut bytes.as_slice()) {
                drop((frame.message::<Order>(), frame.message::<crate::message::Reply>()));
            }
            assert!(Greeting::read(&mut bytes.as_slice()).is_err());
        }
    }

    #[test]
    fn greetings_tell_versions_and_builds_apart() {
        let mut pipe = Vec::new();
        Greeting::ours().write(&mut pipe).unwrap();
        let read = Greeting::read(&mut pipe.as_slice()).unwrap();
        assert_eq!((read.clone(), read.check()), (Greeting::ours(), Ok(())));
        let older = Greeting { protocol: 0, ..Greeting::ours() };
        assert!(older.check().unwrap_err().contains("version 0"));
        let other = Greeting { build: "0.0.9+00".into(), ..Greeting::ours() };
        assert!(other.check().unwrap_err().contains("0.0.9+00"));
        assert!(matches!(Greeting::read(&mut &b"running 1 test\n"[..]), Err(WireError::NotAGreeting)));
        assert!(matches!(Greeting::read(&mut &b""[..]), Err(WireError::Ended)));
        assert!(matches!(Greeting::read(&mut &pipe[..11]), Err(WireError::Io(_))));
    }
}
