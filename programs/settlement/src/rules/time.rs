//! Deadlines that a halted, slow or restarted cluster cannot turn against an honest party (protocol.md, section 5).

use crate::constants::{RESTART_GRACE_SECONDS, SLOTS_PER_SECOND};

/// What the chain says about time, read once per instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Unix time, seconds.
    pub time: i64,
    /// Current slot.
    pub slot: u64,
    /// First slot after the last cluster restart; 0 when there was none.
    pub last_restart_slot: u64,
}

/// A duration that began at a known time and slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Unix time at which it was opened, seconds.
    pub opened_at: i64,
    /// Slot in which it was opened.
    pub opened_slot: u64,
    /// How long it is, seconds.
    pub seconds: u32,
}

impl Deadline {
    /// The unix time before which it cannot have passed, seconds.
    pub fn time(&self) -> i64 {
        self.opened_at.saturating_add(i64::from(self.seconds))
    }

    /// True once the wall clock **and** the slots agree that it has passed, and, after a restart, enough slots since then.
    /// A halted cluster makes no slots, so a clock that jumps when it comes back passes nothing.
    pub fn passed(&self, now: &Now) -> bool {
        let slots = |seconds: u32| SLOTS_PER_SECOND.saturating_mul(u64::from(seconds));
        let by_clock = now.time >= self.time();
        let by_slots = now.slot >= self.opened_slot.saturating_add(slots(self.seconds));
        let restarted = now.last_restart_slot > self.opened_slot;
        let by_restart = !restarted
            || now.slot >= now.last_restart_slot.saturating_add(slots(self.seconds.max(RESTART_GRACE_SECONDS)));
        by_clock && by_slots && by_restart
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const D: Deadline = Deadline { opened_at: 1_000, opened_slot: 500, seconds: 100 };

    #[test]
    fn needs_clock_and_slots() {
        let at = |time, slot| D.passed(&Now { time, slot, last_restart_slot: 0 });
        assert!(at(1_100, 700));
        assert!(!at(1_099, 10_000), "the clock has not reached it");
        assert!(!at(1_000_000, 699), "a halt moves the clock and no slots");
    }

    #[test]
    fn a_restart_gives_at_least_an_hour_of_slots() {
        let at = |slot, last_restart_slot| D.passed(&Now { time: 2_000_000, slot, last_restart_slot });
        assert!(!at(700, 600));
        assert!(!at(600 + 7_199, 600));
        assert!(at(600 + 7_200, 600));
        assert!(at(700, 500), "a restart before it was opened changes nothing");
        let long = Deadline { seconds: 10_000, ..D };
        assert!(!long.passed(&Now { time: 2_000_000, slot: 600 + 19_999, last_restart_slot: 600 }));
    }

    proptest! {
        #[test]
        fn once_passed_stays_passed(opened_at in 0i64..1 << 40, opened_slot in 0u64..1 << 40, seconds: u32, dt in 0i64..1 << 41, ds in 0u64..1 << 41, later in 0i64..1 << 30, slots in 0u64..1 << 30) {
            let d = Deadline { opened_at, opened_slot, seconds };
            let now = Now { time: opened_at + dt, slot: opened_slot + ds, last_restart_slot: 0 };
            let then = Now { time: now.time + later, slot: now.slot + slots, ..now };
            prop_assert!(!d.passed(&now) || d.passed(&then));
        }
    }
}
