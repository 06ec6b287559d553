//! A whole shard, sent as few transactions as its instructions fit in.

use anyhow::{Result, ensure};
use assay_client::ix;
use assay_settlement::{Shard, ShardState, rules::window, seeds};
use assay_tests::{Actor, Chain, Task, Work, World, tokens::Money};
use solana_instruction::Instruction;

use crate::{
    measure::{self, Sent, Wire},
    scene::{challengeable, image, world_with},
};

/// A transaction and what is in it.
pub struct Packed {
    /// Names of its instructions, those of the compute budget left out.
    pub names: Vec<&'static str>,
    /// What it used.
    pub sent: Sent,
}

/// What a whole shard took.
pub struct Whole {
    /// Which run this is.
    pub name: &'static str,
    /// How its transactions were written.
    pub wire: Wire,
    /// Them, in order.
    pub transactions: Vec<Packed>,
}

/// Every run.
///
/// # Errors
/// A transaction does not land.
pub fn all() -> Result<Vec<Whole>> {
    let mut runs = Vec::new();
    for wire in [Wire::Legacy, Wire::V1] {
        for (name, challenge_seconds) in
            [("no input, challenge window of 10 minutes", 600), ("no input, no challenge window", 0)]
        {
            runs.push(shard(name, wire, challenge_seconds)?);
        }
    }
    runs.extend(dispute()?);
    Ok(runs)
}

type Step = (&'static str, Instruction);

/// Sends steps in as few transactions as they fit in, in their order.
fn send(w: &mut World, wire: Wire, steps: Vec<Step>, signer: &Actor, sent: &mut Vec<Packed>) -> Result<()> {
    let budgeted = |steps: &[Step]| {
        let instructions = steps.iter().map(|(_, instruction)| instruction.clone());
        match wire {
            Wire::Legacy => measure::budget().into_iter().chain(instructions).collect::<Vec<_>>(),
            Wire::V1 => instructions.collect(),
        }
    };
    let mut packs: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        if let Some(pack) = packs.last_mut() {
            pack.push(step);
            if measure::bytes(wire, &budgeted(pack), signer, w)? <= wire.limit() {
                continue;
            }
            let step = pack.pop().expect("it was put there");
            packs.push(vec![step]);
        } else {
            packs.push(vec![step]);
        }
    }
    for pack in packs {
        let mut used = measure::send(wire, &budgeted(&pack), std::slice::from_ref(signer), w)?;
        if wire == Wire::Legacy {
            used.units -= measure::BUDGET_UNITS;
        }
        sent.push(Packed { names: pack.iter().map(|(name, _)| *name).collect(), sent: used });
    }
    Ok(())
}

/// Adjudications of the cells that the window's slot hashes will draw: whoever reads them knows the cells beforehand.
fn answers(w: &World, task: &Task, work: &Work, operator: &Actor) -> Vec<Step> {
    let (job, shard) = (w.job(task), w.shard(task, 0));
    let start = window::first_slot(shard.window).expect("a small number");
    let hashes = core::array::from_fn(|i| Chain::slot_hash(start + i as u64));
    let seed = window::seed(shard.window, &hashes);
    let mut cells = [0; 32];
    let place = job.terms.shard(0).expect("it has one");
    let address = seeds::shard(&task.job, 0).to_bytes();
    let drawn = place.draw(&seed, &address, &shard.root, job.terms.samples, &mut cells).expect("cells are drawn");
    let mut cells = cells[..usize::from(drawn)].to_vec();
    cells.sort_unstable();
    cells.dedup();
    let judge = |number: &u64| {
        let answer = w.answer(task, work, *number);
        assert!(answer.evidence.is_none(), "a pixel has no inputs");
        ("adjudicate", ix::adjudicate(operator.id(), &task.job, &job, 0, None, answer.args))
    };
    cells.iter().map(judge).collect()
}

/// A shard of 4,096 leaves that alice has committed, and its first two transactions.
fn committed(wire: Wire, challenge_seconds: u32) -> Result<(World, Task, Work, Vec<Packed>)> {
    let terms = assay_migrations::terms::experimental(challenge_seconds, 300);
    let mut w = world_with(terms, Money::Token);
    let task = w.create(image(512, 512, 4_096));
    let (alice, operator) = (w.alice.clone(), w.alice.operator.clone());
    let mut sent = Vec::new();
    let claim = w.claim_ix(&task, 0, &alice);
    send(&mut w, wire, vec![("claim_shard", claim)], &operator, &mut sent)?;
    let work = w.work(&task, 0, &alice);
    let commit = w.commit_ix(&task, 0, &alice, work.tree.root());
    send(&mut w, wire, vec![("commit_result", commit)], &operator, &mut sent)?;
    Ok((w, task, work, sent))
}

fn shard(name: &'static str, wire: Wire, challenge_seconds: u32) -> Result<Whole> {
    let (mut w, task, work, mut sent) = committed(wire, challenge_seconds)?;
    let (alice, operator) = (w.alice.clone(), w.alice.operator.clone());
    let window = w.shard(&task, 0).window;
    w.reach(window);
    let mut steps = vec![
        ("record_seed", ix::record_seed(operator.id(), window)),
        ("draw_samples", ix::draw_samples(&task.job, 0, window)),
    ];
    steps.extend(answers(&w, &task, &work, &operator));
    let settle = ("settle_shard", w.settle_ix(&task, 0, &alice));
    if challenge_seconds == 0 {
        steps.push(settle);
        send(&mut w, wire, steps, &operator, &mut sent)?;
    } else {
        send(&mut w, wire, steps, &operator, &mut sent)?;
        w.pass_window(&task);
        send(&mut w, wire, vec![settle], &operator, &mut sent)?;
    }
    let end = w.find::<Shard>(&seeds::shard(&task.job, 0)).and_then(|shard| shard.state());
    ensure!(end == Some(ShardState::Settled), "{name}: the shard is not settled but {end:?}");
    Ok(Whole { name, wire, transactions: sent })
}

/// Demand and answer of one cell of such a shard, and the division of its bond.
fn dispute() -> Result<[Whole; 3]> {
    const WIRE: Wire = Wire::Legacy;
    let (mut w, task, work, _) = committed(WIRE, 600)?;
    let (watcher, operator) = (w.watcher.clone(), w.alice.operator.clone());
    let number = challengeable(&task);
    let run = |name, transactions| Whole { name, wire: WIRE, transactions };

    let mut demand = Vec::new();
    let open = w.challenge_ix(&task, 0, number, &watcher);
    send(&mut w, WIRE, vec![("open_challenge", open)], &watcher, &mut demand)?;
    let mut answer = Vec::new();
    let args = w.answer(&task, &work, number).args;
    let judge = ix::adjudicate(operator.id(), &task.job, &w.job(&task), 0, None, args);
    send(&mut w, WIRE, vec![("adjudicate", judge)], &operator, &mut answer)?;
    ensure!(w.shard(&task, 0).open_challenges == 0, "the challenge is not answered");
    let mut end = Vec::new();
    let pay = w.pay_challenge_ix(&task, 0, number);
    send(&mut w, WIRE, vec![("pay_challenge", pay)], &operator, &mut end)?;
    Ok([
        run("dispute over a cell of it: the demand", demand),
        run("dispute over a cell of it: the answer", answer),
        run("dispute over a cell of it: the bond divided", end),
    ])
}
