//! A world with a second one of everything, and what tries every account of it in every place of an instruction.

use super::counterfeits;
use assay_client::{ix, token};
use assay_settlement::{Terms, constants::NOBODY, seeds};
use assay_tests::{
    Actor, Provider, Spec, Task, World, experimental_terms,
    scripted::{Says, Script, two_stages},
    tokens::TOKEN_2022,
    world::VERIFIER,
};
use solana_instruction::Instruction;
use solana_pubkey::Pubkey;
use std::collections::BTreeSet;

/// Sysvars, which no instruction takes.
pub(super) const SYSVARS: [Pubkey; 5] = [
    Pubkey::from_str_const("SysvarC1ock11111111111111111111111111111111"),
    Pubkey::from_str_const("SysvarRent111111111111111111111111111111111"),
    Pubkey::from_str_const("SysvarS1otHashes111111111111111111111111111"),
    Pubkey::from_str_const("SysvarLastRestartS1ot1111111111111111111111"),
    Pubkey::from_str_const("Sysvar1nstructions1111111111111111111111111"),
];

/// Why anybody may choose what stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Free {
    /// Whoever signs pays the rent, and gets it back.
    Payer,
    /// Anyone may call.
    Caller,
    /// The owner of the money, who signs, names where it goes.
    Destination,
    /// Not looked at in this state.
    Unused,
    /// Another thing of the signer's own, or of everybody's, with which it is the same instruction for another thing.
    Also(Pubkey),
}
use Free::Also;

/// What is done to each instruction before it lands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// Other accounts stand in its places.
    Replacements,
    /// Its own accounts are counterfeit.
    Counterfeits,
}

pub(super) struct Zoo {
    trial: Trial,
    pub(super) w: World,
    /// Pays for transactions and appears in none of them.
    pub(super) payer: Actor,
    pub(super) actors: Vec<Actor>,
    pub(super) pool: Vec<Pubkey>,
    /// Another market of the same mint, and Alice's provider there.
    pub(super) market: Pubkey,
    pub(super) abroad: Provider,
    /// Claimed by Alice, by Bob, and in the other market by Alice.
    pub(super) task: Task,
    pub(super) other: Task,
    /// A job of the renter in the other market.
    pub(super) foreign: Pubkey,
    pub(super) other_mint: Pubkey,
    pub(super) tried: u32,
}

impl Zoo {
    pub(super) fn new(trial: Trial) -> Self {
        let terms = Terms { response_seconds: 1_000, ..experimental_terms() };
        let mut w = World::with_terms(terms);
        let payer = w.actor();
        let market = w.open_another(1, w.mint);
        let mut abroad = w.alice.clone();
        abroad.account = seeds::provider(&market, &abroad.owner.id());
        let home = core::mem::replace(&mut w.market, market);
        w.register(&abroad);
        w.deposit(&abroad, 10_000_000);
        let foreign = w.create(Spec::image());
        w.claim(&foreign, 0, &abroad);
        w.market = home;
        let (mint, foreign_tokens) = w.other_mint(&w.stranger.clone());
        let (alice, bob, stranger) = (w.alice.clone(), w.bob.clone(), w.stranger.clone());
        // A job of another renter, so that there is another Renter account.
        let spec = Spec::image();
        let theirs = w.request(&stranger, &spec);
        w.ok(&[w.create_ix(&stranger, &spec, theirs)], &[&stranger]);
        // A job that is gone, and its shard.
        let gone = w.create(Spec::image());
        w.claim(&gone, 0, &bob);
        w.ok(&[w.release_ix(&gone, 0, &bob)], &[&bob.operator]);
        w.cancel(&gone);
        w.close(&gone);
        let task = w.create_with(Spec::image(), |r| r.delivery = 1);
        let other = w.create_with(Spec::image(), |r| r.delivery = 1);
        w.claim(&task, 0, &alice);
        w.claim(&other, 0, &bob);
        let work = w.work(&other, 0, &bob);
        w.commit(&other, &bob, &work);
        // Somebody else's challenge and demanded leaves.
        w.challenge(&other, 0, 5, &stranger);
        w.demand(&other, 0, &[0]);
        let rent = w.chain.svm.minimum_balance_for_rent_exemption(2_000);
        let watcher = w.watcher.clone();
        w.ok(&ix::create_evidence(watcher.id(), "zoo", 2_000, rent).unwrap(), &[&watcher]);
        let (vacant, funded) = (w.chain.keypair(), w.chain.keypair());
        let [vacant, funded] = [vacant, funded].map(|k| Actor { key: k, tokens: Pubkey::default() }.id());
        w.chain.fund(&funded, 50_000_000);

        let actors: Vec<Actor> =
            [&w.creator, &w.renter, &w.watcher, &w.stranger, &alice.owner, &alice.operator, &bob.owner, &bob.operator]
                .into_iter()
                .cloned()
                .collect();
        // A program that agrees to everything it is asked, as a false token program would.
        let yes = Script { cell: Says::Nothing, ..Script::new(99, &two_stages(), &[]) };
        w.chain.deploy(yes.address(), &yes.elf(), None);
        let other_shard = seeds::shard(&other.job, 0);
        let other_challenge = seeds::challenge(&other_shard, 5);
        let mut pool = vec![
            w.market,
            market,
            seeds::treasury(&w.market),
            seeds::treasury(&market),
            alice.account,
            bob.account,
            abroad.account,
            seeds::stake(&alice.account),
            seeds::stake(&bob.account),
            seeds::stake(&abroad.account),
            seeds::renter(&w.renter.id()),
            seeds::renter(&stranger.id()),
            task.job,
            other.job,
            foreign.job,
            gone.job,
            seeds::vault(&task.job),
            seeds::vault(&other.job),
            seeds::shard(&task.job, 0),
            seeds::shard(&task.job, 1),
            other_shard,
            seeds::shard(&foreign.job, 0),
            seeds::shard(&gone.job, 0),
            other_challenge,
            seeds::bond(&other_challenge),
            seeds::delivery(&other_shard),
            seeds::kernel(&VERIFIER, 1),
            seeds::kernel(&VERIFIER, 2),
            ix::evidence_address(&watcher.id(), "zoo").unwrap(),
            w.mint,
            mint,
            foreign_tokens,
            w.second_account(&w.renter.clone()),
            vacant,
            funded,
            NOBODY,
            token::SPL_TOKEN,
            TOKEN_2022,
            token::ASSOCIATED_TOKEN,
            assay_settlement::ID,
            VERIFIER,
            yes.address(),
        ];
        pool.extend(SYSVARS);
        pool.extend(actors.iter().flat_map(|a| [a.id(), a.tokens]));
        Self {
            trial,
            w,
            payer,
            actors,
            pool,
            market,
            abroad,
            task,
            other,
            foreign: foreign.job,
            other_mint: mint,
            tried: 0,
        }
    }

    pub(super) fn signers(&self, instruction: &Instruction) -> Option<Vec<Actor>> {
        let mut signers = vec![self.payer.clone()];
        for meta in instruction.accounts.iter().filter(|a| a.is_signer) {
            signers.push(self.actors.iter().find(|a| a.id() == meta.pubkey)?.clone());
        }
        Some(signers)
    }

    /// Tries the instruction with what is to be refused, then sends it as it is.
    #[track_caller]
    pub(super) fn each(&mut self, name: &str, instruction: Instruction, free: &[(usize, Free)]) {
        match self.trial {
            Trial::Replacements => self.replace(name, &instruction, free),
            Trial::Counterfeits => counterfeits::each(self, name, &instruction, free),
        }
        let signers = self.signers(&instruction).expect("keys of the zoo");
        let signers: Vec<&Actor> = signers.iter().collect();
        if let Err(refusal) = self.w.send(&[instruction], &signers) {
            panic!("{name}: {refusal:?}");
        }
    }

    /// Tries every replacement and every missing mark.
    #[track_caller]
    fn replace(&mut self, name: &str, instruction: &Instruction, free: &[(usize, Free)]) {
        let own = instruction.accounts.iter().map(|a| a.pubkey);
        let pool: BTreeSet<Pubkey> = self.pool.iter().copied().chain(own).collect();
        let mut landed = Vec::new();
        for place in 0..instruction.accounts.len() {
            if free.iter().any(|(p, why)| *p == place && !matches!(why, Also(_))) {
                continue;
            }
            for candidate in pool.iter().filter(|c| !free.contains(&(place, Also(**c)))) {
                let mut changed = instruction.clone();
                if changed.accounts[place].pubkey == *candidate {
                    continue;
                }
                changed.accounts[place].pubkey = *candidate;
                // Whoever has no key cannot sign: `signers` has those.
                let Some(signers) = self.signers(&changed) else { continue };
                let signers: Vec<&Actor> = signers.iter().collect();
                self.tried += 1;
                if self.w.chain.dry_run(&[changed], &signers).is_ok() {
                    landed.push((place, *candidate));
                }
            }
        }
        assert!(landed.is_empty(), "{name} lands with {landed:?}");
        for place in (0..instruction.accounts.len()).filter(|p| instruction.accounts[*p].is_writable) {
            let mut unwritable = instruction.clone();
            // The same account may stand in two places; one mark makes it writable for the whole transaction.
            let key = unwritable.accounts[place].pubkey;
            unwritable.accounts.iter_mut().filter(|a| a.pubkey == key).for_each(|a| a.is_writable = false);
            let signers = self.signers(&unwritable).expect("keys of the zoo");
            let signers: Vec<&Actor> = signers.iter().collect();
            let refusal = self.w.chain.dry_run(&[unwritable], &signers);
            assert!(refusal.is_err(), "{name} writes account {place} that is not writable");
        }
    }

    /// Adds addresses to what is tried.
    pub(super) fn add(&mut self, more: &[Pubkey]) {
        self.pool.extend(more);
    }
}
