use assay_kernels::abi::{ABI, Describe, Geometry, OPENING_BYTES, encode_header};
use assay_kernels::{escape_time, gemm_i8};

use super::*;

fn request(op: Op, kernel: u16, params: &[u8]) -> Vec<u8> {
    let mut data = vec![0; 20 + params.len()];
    encode_header(&mut data, op, kernel, params, 0, 0, 0).unwrap();
    data
}

fn answer_to(data: &[u8]) -> Result<Vec<u8>, VerifierError> {
    let mut out = [0; MAX_ANSWER_BYTES];
    let len = process(data, &[], &mut out)?;
    Ok(out[..len].to_vec())
}

#[test]
fn address_is_the_declared_one() {
    // By another implementation.
    assert_eq!(ID[..4], [174, 155, 123, 185]);
    assert_eq!(ID[28..], [43, 246, 61, 221]);
    assert_eq!(base58::address("11111111111111111111111111111111"), [0; 32]);
}

#[test]
fn describe_and_check_answer_with_the_kernels_own_words() {
    for kernel in AnyKernel::ALL {
        let answer = answer_to(&request(Op::Describe, kernel.id(), &[])).unwrap();
        assert_eq!(*bytemuck::from_bytes::<Describe>(&answer), kernel.describe());
    }
    let params = gemm_i8::Params { m: 3, n: 5, k: 7 }.to_bytes();
    let answer = answer_to(&request(Op::Check, 2, &params)).unwrap();
    assert_eq!(bytemuck::pod_read_unaligned::<Geometry>(&answer), AnyKernel::GemmI8.geometry(&params).unwrap());
}

#[test]
fn refusals_have_names() {
    let image = escape_time::Params { width: 4, height: 4, max_iter: 9, x0: 0, y0: 0, step: 1 };
    assert_eq!(
        answer_to(&request(Op::Cell, 1, &image.to_bytes())),
        Ok(escape_time::pixel(0, 0, 9).to_bytes().to_vec())
    );
    assert_eq!(answer_to(&request(Op::Step, 1, &image.to_bytes())), Err(VerifierError::NotStepped));
    assert_eq!(answer_to(&request(Op::Describe, 0, &[])), Err(VerifierError::UnknownKernel));
    assert_eq!(answer_to(&request(Op::Check, 2, &[])), Err(VerifierError::ParamsLength));
    assert_eq!(answer_to(&[]), Err(VerifierError::Truncated));
    let mut other = request(Op::Describe, 1, &[]);
    other[0] = ABI + 1;
    assert_eq!(answer_to(&other), Err(VerifierError::Version));
    let long = gemm_i8::Params { m: 1, n: 1, k: 40_000 }.to_bytes();
    assert_eq!(answer_to(&request(Op::Cell, 2, &long)), Err(VerifierError::Stepped));
    assert_eq!(answer_to(&request(Op::Step, 2, &long)), Err(VerifierError::Truncated));
    let product = gemm_i8::Params { m: 1, n: 1, k: 1 }.to_bytes();
    assert_eq!(answer_to(&request(Op::Cell, 2, &product)), Err(VerifierError::MissingOpening));
    let mut announced = request(Op::Cell, 2, &product);
    announced[6] = 1;
    announced.extend([0; OPENING_BYTES - 1]);
    assert_eq!(answer_to(&announced), Err(VerifierError::Truncated));
}
