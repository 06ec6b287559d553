use proptest::prelude::*;

use super::*;

#[cfg(feature = "std")]
mod digits;
#[cfg(feature = "std")]
mod import;
#[cfg(feature = "std")]
mod whole_jobs;

fn hidden(width: u32) -> Layer {
    Layer { width, multiplier: 1 << 30, shift: 7, activation: Activation::Relu }
}

/// Networks with every kind of width: rows and leaves with several samples, with one, and samples over several leaves.
fn networks() -> impl Strategy<Value = Params> {
    let width = || prop_oneof![1u32..20, 60u32..70, 250u32..260, 300u32..600];
    let layer = (width(), 1..=i32::MAX as u32, 0u8..16, any::<bool>()).prop_map(|(width, multiplier, shift, relu)| {
        let activation = if relu { Activation::Relu } else { Activation::None };
        Layer { width, multiplier, shift, activation }
    });
    let inputs = prop_oneof![1u32..20, 1000u32..1050, 2040u32..2060];
    let output = prop_oneof![Just(Output::Sums), Just(Output::Argmax)];
    (1u32..14, 1u8..=16, output, inputs, prop::collection::vec(layer, 0..=2), width()).prop_filter_map(
        "more groups than there is room for",
        |(batch, groups, output, inputs, mut layers, last)| {
            layers.push(Layer::last(last));
            Params::new(batch, groups, output, inputs, &layers).ok()
        },
    )
}

fn largest_networks() -> Vec<Params> {
    let layers = |count: usize| {
        let mut layers = vec![hidden(MAX_WIDTH); count - 1];
        layers.push(Layer::last(MAX_WIDTH));
        layers
    };
    (1..=MAX_LAYERS)
        .map(|count| Params::new(MAX_BATCH, 1, Output::Argmax, MAX_INPUT_WIDTH, &layers(count)).unwrap())
        .chain((1..=8).map(|groups| Params::new(MAX_BATCH, groups, Output::Sums, 1, &layers(2)).unwrap()))
        .collect()
}

#[test]
fn params_are_checked_by_name() {
    let good = [hidden(3), Layer::last(2)];
    let new = |batch, groups, inputs, layers: &[Layer]| Params::new(batch, groups, Output::Argmax, inputs, layers);
    let params = new(5, 2, 7, &good).unwrap();
    let (bytes, len) = params.to_bytes();
    assert_eq!(MlpI8::parse(&bytes[..len]), Ok(params));
    assert_eq!(bytes[..12], [5, 0, 0, 0, 2, 2, 1, 0, 7, 0, 0, 0]);
    assert_eq!(bytes[12..24], [3, 0, 0, 0, 0, 0, 0, 0x40, 7, 1, 0, 0]);
    assert_eq!((bytes[24..36].to_vec(), len), ([&[2][..], &[0; 11]].concat(), 36));
    for len in [0, 11, 12, 24, 35] {
        assert_eq!(MlpI8::parse(&bytes[..len]), Err(ParamError::Length), "{len}");
    }
    assert_eq!(MlpI8::parse(&[&bytes[..36], &[0; 12]].concat()), Err(ParamError::Length));
    // Bytes that mean nothing are not ignored.
    for (at, value) in [(6, 2), (7, 1), (21, 2), (22, 1), (23, 1), (32, 1), (33, 1), (34, 1), (28, 1)] {
        let mut bytes = bytes;
        bytes[at] = value;
        assert_eq!(MlpI8::parse(&bytes[..len]), Err(ParamError::TooLarge), "byte {at}");
    }
    assert_eq!(new(5, 2, 7, &[]), Err(ParamError::Zero));
    assert_eq!(MlpI8::parse(&[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]), Err(ParamError::Zero));
    for zero in [new(0, 1, 7, &good), new(5, 0, 7, &good), new(5, 1, 0, &good)] {
        assert_eq!(zero, Err(ParamError::Zero));
    }
    let multiplier = |multiplier| new(1, 1, 1, &[Layer { multiplier, ..hidden(1) }, Layer::last(1)]);
    let shift = |shift| new(1, 1, 1, &[Layer { shift, ..hidden(1) }, Layer::last(1)]);
    assert_eq!(multiplier(0), Err(ParamError::Zero));
    assert_eq!(new(1, 1, 1, &[hidden(0), Layer::last(1)]), Err(ParamError::Zero));
    assert_eq!(new(1, 1, 1, &[hidden(1), Layer::last(0)]), Err(ParamError::Zero));
    assert!(multiplier(1).is_ok() && multiplier(0x7fff_ffff).is_ok() && shift(31).is_ok());
    for large in [
        multiplier(0x8000_0000),
        shift(32),
        new(MAX_BATCH + 1, 1, 1, &good),
        new(1, 1, MAX_INPUT_WIDTH + 1, &good),
        new(1, 1, 1, &[Layer::last(MAX_WIDTH + 1)]),
        // The last layer is not requantised.
        new(1, 1, 1, &[hidden(1)]),
        new(1, 1, 1, &[[hidden(1)].repeat(6), vec![Layer::last(1)]].concat()),
        // More classes than there are, and groups without samples.
        new(99, 6, 1, &good),
        new(4, 5, 1, &good),
        new(5, 4, 1, &good),
    ] {
        assert_eq!(large, Err(ParamError::TooLarge));
    }
    assert!(new(99, 5, 1, &good).is_ok() && new(4, 4, 1, &good).is_ok());
}

#[test]
fn a_network_is_cut_by_groups_and_stages() {
    let layers = [hidden(300), hidden(64), Layer::last(10)];
    let params = Params::new(11, 3, Output::Argmax, 784, &layers).unwrap();
    let geometry = MlpI8::geometry(&params).unwrap();
    assert!(geometry.is_valid());
    let class = |cells, cost, cells_per_leaf, cell_bytes, stage| CostClass {
        cells,
        cost,
        cells_per_leaf,
        cell_bytes,
        stage,
        reserved: 0,
    };
    let of = |samples: u64| {
        [
            class(300 * samples, 784, 256, 4, 0),
            class(64 * samples, 300, 64, 4, 1),
            class(10 * samples, 64, 60, 4, 2),
            class(samples, 10, 64, 2, 3),
        ]
    };
    assert_eq!(geometry.used_classes(), [of(4), of(4), of(3)].concat());
    // 1,200 cells in 5 leaves, 4 samples in as many, 4 in one, 4 in one.
    assert_eq!((geometry.shard_align, geometry.leaves()), (11, Some(11 + 11 + 9)));
    // Rows of 1,024, 512 and 128 bytes: 300 chunks, 32 and 2.
    assert_eq!(geometry.input_bytes, [11 * 1024, (300 + 32 + 2) * 1024, 0, 0]);
    assert_eq!(MlpI8::describe().name(), "mlp_i8");
}

#[test]
fn the_largest_jobs_fit_every_limit() {
    for params in largest_networks() {
        let geometry = MlpI8::geometry(&params).unwrap();
        assert!(geometry.is_valid());
        assert!(geometry.leaves().unwrap() < 1 << 40);
        assert!(geometry.answer_transactions <= MlpI8::describe().answer_transactions);
    }
}

/// Bytes of a cell's evidence, read and paths, as a client lays it out.
#[cfg(feature = "std")]
fn evidence(params: &Params, geometry: &crate::abi::Geometry, leaf: u64, cell: u32) -> (u64, u64) {
    use crate::merkle::{path_len, runs};
    let chunks = |source: u8| geometry.input_bytes[usize::from(source)] / 1024;
    let leaves = geometry.leaves().unwrap();
    let leaf_path = |leaf| 32 * u64::from(path_len(leaf, leaves));
    let own = u64::from(geometry.leaf_span(leaf).unwrap().bytes);
    let (mut read, mut paths, mut openings) = (0, leaf_path(leaf), 0);
    MlpI8::reads(params, leaf, cell, &mut |of| {
        for run in runs(of.start, of.start + of.count, if of.source == SOURCE_LEAVES { 0 } else { chunks(of.source) })
            .filter(|_| of.source != SOURCE_LEAVES)
        {
            read += 1024 * run.count;
            paths += 32 * u64::from(path_len(run.start >> run.level, chunks(of.source).div_ceil(1 << run.level)));
            openings += 1;
        }
        for leaf in (of.start..of.start + of.count).filter(|_| of.source == SOURCE_LEAVES) {
            read += u64::from(geometry.leaf_span(leaf).unwrap().bytes);
            paths += leaf_path(leaf);
            openings += 1;
        }
    });
    assert!(openings <= 64, "{openings} openings are more than one adjudication takes");
    (read, own + read + paths)
}

#[cfg(feature = "std")]
#[test]
fn answers_take_no_more_than_is_stated() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let some = (0..200).map(|_| networks().new_tree(&mut runner).unwrap().current());
    let wide = [4_096, 4_000, 3_000, 1_025, 257].map(|width| {
        let layers = [hidden(width), hidden(4_096), Layer::last(width)];
        Params::new(MAX_BATCH, 1, Output::Argmax, 4 * width, &layers).unwrap()
    });
    let mut most = 0;
    for params in some.chain(wide).chain(largest_networks()) {
        let geometry = MlpI8::geometry(&params).unwrap();
        let (mut transactions, mut bytes) = (0, 0);
        for class in params.classes() {
            let leaves = params.leaves(class.group, class.stage);
            // Samples and rows begin in the same places of leaves, chunks and runs again after this many.
            for leaf in (0..leaves.min(64)).chain(leaves.saturating_sub(64)..leaves) {
                let leaf = class.first_leaf + leaf;
                let cells = geometry.leaf_span(leaf).unwrap().cells;
                for cell in [0, cells / 3, cells - 1] {
                    let (read, all) = evidence(&params, &geometry, leaf, cell);
                    bytes = bytes.max(read);
                    transactions = transactions.max(all.div_ceil(940) + 2);
                }
            }
        }
        let stated = (u64::from(geometry.answer_transactions), u64::from(geometry.evidence_kib));
        assert!((transactions..=transactions * 2).contains(&stated.0), "{params:?}: {transactions}, stated {stated:?}");
        assert!(
            (bytes.div_ceil(1024)..=bytes.div_ceil(1024) + 5).contains(&stated.1),
            "{params:?}: {bytes}, {stated:?}"
        );
        assert!(bytes <= u64::from(MlpI8::describe().evidence_bytes_max));
        most = most.max(transactions);
    }
    // What the kernel declares is not far above what its largest jobs take.
    assert!((40..=64).contains(&most), "{most}");
}

proptest! {
    #[test]
    fn cells_lie_where_the_geometry_says(params in networks()) {
        let geometry = MlpI8::geometry(&params).unwrap();
        prop_assert!(geometry.is_valid());
        prop_assert_eq!(Params::from_bytes(&params.to_vec()), Ok(params));
        let leaves = geometry.leaves().unwrap();
        for leaf in 0..leaves {
            let span = geometry.leaf_span(leaf).unwrap();
            prop_assert!(span.bytes <= 1024);
            prop_assert_eq!(params.locate(leaf, span.cells), None);
            for cell in 0..span.cells {
                let place = params.locate(leaf, cell).unwrap();
                let stages = params.stages();
                prop_assert_eq!(place.group as usize * stages + place.stage, span.class);
                let (sample, neuron) = params.sample_and_neuron(&place);
                prop_assert!(sample < params.batch && neuron < params.width(place.stage));
            }
        }
        prop_assert_eq!(params.locate(leaves, 0), None);
        // Whatever is read lies in the same group, and so in the same shard, before the reader.
        let align = geometry.shard_align;
        for leaf in 0..leaves {
            MlpI8::reads(&params, leaf, 0, &mut |read| {
                if read.source == SOURCE_LEAVES {
                    assert!(read.start + read.count <= leaf && read.start / align == leaf / align);
                } else {
                    assert!(read.start + read.count <= geometry.input_bytes[usize::from(read.source)] / 1024);
                }
            });
        }
        MlpI8::reads(&params, leaves, 0, &mut |_| panic!("no such leaf"));
    }
}
