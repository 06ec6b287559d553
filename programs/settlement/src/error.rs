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
    #[msg("This mint cannot settle a market: it is not an initialised mint of SPL Token or Token-2022")]
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
    #[msg("This mint takes transfer fees: a vault would receive less than it is owed")]
    MintTransferFee,
    #[msg("This mint has a transfer hook: a program of somebody else could stop payments")]
    MintTransferHook,
    #[msg("This mint has a permanent delegate, who could take escrow and stake out of the vaults")]
    MintPermanentDelegate,
    #[msg("This mint can make new accounts frozen: a vault could be born frozen")]
    MintDefaultState,
    #[msg("This mint can be paused: nothing could be paid meanwhile")]
    MintPausable,
    #[msg("This mint's tokens cannot be transferred")]
    MintNonTransferable,
    #[msg("This mint has confidential transfers: what a vault holds could not be read")]
    MintConfidential,
    #[msg("This mint has an extension that is not on the program's list of allowed ones")]
    MintExtension,
    #[msg("A delivery that the program does not know, or an attestor or a silence rule where the delivery has none")]
    BadDelivery,
    #[msg("The renter has accepted this shard: it waits only for its settlement")]
    Accepted,
    #[msg("This cell is proven already: it cannot be challenged any more")]
    AlreadyAnswered,
    #[msg("This cell has a challenge already")]
    AlreadyChallenged,
    #[msg("Only the renter may challenge cells of this job")]
    ChallengeRestricted,
    #[msg(
        "The account is not the challenge of this cell; give the cell's challenge address while the shard has open ones"
    )]
    WrongChallenge,
    #[msg("The challenge is not decided yet")]
    ChallengeOpen,
    #[msg("The challenge was answered: its bond goes to the provider and the renter")]
    ChallengeAnswered,
    #[msg("This job delivers in another way")]
    WrongDelivery,
    #[msg("Leaves of this shard were already demanded")]
    AlreadyDemanded,
    #[msg("Leaves must be numbers of this shard in ascending order, at least one, at most 64")]
    BadLeaves,
    #[msg("This leaf is posted already")]
    AlreadyPosted,
    #[msg("The delivery is decided already")]
    AlreadyDelivered,
    #[msg("Demanded leaves are not posted and not overdue yet")]
    DeliveryOpen,
    #[msg("There is no proposed authority, or it is somebody else")]
    NotProposed,
    #[msg("Debts can be waived only while a vault is frozen: seize them")]
    NotFrozen,
    #[msg("The evidence account carries the steps of another cell: use another account, or close this one")]
    OtherCell,
    #[msg("The market has other terms than those that the renter signed")]
    MarketTermsChanged,
    #[msg("Answering the cells of one shard could take longer than the market's response time")]
    CellsTooDear,
    #[msg("The provider holds as many shards as it can answer in time if all their cells are demanded at once")]
    ProviderLoaded,
}
