//! 500 challenges at once against one provider: whoever answers two in a second, whoever is only as fast as the kernel's
//! unit, with a halt and a restart in between, is never slashed (protocol.md, sections 5 and 6, "Due times").

use assay_client::ix;
use assay_settlement::{ShardState, error::AssayError as E, state::unit_seconds};
use assay_tests::{Provider, Refusal, Spec, Task, Work, World, books};

/// Challenges of cells of both shards of an image, all in one moment, in the order in which they are due.
struct Flood {
    w: World,
    task: Task,
    alice: Provider,
    works: [Work; 2],
    cells: Vec<(u32, u64)>,
}

impl Flood {
    fn new(challenges: u64) -> Self {
        let mut w = World::new();
        // Shards of 256 cells.
        let task = w.create(Spec::rows(16));
        let (alice, stranger) = (w.alice.clone(), w.stranger.clone());
        let works = [0, 1].map(|index| w.claim_and_commit(&task, index, &alice));
        w.draw(&task, 0);
        w.draw(&task, 1);
        let cells: Vec<(u32, u64)> = (0..challenges).map(|n| (u32::try_from(n % 2).unwrap(), n / 2)).collect();
        let opened = w.chain.now();
        for (index, number) in &cells {
            let challenge = w.challenge_ix(&task, *index, *number, &stranger);
            w.chain.send(&[challenge], &[&stranger]).unwrap();
        }
        assert_eq!(w.chain.now(), opened, "all at once");
        books::check(&w.chain, &w.mints);
        Self { w, task, alice, works, cells }
    }

    /// Somebody tries to slash for a challenge and for the drawn cells of its shard, and must fail.
    #[track_caller]
    fn slash_fails(&mut self, (index, number): (u32, u64)) {
        let stranger = self.w.stranger.clone();
        let challenged = self.w.slash_challenged_ix(&self.task, index, number, &stranger);
        let refusal = self.w.chain.send(&[challenged], &[&stranger]).map(|r| r.logs);
        assert_eq!(refusal, Err(Refusal::Settlement(E::TooEarly)), "cell {number} of shard {index}");
    }

    fn answer(&mut self, (index, number): (u32, u64)) {
        let work = &self.works[index as usize];
        let args = self.w.answer(&self.task, work, number).args;
        let operator = &self.alice.operator;
        let judge = ix::adjudicate(operator.id(), &self.task.job, &self.w.job(&self.task), index, None, args);
        self.w.chain.send(&[judge], &[operator]).unwrap();
    }

    /// Both shards settle, every bond is divided, and the provider is what it was and richer.
    fn ends_well(mut self) {
        let stranger = self.w.stranger.clone();
        let (task, alice) = (self.task.clone(), self.alice.clone());
        // After a restart every window has an hour of slots.
        self.w.chain.pass(7_200);
        for index in [0, 1] {
            assert_eq!(self.w.shard(&task, index).open_challenges, 0);
            self.w.settle(&task, index, &alice);
            assert_eq!(self.w.shard(&task, index).state(), Some(ShardState::Settled));
        }
        for (index, number) in self.cells {
            let pay = self.w.pay_challenge_ix(&task, index, number);
            self.w.chain.send(&[pay], &[&stranger]).unwrap();
        }
        let provider = self.w.provider(&alice);
        assert_eq!((provider.slashed, provider.settled, provider.locked), (0, 2, 0));
        self.w.close(&task);
    }
}

/// The drawn cells, which wait beside the challenges.
fn answer_drawn(flood: &mut Flood) {
    let (task, alice) = (flood.task.clone(), flood.alice.clone());
    for index in [0, 1] {
        let work = flood.works[index].clone();
        flood.w.answer_all(&task, &work, &alice);
    }
}

#[test]
fn five_hundred_at_once_answered_two_in_a_second() {
    let mut flood = Flood::new(500);
    answer_drawn(&mut flood);
    let open: Vec<(u32, u64)> = flood
        .cells
        .iter()
        .copied()
        .filter(|(index, number)| flood.w.challenge_data(&flood.task, *index, *number).state == 0)
        .collect();
    for pair in open.chunks(2) {
        flood.w.chain.advance(1);
        flood.slash_fails(pair[0]);
        for cell in pair {
            flood.answer(*cell);
        }
    }
    flood.ends_well();
}

#[test]
fn five_hundred_at_once_across_a_halt_and_a_restart() {
    let mut flood = Flood::new(500);
    answer_drawn(&mut flood);
    let open: Vec<(u32, u64)> = flood
        .cells
        .iter()
        .copied()
        .filter(|(index, number)| flood.w.challenge_data(&flood.task, *index, *number).state == 0)
        .collect();
    for (n, pair) in open.chunks(2).enumerate() {
        flood.w.chain.advance(1);
        match n {
            // The clock runs on for three days, the cluster does not.
            60 => flood.w.chain.halt(3 * 86_400),
            // It comes back by a restart. From here on everybody has an hour of slots at least.
            120 => {
                flood.w.chain.halt(86_400);
                flood.w.chain.restart();
            }
            _ => (),
        }
        flood.slash_fails(pair[0]);
        flood.slash_fails(*pair.last().unwrap());
        for cell in pair {
            flood.answer(*cell);
        }
    }
    flood.ends_well();
}

#[test]
fn whoever_starts_when_the_response_time_is_over_and_takes_a_unit_for_each_is_in_time() {
    let mut flood = Flood::new(60);
    answer_drawn(&mut flood);
    let terms = flood.w.job(&flood.task).terms;
    let opened = flood.w.chain.now().time;
    flood.w.chain.advance(u64::from(terms.response_seconds));
    let unit = u64::from(unit_seconds(terms.answer_transactions));
    for cell in flood.cells.clone() {
        if flood.w.challenge_data(&flood.task, cell.0, cell.1).state != 0 {
            // Drawn as well, and answered with the draws.
            flood.w.chain.advance(unit);
            continue;
        }
        flood.w.chain.advance(unit - 1);
        flood.slash_fails(cell);
        flood.answer(cell);
        flood.w.chain.advance(1);
    }
    let took = flood.w.chain.now().time - opened;
    assert_eq!(took, i64::from(terms.response_seconds) + 60 * i64::try_from(unit).unwrap());
    flood.ends_well();
}

#[test]
fn whoever_leaves_one_of_many_unanswered_is_slashed_for_that_one() {
    let mut flood = Flood::new(20);
    answer_drawn(&mut flood);
    let stranger = flood.w.stranger.clone();
    let task = flood.task.clone();
    let cells: Vec<(u32, u64)> = flood
        .cells
        .iter()
        .copied()
        .filter(|(index, number)| flood.w.challenge_data(&task, *index, *number).state == 0)
        .collect();
    let (silent, rest) = cells.split_last().unwrap();
    for cell in rest {
        flood.answer(*cell);
    }
    let due = flood.w.challenge_data(&task, silent.0, silent.1).seconds;
    flood.w.chain.pass(due);
    let slash = flood.w.slash_challenged_ix(&task, silent.0, silent.1, &stranger);
    flood.w.ok(&[slash], &[&stranger]);
    let other = 1 - silent.0;
    assert_eq!(flood.w.shard(&task, silent.0).state(), Some(ShardState::Slashed));
    assert_eq!(flood.w.shard(&task, other).state(), Some(ShardState::Sampled), "the other shard goes its way");
}
