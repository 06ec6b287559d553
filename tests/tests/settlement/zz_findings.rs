//! scratch
use assay_client::{ix, token};
use assay_settlement::{ShardState, error::AssayError as E};
use assay_tests::{Spec, World};
use solana_instruction::{AccountMeta, Instruction};

#[test]
fn a_lone_cheater_cannot_wait_for_a_window_that_spares_it() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, operator) = (w.alice.clone(), w.alice.operator.clone());
    w.claim(&task, 0, &alice);
    let forged: Vec<u64> = (0..128).collect();
    let work = w.forged(&task, 0, &alice, &forged);
    w.commit(&task, &alice, &work);
    w.chain.pass(31 * 86_400);
    for round in 0..200 {
        let window = w.shard(&task, 0).window;
        if round > 0 {
            w.reach(window);
            // The cheater looks at the hashes before it records them.
            let hashes = core::array::from_fn(|i| assay_tests::Chain::slot_hash(window * 64 + i as u64));
            let seed = assay_settlement::rules::window::seed(window, &hashes);
            let mut cells = [0; 32];
            let key = assay_settlement::seeds::shard(&task.job, 0).to_bytes();
            w.job(&task).terms.shard(0).unwrap().draw(&seed, &key, &work.tree.root(), 3, &mut cells).unwrap();
            if cells[..3].iter().all(|c| *c >= 128) {
                w.draw(&task, 0);
                w.answer_all(&task, &work, &alice);
                w.settle(&task, 0, &alice);
                println!("paid after {round} free rolls; rolled cost {}", w.shard(&task, 0).owed_renter);
                break;
            }
        }
        w.age_out(&task, 0);
        w.ok(&[ix::roll_window(operator.id(), &task.job, 0, window)], &[&operator]);
        if w.shard(&task, 0).state() == Some(ShardState::Slashed) {
            break;
        }
    }
    assert_eq!(w.shard(&task, 0).state(), Some(ShardState::Slashed));
}

#[test]
fn a_renter_that_gives_its_token_account_away_keeps_no_fees_from_the_treasury() {
    let mut w = World::new();
    let task = w.create(Spec::image());
    let (alice, renter, stranger) = (w.alice.clone(), w.renter.clone(), w.stranger.clone());
    w.prove(&task, 0, &alice);
    w.cancel(&task);
    let mut data = vec![6u8, 2, 1];
    data.extend_from_slice(stranger.id().as_ref());
    let give = Instruction {
        program_id: token::SPL_TOKEN,
        accounts: vec![AccountMeta::new(renter.tokens, false), AccountMeta::new_readonly(renter.id(), true)],
        data,
    };
    w.ok(&[give], &[&renter]);
    w.ok(&[w.close_shard_ix(&task, 0)], &[&stranger]);
    w.ok(&[w.close_job_ix(&task)], &[&stranger]);
    let _ = E::Overflow;
}
