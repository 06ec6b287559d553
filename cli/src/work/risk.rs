//! A portfolio as a job, out of a renter's file.

use super::{Input, Shards, Work};
use crate::{
    error::{CliError, Result},
    npy,
};
use assay_kernels::{
    option_risk::import::{Asset, Barrier, Kind, Model, Position, Underlying},
    registry::AnyKernel,
};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

/// Most bytes of a file that is read: a model with names has some thousands.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    years: f64,
    rate: f64,
    paid: Option<f64>,
    assets: Vec<NamedAsset>,
    correlation: Vec<Vec<f64>>,
    #[serde(default)]
    baskets: Vec<NamedBasket>,
    positions: Vec<NamedPosition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedAsset {
    name: String,
    spot: f64,
    volatility: f64,
    growth: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedBasket {
    name: String,
    weights: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedPosition {
    on: String,
    kind: NamedKind,
    strike: f64,
    quantity: f64,
    expiry: Option<f64>,
    #[serde(default)]
    average: bool,
    barrier: Option<NamedBarrier>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum NamedKind {
    Call,
    Put,
    Forward,
    Digital,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedBarrier {
    on: String,
    level: f64,
    touched: Touched,
    knock: Knock,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Touched {
    Up,
    Down,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Knock {
    In,
    Out,
}

/// Paths that a renter asks for.
#[derive(Clone, Copy, Debug)]
pub struct Paths {
    /// How many at least.
    pub count: u64,
    /// Steps of each.
    pub steps: u16,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Whether each position's payoffs are summed up.
    pub sums: bool,
}

fn refused(path: &Path, what: impl std::fmt::Display) -> CliError {
    CliError::file("not-a-model", format!("{}: {what}. Nothing was sent or paid.", path.display()))
}

/// The model of a file; its words are in docs/kernels/option_risk.md.
///
/// # Errors
/// A file that is none (exit code 3).
pub fn read(path: &Path) -> Result<Model> {
    let length = fs::metadata(path).map_err(|e| npy::missing(path, &e))?.len();
    if length > MAX_BYTES {
        return Err(CliError::file(
            "file-too-large",
            format!("{} is no model. Nothing was sent or paid.", path.display()),
        ));
    }
    let text = fs::read_to_string(path).map_err(|e| npy::missing(path, &e))?;
    let file: File = serde_json::from_str(&text).map_err(|error| refused(path, error))?;
    let names: Vec<&str> = file.assets.iter().map(|asset| asset.name.as_str()).collect();
    let baskets: Vec<&str> = file.baskets.iter().map(|basket| basket.name.as_str()).collect();
    let all = names.iter().chain(&baskets);
    if let Some(twice) = all.clone().find(|name| all.clone().filter(|other| other == name).count() > 1) {
        return Err(refused(path, format!("there are two of the name {twice}")));
    }
    let find = |name: &str| {
        let number = names.iter().position(|other| *other == name);
        number.ok_or_else(|| refused(path, format!("there is no asset {name}")))
    };
    let weights = |basket: &NamedBasket| {
        basket.weights.keys().try_for_each(|name| find(name).map(|_| ()))?;
        Ok(names.iter().map(|name| basket.weights.get(*name).copied().unwrap_or(0.0)).collect())
    };
    let position = |of: &NamedPosition| {
        let underlying = match baskets.iter().position(|name| *name == of.on) {
            Some(basket) => Underlying::Basket(basket),
            None => Underlying::Asset(find(&of.on)?),
        };
        let kind = match of.kind {
            NamedKind::Call => Kind::Call,
            NamedKind::Put => Kind::Put,
            NamedKind::Forward => Kind::Forward,
            NamedKind::Digital => Kind::Digital,
        };
        let barrier = |of: &NamedBarrier| {
            let (down, knock_in) = (of.touched == Touched::Down, of.knock == Knock::In);
            Ok::<_, CliError>(Barrier { asset: find(&of.on)?, level: of.level, down, knock_in })
        };
        let barrier = of.barrier.as_ref().map(barrier).transpose()?;
        let NamedPosition { strike, quantity, average, expiry, .. } = *of;
        Ok(Position { underlying, kind, strike, quantity, average, barrier, expiry })
    };
    let asset = |of: &NamedAsset| Asset { spot: of.spot, volatility: of.volatility, growth: of.growth };
    Ok(Model {
        assets: file.assets.iter().map(asset).collect(),
        baskets: file.baskets.iter().map(weights).collect::<Result<_>>()?,
        positions: file.positions.iter().map(position).collect::<Result<_>>()?,
        correlation: file.correlation,
        rate: file.rate,
        years: file.years,
        paid: file.paid,
    })
}

/// The model of a file along so many paths, in about so many shards.
///
/// # Errors
/// A file that is no model (exit code 3), or shards that the job can't be cut into.
pub fn work(path: &Path, paths: Paths, shards: impl Into<Shards>) -> Result<Work> {
    let job =
        read(path)?.job(paths.steps, paths.count, paths.seed, paths.sums).map_err(|error| refused(path, error))?;
    let inputs = vec![Input::new(job.input)];
    Work::new(AnyKernel::OptionRisk, job.params.to_bytes().to_vec(), inputs, shards.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::option_risk::example::example;

    fn path() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels/option_risk/example.json")
    }

    #[test]
    fn the_example_is_the_kernels_own() {
        assert_eq!(read(&path()).unwrap(), example());
        let paths = Paths { count: 10_000, steps: 63, seed: 7, sums: false };
        let work = work(&path(), paths, 3).unwrap();
        assert_eq!(work.params, example().job(63, 10_000, 7, false).unwrap().params.to_bytes());
        assert_eq!((work.shards, work.inputs.len()), (3, 1));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let text = fs::read_to_string(path()).unwrap();
        for (from, to, said) in [
            ("\"on\": \"SPY\"", "\"on\": \"DAX\"", "no asset DAX"),
            ("\"MSFT\": 0.5", "\"DAX\": 0.5", "no asset DAX"),
            ("\"on\": \"MSFT\", \"level\"", "\"on\": \"DAX\", \"level\"", "no asset DAX"),
            ("\"technology\", \"weights\"", "\"GLD\", \"weights\"", "two of the name GLD"),
            ("\"put\"", "\"straddle\"", "straddle"),
            ("\"rate\"", "\"interest\"", "interest"),
            ("1.00, 0.68", "1.00, 0.69", "correlations"),
            ("\"expiry\": 0.0833", "\"expiry\": 0.0933", "position 0 expires"),
        ] {
            let file = dir.path().join("model.json");
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            fs::write(&file, changed).unwrap();
            let error = work(&file, Paths { count: 10, steps: 63, seed: 7, sums: true }, 1).unwrap_err();
            assert_eq!((error.code.as_str(), error.exit as u8), ("not-a-model", 3));
            assert!(error.message.contains(said) && error.message.contains("Nothing was sent or paid"), "{error}");
        }
        let none = read(&dir.path().join("none.json")).unwrap_err();
        assert_eq!(none.code, "file-not-found");
    }
}
