//! The committed network on the committed test set: equal to what NumPy and Python's integers made of it.

use std::path::{Path, PathBuf};

use super::super::import::{Matrix, Network, read_int8, read_int32, samples_input};
use super::*;
use crate::executor::{Backend, Cpu, Inputs, reference_job};
use crate::hash::sha256;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mlp_i8/digits")
}

/// Words behind `name` in golden.txt.
fn golden(name: &str) -> Vec<String> {
    let text = include_str!("../digits/golden.txt");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
    line.split(' ').map(str::to_owned).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn number(name: &str) -> usize {
    golden(name)[0].parse().unwrap()
}

#[test]
fn the_digits_network_gives_what_numpy_gives() {
    let network = Network::read(&folder()).unwrap();
    let samples = read_int8(&folder().join("samples.npy")).unwrap();
    let labels = read_int8(&folder().join("labels.npy")).unwrap();
    assert_eq!((samples.rows as usize, samples.columns, labels.columns), (number("samples"), 64, samples.rows));
    let params = network.params(&samples, number("groups") as u8, Output::Argmax).unwrap();
    assert_eq!(hex(&params.to_vec()), golden("params")[0]);
    let inputs = [samples_input(&params, &samples), network.weights_input(&params)];
    let same = |name: &str, bytes: &[u8]| {
        assert_eq!([bytes.len().to_string(), hex(&sha256(&[bytes]))].to_vec(), golden(name), "{name}");
    };
    same("input_0", &inputs[0]);
    same("input_1", &inputs[1]);
    let inputs = Inputs { inputs: [&inputs[0], &inputs[1], &[], &[]] };
    let geometry = MlpI8::geometry(&params).unwrap();
    let made = Cpu.run(4, &params.to_vec(), &inputs, 0..geometry.leaves().unwrap()).unwrap();
    same("leaves", &made);
    let reference: Vec<u8> = reference_job(4, &params.to_vec(), &inputs).unwrap().into_values().flatten().collect();
    assert!(reference == made, "the reference differs from the executor");

    // The logits and answers themselves, group by group.
    let logits = read_int32(&folder().join("logits.npy")).unwrap();
    let answers = read_int8(&folder().join("answers.npy")).unwrap();
    let made_logits = result::sums(&params, &made, 2).unwrap();
    let made_answers = result::answers(&params, &made).unwrap();
    assert_eq!(result::sums(&params, &made, 0).unwrap().len(), 48 * number("samples"));
    // No such layer, and results that are not whole.
    assert_eq!(result::sums(&params, &made, 3), None);
    assert_eq!(result::sums(&params, &made[1..], 2), None);
    assert_eq!(result::answers(&params, &[&made[..], &[0]].concat()), None);
    let silent = network.params(&samples, 3, Output::Sums).unwrap();
    assert_eq!(result::answers(&silent, &made[..made.len() - 900]), None);
    assert_eq!(made_answers.len(), number("samples"));
    assert_eq!((logits.rows, logits.columns), (samples.rows, 10));
    assert_eq!(made_logits, logits.data);
    assert!(made_answers.iter().zip(&answers.data).all(|(made, answer)| i32::from(*made) == i32::from(*answer)));

    // Accuracy, counted here.
    let right = made_answers.iter().zip(&labels.data).filter(|(made, label)| i32::from(**made) == i32::from(**label));
    assert_eq!(right.count(), number("right_in_int8"));
    // Quantisation may cost a percent.
    assert!(number("right_in_int8") + 5 >= number("right_in_floats"));
}

#[test]
fn a_batch_is_one_sample_after_the_other() {
    let network = Network::read(&folder()).unwrap();
    let samples = read_int8(&folder().join("samples.npy")).unwrap();
    let answers = read_int8(&folder().join("answers.npy")).unwrap();
    for i in [0usize, 17, 449] {
        let one = Matrix { rows: 1, columns: 64, data: samples.data[64 * i..64 * i + 64].to_vec() };
        let params = network.params(&one, 1, Output::Argmax).unwrap();
        let inputs = [samples_input(&params, &one), network.weights_input(&params)];
        let inputs = Inputs { inputs: [&inputs[0], &inputs[1], &[], &[]] };
        // Three layers in a leaf each, the answer in the last.
        let made = Cpu.run(4, &params.to_vec(), &inputs, 3..4).unwrap();
        assert_eq!(made, u16::try_from(answers.data[i]).unwrap().to_le_bytes());
    }
}
