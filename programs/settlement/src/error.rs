//! Every way in which the program refuses, one code per cause. Codes start at 6000 in the order below; the order is stable.

use anchor_lang::prelude::*;

#[error_code]
#[derive(PartialEq, Eq)]
pub enum AssayError {
    #[msg("Arithmetic overflow: an amount or a time is out of range; nothing was moved")]
    Overflow,
    #[msg("The account belongs to another market")]
    WrongMarket,
    #[msg("The account belongs to another job")]
    WrongJob,
    #[msg("The account belongs to another provider")]
    WrongProvider,
    #[msg("The vault is not the one recorded in the account that owns it")]
    WrongVault,
    #[msg("The mint is not the market's mint")]
    WrongMint,
    #[msg("The token program is not the market's token program")]
    WrongTokenProgram,
    #[msg("The token account does not belong to whoever is owed the money")]
    WrongTokenOwner,
    #[msg("Rent goes back only to the account that paid it")]
    WrongRentPayer,
    #[msg("The address is not the one that its seeds derive")]
    WrongAddress,
    #[msg("The signer is not allowed to do this")]
    NotAuthorized,
    #[msg("This mint cannot settle a market: only mints of SPL Token that are initialised")]
    MintNotAllowed,
    #[msg("Market terms are outside the program's caps")]
    TermsOutOfRange,
    #[msg("Market terms are below the floors that hold outside experimental markets")]
    TermsBelowFloor,
    #[msg("The market is paused: no new jobs and no new claims; every exit stays open")]
    MarketPaused,
    #[msg("The verifier program can still be changed by its upgrade authority")]
    VerifierMutable,
    #[msg("The account is not an executable program of the upgradeable loader")]
    VerifierNotProgram,
    #[msg("The program called is not the kernel's verifier")]
    WrongVerifier,
    #[msg("The verifier answered with data that its interface does not allow")]
    VerifierAnswer,
    #[msg("The kernel declares limits or an amplification outside the program's caps")]
    KernelOutOfRange,
    #[msg("The verifier implements another version of the interface")]
    VerifierAbi,
    #[msg("The job's nonce is not the renter's next one")]
    WrongNonce,
    #[msg("The job's prices, durations or shard size are out of range")]
    JobOutOfRange,
    #[msg("Shards can be cut only at multiples of the kernel's alignment")]
    ShardAlignment,
    #[msg("The inputs do not have the lengths that the parameters ask for")]
    InputLength,
    #[msg("The text is not a UTF-8 URL of at most 128 bytes")]
    BadUrl,
    #[msg("The job's terms are not the ones the caller agreed to")]
    TermsChanged,
    #[msg("The price is below the least that the caller accepts")]
    PriceTooLow,
    #[msg("The job is reserved for another provider")]
    Reserved,
    #[msg("The job is cancelled or past its expiry: it takes no more claims")]
    JobClosed,
    #[msg("The job has no such shard")]
    NoSuchShard,
    #[msg("The shard is already claimed")]
    ShardClaimed,
    #[msg("The stake that is not locked does not cover this")]
    StakeTooSmall,
    #[msg("The shard is not in the state that this step needs")]
    WrongState,
    #[msg("The deadline has not passed yet")]
    TooEarly,
    #[msg("The challenge window is over")]
    WindowOver,
    #[msg("The challenge window is not over yet")]
    WindowOpen,
    #[msg("The draw window is not complete: not enough slots have passed since it began")]
    DrawTooEarly,
    #[msg("The draw window has aged out of the slot hashes")]
    DrawAgedOut,
    #[msg("The draw window can still be recorded, or is recorded already: it cannot be rolled")]
    DrawStillPossible,
    #[msg("The seed belongs to another draw window")]
    WrongWindow,
    #[msg("Cells were already named for this shard")]
    AlreadyNamed,
    #[msg("Too many cells were named, or none")]
    TooManyCells,
    #[msg("The shard has no such cell")]
    NoSuchCell,
    #[msg("Nobody demanded this cell, and it is right: there is nothing to answer")]
    NotDemanded,
    #[msg("The opening does not lead to the committed root: wrong bytes, index or path")]
    WrongPath,
    #[msg("The opening is malformed: out of bounds, unaligned, or of a source the cell may not read")]
    BadOpening,
    #[msg("The evidence account is not one of this program, or not initialised")]
    NotEvidence,
    #[msg("The evidence account belongs to another signer")]
    WrongEvidenceOwner,
    #[msg("Writing outside the evidence account")]
    EvidenceBounds,
    #[msg("Demanded cells are still unanswered")]
    Unanswered,
    #[msg("Every demanded cell is answered: nothing to slash")]
    NothingUnanswered,
    #[msg("There is nothing to move")]
    NothingOwed,
    #[msg("The account is still needed: a shard is in work, or money in it is owed")]
    StillNeeded,
    #[msg("The amount must not be zero")]
    ZeroAmount,
}
