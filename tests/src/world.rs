//! A market with its actors, made and read.

use crate::{
    artifacts, books,
    chain::{Actor, Chain, Receipt, Refusal},
    scripted::Script,
    tokens::{self, Money},
    work::Task,
};
use anchor_lang::Discriminator;
use assay_client::{accounts::decode_data, ix, token};
use assay_settlement::{
    Job, Market, Provider as ProviderAccount, Shard, Terms,
    constants::{MAX_OPERATORS, NOBODY},
    instructions::ProviderProfile,
    seeds,
};
use bytemuck::Pod;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use solana_system_interface::instruction as system;
use std::collections::HashSet;

/// The verifier's declared address.
pub const VERIFIER: Pubkey = Pubkey::from_str_const("CkbT5ZwGQo51LGcYCBCQMHhzmgad5VUAsadGWk8ZEuyv");
/// What every actor starts with, base units.
pub const TOKENS: u64 = 1_000_000_000;
/// What every actor starts with, lamports.
pub const LAMPORTS: u64 = 100_000_000_000;
/// What each provider stakes at the start, base units.
pub const STAKE: u64 = 100_000_000;
/// First and last price of a shard, base units.
pub const PRICES: (u64, u64) = (1_000_000, 2_000_000);
/// Seconds between them.
pub const RAMP: u32 = 1_000;
/// Seconds to commit.
pub const EXECUTE: u32 = 600;
/// Seconds until open shards are refunded.
pub const LIFE: u32 = 3 * 86_400;

/// The default percentages with short windows.
pub fn experimental_terms() -> Terms {
    assay_migrations::terms::experimental(600, 300)
}

/// A provider: cold owner, hot operator.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Stakes and withdraws.
    pub owner: Actor,
    /// Claims and commits.
    pub operator: Actor,
    /// The Provider account.
    pub account: Pubkey,
}

/// See the module.
pub struct World {
    /// The chain.
    pub chain: Chain,
    /// The settlement mint.
    pub mint: Pubkey,
    /// Its token program.
    pub token_program: Pubkey,
    /// All mints whose tokens are counted.
    pub mints: Vec<Pubkey>,
    /// The market.
    pub market: Pubkey,
    /// Its creator and authority; mints tokens, too.
    pub creator: Actor,
    /// Has jobs done.
    pub renter: Actor,
    /// A provider.
    pub alice: Provider,
    /// Another.
    pub bob: Provider,
    /// Holds everyone to account.
    pub watcher: Actor,
    /// Has no business here.
    pub stranger: Actor,
    pub(crate) recorded: HashSet<u64>,
}

impl World {
    /// An experimental market of [`experimental_terms`].
    pub fn new() -> Self {
        Self::with_terms(experimental_terms())
    }

    /// An experimental market with other terms.
    pub fn with_terms(terms: Terms) -> Self {
        Self::with_money(terms, Money::Token)
    }

    /// An experimental market that settles in this money.
    pub fn with_money(terms: Terms, money: Money) -> Self {
        let mut chain = Chain::new();
        chain.deploy(assay_settlement::ID, &artifacts::program("assay_settlement.so"), None);
        chain.deploy(VERIFIER, &artifacts::program("assay_verifier.so"), None);
        let mut fresh = || Actor { key: chain.keypair(), tokens: Pubkey::default() };
        let [creator, renter, watcher, stranger, a1, a2, b1, b2, mint] = core::array::from_fn(|_| fresh());
        let provider = |owner: Actor, operator: Actor, market: &Pubkey| Provider {
            account: seeds::provider(market, &owner.id()),
            owner,
            operator,
        };
        let market = seeds::market(&creator.id(), 0);
        let (alice, bob) = (provider(a1, a2, &market), provider(b1, b2, &market));
        let settled_in = if money == Money::Wrapped { tokens::WRAPPED_SOL } else { mint.id() };
        let mut world = Self {
            mint: settled_in,
            token_program: money.program(),
            mints: vec![settled_in],
            market,
            chain,
            creator,
            renter,
            alice,
            bob,
            watcher,
            stranger,
            recorded: HashSet::new(),
        };
        world.chain.fund(&world.creator.id(), LAMPORTS);
        match money {
            Money::Token => world.make_mint(&mint),
            Money::Wrapped => tokens::make_wrapped_sol(&mut world.chain),
            Money::Token2022 => world.make_mint_2022(&mint),
        }
        for actor in [
            &mut world.creator,
            &mut world.renter,
            &mut world.watcher,
            &mut world.stranger,
            &mut world.alice.owner,
            &mut world.alice.operator,
            &mut world.bob.owner,
            &mut world.bob.operator,
        ] {
            actor.tokens = tokens::associated(&actor.id(), &world.mint, &world.token_program);
        }
        let creator = world.creator.clone();
        for actor in [
            world.renter.clone(),
            world.watcher.clone(),
            world.stranger.clone(),
            world.alice.owner.clone(),
            world.alice.operator.clone(),
            world.bob.owner.clone(),
            world.bob.operator.clone(),
            creator.clone(),
        ] {
            if actor.id() != creator.id() {
                world.chain.fund(&actor.id(), LAMPORTS);
            }
            world.give(&actor.id(), TOKENS);
        }
        let open = ix::open_market(creator.id(), creator.id(), 0, world.mint, world.token_program, terms, true);
        world.ok(&[open], &[&creator]);
        for kernel in [1, 2] {
            world.ok(&[ix::register_kernel(creator.id(), VERIFIER, kernel)], &[&creator]);
        }
        for provider in [world.alice.clone(), world.bob.clone()] {
            world.register(&provider);
            world.deposit(&provider, STAKE);
        }
        world
    }

    // Actors and tokens.

    /// Somebody new, with lamports and tokens.
    pub fn actor(&mut self) -> Actor {
        let key = self.chain.keypair();
        let mut actor = Actor { key, tokens: Pubkey::default() };
        actor.tokens = self.associated(&actor.id());
        self.chain.fund(&actor.id(), LAMPORTS);
        self.give(&actor.id(), TOKENS);
        actor
    }

    /// Makes `mint` a mint of 6 decimals whose authority is the creator, who may also freeze accounts.
    pub fn make_mint(&mut self, mint: &Actor) {
        let creator = self.creator.clone();
        let rent = self.chain.svm.minimum_balance_for_rent_exemption(82);
        let mut make = token::create_mint(&creator.id(), &mint.id(), &creator.id(), 6, rent);
        // The last byte says that there is no freeze authority.
        *make[1].data.last_mut().unwrap() = 1;
        make[1].data.extend_from_slice(creator.id().as_ref());
        self.chain.send(&make, &[&creator, mint]).unwrap();
    }

    /// Makes `mint` a mint of Token-2022 with metadata in it, whose authority is the creator, who may also freeze accounts.
    pub fn make_mint_2022(&mut self, mint: &Actor) {
        const METADATA_BYTES: usize = 256;
        let creator = self.creator.clone();
        let mut pointer = tokens::extensions(&mint.id());
        pointer.retain(|e| e.name == "MetadataPointer");
        let mut make = tokens::mint_2022(&self.chain, &creator.id(), &mint.id(), &pointer, METADATA_BYTES);
        make.push(tokens::write_metadata(&creator.id(), &mint.id()));
        self.chain.send(&make, &[&creator, mint]).unwrap();
    }

    /// The associated token account of `owner` for the market's mint.
    pub fn associated(&self, owner: &Pubkey) -> Pubkey {
        tokens::associated(owner, &self.mint, &self.token_program)
    }

    /// Tokens out of nothing for any token account of the market's mint: a donation.
    #[track_caller]
    pub fn donate(&mut self, to: &Pubkey, amount: u64) {
        let creator = self.creator.clone();
        let fill = tokens::fill(&self.mint, &self.token_program, to, &creator.id(), amount);
        if self.mint == tokens::WRAPPED_SOL {
            self.chain.wrapped += amount;
        }
        self.ok(&fill, &[&creator]);
    }

    /// Freezes or thaws a token account of the market's mint.
    #[track_caller]
    pub fn freeze(&mut self, account: &Pubkey, frozen: bool) {
        let creator = self.creator.clone();
        let accounts = vec![
            AccountMeta::new(*account, false),
            AccountMeta::new_readonly(self.mint, false),
            AccountMeta::new_readonly(creator.id(), true),
        ];
        let data = vec![if frozen { 10 } else { 11 }];
        self.ok(&[Instruction { program_id: self.token_program, accounts, data }], &[&creator]);
    }

    /// Another mint, of SPL Token, with a token account of `owner` that holds [`TOKENS`] of it.
    pub fn other_mint(&mut self, owner: &Actor) -> (Pubkey, Pubkey) {
        let mint = Actor { key: self.chain.keypair(), tokens: Pubkey::default() };
        self.make_mint(&mint);
        self.mints.push(mint.id());
        let ours = (core::mem::replace(&mut self.mint, mint.id()), self.token_program);
        self.token_program = token::SPL_TOKEN;
        self.give(&owner.id(), TOKENS);
        (self.mint, self.token_program) = ours;
        (mint.id(), token::associated(&owner.id(), &mint.id()))
    }

    /// A token account of `owner` that is not its associated one.
    pub fn second_account(&mut self, owner: &Actor) -> Pubkey {
        let creator = self.creator.clone();
        let new = Actor { key: self.chain.keypair(), tokens: Pubkey::default() };
        let bytes = token::ACCOUNT_BYTES;
        let rent = self.chain.svm.minimum_balance_for_rent_exemption(bytes);
        let make = system::create_account(&creator.id(), &new.id(), rent, bytes as u64, &self.token_program);
        // InitializeAccount3.
        let data = [&[18u8][..], owner.id().as_ref()].concat();
        let accounts = vec![AccountMeta::new(new.id(), false), AccountMeta::new_readonly(self.mint, false)];
        self.ok(&[make, Instruction { program_id: self.token_program, accounts, data }], &[&creator, &new]);
        new.id()
    }

    /// Mints tokens (wraps SOL) to somebody's associated token account, which it makes.
    pub fn give(&mut self, owner: &Pubkey, amount: u64) {
        let creator = self.creator.clone();
        let account = self.associated(owner);
        let mut make = vec![tokens::create_associated(creator.id(), owner, &self.mint, &self.token_program)];
        make.extend(tokens::fill(&self.mint, &self.token_program, &account, &creator.id(), amount));
        self.chain.send(&make, &[&creator]).unwrap();
        if self.mint == tokens::WRAPPED_SOL {
            self.chain.wrapped += amount;
        }
    }

    /// Base units in a token account.
    pub fn held(&self, account: &Pubkey) -> u64 {
        books::held(&self.chain, account)
    }

    // Sending.

    /// Sends; checks the books when it landed.
    pub fn send(&mut self, instructions: &[Instruction], signers: &[&Actor]) -> Result<Receipt, Refusal> {
        let receipt = self.chain.send(instructions, signers)?;
        books::check(&self.chain, &self.mints);
        Ok(receipt)
    }

    /// Sends what must land.
    #[track_caller]
    pub fn ok(&mut self, instructions: &[Instruction], signers: &[&Actor]) -> Receipt {
        match self.send(instructions, signers) {
            Ok(receipt) => receipt,
            Err(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// Sends what must be refused, with this error: one of the settlement program's, or of [`Refusal`].
    #[track_caller]
    pub fn refused(&mut self, error: impl Into<Refusal>, instructions: &[Instruction], signers: &[&Actor]) {
        let expected = error.into();
        match self.send(instructions, signers) {
            Ok(_) => panic!("it landed, and must be refused with {expected:?}"),
            Err(refusal) => assert_eq!(refusal, expected),
        }
    }

    // Reading.

    /// An account of the program.
    #[track_caller]
    pub fn read<T: Pod + Discriminator>(&self, address: &Pubkey) -> T {
        self.find(address).expect("there is such an account")
    }

    /// An account of the program, if it is there.
    pub fn find<T: Pod + Discriminator>(&self, address: &Pubkey) -> Option<T> {
        decode_data(&self.chain.data(address)?)
    }

    /// The market.
    pub fn market_data(&self) -> Market {
        self.read(&self.market)
    }

    /// A job.
    #[track_caller]
    pub fn job(&self, task: &Task) -> Job {
        self.read(&task.job)
    }

    /// A shard.
    #[track_caller]
    pub fn shard(&self, task: &Task, index: u32) -> Shard {
        self.read(&seeds::shard(&task.job, index))
    }

    /// A provider.
    #[track_caller]
    pub fn provider(&self, provider: &Provider) -> ProviderAccount {
        self.read(&provider.account)
    }

    // Market and kernels.

    /// Deploys a scripted verifier and registers its kernel; the Kernel account's address comes back.
    pub fn register_script(&mut self, script: &Script, kernel: u16) -> Pubkey {
        let verifier = script.address();
        self.chain.deploy(verifier, &script.elf(), None);
        let creator = self.creator.clone();
        self.ok(&[ix::register_kernel(creator.id(), verifier, kernel)], &[&creator]);
        seeds::kernel(&verifier, kernel)
    }

    /// Opens another market of the same creator.
    pub fn open_another(&mut self, id: u16, mint: Pubkey) -> Pubkey {
        let creator = self.creator.clone();
        self.ok(
            &[ix::open_market(creator.id(), creator.id(), id, mint, self.token_program, experimental_terms(), true)],
            &[&creator],
        );
        seeds::market(&creator.id(), id)
    }

    /// Pauses or resumes.
    pub fn pause(&mut self, paused: bool) {
        let creator = self.creator.clone();
        self.ok(&[ix::set_paused(creator.id(), self.market, paused)], &[&creator]);
    }

    // Providers.

    /// A profile with this one operator.
    pub fn profile(operator: &Pubkey) -> ProviderProfile {
        let mut operators = [NOBODY; MAX_OPERATORS];
        operators[0] = *operator;
        ProviderProfile { operators, encryption_key: [0; 32], endpoint: "http://127.0.0.1:1".to_owned() }
    }

    /// Registers a provider of the market.
    pub fn register(&mut self, provider: &Provider) {
        let owner = provider.owner.clone();
        let profile = Self::profile(&provider.operator.id());
        let register = ix::register_provider(owner.id(), owner.id(), &self.market, &self.market_data(), profile);
        self.ok(&[register], &[&owner]);
    }

    /// Adds stake out of the owner's tokens.
    pub fn deposit_ix(&self, provider: &Provider, amount: u64) -> Instruction {
        let data = self.provider(provider);
        let owner = &provider.owner;
        ix::deposit_stake(owner.id(), &provider.account, &data, &self.market_data(), owner.tokens, amount)
    }

    /// Adds stake out of the owner's tokens.
    pub fn deposit(&mut self, provider: &Provider, amount: u64) -> Receipt {
        self.ok(&[self.deposit_ix(provider, amount)], &[&provider.owner])
    }

    /// Takes stake out to the owner's tokens.
    pub fn withdraw_ix(&self, provider: &Provider, amount: u64) -> Instruction {
        let data = self.provider(provider);
        let owner = &provider.owner;
        ix::withdraw_stake(owner.id(), &provider.account, &data, &self.market_data(), owner.tokens, amount)
    }

    /// Takes stake out to the owner's tokens.
    pub fn withdraw(&mut self, provider: &Provider, amount: u64) -> Receipt {
        self.ok(&[self.withdraw_ix(provider, amount)], &[&provider.owner])
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// The instruction with account `from` replaced by `to`, everywhere.
///
/// # Panics
/// When it has no such account.
pub fn swapped(instruction: &Instruction, from: &Pubkey, to: &Pubkey) -> Instruction {
    let mut changed = instruction.clone();
    let mut found = false;
    for account in changed.accounts.iter_mut().filter(|a| a.pubkey == *from) {
        account.pubkey = *to;
        found = true;
    }
    assert!(found, "the instruction has no account {from}");
    changed
}
