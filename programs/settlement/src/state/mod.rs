//! The accounts. Every one is zero-copy (`repr(C)`, no padding), begins with its layout version and its canonical bump,
//! records who paid its rent, and keeps reserved bytes for later versions.

mod challenge;
mod delivery;
mod draw_seed;
mod evidence;
mod job;
mod kernel;
mod market;
mod provider;
mod renter;
mod shard;

pub use challenge::{Challenge, ChallengeState, unit_seconds};
pub use delivery::Delivery;
pub use draw_seed::DrawSeed;
pub use evidence::{EVIDENCE_DISCRIMINATOR, EVIDENCE_HEADER_BYTES, EvidenceHeader};
pub use job::{
    Amounts, CostClass, DeliveryMode, InputTree, Job, JobState, JobTerms, PUBLIC_RESULTS, RENTER_CHALLENGES, Silence,
};
pub use kernel::Kernel;
pub use market::{EXPERIMENTAL, FREEZABLE, Market, PAUSED, Terms};
pub use provider::Provider;
pub use renter::Renter;
pub use shard::{Shard, ShardState};

/// Bytes of an account: Anchor's discriminator and the struct.
pub const fn space_of<T>() -> usize {
    size_of::<T>().saturating_add(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_part_of_the_interface() {
        assert_eq!(space_of::<Market>(), 8 + 8 + 7 * 32 + 88 + 256);
        assert_eq!(space_of::<Kernel>(), 8 + 8 + 3 * 32 + 8 + 64 + 128);
        assert_eq!(space_of::<Provider>(), 8 + 8 + 4 * 32 + 4 * 32 + 32 + 128 + 4 * 8 + 6 * 8 + 128);
        assert_eq!(space_of::<Renter>(), 8 + 8 + 2 * 32 + 8 + 64);
        assert_eq!(space_of::<DrawSeed>(), 8 + 8 + 8 + 32 + 32 + 16 + 32);
        assert_eq!(size_of::<Terms>(), 88);
        assert_eq!(size_of::<CostClass>(), 32);
        assert_eq!(size_of::<JobTerms>(), 7 * 32 + 9 * 8 + 6 * 4 + 6 * 2 + 20 + 4 * 40 + 16 * 32 + 128 + 512 + 64);
        assert_eq!(space_of::<Job>(), 8 + 8 + 8 + 3 * 32 + 32 + 8 + 16 + 32 + 64 + 64 + size_of::<JobTerms>());
        assert_eq!(space_of::<Shard>(), 8 + 32 + 5 * 32 + 2 * 32 + 23 * 8 + 32 * 8 + 56);
        assert_eq!(space_of::<Challenge>(), 8 + 16 + 8 * 32 + 4 * 8 + 64);
        assert_eq!(space_of::<Delivery>(), 8 + 8 + 3 * 32 + 8 + 64 * 8 + 64);
        assert_eq!(size_of::<EvidenceHeader>(), EVIDENCE_HEADER_BYTES);
    }
}
