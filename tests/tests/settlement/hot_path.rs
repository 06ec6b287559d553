//! What runs in parallel: on the hot path no two jobs of different renters, worked on by different providers, write the same
//! account. Read off the instructions that clients send.

use assay_client::ix;
use assay_settlement::instructions::AdjudicateArgs;
use assay_tests::{Provider, Spec, Task, World, world::STAKE};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use std::collections::{BTreeMap, BTreeSet};

/// Accounts that an instruction writes, and so locks for itself.
fn writes(instructions: &[Instruction]) -> BTreeSet<Pubkey> {
    instructions.iter().flat_map(|i| &i.accounts).filter(|meta| meta.is_writable).map(|meta| meta.pubkey).collect()
}

/// Every instruction of the hot path for shard 0 of a task.
fn hot(w: &World, task: &Task, provider: &Provider, window: u64) -> BTreeMap<&'static str, Instruction> {
    let (job, data) = (w.job(task), w.provider(provider));
    let operator = provider.operator.id();
    let args =
        AdjudicateArgs { leaf: 0, cell: 0, leaf_at: 0, leaf_path_at: 0, openings: Vec::new(), inline: Vec::new() };
    BTreeMap::from([
        ("claim", ix::claim_shard(operator, &task.job, &job, &provider.account, 0, 0)),
        ("commit", ix::commit_result(operator, &task.job, &provider.account, 0, [1; 32])),
        ("draw", ix::draw_samples(&task.job, 0, window)),
        ("adjudicate", ix::adjudicate(operator, &task.job, &job, 0, None, args)),
        ("settle", ix::settle_shard(&task.job, &job, &provider.account, &data, 0)),
        ("accept", ix::accept_shard(task.renter.id(), &task.job, 0)),
        ("name", ix::name_cells(task.renter.id(), &task.job, 0, vec![1])),
        ("slash", ix::slash_unanswered(operator, &task.job, 0)),
    ])
}

#[test]
fn jobs_of_different_renters_share_no_writable_account() {
    let mut w = World::new();
    let first = w.create(Spec::image());
    let (renter, other) = (w.stranger.clone(), w.bob.clone());
    let request = w.request(&renter, &Spec::image());
    let job = assay_settlement::seeds::job(&renter.id(), request.nonce);
    w.ok(&[w.create_ix(&renter, &Spec::image(), request)], &[&renter]);
    let second = Task { job, renter, spec: Spec::image() };
    assert!(w.provider(&other).staked == STAKE);
    let (alice, window) = (w.alice.clone(), 77);
    let (one, two) = (hot(&w, &first, &alice, window), hot(&w, &second, &other, window));
    for (a, left) in &one {
        for (b, right) in &two {
            let shared: Vec<_> = writes(&[left.clone()]).intersection(&writes(&[right.clone()])).copied().collect();
            assert!(shared.is_empty(), "{a} and {b} both write {shared:?}");
        }
    }
    // The comparison can fail: two steps of one shard do share its account.
    assert!(!writes(&[one["draw"].clone()]).is_disjoint(&writes(&[one["settle"].clone()])));
    // And nothing on the hot path writes the market, which creation and closing count in.
    let market = w.market;
    assert!(one.values().chain(two.values()).all(|i| !writes(&[i.clone()]).contains(&market)));
}
