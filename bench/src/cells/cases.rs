//! Jobs of every kernel, of sizes that people have, each line larger in one thing than the line before.

use assay_kernels::{
    align, escape_time, gemm_i8,
    kernel::AnyKernel,
    mlp_i8::{self, Activation, Layer, Output},
    option_risk, search,
};
use assay_tests::verifier::Job;

/// A cell that is measured: the last of the job's leaf.
pub struct Case {
    /// What it is, for people.
    pub name: String,
    /// Its job.
    pub job: Job,
    /// Its leaf; the job's last where there is none.
    pub leaf: Option<u64>,
}

fn case(kernel: AnyKernel, name: impl Into<String>, params: impl AsRef<[u8]>) -> Case {
    Case { name: name.into(), job: Job::random(kernel, params.as_ref().to_vec()), leaf: None }
}

/// All of them, kernel by kernel.
pub fn all() -> Vec<Case> {
    [pictures(), products(), searches(), networks(), portfolios(), alignments()].into_iter().flatten().collect()
}

fn pictures() -> Vec<Case> {
    let picture = |max_iter| {
        let one = 1 << escape_time::FRACTION_BITS;
        let params = escape_time::Params { width: 64, height: 64, max_iter, x0: -one, y0: -one, step: one >> 12 };
        case(AnyKernel::EscapeTime, format!("{max_iter} iterations"), params.to_bytes())
    };
    [64, 256, 1_024, 4_096].map(picture).into()
}

fn products() -> Vec<Case> {
    let product = |k: u32| case(AnyKernel::GemmI8, format!("k = {k}"), gemm_i8::Params { m: 2, n: 3, k }.to_bytes());
    [64, 1_024, 4_096, 16_384, 32_768, 65_536, gemm_i8::MAX_K].map(product).into()
}

fn searches() -> Vec<Case> {
    let search = |bytes: usize, flags: u8, size: u8, what: &str| {
        let message = search::Params::of(&vec![0x5a; bytes]).unwrap();
        let params = search::Params { cells: 2, size, flags, ..message };
        let candidates = search::SEGMENT << size;
        case(AnyKernel::Search, format!("{candidates} candidates of {bytes} bytes{what}"), params.to_bytes())
    };
    vec![
        search(32, 0, 0, ""),
        search(80, 0, 0, ""),
        search(80, search::DOUBLE, 0, ", hashed twice"),
        search(247, search::DOUBLE, 0, ", hashed twice"),
        search(80, search::DOUBLE, 3, ", hashed twice"),
        search(80, search::DOUBLE, search::MAX_SIZE, ", hashed twice"),
    ]
}

fn networks() -> Vec<Case> {
    let hidden = |width| Layer { width, multiplier: 0x5a82_799a, shift: 9, activation: Activation::Relu };
    let network = |name: String, input, layers: &[Layer], output, stage: usize| {
        let params = mlp_i8::Params::new(2, 1, output, input, layers).unwrap();
        let job = Job::random(AnyKernel::MlpI8, params.to_vec());
        let geometry = AnyKernel::MlpI8.geometry(&job.params).unwrap();
        let cells: u64 = geometry.class[..stage].iter().map(|class| class.cells).sum();
        // The first leaf of the stage behind those cells.
        let leaf = (0..geometry.leaves().unwrap()).find(|leaf| geometry.cells_before(*leaf) == Some(cells));
        Case { name, job, leaf }
    };
    let mut cases: Vec<Case> = [64, 784, 4_096, mlp_i8::MAX_INPUT_WIDTH]
        .map(|width| {
            network(format!("first layer, samples of {width} values"), width, &[Layer::last(10)], Output::Sums, 0)
        })
        .into();
    cases.extend([32, 512, mlp_i8::MAX_WIDTH].map(|width| {
        let layers = [hidden(width), Layer::last(10)];
        network(format!("later layer, behind {width} neurons"), 64, &layers, Output::Sums, 1)
    }));
    cases.extend(
        [10, 1_000, mlp_i8::MAX_WIDTH]
            .map(|width| network(format!("answer out of {width}"), 64, &[Layer::last(width)], Output::Argmax, 1)),
    );
    cases
}

fn portfolios() -> Vec<Case> {
    let portfolio = |name: &str, assets, steps, positions, baskets, flags| {
        let params = option_risk::Params {
            cells: 3,
            first: 0,
            seed: 7,
            steps,
            assets,
            baskets,
            positions,
            paths: 1,
            flags,
            value_bits: 8,
            reference: 0,
        };
        let params = params.with_most_paths(option_risk::MAX_PATHS).unwrap();
        let name = format!("{name}: {} paths", params.paths);
        case(AnyKernel::OptionRisk, name, params.to_bytes())
    };
    vec![
        portfolio("1 asset, 1 step, 1 position", 1, 1, 1, 0, 0),
        portfolio("1 asset, 52 steps averaged, 4 positions", 1, 52, 4, 0, option_risk::AVERAGES),
        portfolio("5 assets, 1 step, 10 positions, a basket", 5, 1, 10, 1, 0),
        portfolio("5 assets, 63 steps averaged, 7 positions, a basket", 5, 63, 7, 1, option_risk::AVERAGES),
        portfolio("5 assets, 252 steps, 10 positions, a basket", 5, 252, 10, 1, 0),
        portfolio("16 assets, 52 steps, 16 positions", 16, 52, 16, 0, 0),
    ]
}

fn alignments() -> Vec<Case> {
    let pairs = |what: &str, scoring, query_tiles: u8, row_tiles: u8| {
        let params = align::Params { queries: 1, rows: 2, records: 2, query_tiles, row_tiles, groups: 1, scoring };
        let name = format!("{what}, {query_tiles} x {row_tiles} tiles a pair, the last tile");
        case(AnyKernel::Align, name, params.to_bytes())
    };
    vec![
        pairs("proteins", align::Scoring::PROTEIN, 1, 1),
        pairs("proteins", align::Scoring::PROTEIN, 8, 3),
        pairs("proteins", align::Scoring::PROTEIN, 16, 6),
        pairs("nucleotides", align::Scoring::DNA, 16, 6),
    ]
}
