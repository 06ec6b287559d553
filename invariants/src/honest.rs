//! Time, and the honest providers, which do their part before it has run out.

use crate::{
    actions::{
        Action, Claiming, Delivering, Drawing, Flaw, Judging, Misstep, OWN, Paying, Stepping, account_of, right_work,
    },
    cast::{Manner, Who, operator_of},
    episode::Stage,
    model::{Answer, Model, Phase},
    time::View,
};
use rand::Rng;

/// Seconds before a deadline at which an honest provider stops putting it off.
const MARGIN: i64 = 150;
/// Most seconds, and most slots, that pass between two turns of a provider that has something to do.
const BEAT: (u64, u64) = (60, 150);

impl Stage {
    /// Some time passes: mostly minutes, at times hours or weeks; slots are fast or slow, with blocks or without; now and
    /// then the cluster halts or restarts.
    pub fn pass_time(&mut self) -> Result<(), String> {
        match self.random.random_range(0..60) {
            0 => {
                let (seconds, gap) = (self.random.random_range(0..50_000), self.random.random_range(0..3_000));
                self.model.time.halt(seconds);
                self.model.time.restart(gap);
                self.note(format!("-- {seconds} s without slots, then a restart {gap} slots on"));
                self.told()
            }
            1 => {
                let seconds = self.random.random_range(0..100_000);
                self.model.time.halt(seconds);
                self.note(format!("-- {seconds} s without slots"));
                self.told()
            }
            kind => {
                let most = match kind {
                    2..42 => 60,
                    42..54 => 1_000,
                    54..58 => 10_000,
                    58 => 100_000,
                    _ => 32 * 86_400,
                };
                let seconds = self.random.random_range(1..=most);
                self.pass(seconds)
            }
        }
    }

    /// The cluster runs for so long; honest providers get their turns.
    pub fn pass(&mut self, seconds: u64) -> Result<(), String> {
        let pace = [200, 300, 400, 400, 400, 420][self.random.random_range(0..6)];
        let skips = [0, 0, 0, 5, 50, 90][self.random.random_range(0..6)];
        self.note(format!("-- {seconds} s, {pace} ms a slot, {skips} % skipped"));
        let end = self.model.time.now.time + i64::try_from(seconds).unwrap();
        loop {
            let left = u64::try_from((end - self.model.time.now.time).max(0)).unwrap();
            self.honest_turn(left > 600)?;
            if left == 0 {
                return Ok(());
            }
            let busy = self.alive && self.duties().next().is_some();
            let beat = if busy { left.min(BEAT.0) } else { left };
            let slots = (beat * 1_000).div_ceil(pace);
            let slots = if busy { slots.min(BEAT.1) } else { slots };
            let random = &mut self.random;
            self.model.time.run(slots, pace, |_| skips > 0 && random.random_range(0..100) < skips);
            self.told()?;
        }
    }

    /// The chain learns the time; honest providers do what can't wait.
    fn told(&mut self) -> Result<(), String> {
        self.model.time.publish(&mut self.machine.svm);
        self.honest_turn(false)
    }

    /// Shards for which an honest provider has something to do.
    fn duties(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let model = &self.model;
        let all = model.living().flat_map(|job| (0..).zip(&model.jobs[job].shards).map(move |(i, s)| (job, i, s)));
        all.filter(|(_, _, s)| s.in_work() && model.providers[s.holder].manner() == Manner::Honest)
            .filter(|(job, index, s)| {
                matches!(s.phase, Phase::Claimed | Phase::Committed)
                    || !s.unanswered().is_empty()
                    || s.phase == Phase::Sampled && model.missing_leaves((*job, *index)) > 0
                    || s.phase == Phase::Sampled && !model.challenged(*job, *index, Answer::Open).is_empty()
            })
            .map(|(job, index, _)| (job, index))
    }

    /// Honest providers do some of what there is to do, and all that can't wait (or `all`).
    pub fn honest_turn(&mut self, all: bool) -> Result<(), String> {
        if !self.alive {
            return Ok(());
        }
        let duties: Vec<(usize, u32)> = self.duties().collect();
        for (job, index) in duties {
            if all || urgent(&self.model, job, index) || self.random.random_range(0..3) == 0 {
                self.duty(job, index)?;
            }
        }
        Ok(())
    }

    fn must(&mut self, action: Action) -> Result<(), String> {
        if self.act(&action)? { Ok(()) } else { Err(format!("an honest provider can't do its part: {action:?}")) }
    }

    /// Has a cell judged, in steps where it takes them.
    fn prove(&mut self, job: usize, shard: u32, cell: u64, by: Who) -> Result<(), String> {
        let (steps, flaw) = (self.model.kind(job).steps, Misstep::None);
        if steps == 1 {
            return self.must(Action::Judging(Judging::Adjudicate { job, shard, cell, by, flaw: Flaw::None }));
        }
        for step in 0..steps {
            self.must(Action::Stepping(Stepping::Step { job, shard, cell, by, account: OWN, step, flaw }))?;
        }
        self.must(Action::Judging(Judging::CloseEvidence { account: account_of(by, OWN), by }))
    }

    /// Everything that can be done for a shard now.
    fn duty(&mut self, job: usize, shard: u32) -> Result<(), String> {
        let provider = self.model.shard(job, shard).holder;
        let by = operator_of(self.model.providers[provider].owner);
        if self.model.shard(job, shard).phase == Phase::Claimed {
            let work = right_work(&self.model, job, shard, provider);
            self.must(Action::Claiming(Claiming::Commit { job, shard, provider, by, work }))?;
        }
        if self.model.shard(job, shard).phase == Phase::Committed {
            let window = self.model.shard(job, shard).window;
            if !self.model.seeds.contains_key(&window) && matches!(self.model.time.view(window), View::Ready(_)) {
                self.must(Action::Drawing(Drawing::Record { window, by }))?;
            }
            if self.model.seeds.contains_key(&window) {
                self.must(Action::Drawing(Drawing::Draw { job, shard, window }))?;
            }
        }
        while let Some(cell) = self.model.shard(job, shard).unanswered().first().copied() {
            self.prove(job, shard, cell, by)?;
        }
        while let Some(cell) = self.model.challenged(job, shard, Answer::Open).first().copied() {
            self.prove(job, shard, cell, by)?;
        }
        let list = self.model.deliveries.get(&(job, shard)).map(|d| d.leaves.clone()).unwrap_or_default();
        for (place, _) in (0..).zip(list).filter(|(_, leaf)| !leaf.1) {
            self.must(Action::Delivering(Delivering::Post { job, shard, place, by, right: true }))?;
        }
        if self.model.shard(job, shard).phase == Phase::Sampled && self.random.random_range(0..2) == 0 {
            self.act(&Action::Paying(Paying::Settle { job, shard, provider }))?;
        }
        Ok(())
    }
}

/// Whether something can't be put off any more. Only the clock counts: a provider does not rely on what else delays a
/// deadline.
fn urgent(model: &Model, job: usize, index: u32) -> bool {
    let s = model.shard(job, index);
    let challenges = model.challenged(job, index, Answer::Open);
    let challenged = challenges.iter().any(|cell| {
        let c = &model.challenges[&(job, index, *cell)];
        model.time.now.time + MARGIN >= c.opened.time + i64::try_from(c.seconds).unwrap()
    });
    let now = model.time.now;
    let response = i64::from(model.markets[model.jobs[job].market].terms.response_seconds);
    let near = |since: i64, seconds: i64| now.time + MARGIN >= since + seconds;
    let open = |demands: &[crate::model::Demand]| demands.iter().any(|d| !d.answered);
    match s.phase {
        Phase::Claimed => near(s.claimed.time, i64::from(model.jobs[job].execute)),
        Phase::Committed if now.slot > s.window * 64 + 150 => true,
        _ if challenged => true,
        _ if s.demanded.is_some_and(|(at, _)| model.missing_leaves((job, index)) > 0 && near(at.time, response)) => {
            true
        }
        _ => open(&s.drawn) && near(s.drawn_at.time, response) || open(&s.named) && near(s.named_at.time, response),
    }
}
