//! What supervisor and device process say to each other.

use std::ops::Range;

use assay_kernels::{
    executor::{Commit, ExecError, Finding},
    hash::Hash,
};
use borsh::{BorshDeserialize, BorshSerialize};

/// What a process computes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Kind {
    /// The first card that it sees.
    Cuda,
    /// The cores of the machine.
    Cpu,
}

/// What the supervisor wants. Inputs follow as data, in as many frames as it takes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Order {
    /// The first order.
    Begin {
        /// A heartbeat at least so often, milliseconds.
        beat_ms: u32,
        /// Most bytes of inputs that are kept.
        cache_bytes: u64,
    },
    /// Look which cards there are. Answer: [`Reply::Cards`] or [`Reply::Finding`].
    List,
    /// Take what is computed on. Answer: [`Reply::Opened`] or [`Reply::Finding`].
    Open(Kind),
    /// An input, followed by its bytes. No answer.
    Input {
        /// Its name: a digest.
        name: Hash,
        /// Its length.
        bytes: u64,
    },
    /// An input is not needed any more. No answer.
    Forget(Hash),
    /// Compute. Answer: [`Reply::Result`] or [`Reply::Failed`].
    Run(Run),
}

/// Leaves to compute. One run at a time.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Run {
    /// Comes back with the answer.
    pub id: u64,
    /// Number of the kernel.
    pub kernel: u16,
    /// Params of the job.
    pub params: Vec<u8>,
    /// Names of the inputs; none for those that are empty.
    pub inputs: [Option<Hash>; 4],
    /// First leaf.
    pub first: u64,
    /// The leaf behind the last one.
    pub end: u64,
    /// Salt and level when nodes over the leaves are wanted, too.
    pub commit: Option<(Hash, u8)>,
}

impl Run {
    /// The leaves.
    pub fn leaves(&self) -> Range<u64> {
        self.first..self.end
    }

    /// How leaves are hashed, if they are.
    pub fn commit(&self) -> Option<Commit> {
        self.commit.map(|(salt, level)| Commit { salt, level })
    }
}

/// What a device process says.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Reply {
    /// A sign of life, sent whatever else goes on.
    Beat {
        /// Grows with everything that is got done.
        progress: u64,
        /// What goes on.
        doing: Doing,
    },
    /// The cards of this machine.
    Cards {
        /// The cards in their driver's order.
        cards: Vec<Card>,
        /// What is missing without keeping anything from working.
        notes: Vec<String>,
    },
    /// Ready to compute.
    Opened {
        /// What on, for people.
        name: String,
    },
    /// Nothing to compute on.
    Finding {
        /// What is missing or wrong.
        problem: String,
        /// What to do about it.
        remedy: String,
    },
    /// A run is done; its bytes follow as data, then its nodes.
    Result {
        /// Of which run.
        id: u64,
        /// Bytes of the leaves.
        bytes: u64,
        /// Nodes over them, 32 bytes each.
        nodes: u64,
    },
    /// All of the result was sent.
    Done {
        /// Of which run.
        id: u64,
    },
    /// A run did not succeed.
    Failed {
        /// Which.
        id: u64,
        /// Why. The process ends itself after [`Failure::Device`].
        why: Failure,
    },
    /// The supervisor did what the protocol does not allow; the process ends.
    Refused(String),
}

/// What a process is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Doing {
    /// Waits for orders.
    Waiting,
    /// Looks for cards or opens one.
    Opening,
    /// Computes.
    Computing,
    /// Sends a result.
    Sending,
}

impl Doing {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Opening => "opening the device",
            Self::Computing => "computing",
            Self::Sending => "sending a result",
        }
    }
}

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Card {
    /// Its name.
    pub name: String,
    /// Its memory in bytes.
    pub memory: u64,
    /// Its compute capability.
    pub capability: (u32, u32),
}

/// Why a run did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Failure {
    /// See [`ExecError::OutOfMemory`].
    OutOfMemory(u64),
    /// See [`ExecError::DeviceMemory`].
    DeviceMemory(u64),
    /// The device failed, or the backend panicked.
    Device(String),
    /// Any other error: what the supervisor found right is refused.
    Refused(String),
}

impl From<ExecError> for Failure {
    fn from(error: ExecError) -> Self {
        match error {
            ExecError::OutOfMemory(bytes) => Self::OutOfMemory(bytes),
            ExecError::DeviceMemory(bytes) => Self::DeviceMemory(bytes),
            ExecError::Device(why) => Self::Device(why),
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<Finding> for Reply {
    fn from(finding: Finding) -> Self {
        Self::Finding { problem: finding.problem, remedy: finding.remedy }
    }
}
