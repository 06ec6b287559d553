//! What is wrong just now, told once, and when what failed may be tried again.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Mutex,
    time::{Duration, Instant},
};

use solana_pubkey::Pubkey;

use crate::{
    chain::told,
    context::lock,
    error::WorkerError,
    events::{Events, ShardRef, What},
};

/// A failed step is tried again after this long, then twice as long, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The chain can't be asked.
    Chain,
    /// Claiming; does not keep other things from going on.
    Claiming,
    /// What the backend computes is not to be trusted: for good.
    Backend,
    /// The journal or the disk.
    Disk,
    /// Closing accounts that are not needed any more: costs rent and nothing else.
    Tidying,
    /// An obligation.
    Shard(Pubkey),
    /// Drawing for an obligation, beside what else is done for it.
    Draw(Pubkey),
    /// Answering what is asked of an obligation. Each answer has its own pauses.
    Answer(Pubkey),
    /// Dividing bonds of an obligation's answered challenges: can wait.
    Bonds(Pubkey),
}

/// Something that is wrong: nothing new is claimed while it lasts.
#[derive(Clone, Debug)]
struct Trouble {
    message: String,
    pause: Duration,
    not_before: Instant,
}

/// All that is wrong.
pub(crate) struct Troubles {
    places: Mutex<BTreeMap<Place, Trouble>>,
    events: Events,
}

impl Troubles {
    pub fn new(events: Events) -> Self {
        Self { places: Mutex::default(), events }
    }

    /// Whether a step there may be tried now.
    pub fn may_try(&self, place: Place) -> bool {
        lock(&self.places).get(&place).is_none_or(|trouble| Instant::now() >= trouble.not_before)
    }

    /// Something failed: told (unless it is what was told last), and tried again after a pause.
    pub fn raise(&self, place: Place, shard: Option<ShardRef>, error: &WorkerError) {
        let message = told(error);
        let mut places = lock(&self.places);
        let before = places.get(&place);
        let repeated = before.is_some_and(|before| before.message == message);
        let pause = before.map_or(FIRST_PAUSE, |before| before.pause.saturating_mul(2).min(LONGEST_PAUSE));
        let not_before = Instant::now().checked_add(pause).unwrap_or_else(Instant::now);
        places.insert(place, Trouble { message: message.clone(), pause, not_before });
        drop(places);
        if !repeated {
            self.events.tell(shard, None, What::Trouble { code: error.code(), message });
        }
    }

    /// It works (again).
    pub fn well(&self, place: Place) {
        lock(&self.places).remove(&place);
    }

    /// Shards that are no obligations any more are no trouble either.
    pub fn keep(&self, obligations: &HashSet<Pubkey>) {
        lock(&self.places).retain(|place, _| match place {
            Place::Shard(shard) | Place::Draw(shard) | Place::Answer(shard) | Place::Bonds(shard) => {
                obligations.contains(shard)
            }
            _ => true,
        });
    }

    /// What is wrong, in words; empty when all is well.
    pub fn words(&self) -> Vec<String> {
        lock(&self.places).values().map(|trouble| trouble.message.clone()).collect()
    }

    /// Whether anything is wrong for which nothing new may be claimed.
    pub fn forbid_claims(&self) -> bool {
        lock(&self.places).keys().any(|place| !matches!(place, Place::Claiming | Place::Tidying | Place::Bonds(_)))
    }

    /// Whether the last step there failed.
    pub fn has(&self, place: Place) -> bool {
        lock(&self.places).contains_key(&place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn troubles_are_told_once_and_forbid_claims() {
        let events = Events::default();
        let mut told = events.subscribe();
        let troubles = Troubles::new(events);
        let error = |text: &str| WorkerError::Internal(text.to_owned());
        troubles.raise(Place::Claiming, None, &error("a"));
        troubles.raise(Place::Tidying, None, &error("a"));
        let shard = Pubkey::new_from_array([1; 32]);
        troubles.raise(Place::Bonds(shard), None, &error("a"));
        assert!(!troubles.forbid_claims());
        let of_shard = [Place::Shard(shard), Place::Draw(shard), Place::Answer(shard)];
        for place in [Place::Disk, Place::Backend, Place::Chain].into_iter().chain(of_shard) {
            troubles.raise(place, None, &error("b"));
            troubles.raise(place, None, &error("b"));
            assert!(troubles.forbid_claims() && troubles.has(place) && !troubles.may_try(place));
            troubles.well(place);
            assert!(!troubles.forbid_claims() && troubles.may_try(place));
        }
        let mut count = 0;
        while told.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, 3 + 6);
        troubles.raise(Place::Draw(shard), None, &error("b"));
        troubles.raise(Place::Answer(shard), None, &error("b"));
        troubles.keep(&HashSet::new());
        assert!(!troubles.forbid_claims() && !troubles.has(Place::Bonds(shard)));
    }
}
