use proptest::prelude::*;

use super::*;

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

prop_compose! {
    /// Params of every form, the first nonce often close to a limit.
    pub(super) fn any_params()(
        bytes in prop::collection::vec(any::<u8>(), 8..=MAX_MESSAGE_BYTES), flags in 0u8..16, size in 0u8..3,
        cells in 1u64..20, at in any::<prop::sample::Index>(), start in any::<u64>(), place in 0..4,
    ) -> Params {
        let base = Params { flags, size, cells, ..Params::of(&bytes).unwrap() };
        let largest = if base.has(WIDE) { u64::MAX } else { u64::from(u32::MAX) };
        let start = match place {
            0 => largest - (base.candidates() - 1),
            1 => 0,
            2 => u64::from(u32::MAX) - base.candidates() / 2,
            _ => start,
        };
        let nonce_at = at.index(bytes.len() + 1 - base.nonce_bytes()) as u8;
        Params { start: start.min(largest - (base.candidates() - 1)), nonce_at, ..base }
    }
}

/// A cell by the letter of the specification: all digests first, then what is said of them.
fn textbook(params: &Params, cell: u64) -> [u8; 32] {
    let count = 512 << params.size;
    let nonces: Vec<u64> = (0..count).map(|i| params.start + cell * count + i).collect();
    let digests: Vec<Hash> = nonces
        .iter()
        .map(|nonce| {
            let mut message = params.message[..usize::from(params.len)].to_vec();
            for i in 0..params.nonce_bytes() {
                let byte = if params.has(BIG_ENDIAN) { params.nonce_bytes() - 1 - i } else { i };
                message[usize::from(params.nonce_at) + i] = (nonce >> (8 * byte)) as u8;
            }
            let once = sha256(&[&message]);
            if params.has(DOUBLE) { sha256(&[&once]) } else { once }
        })
        .collect();
    let scores = digests.iter().map(|digest| {
        let mut score = *digest;
        if params.has(REVERSED) {
            score.reverse();
        }
        score
    });
    let (score, nonce) = scores.zip(&nonces).min().unwrap();
    let chain = digests.chunks(512).fold([0; 32], |chain, segment| {
        let heads: Vec<u8> = segment.iter().flat_map(|digest| digest[..4].to_vec()).collect();
        sha256(&[&heads, &chain])
    });
    let bytes = [&score[..8], &nonce.to_le_bytes(), &chain[..16]].concat();
    bytes.try_into().unwrap()
}

/// NIST's messages that a search can have, with every place of the nonce in each.
#[test]
fn candidates_hash_as_nist_says() {
    let mut count = 0;
    for line in include_str!("../src/sha256.txt").lines().filter(|line| !line.starts_with('#')) {
        let (message, digest) = line.split_once(' ').unwrap();
        if !(8..=2 * MAX_MESSAGE_BYTES).contains(&message.len()) {
            continue;
        }
        count += 1;
        let (message, digest) = (unhex(message), unhex(digest));
        for nonce_at in 0..=message.len() - 4 {
            let word: [u8; 4] = message[nonce_at..nonce_at + 4].try_into().unwrap();
            let mut other = message.clone();
            other[nonce_at..nonce_at + 4].fill(0x55);
            let params = Params { nonce_at: nonce_at as u8, ..Params::of(&other).unwrap() };
            assert_eq!(params.hash(u64::from(u32::from_le_bytes(word)))[..], digest);
            let params = Params { flags: BIG_ENDIAN, ..params };
            assert_eq!(params.hash(u64::from(u32::from_be_bytes(word)))[..], digest);
        }
        if let Ok(word) = <[u8; 8]>::try_from(&message[..]) {
            let params = Params { flags: WIDE, ..Params::of(&[0; 8]).unwrap() };
            assert_eq!(params.hash(u64::from_le_bytes(word))[..], digest);
        }
    }
    assert_eq!(count, 62);
}

fn request<T>(of: impl FnOnce(&Request) -> T) -> T {
    let mut data = [0; 20];
    crate::abi::encode_header(&mut data, crate::abi::Op::Cell, 3, &[], 0, 0, 0).unwrap();
    of(&Request::parse(&data, &[]).unwrap())
}

fn cell(params: &Params, leaf: u64, cell: u32) -> Result<Vec<u8>, AbiError> {
    let mut out = [0xaa; 40];
    let len = request(|request| Search::cell(params, request, leaf, cell, &mut out))?;
    assert!(out[len..].iter().all(|byte| *byte == 0xaa));
    Ok(out[..len].to_vec())
}

#[test]
fn blocks_of_bitcoin_are_found() {
    // The first two blocks of January 2009: headers with the nonce left out, nonces, and hashes as they are written.
    let blocks = [
        (
            "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f61\
             7fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d00000000",
            2_083_236_893u64,
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
        ),
        (
            "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee1467\
             7ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d00000000",
            2_573_394_689,
            "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048",
        ),
    ];
    for (header, nonce, hash) in blocks {
        let base = Params::of(&unhex(header)).unwrap();
        let params = Params { flags: DOUBLE | REVERSED, nonce_at: 76, start: nonce - 4_700, cells: 12, ..base };
        assert_eq!(Search::parse(&params.to_bytes()), Ok(params));
        let found = cell(&params, 1, 1).unwrap();
        assert_eq!(found[..8], unhex(hash)[..8]);
        assert_eq!(found[8..16], nonce.to_le_bytes());
        assert_eq!(params.score(&params.hash(nonce))[..], unhex(hash));
        let all: Vec<u8> = (0..12).flat_map(|i| cell(&params, i / 8, (i % 8) as u32).unwrap()).collect();
        assert_eq!(
            best_of(&params, &all).map(|best| (best.nonce, params.score(&best.digest).to_vec())),
            Some((nonce, unhex(hash)))
        );
    }
}

#[test]
fn params_are_checked_by_name() {
    let good = Params { flags: WIDE, nonce_at: 2, ..Params::of(&[7; 10]).unwrap() };
    assert_eq!(Search::parse(&good.to_bytes()), Ok(good));
    for len in 0..HEADER_BYTES {
        assert_eq!(Search::parse(&good.to_bytes()[..len]), Err(ParamError::Length));
    }
    let refused = |change: &dyn Fn(&mut Params)| {
        let mut params = good;
        change(&mut params);
        Search::parse(&params.to_bytes()).err()
    };
    assert_eq!(refused(&|p| p.cells = 0), Some(ParamError::Zero));
    let too_large: [&dyn Fn(&mut Params); 12] = [
        &|p| p.len = 9,
        &|p| p.len = 0,
        &|p| p.nonce_at = 3,
        &|p| p.nonce_at = 255,
        &|p| p.size = MAX_SIZE + 1,
        &|p| p.size = 255,
        &|p| p.flags = 16,
        &|p| p.flags = 255,
        &|p| p.cells = MAX_CELLS + 1,
        &|p| p.cells = u64::MAX,
        &|p| p.start = u64::MAX - 510,
        &|p| (p.flags, p.start) = (0, (1 << 32) - 511),
    ];
    for (at, change) in too_large.iter().enumerate() {
        assert_eq!(refused(*change), Some(ParamError::TooLarge), "{at}");
    }
    let fine: [&dyn Fn(&mut Params); 5] = [
        &|p| p.start = u64::MAX - 511,
        &|p| (p.flags, p.start, p.nonce_at) = (0, (1 << 32) - 512, 6),
        &|p| (p.flags, p.cells, p.size) = (0, 1 << 16, MAX_SIZE),
        &|p| (p.cells, p.size) = (MAX_CELLS, MAX_SIZE),
        &|p| p.flags = 15,
    ];
    for (at, change) in fine.iter().enumerate() {
        assert_eq!(refused(*change), None, "{at}");
    }
    assert_eq!(refused(&|p| (p.flags, p.cells, p.size) = (0, (1 << 16) + 1, MAX_SIZE)), Some(ParamError::TooLarge));
    let longest = Params::of(&[1; MAX_MESSAGE_BYTES]).unwrap();
    assert_eq!(Search::parse(&longest.to_bytes()), Ok(longest));
    assert_eq!(Params::of(&[1; MAX_MESSAGE_BYTES + 1]), None);
    assert_eq!(Search::parse(&[longest.to_bytes(), vec![1]].concat()), Err(ParamError::TooLarge));
    assert_eq!(longest.write(&mut [0; 100]), None);
}

#[test]
fn description_and_geometry() {
    let describe = Search::describe();
    assert_eq!((describe.name(), describe.flags, describe.answer_transactions), ("search", 0, 132 - 1));
    let small = Params { cells: 21, ..Params::of(&[0; 4]).unwrap() };
    let geometry = Search::geometry(&small).unwrap();
    assert!(geometry.is_valid());
    assert_eq!((geometry.cells(), geometry.leaves(), geometry.weight()), (Some(21), Some(3), Some(21)));
    assert_eq!((geometry.leaf_span(0).unwrap().bytes, geometry.leaf_span(2).unwrap().bytes), (256, 160));
    assert_eq!((geometry.answer_transactions, Search::steps(&small)), (1, 1));
    // A path of 17 hashes fits the adjudication, one of 18 does not.
    for (cells, size, transactions) in
        [(1 << 20, 0, 1), ((1 << 20) + 1, 0, 3), (MAX_CELLS, 0, 4), (1, 1, 4), (MAX_CELLS, 7, 131)]
    {
        let params = Params { flags: WIDE, cells, size, ..Params::of(&[0; 8]).unwrap() };
        let geometry = Search::geometry(&params).unwrap();
        assert!(geometry.is_valid());
        assert_eq!(geometry.answer_transactions, transactions, "{cells} cells of size {size}");
        assert_eq!(params.candidates(), cells * (512 << size));
    }
}

#[test]
fn cells_that_do_not_exist_are_refused() {
    let params = Params { cells: 11, ..Params::of(&[0; 4]).unwrap() };
    assert_eq!(cell(&params, 1, 2).map(|cell| cell.len()), Ok(32));
    for (leaf, index) in [(1, 3), (0, 8), (2, 0), (u64::MAX, u32::MAX)] {
        assert_eq!(cell(&params, leaf, index), Err(AbiError::NoSuchCell));
    }
    let short = request(|request| Search::cell(&params, request, 0, 0, &mut [0; 31]));
    assert_eq!(short, Err(AbiError::OutputTooSmall));
}

#[test]
fn the_committed_vectors_hold() {
    let lines = include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let [params, leaf, bytes] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let params = Search::parse(&unhex(params)).unwrap();
        let (leaf, bytes) = (leaf.parse().unwrap(), unhex(bytes));
        let span = Search::geometry(&params).unwrap().leaf_span(leaf).unwrap();
        let made: Vec<u8> = (0..span.cells).flat_map(|index| cell(&params, leaf, index).unwrap()).collect();
        assert_eq!(made, bytes);
        #[cfg(feature = "std")]
        {
            use crate::executor::{Backend, Cpu, Inputs};
            assert_eq!(Cpu.run(3, &params.to_bytes(), &Inputs::default(), leaf..leaf + 1).unwrap(), bytes);
        }
        count += 1;
    }
    assert_eq!(count, 9);
}

#[test]
fn the_best_is_told_apart_by_what_a_cell_does_not_say() {
    let params = Params { cells: 40, ..Params::of(b"nonce and some more").unwrap() };
    let mut cells: Vec<Vec<u8>> = (0..40).map(|i| cell(&params, i / 8, (i % 8) as u32).unwrap()).collect();
    let whole: Vec<u8> = cells.concat();
    let lowest = (0..40 * 512).map(|nonce| (params.hash(nonce), nonce)).min().unwrap();
    assert_eq!(best_of(&params, &whole), Some(Best { nonce: lowest.1, digest: lowest.0 }));
    cells.reverse();
    assert_eq!(best_of(&params, &cells.concat()), Some(Best { nonce: lowest.1, digest: lowest.0 }));
    for broken in [&[][..], &whole[1..], &whole[..whole.len() - 1]] {
        assert_eq!(best_of(&params, broken), None);
    }
    // A score that the nonce does not have.
    let lie = [&[0; 7][..], &[1], &whole[8..32], &whole[32..]].concat();
    assert_eq!(best_of(&params, &lie), None);
    // Two cells that say the same of their scores: what their nonces really have decides.
    let claim = |nonce: u64| Cell { score: [0; 8], nonce, digest: [0; 16] }.to_bytes();
    let (a, b) = (claim(3), claim(4));
    assert_eq!(Cell::from_bytes(&a).to_bytes(), a);
    assert_eq!(best_of(&params, &[a, b].concat()), None);
}

#[test]
fn any_state_is_one() {
    let params = Params { size: 1, ..Params::of(&[9; 20]).unwrap() };
    for byte in [0, 0x5a, 0xff] {
        let mut state = [byte; STEP_STATE_BYTES];
        let mut out = [0; 32];
        let done = request(|request| Search::step(&params, request, 1, &mut state, &mut out));
        assert_eq!((done, state), (Ok(Some(32)), [byte; STEP_STATE_BYTES]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn cells_are_what_the_specification_says(params in any_params(), at in any::<prop::sample::Index>()) {
        prop_assert_eq!(Search::parse(&params.to_bytes()), Ok(params));
        let index = at.index(params.cells as usize) as u64;
        let expected = textbook(&params, index);
        prop_assert_eq!(&cell(&params, index / 8, (index % 8) as u32).unwrap()[..], &expected[..]);
        prop_assert_eq!(Cell::from_bytes(&expected).to_bytes(), expected);
    }

    #[test]
    fn cells_of_the_same_nonces_are_the_same_cell(params in any_params()) {
        // The later cells of one job are the first ones of another.
        let later = Params { start: params.nonce(params.cells - 1, 0), cells: 1, ..params };
        let index = params.cells - 1;
        prop_assert_eq!(cell(&params, index / 8, (index % 8) as u32), cell(&later, 0, 0));
    }
}

#[cfg(feature = "std")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn executor_and_steps_equal_the_cells(params in any_params(), cut in any::<prop::sample::Index>()) {
        use crate::executor::{Backend, Cpu, Inputs, reference_leaf};
        let (bytes, inputs) = (params.to_bytes(), Inputs::default());
        let leaves = crate::registry::geometry(3, &bytes).unwrap().leaves().unwrap();
        let start = cut.index(leaves as usize) as u64;
        let (mut in_one_go, mut in_steps) = (Vec::new(), Vec::new());
        for index in 8 * start..params.cells {
            in_one_go.extend(cell(&params, index / 8, (index % 8) as u32).unwrap());
        }
        for leaf in start..leaves {
            // Cells of several segments in steps, as on chain.
            in_steps.extend(reference_leaf(3, &bytes, &inputs, leaf).unwrap());
        }
        prop_assert_eq!(&in_steps, &in_one_go);
        prop_assert_eq!(&Cpu.run(3, &bytes, &inputs, start..leaves).unwrap(), &in_one_go);
        prop_assert_eq!(Cpu.run(3, &bytes, &inputs, start..start).unwrap(), Vec::<u8>::new());
    }
}
