//! One input: its operations in order, with everything checked after each.

use crate::{
    call::{self, edge},
    chain::Chain,
    check::{self, View},
    coverage,
    focus::{Focus, Known, Works},
    idl::{Idl, Shape},
    input::{Kind, Op, ops},
    stats,
    tokens::TOKEN_2022,
};
use assay_client::{accounts::decode_data, token};
use assay_fuzz::{Stage, work::Work};
use assay_settlement::{Job, Provider};
use bytemuck::Pod;
use solana_account::ReadableAccount;
use solana_instruction::{AccountMeta, Instruction};
use solana_pubkey::Pubkey;
use std::{collections::BTreeSet, rc::Rc};

/// Seconds that can pass in one operation: around every deadline of the stage's terms and the program's constants.
const SECONDS: [u64; 16] =
    [0, 1, 2, 60, 299, 300, 301, 599, 600, 601, 3_600, 7_200, 86_400, 259_200, 2_592_001, 7_776_001];
/// Slots likewise.
const SLOTS: [u64; 8] = [1, 12, 32, 64, 100, 512, 600, 1_000_000];

/// Everything that inputs share.
pub struct Base {
    stage: Stage,
    idl: Idl,
    chain: Chain,
    jobs: Vec<Known>,
    works: Works,
    pool: Vec<Pubkey>,
    view: View,
}

impl Base {
    /// Makes the stage and puts it on a machine.
    pub fn new(idl: &str) -> Self {
        let stage = assay_fuzz::build();
        let chain = Chain::new(&stage);
        let known = |(address, kind): &(Pubkey, usize)| {
            let job = decode_data::<Job>(&chain.data(address)?)?;
            Some(Known { address: *address, kind: *kind, job: Box::new(job) })
        };
        let jobs = stage.jobs.iter().filter_map(known).collect();
        let mut pool: Vec<Pubkey> = stage.accounts.iter().map(|(address, _)| *address).collect();
        pool.extend(stage.programs.iter().map(|(id, _)| *id));
        pool.extend([token::SPL_TOKEN, solana_system_interface::program::ID, Pubkey::default()]);
        let (view, idl) = (View::of(&chain), Idl::parse(idl));
        stats::begin(idl.shapes.iter().map(|shape| shape.name.as_str()), &stage.programs[0].1);
        Self { stage, idl, chain, jobs, works: Works::new(), pool, view }
    }

    /// The program's instructions, each with the bytes that mean it.
    pub fn names(&self) -> Vec<(String, [u8; 2])> {
        let name = |shape: &Shape| (shape.name.clone(), [shape.discriminator[0], shape.discriminator[1]]);
        self.idl.shapes.iter().map(name).collect()
    }

    /// Runs an input.
    ///
    /// # Panics
    /// On a finding: what it is, and after which operation.
    pub fn run(&mut self, input: &[u8], show: bool) {
        let mut run = Run {
            stage: &self.stage,
            idl: &self.idl,
            chain: self.chain.clone(),
            jobs: self.jobs.clone(),
            works: core::mem::take(&mut self.works),
            pool: &self.pool,
            tampered: false,
            view: self.view.clone(),
            closed: BTreeSet::new(),
            show,
        };
        for op in ops(input) {
            run.step(&op);
        }
        stats::input();
        self.works = run.works;
        // Providers that are made up by tampering would fill it for ever.
        if self.works.len() > 500 {
            self.works.clear();
        }
    }
}

/// The state of one input.
pub struct Run<'s> {
    /// What it started from.
    pub stage: &'s Stage,
    /// The program's interface.
    pub idl: &'s Idl,
    /// The chain.
    pub chain: Chain,
    /// Accounts that calls can be given.
    pub pool: &'s [Pubkey],
    jobs: Vec<Known>,
    works: Works,
    tampered: bool,
    view: View,
    closed: BTreeSet<Pubkey>,
    show: bool,
}

impl Run<'_> {
    /// Who can sign.
    pub fn actor(&self, number: u8) -> Pubkey {
        self.stage.actors[usize::from(number) % self.stage.actors.len()]
    }

    /// A Provider account, or the address of one that does not exist yet.
    pub fn provider(&self, number: u8) -> Pubkey {
        let number = usize::from(number);
        let made = self.stage.providers.len();
        match number % (made + self.stage.actors.len()) {
            n if n < made => self.stage.providers[n],
            n => assay_settlement::seeds::provider(&self.stage.markets[0], &self.stage.actors[n - made]),
        }
    }

    /// A market: mostly the first.
    pub fn market(&self, number: u8) -> Pubkey {
        let all = &self.stage.markets;
        all[usize::from(number % 8 == 7) % all.len()]
    }

    /// An account of the program.
    pub fn read<T: Pod + anchor_lang::Discriminator>(&self, address: &Pubkey) -> Option<T> {
        decode_data(&self.chain.data(address)?)
    }

    /// A key in an account of the program, by the field's name; of several keys the first.
    pub fn key_field(&self, address: &Pubkey, field: &str) -> Option<Pubkey> {
        let data = self.chain.data(address)?;
        let key = Pubkey::new_from_array(*self.idl.field(&data, field)?.first_chunk()?);
        (key != Pubkey::default()).then_some(key)
    }

    /// The program that an account belongs to.
    pub fn owner(&self, address: &Pubkey) -> Option<Pubkey> {
        self.chain.svm.accounts_db().get_account_ref(address).map(|account| *account.owner())
    }

    /// What a provider could take out, base units.
    pub fn free_stake(&self, number: u8) -> u64 {
        let provider = self.read::<Provider>(&self.provider(number));
        provider.map_or(0, |provider| provider.staked.saturating_sub(provider.locked))
    }

    /// The results of a shard.
    pub fn works(&mut self, focus: &Focus) -> Option<Rc<[Work; 2]>> {
        focus.works(self.stage, &mut self.works)
    }

    /// A job and a shard of it.
    pub fn focus(&self, job: u8, shard: u8) -> Focus {
        Focus::new(&self.chain, &self.jobs[usize::from(job) % self.jobs.len()], shard)
    }

    /// Other accounts of the same owner that begin with the same bytes: in ours that is the type.
    pub fn alike(&self, address: &Pubkey) -> Vec<Pubkey> {
        let db = self.chain.svm.accounts_db();
        let Some(one) = db.get_account_ref(address) else { return Vec::new() };
        let same = |key: &&Pubkey| {
            db.get_account_ref(key).is_some_and(|other| {
                let ours = *one.owner() == assay_settlement::ID;
                other.owner() == one.owner()
                    && (if ours {
                        other.data().get(..8) == one.data().get(..8)
                    } else {
                        other.data().len() == one.data().len()
                    })
            })
        };
        self.pool.iter().filter(|key| *key != address).filter(same).copied().collect()
    }

    fn say(&self, text: impl FnOnce() -> String) {
        if self.show {
            println!("{}", text());
        }
    }

    fn step(&mut self, op: &Op) {
        match op.kind {
            Kind::Call => self.call(op),
            Kind::Time => self.time(op),
            Kind::Tamper => self.tamper(op),
            Kind::Token => self.token(op),
        }
    }

    fn call(&mut self, op: &Op) {
        let call = call::build(self, op);
        let shape = self.idl.shape(op.what);
        let name = shape.name.as_str();
        self.send(name, Some(shape), &call);
        // Its job can be worked on from here on.
        if name == "create_job"
            && let Some(place) = shape.slots.iter().position(|slot| slot.name == "job")
            && let Some(AccountMeta { pubkey, .. }) = call.accounts.get(place)
            && self.jobs.iter().all(|known| known.address != *pubkey)
            && let Some(job) = self.read::<Job>(pubkey)
        {
            let kind = self.stage.kinds.iter().position(|kind| kind.kernel == job.terms.kernel);
            let same = kind.filter(|k| self.stage.kinds[*k].spec.params == job.terms.params());
            self.jobs.extend(same.map(|kind| Known { address: *pubkey, kind, job: Box::new(job) }));
        }
    }

    fn send(&mut self, name: &str, shape: Option<&Shape>, call: &Instruction) {
        let before = self.chain.lamports();
        let result = self.chain.send(call);
        assert_eq!(self.chain.lamports(), before, "{name}: lamports were made or lost");
        let outcome = check::outcome(&result);
        self.say(|| {
            let keys: Vec<String> =
                call.accounts.iter().map(|a| format!("{}{}", a.pubkey, if a.is_signer { "*" } else { "" })).collect();
            format!("{name} {keys:?} {} -> {outcome}", hex(&call.data))
        });
        coverage::outcome(&(name, &outcome));
        if shape.is_some() {
            stats::call(name, result.is_ok());
        }
        if let Err(failed) = &result {
            // Borsh takes memory for as many bytes as a length promises, up to 1 MiB, before it sees that they are not
            // there; the heap has 32 KiB. That aborts, like any other refusal, before the program's own code runs.
            let whole = shape.is_none_or(|shape| self.idl.decodes(shape, &call.data));
            if let Some(finding) = check::failure(failed).filter(|_| whole) {
                panic!("{name}: {finding}\n{}", failed.meta.logs.join("\n"));
            }
            return;
        }
        if self.tampered {
            return;
        }
        let view = View::of(&self.chain);
        coverage::outcome(&(name, view.states(&self.view)));
        check::step(&self.view, &view, call, name, &self.chain.now(), &mut self.closed);
        check::books(&self.chain, &self.stage.mints);
        self.view = view;
    }

    fn time(&mut self, op: &Op) {
        let [choice, ..] = op.arg.to_le_bytes();
        let seconds = SECONDS[usize::from(choice) % SECONDS.len()];
        let slots = SLOTS[usize::from(choice) % SLOTS.len()];
        match op.other % 8 {
            0..=3 => self.chain.advance(seconds),
            4 | 5 => self.chain.advance_slots(slots),
            6 => self.chain.halt(seconds),
            _ => self.chain.restart(),
        }
        self.say(|| format!("{:?}", self.chain.now()));
        if !self.tampered {
            check::books(&self.chain, &self.stage.mints);
            self.view = View::of(&self.chain);
        }
    }

    /// Other contents for an account of the program, or for a mint with extensions, which the program reads by itself.
    fn tamper(&mut self, op: &Op) {
        let mut ours: Vec<(Pubkey, usize)> = self
            .chain
            .svm
            .accounts_db()
            .inner
            .iter()
            .filter(|(_, a)| *a.owner() == assay_settlement::ID)
            .map(|(key, a)| (*key, a.data().len()))
            .collect();
        ours.sort_unstable();
        // The account in focus, or any.
        let focus = self.focus(op.job, op.shard);
        let provider = focus.data.as_ref().map_or_else(|| self.provider(op.other), |shard| shard.provider);
        let mints = &self.stage.mints_2022;
        let target = match op.what[0] % 6 {
            0 | 1 => focus.shard,
            2 => focus.known.address,
            3 => provider,
            4 => mints[usize::from(op.what[1]) % mints.len()],
            _ => ours[usize::from(op.what[1]) % ours.len()].0,
        };
        let Some(mut account) =
            self.chain.svm.get_account(&target).filter(|a| [assay_settlement::ID, TOKEN_2022].contains(&a.owner))
        else {
            return;
        };
        self.tampered = true;
        for change in &op.changes {
            let len = account.data.len();
            // Offsets that count in bytes reach everywhere; in 8 bytes, whole numbers.
            let at = usize::from(change.value) % len.max(1);
            match change.what % 8 {
                1..=4 => {
                    let size = [1, 2, 4, 8][usize::from(change.what % 4)];
                    let at = at / size * size;
                    let Some(place) = account.data.get_mut(at..(at + size).min(len)) else { continue };
                    let mut old = [0u8; 8];
                    old[..place.len()].copy_from_slice(place);
                    let new = edge(u16::from(change.at), u64::from_le_bytes(old)).to_le_bytes();
                    let size = place.len();
                    place.copy_from_slice(&new[..size]);
                }
                5 => account.data.truncate(at),
                6 => account.data.resize((len + at).min(300_000), change.at),
                _ => (),
            }
        }
        self.say(|| format!("tamper {target} {:?}", op.changes));
        self.chain.svm.set_account(target, account).expect("an account of the program");
    }

    /// Freezes, thaws, or gives tokens to an account, by the mint's authority.
    fn token(&mut self, op: &Op) {
        let mint = self.stage.mints[0];
        let db = self.chain.svm.accounts_db();
        let of_mint = |key: &&Pubkey| {
            db.get_account_ref(key).is_some_and(|a| {
                *a.owner() == token::SPL_TOKEN && a.data().len() > 82 && a.data().starts_with(mint.as_ref())
            })
        };
        let all: Vec<Pubkey> = self.pool.iter().filter(of_mint).copied().collect();
        let focus = self.focus(op.job, op.shard);
        let account = match op.what[0] % 4 {
            0 => focus.known.job.vault,
            1 => assay_settlement::seeds::stake(&self.provider(op.other)),
            _ => all[usize::from(op.what[1]) % all.len()],
        };
        // The creator is the authority of the mint.
        let authority = *self.stage.actors.last().expect("there are actors");
        let call = match op.arg % 4 {
            0 => token::mint_to(&mint, &account, &authority, op.arg >> 8 & 0xffff_ffff),
            choice => Instruction {
                program_id: token::SPL_TOKEN,
                accounts: vec![
                    AccountMeta::new(account, false),
                    AccountMeta::new_readonly(mint, false),
                    AccountMeta::new_readonly(authority, true),
                ],
                data: vec![if choice == 1 { 11 } else { 10 }],
            },
        };
        self.send("token", None, &call);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
