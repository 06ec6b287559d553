//! Seeds of the program-derived addresses, and the addresses. Written once, used by program, client and tests.

use anchor_lang::prelude::Pubkey;

/// Market: creator, id (u16, little-endian).
pub const MARKET: &[u8] = b"market";
/// Treasury of a market: market.
pub const TREASURY: &[u8] = b"treasury";
/// Kernel: verifier, id (u16, little-endian).
pub const KERNEL: &[u8] = b"kernel";
/// Provider: market, owner.
pub const PROVIDER: &[u8] = b"provider";
/// Stake vault of a provider: provider.
pub const STAKE: &[u8] = b"stake";
/// Renter: owner.
pub const RENTER: &[u8] = b"renter";
/// Job: renter's owner, nonce (u64, little-endian).
pub const JOB: &[u8] = b"job";
/// Vault of a job: job.
pub const VAULT: &[u8] = b"vault";
/// Shard: job, index (u32, little-endian).
pub const SHARD: &[u8] = b"shard";
/// Challenge: shard, number of the cell inside the shard (u64, little-endian).
pub const CHALLENGE: &[u8] = b"challenge";
/// Vault of a challenge's bond: challenge.
pub const BOND: &[u8] = b"bond";
/// Delivery: shard.
pub const DELIVERY: &[u8] = b"delivery";
/// DrawSeed: window (u64, little-endian).
pub const SEED: &[u8] = b"seed";

fn derive(seeds: &[&[u8]]) -> Pubkey {
    Pubkey::find_program_address(seeds, &crate::ID).0
}

/// Address of a Market.
pub fn market(creator: &Pubkey, id: u16) -> Pubkey {
    derive(&[MARKET, creator.as_ref(), &id.to_le_bytes()])
}
/// Address of a market's treasury (a token account).
pub fn treasury(market: &Pubkey) -> Pubkey {
    derive(&[TREASURY, market.as_ref()])
}
/// Address of a Kernel.
pub fn kernel(verifier: &Pubkey, id: u16) -> Pubkey {
    derive(&[KERNEL, verifier.as_ref(), &id.to_le_bytes()])
}
/// Address of a Provider.
pub fn provider(market: &Pubkey, owner: &Pubkey) -> Pubkey {
    derive(&[PROVIDER, market.as_ref(), owner.as_ref()])
}
/// Address of a provider's stake vault (a token account).
pub fn stake(provider: &Pubkey) -> Pubkey {
    derive(&[STAKE, provider.as_ref()])
}
/// Address of a Renter.
pub fn renter(owner: &Pubkey) -> Pubkey {
    derive(&[RENTER, owner.as_ref()])
}
/// Address of a Job.
pub fn job(renter: &Pubkey, nonce: u64) -> Pubkey {
    derive(&[JOB, renter.as_ref(), &nonce.to_le_bytes()])
}
/// Address of a job's vault (a token account).
pub fn vault(job: &Pubkey) -> Pubkey {
    derive(&[VAULT, job.as_ref()])
}
/// Address of a Shard.
pub fn shard(job: &Pubkey, index: u32) -> Pubkey {
    derive(&[SHARD, job.as_ref(), &index.to_le_bytes()])
}
/// Address of the Challenge of a cell.
pub fn challenge(shard: &Pubkey, cell: u64) -> Pubkey {
    derive(&[CHALLENGE, shard.as_ref(), &cell.to_le_bytes()])
}
/// Address of the vault of a challenge's bond (a token account).
pub fn bond(challenge: &Pubkey) -> Pubkey {
    derive(&[BOND, challenge.as_ref()])
}
/// Address of the Delivery of a shard.
pub fn delivery(shard: &Pubkey) -> Pubkey {
    derive(&[DELIVERY, shard.as_ref()])
}
/// Address of a DrawSeed.
pub fn draw_seed(window: u64) -> Pubkey {
    derive(&[SEED, &window.to_le_bytes()])
}
