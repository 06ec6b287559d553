//! Answers: how urgent those are that are in work, and of those that were tried which rest for a while before they are tried
//! again, and which failed. One that can't be given keeps no other from being given.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use solana_pubkey::Pubkey;
use tokio::sync::watch;

use crate::step::{Demand, Wanted};

/// One that failed is tried again after this long, then twice as long, and so on. One that was given rests as long, in case a
/// node that lags behind still shows it as asked.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

struct Try {
    pause: Duration,
    not_before: Instant,
    /// Why it failed, if it did.
    failed: Option<String>,
}

/// What is remembered of answers, by shard.
#[derive(Default)]
pub(crate) struct Tries {
    tried: HashMap<Pubkey, Vec<(Wanted, Try)>>,
    /// See [`Demand::rank`].
    in_work: HashMap<Pubkey, Vec<(Wanted, watch::Sender<i64>)>>,
}

impl Tries {
    fn find(&self, shard: &Pubkey, wanted: &Wanted) -> Option<&Try> {
        self.tried.get(shard)?.iter().find(|(known, _)| known == wanted).map(|(_, tried)| tried)
    }

    fn set(&mut self, shard: &Pubkey, wanted: &Wanted, tried: Try) {
        let of_shard = self.tried.entry(*shard).or_default();
        match of_shard.iter_mut().find(|(known, _)| known == wanted) {
            Some((_, known)) => *known = tried,
            None => of_shard.push((*wanted, tried)),
        }
    }

    /// Whether it is to be left alone now.
    pub fn rests(&self, shard: &Pubkey, wanted: &Wanted, now: Instant) -> bool {
        self.find(shard, wanted).is_some_and(|tried| now < tried.not_before)
    }

    /// It is in work from now on, until it has failed or is given; returns its rank, as it is and will be.
    pub fn begin(&mut self, shard: &Pubkey, demand: &Demand) -> watch::Receiver<i64> {
        let (sender, rank) = watch::channel(demand.rank());
        self.in_work.entry(*shard).or_default().push((demand.wanted, sender));
        rank
    }

    /// What is in work and has become more urgent, as one that was challenged and then named, is so from now on.
    pub fn hurry(&mut self, shard: &Pubkey, demands: &[Demand]) {
        for (wanted, rank) in self.in_work.get(shard).into_iter().flatten() {
            if let Some(demand) = demands.iter().find(|demand| demand.wanted == *wanted) {
                rank.send_if_modified(|rank| {
                    let nearer = demand.rank() < *rank;
                    *rank = demand.rank().min(*rank);
                    nearer
                });
            }
        }
    }

    fn end(&mut self, shard: &Pubkey, wanted: &Wanted) {
        if let Some(of_shard) = self.in_work.get_mut(shard) {
            of_shard.retain(|(known, _)| known != wanted);
            if of_shard.is_empty() {
                self.in_work.remove(shard);
            }
        }
    }

    /// It failed: the pause grows. True when it is for a new reason.
    pub fn failed(&mut self, shard: &Pubkey, wanted: &Wanted, now: Instant, why: String) -> bool {
        self.end(shard, wanted);
        let before = self.find(shard, wanted).filter(|tried| tried.failed.is_some());
        let pause = before.map_or(FIRST_PAUSE, |tried| tried.pause.saturating_mul(2).min(LONGEST_PAUSE));
        let is_new = before.is_none_or(|tried| tried.failed.as_ref() != Some(&why));
        self.set(shard, wanted, Try { pause, not_before: now.checked_add(pause).unwrap_or(now), failed: Some(why) });
        is_new
    }

    /// It was given, by us or by somebody else: the chain will show it.
    pub fn given(&mut self, shard: &Pubkey, wanted: &Wanted, now: Instant) {
        self.end(shard, wanted);
        let not_before = now.checked_add(FIRST_PAUSE).unwrap_or(now);
        self.set(shard, wanted, Try { pause: FIRST_PAUSE, not_before, failed: None });
    }

    /// Forgets what is not asked of the shard any more.
    pub fn keep(&mut self, shard: &Pubkey, demands: &[Demand]) {
        if let Some(of_shard) = self.tried.get_mut(shard) {
            of_shard.retain(|(wanted, _)| demands.iter().any(|demand| demand.wanted == *wanted));
            if of_shard.is_empty() {
                self.tried.remove(shard);
            }
        }
    }

    /// Forgets every shard but these.
    pub fn keep_shards(&mut self, kept: impl Fn(&Pubkey) -> bool) {
        self.tried.retain(|shard, _| kept(shard));
    }

    /// Whether the last try of anything that is asked of the shard failed.
    pub fn any_failed(&self, shard: &Pubkey) -> bool {
        self.tried.get(shard).is_some_and(|of_shard| of_shard.iter().any(|(_, tried)| tried.failed.is_some()))
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use assay_settlement::rules::draw::Place;

    fn demand(cell: u32) -> Demand {
        Demand { wanted: Wanted::Cell(Place { leaf: 1, cell }), due: 9 }
    }

    #[test]
    fn what_fails_rests_longer_and_longer_and_keeps_nothing_else_from_being_tried() {
        let (mut tries, start) = (Tries::default(), Instant::now());
        let (shard, other) = (Pubkey::new_from_array([1; 32]), Pubkey::new_from_array([2; 32]));
        let (bad, good) = (demand(1), demand(2));
        let mut at = start;
        let mut pauses = Vec::new();
        let fail = |tries: &mut Tries, at| tries.failed(&shard, &bad.wanted, at, "why".to_owned());
        for i in 0..10 {
            assert_eq!(fail(&mut tries, at), i == 0, "told once");
            let paused = (1u64..).map(|i| at + Duration::from_millis(i * 500));
            let next = paused.into_iter().find(|t| !tries.rests(&shard, &bad.wanted, *t)).unwrap();
            pauses.push((next - at).as_millis());
            at = next;
        }
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
        fail(&mut tries, at);
        assert!(!tries.rests(&shard, &good.wanted, at) && !tries.rests(&other, &bad.wanted, at));
        assert!(tries.any_failed(&shard) && !tries.any_failed(&other));
        // The pauses begin anew once it was given, and it is forgotten when nobody asks for it any more.
        tries.given(&shard, &bad.wanted, at);
        assert!(!tries.any_failed(&shard) && tries.rests(&shard, &bad.wanted, at + Duration::from_millis(499)));
        fail(&mut tries, at);
        assert!(!tries.rests(&shard, &bad.wanted, at + Duration::from_millis(500)));
        tries.keep(&shard, &[bad, good]);
        assert!(tries.any_failed(&shard));
        tries.keep(&shard, &[good]);
        assert!(!tries.any_failed(&shard) && !tries.rests(&shard, &bad.wanted, at));
        fail(&mut tries, at);
        tries.keep_shards(|kept| *kept == other);
        assert!(!tries.any_failed(&shard));
    }

    #[test]
    fn what_is_in_work_becomes_more_urgent_and_never_less() {
        let (mut tries, now, shard) = (Tries::default(), Instant::now(), Pubkey::new_from_array([1; 32]));
        let due = |cell, due| Demand { due, ..demand(cell) };
        let (mut first, second) = (tries.begin(&shard, &due(1, 50)), tries.begin(&shard, &due(2, 60)));
        tries.hurry(&shard, &[due(1, 70), due(2, 40), due(3, 1)]);
        assert_eq!((*first.borrow(), *second.borrow()), (50, 40));
        assert!(!first.has_changed().unwrap());
        tries.hurry(&shard, &[due(1, 20)]);
        assert_eq!((*first.borrow_and_update(), *second.borrow()), (20, 40));
        // Over: begun anew it starts from what is asked then.
        tries.given(&shard, &demand(1).wanted, now);
        tries.failed(&shard, &demand(2).wanted, now, String::new());
        assert!(tries.in_work.is_empty() && first.has_changed().is_err());
        assert_eq!(*tries.begin(&shard, &due(1, 90)).borrow(), 90);
    }
}
