//! What the program draws, counted: 500 shards of two stages, drawn from one seed by the real program.

use assay_client::ix;
use assay_kernels::hash::sha256;
use assay_settlement::{Shard, ShardState, Terms, seeds};
use assay_tests::{
    Spec, World, experimental_terms,
    scripted::{Script, two_stages},
};

const SHARDS: u64 = 500;
/// Cells of stage 0 and stage 1 of a shard, and what one costs: see `two_stages`.
const CELLS: [u64; 2] = [32, 8];
const COSTS: [u64; 2] = [1, 5];

/// Sum of (seen - expected)^2 / expected.
fn chi_square(seen: &[u64], expected: &[f64]) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "counts of some hundreds")]
    seen.iter().zip(expected).map(|(n, e)| (*n as f64 - e).powi(2) / e).sum()
}

/// Draw 0 is uniform over stage 0, draw 1 over stage 1, draw 2 follows cost. Root and address alone tell the shards apart.
/// The seed of the chain is fixed, so this can't flake; the bounds are those that one in ten thousand fair draws passes.
#[test]
#[allow(clippy::cast_precision_loss, reason = "counts of some hundreds")]
fn the_program_draws_every_stage_uniformly_and_the_rest_by_cost() {
    // One provider holds them all at once, so it must have long to answer.
    let mut w = World::with_terms(Terms { response_seconds: 30 * 86_400, ..experimental_terms() });
    let kernel = w.register_script(&Script::new(7, &two_stages(), &[0; 4]), 7);
    let (renter, alice) = (w.renter.clone(), w.alice.clone());
    let spec = Spec { kernel: 7, params: Vec::new(), inputs: Vec::new(), shard_leaves: 12 };
    let mut jobs = Vec::new();
    for n in 0..SHARDS {
        let mut request = w.request(&renter, &spec);
        (request.price_start, request.price_max) = (1, 1);
        let job = seeds::job(&renter.id(), request.nonce);
        let create = w.create_on_ix(&renter, &kernel, request);
        w.chain.send(&[create], &[&renter]).unwrap();
        let data = w.read(&job);
        let operator = alice.operator.id();
        let claim = ix::claim_shard(operator, &job, &data, &alice.account, 0, 0);
        let commit = ix::commit_result(operator, &job, &alice.account, 0, sha256(&[&n.to_le_bytes()]));
        w.chain.send(&[claim, commit], &[&alice.operator]).unwrap();
        jobs.push(job);
    }
    let shard = |w: &World, job| w.read::<Shard>(&seeds::shard(job, 0));
    let window = shard(&w, &jobs[0]).window;
    assert!(jobs.iter().all(|job| shard(&w, job).window == window), "all draw from one seed");
    w.reach(window);
    let watcher = w.watcher.clone();
    w.chain.send(&[w.record_ix(window)], &[&watcher]).unwrap();
    let mut seen = [vec![0u64; 32], vec![0; 8], vec![0; 40]];
    for job in &jobs {
        w.chain.send(&[ix::draw_samples(job, 0, window)], &[&watcher]).unwrap();
        let shard = shard(&w, job);
        assert_eq!((shard.state(), shard.drawn), (Some(ShardState::Sampled), 3));
        for (draw, cell) in shard.cells.iter().take(3).enumerate() {
            let first = if draw == 1 { CELLS[0] } else { 0 };
            seen[draw][usize::try_from(cell - first).unwrap()] += 1;
        }
    }
    let shards = SHARDS as f64;
    let weight = (CELLS[0] * COSTS[0] + CELLS[1] * COSTS[1]) as f64;
    let by_cost = |cell: u64| shards * COSTS[usize::from(cell >= CELLS[0])] as f64 / weight;
    let expected = [
        vec![shards / CELLS[0] as f64; 32],
        vec![shards / CELLS[1] as f64; 8],
        (0..40).map(by_cost).collect::<Vec<_>>(),
    ];
    // 31, 7 and 39 degrees of freedom.
    for (draw, bound) in [68.7, 29.9, 80.1].into_iter().enumerate() {
        let chi = chi_square(&seen[draw], &expected[draw]);
        assert!(chi < bound, "draw {draw}: {chi} of at most {bound}: {:?}", seen[draw]);
    }
    // The test can fail: cells drawn without regard to cost are far from what is expected.
    let flat = vec![shards as u64 / 40; 40];
    assert!(chi_square(&flat, &expected[2]) > 80.1);
}
