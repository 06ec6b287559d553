//! Products of random matrices against NumPy's: the `.npy` files in `golden` were written by NumPy (`golden/make.py`), inputs
//! and products alike. They go through the same reading, padding and shards as a renter's job.
#![allow(clippy::unwrap_used, reason = "test code")]

use assay_cli::{npy, work::Work};
use assay_kernels::executor::{Backend, Cpu, Inputs, reference_leaf};
use std::{fs, path::PathBuf};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn products_equal_numpys_to_the_last_byte() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "ragged", "chunks", "even", "fortran", "extreme"] {
        let a = npy::read_int8(&golden(&format!("{name}-a.npy"))).unwrap();
        let b = npy::read_int8(&golden(&format!("{name}-b.npy"))).unwrap();
        let work = Work::product(&a, &b, 1).unwrap();
        let mut inputs = Inputs::default();
        for (slot, input) in inputs.inputs.iter_mut().zip(&work.inputs) {
            *slot = &input.bytes;
        }
        // Leaf by leaf, as shards are, by the fast executor and by the reference that the chain's verifier shares.
        let (mut fast, mut reference) = (Vec::new(), Vec::new());
        for leaf in 0..work.leaves {
            let next = leaf.checked_add(1).unwrap();
            fast.extend(Cpu.run(work.kernel.id(), &work.params, &inputs, leaf..next).unwrap());
            reference.extend(reference_leaf(work.kernel.id(), &work.params, &inputs, leaf).unwrap());
        }
        assert_eq!(fast, reference, "{name}");
        let written = folder.path().join("product.npy");
        npy::write(&written, "<i4", a.rows, b.columns, &fast).unwrap();
        assert_eq!(fs::read(&written).unwrap(), fs::read(golden(&format!("{name}-product.npy"))).unwrap(), "{name}");
    }
}
