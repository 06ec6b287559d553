//! Jobs, made and cancelled.

use super::{Pick, deliver::attestor};
use crate::{
    cast::{self, RENTERS, WATCHER, Who, key},
    model::{Gate, Job, Mode, Model, Verdict, gate},
};
use assay_client::ix;
use assay_settlement::{Kernel, constants::NOBODY, error::AssayError, instructions::JobRequest, seeds};
use bytemuck::Zeroable;
use solana_instruction::Instruction;
use std::rc::Rc;

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// The number of an earlier job.
    OldNonce,
    /// A number too far ahead.
    LaterNonce,
    /// The first price is above the last.
    Prices,
    /// The last price is far more than 20 times the first.
    Span,
    /// It expires at once.
    Life,
    /// Inputs of another length.
    Inputs,
    /// More than the renter has.
    Poor,
    /// Params that the verifier does not take.
    Params,
}

/// See the module.
#[derive(Clone, Debug)]
pub enum Ordering {
    /// A renter has something done.
    Create {
        market: usize,
        renter: Who,
        payer: Who,
        kind: usize,
        prices: (u64, u64),
        ramp: u32,
        execute: u32,
        life: u32,
        reserved: Option<usize>,
        mode: Mode,
        restricted: bool,
        flaw: Flaw,
    },
    /// Other watch keys.
    Watch { job: usize, by: Who, watcher: Option<Who> },
    /// Takes a kernel's registration back.
    CloseKernel { kernel: usize, by: Who },
    /// Registers a kernel.
    RegisterKernel { kernel: usize, by: Who },
    /// Takes no more claims.
    Cancel { job: usize, by: Who },
}

impl Ordering {
    /// One at random.
    pub fn random(pick: &mut Pick) -> Option<Self> {
        if pick.once_in(6) {
            let job = pick.job()?;
            return Some(Self::Cancel { job, by: pick.mostly(pick.model.jobs[job].renter) });
        }
        if pick.once_in(10) {
            let job = pick.job()?;
            let by = pick.mostly(pick.model.jobs[job].renter);
            return Some(Self::Watch { job, by, watcher: if pick.once_in(2) { Some(WATCHER) } else { None } });
        }
        let missing = (0..pick.model.kernels.len()).find(|k| pick.model.kernels[*k].payer.is_none());
        if let (Some(kernel), true) = (missing, pick.once_in(2)) {
            return Some(Self::RegisterKernel { kernel, by: pick.anyone() });
        }
        if pick.once_in(25) {
            let kernel = usize::try_from(pick.below(pick.model.kernels.len() as u64)).unwrap();
            let by = pick.model.kernels[kernel].payer.unwrap_or(0);
            if pick.once_in(4) {
                return Some(Self::RegisterKernel { kernel, by });
            }
            return Some(Self::CloseKernel { kernel, by: if pick.once_in(2) { pick.anyone() } else { by } });
        }
        if pick.model.living().count() >= 16 {
            return None;
        }
        Some(Self::create(pick))
    }

    fn create(pick: &mut Pick) -> Self {
        let market = pick.market();
        let unit = cast::unit(pick.model.markets[market].mint);
        let start = unit / 10 + pick.below(unit);
        let renter = RENTERS[usize::try_from(pick.below(3)).unwrap()];
        let flaw = match pick.below(40) {
            0 => Flaw::OldNonce,
            1 => Flaw::LaterNonce,
            2 => Flaw::Prices,
            3 => Flaw::Span,
            4 => Flaw::Life,
            5 => Flaw::Inputs,
            6 => Flaw::Poor,
            7 => Flaw::Params,
            _ => Flaw::None,
        };
        let tiny = pick.once_in(20);
        let windowless = pick.model.markets[market].terms.challenge_seconds == 0;
        let of_market: Vec<usize> =
            (0..pick.model.providers.len()).filter(|p| pick.model.providers[*p].market == market).collect();
        Self::Create {
            market,
            renter,
            payer: if pick.once_in(5) { cast::CRANKS[0] } else { renter },
            kind: usize::try_from(pick.below(pick.model.kinds.len() as u64)).unwrap(),
            prices: if tiny { (1, 1 + pick.below(2)) } else { (start, start + pick.below(3 * start)) },
            ramp: u32::try_from(pick.below(1_000)).unwrap(),
            execute: 300 + u32::try_from(pick.below(600)).unwrap(),
            life: 900 + u32::try_from(pick.below(100_000)).unwrap(),
            reserved: if pick.once_in(8) { pick.one(&of_market) } else { None },
            mode: match pick.below(6) {
                _ if windowless && !pick.once_in(6) => Mode::None,
                0 | 1 => Mode::Ledger,
                2 => Mode::Attested(true),
                3 => Mode::Attested(false),
                _ => Mode::None,
            },
            restricted: pick.once_in(5),
            flaw,
        }
    }

    fn request(&self, model: &Model) -> Option<JobRequest> {
        let Self::Create { renter, kind, prices, ramp, execute, life, reserved, mode, restricted, flaw, .. } = self
        else {
            return None;
        };
        let next = model.nonces.get(renter).copied().unwrap_or(0);
        let kind = &model.kinds[*kind];
        let mut request = JobRequest {
            nonce: next,
            price_start: prices.0,
            price_max: prices.1,
            ramp_seconds: *ramp,
            execute_seconds: *execute,
            life_seconds: *life,
            shard_leaves: kind.spec.shard_leaves,
            reserved_for: reserved.map_or(NOBODY, |p| model.providers[p].key),
            watch_keys: [watcher(*renter).map_or(NOBODY, key), NOBODY],
            locator: "http://127.0.0.1:2".to_owned(),
            inputs: kind.trees.clone(),
            params: kind.spec.params.clone(),
            delivery: match mode {
                Mode::None => 0,
                Mode::Ledger => 1,
                Mode::Attested(_) => 2,
            },
            silence: u8::from(*mode == Mode::Attested(false)),
            attestor: attestor(*mode),
            flags: u8::from(*restricted),
        };
        match flaw {
            Flaw::None => {}
            Flaw::OldNonce => request.nonce = next.saturating_sub(1),
            Flaw::LaterNonce => request.nonce = next + 3,
            Flaw::Prices => request.price_start = request.price_max + 1,
            Flaw::Span => request.price_max = request.price_start * 41,
            Flaw::Life => request.life_seconds = 0,
            Flaw::Inputs => request.inputs.push(assay_settlement::InputTree { root: [1; 32], bytes: 1_024 }),
            Flaw::Poor => {
                request.price_max = 1 << 62;
                request.price_start = 1 << 61;
            }
            Flaw::Params => request.params.truncate(5),
        }
        Some(request)
    }

    /// The instruction's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create_job",
            Self::Cancel { .. } => "cancel_job",
            Self::Watch { .. } => "set_watch_keys",
            Self::CloseKernel { .. } => "close_kernel",
            Self::RegisterKernel { .. } => "register_kernel",
        }
    }

    /// The instruction.
    pub fn instructions(&self, model: &Model) -> Vec<Instruction> {
        match self {
            Self::Create { market, renter, payer, kind, .. } => {
                let of = &model.markets[*market];
                let kernel = model.kernel_of(*kind);
                let kernel_data = Kernel { verifier: kernel.verifier, ..Kernel::zeroed() };
                let source = model.wallet(*renter, *market);
                let request = self.request(model).expect("a creation");
                vec![ix::create_job(
                    key(*renter),
                    key(*payer),
                    &of.key,
                    &of.data,
                    &kernel.key,
                    &kernel_data,
                    source,
                    request,
                )]
            }
            Self::Cancel { job, by } => vec![ix::cancel_job(key(*by), model.jobs[*job].key)],
            Self::Watch { job, by, watcher } => {
                vec![ix::set_watch_keys(key(*by), model.jobs[*job].key, [watcher.map_or(NOBODY, key), NOBODY])]
            }
            Self::CloseKernel { kernel, by } => vec![ix::close_kernel(key(*by), model.kernels[*kernel].key)],
            Self::RegisterKernel { kernel, by } => {
                let kernel = &model.kernels[*kernel];
                vec![ix::register_kernel(key(*by), kernel.verifier, kernel.number)]
            }
        }
    }

    /// The rule.
    pub fn apply(&self, model: &mut Model) -> Verdict {
        let mut gate = Gate::default();
        match *self {
            Self::Create {
                market,
                renter,
                payer,
                kind,
                prices,
                ramp,
                execute,
                life,
                reserved,
                mode,
                restricted,
                flaw,
            } => {
                let request = self.request(model).expect("a creation");
                let next = model.nonces.get(&renter).copied().unwrap_or(0);
                let address = seeds::job(&key(renter), request.nonce);
                let vault = seeds::vault(&address);
                let shards = model.kinds[kind].shards();
                let escrow = request.price_max.saturating_mul(u64::from(shards));
                gate.exists(model.kernel_of(kind).payer.is_some());
                gate.exists(model.markets[market].exists);
                gate.need(!model.markets[market].paused, AssayError::MarketPaused);
                gate.need(request.nonce == next, AssayError::WrongNonce);
                gate.need(!model.places.contains_key(&address), gate::IN_USE);
                let odd = [Flaw::Prices, Flaw::Span, Flaw::Life].contains(&flaw);
                gate.need(!odd, AssayError::JobOutOfRange);
                gate.need(flaw != Flaw::Inputs, AssayError::InputLength);
                // The scripted verifier takes any.
                gate.need(flaw != Flaw::Params || !model.kinds[kind].is_ours(), BAD_PARAMS);
                let window = model.markets[market].terms.challenge_seconds > 0;
                gate.need(mode == Mode::None || window, AssayError::BadDelivery);
                gate.need(flaw != Flaw::Poor, AssayError::Overflow);
                let source = model.wallet(renter, market);
                model.need_transfer(&mut gate, &source, &source, escrow);
                gate.verdict()?;
                if next == 0 {
                    model.make(payer, &seeds::renter(&key(renter)), model.rents.renter);
                }
                model.nonces.insert(renter, next + 1);
                model.make(payer, &address, model.rents.job);
                model.make_purse(payer, &vault, model.markets[market].mint);
                model.transfer(&source, &vault, escrow);
                let job = Job {
                    key: address,
                    exists: true,
                    renter,
                    payer,
                    market,
                    kind,
                    watcher: watcher(renter),
                    reserved,
                    prices,
                    ramp,
                    execute,
                    life,
                    created: model.time.now,
                    mode,
                    restricted,
                    cancelled: false,
                    fees: 0,
                    totals: [0; 2],
                    shards: Vec::new(),
                    data: Rc::new(Zeroable::zeroed()),
                };
                model.add_job(job, (0..shards).map(|index| seeds::shard(&address, index)).collect());
            }
            Self::Cancel { job, by } => {
                let of = &model.jobs[job];
                gate.exists(of.exists);
                gate.need(by == of.renter, AssayError::NotAuthorized);
                gate.need(!of.cancelled, AssayError::JobClosed);
                gate.verdict()?;
                model.jobs[job].cancelled = true;
            }
            Self::Watch { job, by, watcher } => {
                gate.exists(model.jobs[job].exists);
                gate.need(by == model.jobs[job].renter, AssayError::NotAuthorized);
                gate.verdict()?;
                model.jobs[job].watcher = watcher;
            }
            Self::CloseKernel { kernel, by } => {
                let of = &model.kernels[kernel];
                gate.exists(of.payer.is_some());
                gate.need(of.payer == Some(by), AssayError::WrongRentPayer);
                gate.verdict()?;
                let address = of.key;
                model.unmake(&address, by);
                model.kernels[kernel].payer = None;
            }
            Self::RegisterKernel { kernel, by } => {
                let of = &model.kernels[kernel];
                gate.need(of.payer.is_none(), gate::IN_USE);
                gate.verdict()?;
                let address = of.key;
                model.make(by, &address, model.rents.kernel);
                model.kernels[kernel].payer = Some(by);
            }
        }
        Ok(())
    }
}

/// The verifier's code for params of the wrong size.
const BAD_PARAMS: u32 = assay_kernels::abi::VerifierError::ParamsLength.code();

/// The first two renters have their cells watched.
fn watcher(renter: Who) -> Option<Who> {
    (renter != RENTERS[2]).then_some(WATCHER)
}
