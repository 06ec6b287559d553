//! What the bytes of an input mean: at most 16 operations of 32 bytes each. Every byte string means something, and a
//! changed byte changes one thing.

/// Bytes of an operation.
pub const OP_BYTES: usize = 32;
/// Most operations of an input.
pub const MAX_OPS: usize = 16;
/// Most changes that one operation makes to an instruction that would be right.
pub const CHANGES: usize = 3;
const CHANGE_BYTES: usize = 5;

/// What kind of thing an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One instruction of the settlement program.
    Call,
    /// Time or slots pass, or the cluster halts or restarts.
    Time,
    /// An account of the program gets other contents. From then on only the program's safety is checked.
    Tamper,
    /// What the mint's authority and token holders can do without the program.
    Token,
}

/// A change to an instruction. See `call.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which change; 0 for none.
    pub what: u8,
    /// Which account or argument.
    pub at: u8,
    /// What to.
    pub value: u16,
}

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// What kind.
    pub kind: Kind,
    /// Calls: the instruction, by the first bytes of its discriminator.
    pub what: [u8; 2],
    /// Which job, or which account.
    pub job: u8,
    /// Which shard of it.
    pub shard: u8,
    /// 0: whoever may sign; else this actor signs.
    pub actor: u8,
    /// Which of the others: provider, evidence, kind of job.
    pub other: u8,
    /// What arguments are made of.
    pub arg: u64,
    /// What is wrong with it.
    pub changes: [Change; CHANGES],
}

impl Op {
    fn read(bytes: &[u8; OP_BYTES]) -> Self {
        let kind = match bytes[0] {
            0..=175 => Kind::Call,
            176..=215 => Kind::Time,
            216..=235 => Kind::Tamper,
            236..=255 => Kind::Token,
        };
        let changes = core::array::from_fn(|i| {
            let b = &bytes[16 + i * CHANGE_BYTES..];
            Change { what: b[0], at: b[1], value: u16::from_le_bytes([b[2], b[3]]) }
        });
        let arg = u64::from_le_bytes(core::array::from_fn(|i| bytes[7 + i]));
        Self {
            kind,
            what: [bytes[1], bytes[2]],
            job: bytes[3],
            shard: bytes[4],
            actor: bytes[5],
            other: bytes[6],
            arg,
            changes,
        }
    }
}

/// The operations of an input.
pub fn ops(input: &[u8]) -> impl Iterator<Item = Op> + '_ {
    let (whole, _) = input.as_chunks::<OP_BYTES>();
    whole.iter().take(MAX_OPS).map(Op::read)
}
