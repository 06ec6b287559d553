//! Files of a renter's network: what is taken, and what is refused in words.

use std::fs;
use std::path::Path;

use super::super::import::{ImportError, Matrix, Network, quantise_multiplier, read_int8, read_int32, samples_input};
use super::*;

fn write(path: &Path, version: u8, descr: &str, fortran: bool, shape: &str, elements: &[u8]) {
    let order = if fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    header.push_str(&" ".repeat(63 - (header.len() + 12) % 64));
    header.push('\n');
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes()),
        _ => bytes.extend(u32::try_from(header.len()).unwrap().to_le_bytes()),
    }
    bytes.extend(header.bytes());
    bytes.extend(elements);
    fs::write(path, bytes).unwrap();
}

fn words(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Two layers: 3 inputs, 2 neurons, 1 neuron.
fn network(folder: &Path) {
    write(&folder.join("weights_0.npy"), 1, "|i1", false, "(2, 3)", &[1, 2, 3, 4, 5, 0xfa]);
    write(&folder.join("biases_0.npy"), 1, "<i4", false, "(2,)", &words(&[7, -8]));
    write(&folder.join("weights_1.npy"), 2, "|i1", false, "(1, 2)", &[9, 10]);
    write(&folder.join("biases_1.npy"), 1, "<i4", false, "(1, 1)", &words(&[11]));
    write(&folder.join("requantise.npy"), 1, "<i4", false, "(1, 3)", &words(&[1 << 30, 2, 1]));
}

#[test]
fn a_network_becomes_params_and_inputs() {
    let folder = tempfile::tempdir().unwrap();
    network(folder.path());
    let read = Network::read(folder.path()).unwrap();
    assert_eq!((read.input_width(), read.layers().len()), (3, 2));
    let samples = Matrix { rows: 2, columns: 3, data: vec![1, -1, 2, 3, 4, 5] };
    let params = read.params(&samples, 1, Output::Sums).unwrap();
    let layer = Layer { width: 2, multiplier: 1 << 30, shift: 2, activation: Activation::Relu };
    assert_eq!(Params::new(2, 1, Output::Sums, 3, &[layer, Layer::last(1)]), Ok(params));
    let weights = read.weights_input(&params);
    assert_eq!(weights.len(), 2048);
    assert_eq!(weights[..8], [1, 2, 3, 0, 7, 0, 0, 0]);
    assert_eq!(weights[8..16], [4, 5, 0xfa, 0, 0xf8, 0xff, 0xff, 0xff]);
    assert_eq!(weights[1024..1032], [9, 10, 0, 0, 11, 0, 0, 0]);
    let inputs = samples_input(&params, &samples);
    assert_eq!((inputs.len(), &inputs[..8]), (1024, &[1, 0xff, 2, 0, 3, 4, 5, 0][..]));
    // A network of one layer has no requantisation.
    for file in ["weights_1.npy", "biases_1.npy", "requantise.npy"] {
        fs::remove_file(folder.path().join(file)).unwrap();
    }
    assert_eq!(Network::read(folder.path()).unwrap().layers().len(), 1);
}

#[test]
fn both_orders_and_both_ends_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npy");
    write(&path, 1, "|i1", true, "(2, 3)", &[1, 4, 2, 5, 3, 6]);
    assert_eq!(read_int8(&path).unwrap(), Matrix { rows: 2, columns: 3, data: vec![1, 2, 3, 4, 5, 6] });
    write(&path, 3, ">i4", false, "(2,)", &[0, 0, 1, 2, 0xff, 0xff, 0xff, 0xfe]);
    assert_eq!(read_int32(&path).unwrap(), Matrix { rows: 1, columns: 2, data: vec![258, -2] });
}

#[test]
fn every_fault_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let refused = |name: &str| {
        let error = Network::read(folder.path()).unwrap_err();
        let text = error.to_string();
        assert!(name.is_empty() || text.contains(name), "{text}");
        error
    };
    assert!(matches!(refused("weights_0.npy"), ImportError::Layers(_)));
    let fault = |name: &str, descr: &str, shape: &str, elements: &[u8]| {
        network(folder.path());
        write(&at(name), 1, descr, false, shape, elements);
        refused(name)
    };
    assert!(matches!(fault("weights_0.npy", "<f4", "(2, 3)", &[0; 24]), ImportError::ElementType { .. }));
    assert!(matches!(fault("weights_0.npy", "|u1", "(2, 3)", &[0; 6]), ImportError::ElementType { .. }));
    assert!(matches!(fault("biases_0.npy", "<i8", "(2,)", &[0; 16]), ImportError::ElementType { .. }));
    assert!(matches!(fault("weights_0.npy", "|i1", "(2, 3)", &[0; 5]), ImportError::Damaged { .. }));
    assert!(matches!(fault("weights_0.npy", "|i1", "(9999999, 9999999)", &[0; 5]), ImportError::Damaged { .. }));
    assert!(matches!(fault("weights_0.npy", "|i1", "(1, 2, 3)", &[0; 6]), ImportError::Shape { .. }));
    assert!(matches!(fault("weights_0.npy", "|i1", "(0, 3)", &[]), ImportError::Shape { .. }));
    assert!(matches!(fault("weights_1.npy", "|i1", "(1, 3)", &[0; 3]), ImportError::Shape { .. }));
    assert!(matches!(fault("weights_0.npy", "|i1", "(1, 16385)", &[0; 16_385]), ImportError::Shape { .. }));
    assert!(matches!(fault("biases_0.npy", "<i4", "(3,)", &[0; 12]), ImportError::Shape { .. }));
    assert!(matches!(fault("requantise.npy", "<i4", "(2, 3)", &[0; 24]), ImportError::Shape { .. }));
    assert!(matches!(fault("requantise.npy", "<i4", "(1, 2)", &[0; 8]), ImportError::Shape { .. }));
    for row in [[0, 2, 1], [-1, 2, 1], [1, 32, 1], [1, -1, 1], [1, 2, 2]] {
        let error = fault("requantise.npy", "<i4", "(1, 3)", &words(&row));
        assert!(matches!(error, ImportError::Requantisation { .. }), "{row:?}");
    }
    // Three weights of 1 to 6 in magnitude reach 15 times 128.
    network(folder.path());
    write(&at("biases_0.npy"), 1, "<i4", false, "(2,)", &words(&[0, i32::MAX - 15 * 128 + 1]));
    let error = refused("neuron 1");
    assert!(matches!(error, ImportError::BiasTooLarge { layer: 0, neuron: 1 }), "{error}");
    network(folder.path());
    write(&at("biases_0.npy"), 1, "<i4", false, "(2,)", &words(&[0, i32::MAX - 15 * 128]));
    let read = Network::read(folder.path()).unwrap();
    let wide = Matrix { rows: 1, columns: 4, data: vec![0; 4] };
    assert!(matches!(read.params(&wide, 1, Output::Sums), Err(ImportError::SampleWidth { samples: 4, network: 3 })));
    let none = Matrix { rows: 1, columns: 3, data: vec![0; 3] };
    assert!(matches!(read.params(&none, 2, Output::Sums), Err(ImportError::Params(ParamError::TooLarge))));
    fs::write(at("biases_1.npy"), b"numbers").unwrap();
    assert!(matches!(refused("numpy.save"), ImportError::NotNpy { .. }));
    fs::remove_file(at("biases_1.npy")).unwrap();
    assert!(matches!(refused("biases_1.npy"), ImportError::Unreadable { .. }));
    network(folder.path());
    for i in 2..7 {
        fs::copy(at("weights_1.npy"), at(&format!("weights_{i}.npy"))).unwrap();
    }
    assert!(matches!(refused("6 layers"), ImportError::Layers(_)));
}

/// By Python's `math.frexp`, as in `train/train_digits.py`.
#[test]
fn multipliers_are_those_of_tensorflow_lite() {
    for (real, expected) in [
        (0.5, (1 << 30, 0)),
        (0.25, (1 << 30, 1)),
        (0.75, (1_610_612_736, 0)),
        (0.001, (1_099_511_628, 9)),
        (1.0 / 3.0, (1_431_655_765, 1)),
        // Rounds up to a power of two.
        (0.249_999_999_999_999_9, (1 << 30, 1)),
    ] {
        assert_eq!(quantise_multiplier(real).unwrap(), expected, "{real}");
    }
    for real in [0.0, -0.5, 1.0, 0.999_999_999_999_999_9, 1e-10, f64::NAN, f64::INFINITY] {
        assert!(matches!(quantise_multiplier(real), Err(ImportError::Scale(_))), "{real}");
    }
}
