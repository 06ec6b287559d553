//! Time as a cluster makes it: seconds and slots that do not keep step, skipped slots, halts and restarts; and what the
//! mechanism says about it, written down a second time.

use assay_kernels::hash::sha256;
use litesvm::LiteSVM;
use solana_account::Account;
use solana_clock::Clock;
use solana_hash::Hash;
use solana_pubkey::Pubkey;
use solana_slot_hashes::SlotHashes;
use std::collections::VecDeque;

/// Entries that the SlotHashes sysvar keeps.
const KEPT: usize = 512;
const START_TIME: i64 = 1_800_000_000;
const START_SLOT: u64 = 400_000_000;
const LAST_RESTART_SLOT: Pubkey = Pubkey::from_str_const("SysvarLastRestartS1ot1111111111111111111111");
const SYSVARS: Pubkey = Pubkey::from_str_const("Sysvar1111111111111111111111111111111111111");

/// When something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Unix seconds.
    pub time: i64,
    /// Slot.
    pub slot: u64,
}

/// What can be made of a draw window now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Fewer than twelve slots with a block have followed its start.
    TooEarly,
    /// Its seed.
    Ready([u8; 32]),
    /// Its start has left the slot hashes.
    AgedOut,
}

/// The clock, the slots and the slot hashes.
#[derive(Clone, Debug)]
pub struct Time {
    /// Now.
    pub now: Moment,
    /// Slot of the last restart; 0 for none.
    pub restarted: u64,
    milliseconds: u64,
    /// Slots with a block, oldest first.
    blocks: VecDeque<u64>,
}

/// The hash of a slot's block.
fn block_hash(slot: u64) -> [u8; 32] {
    sha256(&[b"slot", &slot.to_le_bytes()])
}

impl Default for Time {
    fn default() -> Self {
        let blocks = (START_SLOT - KEPT as u64..START_SLOT).collect();
        Self { now: Moment { time: START_TIME, slot: START_SLOT }, restarted: 0, milliseconds: 0, blocks }
    }
}

impl Time {
    /// The cluster makes `slots` slots of `pace` milliseconds; slots for which `skipped` holds get no block.
    pub fn run(&mut self, slots: u64, pace: u64, mut skipped: impl FnMut(u64) -> bool) {
        let end = self.now.slot + slots;
        for slot in self.now.slot.max(end.saturating_sub(2 * KEPT as u64))..end {
            if !skipped(slot) {
                self.blocks.push_back(slot);
            }
        }
        while self.blocks.len() > KEPT {
            self.blocks.pop_front();
        }
        self.now.slot = end;
        self.milliseconds += slots * pace;
        self.now.time += i64::try_from(self.milliseconds / 1_000).unwrap();
        self.milliseconds %= 1_000;
    }

    /// Time passes and the cluster makes no slots.
    pub fn halt(&mut self, seconds: i64) {
        self.now.time += seconds;
    }

    /// The cluster restarts, `gap` slots on, none of which has a block.
    pub fn restart(&mut self, gap: u64) {
        self.now.slot += gap + 1;
        self.restarted = self.now.slot;
    }

    /// Writes the sysvars.
    pub fn publish(&self, svm: &mut LiteSVM) {
        let mut clock: Clock = svm.get_sysvar();
        (clock.unix_timestamp, clock.slot) = (self.now.time, self.now.slot);
        svm.set_sysvar(&clock);
        let entries: Vec<(u64, Hash)> =
            self.blocks.iter().rev().map(|slot| (*slot, Hash::new_from_array(block_hash(*slot)))).collect();
        svm.set_sysvar(&SlotHashes::new(&entries));
        let data = self.restarted.to_le_bytes().to_vec();
        let restart = Account { lamports: 1, data, owner: SYSVARS, executable: false, rent_epoch: 0 };
        svm.set_account(LAST_RESTART_SLOT, restart).unwrap();
    }

    /// Whether so many seconds from `since` have passed: by the clock, by two slots to the second, and, after a restart,
    /// by so many slots since it, an hour's at least.
    pub fn passed(&self, since: Moment, seconds: u64) -> bool {
        let by_clock = self.now.time - since.time >= i64::try_from(seconds).unwrap();
        let by_slots = self.now.slot - since.slot >= 2 * seconds;
        let calm = self.restarted <= since.slot || self.now.slot - self.restarted >= 2 * seconds.max(3_600);
        by_clock && by_slots && calm
    }

    /// Whether a restart after `since` is less than an hour of slots ago.
    pub fn shaken(&self, since: Moment) -> bool {
        self.restarted > since.slot && self.now.slot - self.restarted < 7_200
    }

    /// What can be made of a draw window.
    pub fn view(&self, window: u64) -> View {
        let start = window * 64;
        if self.blocks.front().is_some_and(|oldest| *oldest > start) {
            return View::AgedOut;
        }
        let first: Vec<[u8; 32]> =
            self.blocks.iter().filter(|slot| **slot >= start).take(12).map(|slot| block_hash(*slot)).collect();
        if first.len() < 12 {
            return View::TooEarly;
        }
        View::Ready(sha256(&[b"assay:seed:v1", &window.to_le_bytes(), first.as_flattened()]))
    }
}
