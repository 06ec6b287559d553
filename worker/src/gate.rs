//! A gate that a few may pass at a time: of those who wait, the one whose work is due first is next. A queue by arrival would
//! let work that has hours keep work that has minutes waiting.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::sync::{oneshot, watch};

use crate::context::lock;

/// When the work of who waits is due, unix seconds, and a number by arrival.
type Place = (i64, u64);

/// Lets as many through at a time as it has permits.
pub struct Gate(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
}

/// Either nothing is free or nobody waits.
struct State {
    free: usize,
    arrived: u64,
    waiting: BTreeMap<Place, oneshot::Sender<Permit>>,
}

/// One who is through; makes room for the next when dropped.
#[must_use]
pub struct Permit {
    /// None once it is handed on.
    gate: Option<Arc<Inner>>,
}

/// One who waits; out of the line when dropped.
struct Waiting<'a> {
    gate: &'a Inner,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.gate.state).waiting.remove(&self.place);
    }
}

impl Gate {
    /// A gate with so many permits.
    pub fn new(permits: usize) -> Self {
        Self(Arc::new(Inner { state: Mutex::new(State { free: permits, arrived: 0, waiting: BTreeMap::new() }) }))
    }

    /// Waits for a permit: before everybody who waits for work that is due later, unix seconds, and behind those whose work
    /// is due at the same time and who came before. Whoever gives up waiting takes no permit along.
    pub async fn pass(&self, due: i64) -> Permit {
        loop {
            let (waiting, granted) = {
                let mut state = lock(&self.0.state);
                if let Some(left) = state.free.checked_sub(1) {
                    state.free = left;
                    return Permit { gate: Some(self.0.clone()) };
                }
                let place = (due, state.arrived);
                state.arrived = state.arrived.saturating_add(1);
                let (sender, granted) = oneshot::channel();
                state.waiting.insert(place, sender);
                (Waiting { gate: &self.0, place }, granted)
            };
            let granted = granted.await;
            drop(waiting);
            // A line that is gone without a permit is none of this gate's making: ask anew.
            if let Ok(permit) = granted {
                return permit;
            }
        }
    }

    /// [`Gate::pass`] for work that may become due earlier while it waits.
    pub async fn pass_as_due(&self, due: &watch::Receiver<i64>) -> Permit {
        let mut due = due.clone();
        loop {
            let now = *due.borrow_and_update();
            tokio::select! {
                biased;
                permit = self.pass(now) => return permit,
                Ok(()) = due.changed() => {}
            }
        }
    }

    /// Whether somebody waits whose work is due before `due`.
    pub fn is_awaited_before(&self, due: i64) -> bool {
        lock(&self.0.state).waiting.first_key_value().is_some_and(|((first, _), _)| *first < due)
    }

    /// Those who wait just now.
    pub fn waiting(&self) -> usize {
        lock(&self.0.state).waiting.len()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        let mut permit = Permit { gate: Some(gate.clone()) };
        loop {
            let next = {
                let mut state = lock(&gate.state);
                let next = state.waiting.pop_first();
                if next.is_none() {
                    state.free = state.free.saturating_add(1);
                    permit.gate = None;
                }
                next
            };
            let Some((_, waiting)) = next else { return };
            // Sent as it is: where it arrives and is never looked at, it is dropped there and handed on from there.
            match waiting.send(permit) {
                Ok(()) => return,
                // This one has given up just now.
                Err(back) => permit = back,
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use proptest::prelude::*;
    use std::{pin::Pin, time::Duration};

    fn free(gate: &Gate) -> usize {
        lock(&gate.0.state).free
    }

    #[tokio::test]
    async fn what_is_due_first_goes_first() {
        let gate = Arc::new(Gate::new(1));
        let held = gate.pass(50).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (number, due) in [30, 10, 20, 10].into_iter().enumerate() {
            let (of_task, order) = (gate.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let permit = of_task.pass(due).await;
                lock(&order).push((due, number));
                drop(permit);
            }));
            while gate.waiting() <= number {
                tokio::task::yield_now().await;
            }
        }
        // One that gives up keeps nobody waiting.
        assert!(gate.pass(5).now_or_never().is_none());
        assert_eq!(gate.waiting(), 4);
        assert!(gate.is_awaited_before(11) && !gate.is_awaited_before(10));
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*lock(&order), [(10, 1), (10, 3), (20, 2), (30, 0)]);
        assert_eq!((free(&gate), gate.waiting()), (1, 0));
    }

    /// A permit that was handed to one who never looks at it again goes to the next, not lost and not twice.
    #[test]
    fn a_permit_that_nobody_takes_is_handed_on() {
        let gate = Gate::new(1);
        let held = gate.pass(1).now_or_never().unwrap();
        let mut first = Box::pin(gate.pass(2));
        let mut second = Box::pin(gate.pass(3));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        drop(held);
        // It is the first one's now, which was not polled since.
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        let permit = second.as_mut().now_or_never().unwrap();
        assert_eq!((free(&gate), gate.waiting()), (0, 0));
        drop(permit);
        assert_eq!(free(&gate), 1);
    }

    /// One that is due earlier than when it came to the gate goes before those that it came after.
    #[test]
    fn what_becomes_due_earlier_moves_on() {
        let gate = Gate::new(1);
        let held = gate.pass(1).now_or_never().unwrap();
        let (earlier, due) = watch::channel(30);
        let mut first = Box::pin(gate.pass(20));
        let mut second = Box::pin(gate.pass_as_due(&due));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        earlier.send_replace(10);
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(gate.waiting(), 2);
        drop(held);
        assert!(first.as_mut().now_or_never().is_none());
        // Whoever could tell is gone, and what was told counts.
        drop(earlier);
        drop(second.as_mut().now_or_never().unwrap());
        drop(first.as_mut().now_or_never().unwrap());
        drop(gate.pass_as_due(&due).now_or_never().unwrap());
        assert_eq!((free(&gate), gate.waiting()), (1, 0));
    }

    type Pass<'a> = Pin<Box<dyn Future<Output = Permit> + 'a>>;

    proptest! {
        /// Whatever comes, is dropped and gives up, in whatever order: permits go to who is due first of those who wait, and
        /// there are never more nor less of them.
        #[test]
        fn permits_go_to_who_is_due_first_and_none_is_lost(
            permits in 1usize..4,
            events in prop::collection::vec((0u8..4, 0i64..6, any::<usize>()), 1..200),
        ) {
            let gate = Gate::new(permits);
            // Those who wait, as they came, and how many permits are out: held, or granted and not yet looked at.
            let mut waiting: Vec<(i64, usize, Pass<'_>)> = Vec::new();
            let mut granted: Vec<(i64, usize)> = Vec::new();
            let mut held: Vec<Permit> = Vec::new();
            // The model: hands a free permit to the first who waits.
            let first = |waiting: &[(i64, usize, Pass<'_>)], granted: &[(i64, usize)]| {
                waiting.iter().map(|(due, number, _)| (*due, *number)).filter(|w| !granted.contains(w)).min()
            };
            for (number, (what, due, which)) in events.into_iter().enumerate() {
                match what {
                    0 | 1 => {
                        let mut pass: Pass<'_> = Box::pin(gate.pass(due));
                        match pass.as_mut().now_or_never() {
                            Some(permit) => {
                                prop_assert!(held.len() + granted.len() < permits, "one too many");
                                held.push(permit);
                            }
                            None => {
                                prop_assert_eq!(held.len() + granted.len(), permits, "waits for nothing");
                                waiting.push((due, number, pass));
                            }
                        }
                    }
                    2 if !held.is_empty() => {
                        let next = first(&waiting, &granted);
                        drop(held.swap_remove(which % held.len()));
                        granted.extend(next);
                    }
                    3 if !waiting.is_empty() => {
                        let (due, number, pass) = waiting.remove(which % waiting.len());
                        let had = granted.iter().position(|g| *g == (due, number));
                        let next = first(&waiting, &granted);
                        drop(pass);
                        if let Some(had) = had {
                            granted.remove(had);
                            granted.extend(next);
                        }
                    }
                    _ => {}
                }
                // Sometimes those who were granted look.
                if which % 3 == 0 {
                    for (due, number, mut pass) in std::mem::take(&mut waiting) {
                        let expected = granted.iter().position(|g| *g == (due, number));
                        match pass.as_mut().now_or_never() {
                            Some(permit) => {
                                prop_assert!(expected.is_some(), "granted out of turn");
                                granted.remove(expected.unwrap());
                                held.push(permit);
                            }
                            None => {
                                prop_assert!(expected.is_none(), "a permit is lost");
                                waiting.push((due, number, pass));
                            }
                        }
                    }
                }
                prop_assert_eq!(gate.waiting() + granted.len(), waiting.len());
            }
            drop((waiting, held));
            prop_assert_eq!((free(&gate), gate.waiting()), (permits, 0));
        }
    }

    /// Lets other tasks go on so many times.
    async fn turns(count: u64) {
        for _ in 0..count {
            tokio::task::yield_now().await;
        }
    }

    /// The same with threads: tasks that are cut off anywhere take no permit along.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn cut_off_tasks_take_no_permit_along() {
        let gate = Arc::new(Gate::new(3));
        let inside = Arc::new(Mutex::new(0usize));
        let tasks: Vec<_> = (0..400u64)
            .map(|number| {
                let (gate, inside) = (gate.clone(), inside.clone());
                tokio::spawn(async move {
                    let work = async {
                        let _permit = gate.pass(i64::from((number % 17) as u8)).await;
                        *lock(&inside) += 1;
                        assert!(*lock(&inside) <= 3);
                        turns(number % 7).await;
                        *lock(&inside) -= 1;
                    };
                    // Only while it waits, so that the count inside stays right.
                    if number % 3 == 0 {
                        tokio::select! {
                            permit = gate.pass(0) => drop(permit),
                            () = turns(number * 7 % 11) => {}
                        }
                    } else {
                        work.await;
                    }
                })
            })
            .collect();
        for task in tasks {
            tokio::time::timeout(Duration::from_secs(30), task).await.unwrap().unwrap();
        }
        assert_eq!((free(&gate), gate.waiting()), (3, 0));
    }
}
