//! The arguments of a call: right ones where their name or type is known, else made of the operation's number, by the
//! IDL.

use crate::{
    focus::Focus,
    idl::{Shape, Type},
    input::Op,
    run::Run,
};
use anchor_lang::prelude::borsh;
use assay_client::ix;
use assay_kernels::hash::sha256;
use assay_settlement::{
    Delivery, Market, Renter, constants::MAX_OPERATORS, instructions::evidence::header, rules::window::window_of,
    seeds, state::EVIDENCE_HEADER_BYTES,
};
use bytemuck::bytes_of;
use solana_pubkey::Pubkey;

/// Seed of the accounts that hold evidence for a judgement.
pub const JUDGED: &str = "judge";
/// Who submits evidence in an account where the operation names nobody: an actor's number.
pub const SUBMITTER: u8 = 1;

/// Encoded arguments, and what the accounts follow from.
#[derive(Default)]
pub struct Args {
    /// Discriminator and arguments.
    pub data: Vec<u8>,
    /// What the evidence account must hold behind its header.
    pub evidence: Option<Vec<u8>>,
    /// Number of a market or kernel.
    pub id: u16,
    /// Number of a draw window.
    pub window: u64,
    /// Number of a cell.
    pub number: u64,
    /// Number of a job.
    pub nonce: u64,
}

/// Builds them.
pub fn build(run: &mut Run, shape: &Shape, op: &Op, focus: &Focus) -> Args {
    let [low, ..] = op.arg.to_le_bytes();
    let mut args = Args { data: shape.discriminator.to_vec(), ..Args::default() };
    args.id = match shape.name.as_str() {
        "register_kernel" => [7, 1, 2, 3][usize::from(low) % 4],
        _ => u16::from(low % 8),
    };
    args.number = focus.cell(op.arg);
    args.window = match &focus.data {
        Some(shard) if shard.window > 0 => shard.window,
        _ => window_of(run.chain.now().slot).unwrap_or(0),
    };
    args.window = args.window.wrapping_add(op.arg >> 8 & 3);
    // Whoever creates a job: the actor that signs.
    let owner = run.actor(op.actor.saturating_sub(1));
    args.nonce = run.read::<Renter>(&seeds::renter(&owner)).map_or(0, |renter| renter.next_nonce);
    for (name, of) in &shape.args {
        arg(run, shape, op, focus, name, of, &mut args);
    }
    args
}

fn arg(run: &mut Run, shape: &Shape, op: &Op, focus: &Focus, name: &str, of: &Type, args: &mut Args) {
    let before = args.data.len();
    if known(run, shape, op, focus, name, of, args).is_none() {
        args.data.truncate(before);
        made(run, op, of, args);
    }
}

/// An argument that the fuzzer knows how to make right.
fn known(run: &mut Run, shape: &Shape, op: &Op, focus: &Focus, name: &str, of: &Type, args: &mut Args) -> Option<()> {
    let low = op.arg.to_le_bytes()[0];
    let number = |args: &mut Args, value: u64| {
        let Type::Plain(size) = of else { return None };
        args.data.extend_from_slice(value.to_le_bytes().get(..*size)?);
        Some(())
    };
    let numbers = |args: &mut Args, values: &[u64]| {
        args.data.extend_from_slice(&u32::try_from(values.len()).ok()?.to_le_bytes());
        values.iter().for_each(|value| args.data.extend_from_slice(&value.to_le_bytes()));
        Some(())
    };
    match name {
        // The place among the demanded leaves.
        "index" if shape.name == "post_leaf" => number(args, u64::from(op.other & 3)),
        "index" => number(args, u64::from(focus.index)),
        "window" => number(args, args.window),
        "id" => number(args, u64::from(args.id)),
        "number" => number(args, args.number),
        "min_price" => number(args, if low == 255 { op.arg } else { 0 }),
        "amount" => {
            let value = [1, 1_000, 1_000_000, 10_000_000, run.free_stake(op.other), op.arg >> 3, 0, u64::MAX];
            number(args, value[usize::from(low % 8)])
        }
        "offset" => number(args, EVIDENCE_HEADER_BYTES as u64 + op.arg % 2_048),
        "terms_hash" => {
            args.data.extend_from_slice(&focus.known.job.terms_hash);
            Some(())
        }
        // Of the market that the call is given.
        "market_terms" => {
            let market: Market = run.read(&run.market(op.other))?;
            args.data.extend_from_slice(&sha256(&[bytes_of(&market.terms)]));
            Some(())
        }
        "root" => {
            let works = run.works(focus)?;
            args.data.extend_from_slice(&works[usize::from(low & 1)].tree.root());
            Some(())
        }
        "cells" if *of == Type::List(Box::new(Type::Plain(8))) => {
            let cells = [args.number, op.arg >> 8 & 0xff, 1];
            numbers(args, &cells[..usize::from(op.other % 4).min(3)])
        }
        "leaves" if *of == Type::List(Box::new(Type::Plain(8))) => {
            let first_leaf = focus.known.job.terms.shard(focus.index).map_or(0, |s| s.first_leaf);
            let leaves = [0, 1, 2].map(|i| first_leaf + i);
            numbers(args, leaves.get(usize::from(low & 1)..usize::from(op.other % 4).max(1))?)
        }
        "seed" => {
            args.data.extend_from_slice(&4u32.to_le_bytes());
            args.data.extend_from_slice(b"fuzz");
            Some(())
        }
        "terms" => {
            args.data.extend_from_slice(&run.stage.terms);
            Some(())
        }
        "profile" => {
            let mut profile = run.stage.profile.clone();
            let operator = run.actor(op.arg.to_le_bytes()[1]);
            profile.get_mut(..MAX_OPERATORS * 32)?.get_mut(..32)?.copy_from_slice(operator.as_ref());
            args.data.extend_from_slice(&profile);
            Some(())
        }
        "request" => {
            let kinds = &run.stage.kinds;
            let mut request = kinds[usize::from(op.other) % kinds.len()].request.clone();
            request.get_mut(..8)?.copy_from_slice(&args.nonce.to_le_bytes());
            args.data.extend_from_slice(&request);
            Some(())
        }
        "args" if *of == Type::Struct("AdjudicateArgs".to_owned()) => {
            let works = run.works(focus)?;
            let which = if op.other & 8 == 0 { focus.committed(&works) } else { usize::from(op.other & 1) };
            let (answer, evidence) = if shape.name == "step_cell" {
                let submitter = run.actor(op.actor.checked_sub(1).unwrap_or(SUBMITTER));
                let account = run.chain.data(&ix::evidence_address(&submitter, JUDGED)?);
                let done = account.and_then(|data| header(&data).ok()).filter(|head| head.stepping == 1);
                focus.step(&works[which], args.number, done.map_or(0, |head| head.steps))?
            } else {
                focus.answer(&works[which], args.number)?
            };
            args.evidence = evidence;
            args.data.extend_from_slice(&borsh::to_vec(&answer).ok()?);
            Some(())
        }
        // Of `post_leaf`: a leaf and its path, inline.
        "at" if shape.name == "post_leaf" => number(args, 0),
        "path_at" if shape.name == "post_leaf" => {
            let works = run.works(focus)?;
            let leaf = demanded(run, op, focus)?;
            number(args, u64::from(focus.leaf(&works[focus.committed(&works)], leaf)?.1))
        }
        "inline" if shape.name == "post_leaf" => {
            let works = run.works(focus)?;
            let leaf = demanded(run, op, focus)?;
            let (bytes, _) = focus.leaf(&works[focus.committed(&works)], leaf)?;
            args.data.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_le_bytes());
            args.data.extend_from_slice(&bytes);
            Some(())
        }
        _ => None,
    }
}

/// The leaf that a posting is of.
fn demanded(run: &Run, op: &Op, focus: &Focus) -> Option<u64> {
    let delivery: Delivery = run.read(&seeds::delivery(&focus.shard))?;
    delivery.leaves.get(usize::from(op.other & 3)).copied()
}

/// An argument by its type.
fn made(run: &Run, op: &Op, of: &Type, args: &mut Args) {
    let [low, next, ..] = op.arg.to_le_bytes();
    match of {
        Type::Bool => args.data.push(u8::from(low & 7 != 0)),
        Type::Plain(32) => args.data.extend_from_slice(key(run, op).as_ref()),
        Type::Plain(size) => {
            let bytes = op.arg.to_le_bytes();
            args.data.extend((0..*size).map(|i| bytes.get(i).copied().unwrap_or(0)));
        }
        Type::Bytes => {
            let len = usize::from(low) * if next == 255 { 32 } else { 1 };
            args.data.extend_from_slice(&u32::try_from(len).unwrap_or(0).to_le_bytes());
            args.data.resize(args.data.len() + len, next);
        }
        Type::List(item) => {
            args.data.extend_from_slice(&u32::from(low % 5).to_le_bytes());
            (0..low % 5).for_each(|_| made(run, op, item, args));
        }
        Type::Array(item, count) if **item == Type::Plain(1) => args.data.resize(args.data.len() + count, low),
        Type::Array(item, count) => (0..*count).for_each(|_| made(run, op, item, args)),
        Type::Option(item) => {
            args.data.push(low & 1);
            if low & 1 == 1 {
                made(run, op, item, args);
            }
        }
        Type::Struct(of) => {
            for (_, of) in run.idl.fields(of) {
                made(run, op, of, args);
            }
        }
    }
}

fn key(run: &Run, op: &Op) -> Pubkey {
    match op.arg.to_le_bytes()[0] {
        255 => Pubkey::default(),
        n => run.actor(n),
    }
}
