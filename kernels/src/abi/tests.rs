use core::mem::size_of;

use bytemuck::Zeroable;
use proptest::prelude::*;

use super::*;

#[test]
fn layouts_have_their_documented_sizes() {
    assert_eq!(size_of::<Describe>(), 60);
    assert_eq!(size_of::<CostClass>(), 32);
    assert_eq!(size_of::<Geometry>(), 560);
    // Both must fit return data.
    assert!(size_of::<Geometry>() <= MAX_CELL_BYTES as usize);
    assert_eq!(HEADER_BYTES, 20);
    assert_eq!(OPENING_BYTES, 17);
}

#[test]
fn header_bytes_are_as_protocol_section_7_says() {
    let mut out = [0xee; 30];
    let used = encode_header(&mut out, Op::Cell, 0x0201, &[7, 8, 9], 0x0403, 0x1122_3344_5566_7788, 0xaabb_ccdd);
    let expected =
        [1, 2, 1, 2, 3, 0, 3, 4, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xdd, 0xcc, 0xbb, 0xaa, 7, 8, 9];
    assert_eq!(used, Some(23));
    assert_eq!(&out[..23], &expected);
    assert_eq!(&out[23..], &[0xee; 7]);
    assert_eq!(encode_header(&mut [0; 22], Op::Cell, 1, &[7, 8, 9], 0, 0, 0), None);
    assert_eq!(encode_header(&mut vec![0; 70_000], Op::Cell, 1, &vec![0; 65_536], 0, 0, 0), None);
    let opening = Opening { source: 255, start: 0x0102_0304_0506_0708, len: 0x1112_1314, at: IN_EVIDENCE | 5 };
    assert_eq!(opening.to_bytes(), [255, 8, 7, 6, 5, 4, 3, 2, 1, 0x14, 0x13, 0x12, 0x11, 5, 0, 0, 0x80]);
    assert!(opening.in_evidence());
    assert_eq!(opening.offset(), 5);
}

#[test]
fn error_codes_are_unique_and_lead_back() {
    for error in VerifierError::ALL {
        assert_eq!(VerifierError::from_code(error.code()), Some(*error));
        assert!(!error.name().is_empty() && !error.text().is_empty());
    }
    let codes: std::collections::BTreeSet<u32> = VerifierError::ALL.iter().map(|error| error.code()).collect();
    assert_eq!(codes.len(), VerifierError::ALL.len());
    assert_eq!(VerifierError::from_code(0), None);
}

#[cfg(feature = "std")]
mod with_writer {
    use super::*;

    fn writer() -> RequestWriter {
        let mut writer = RequestWriter::new(Op::Cell, 2, &[1, 2, 3], 9, 4);
        writer.open_inline(0, 5, &[10; 2048]).unwrap();
        writer.open_in_evidence(1, 0, &[20; 1024]).unwrap();
        writer.open_in_evidence(1, 1, &[21; 1024]).unwrap();
        writer.open_in_evidence(SOURCE_LEAVES, 7, &[30; 100]).unwrap();
        writer
    }

    #[test]
    fn a_request_reads_what_was_opened_and_nothing_else() {
        let writer = writer();
        let data = writer.data().unwrap();
        let request = Request::parse(&data, &writer.evidence).unwrap();
        assert_eq!((request.op, request.kernel, request.leaf, request.cell), (Op::Cell, 2, 9, 4));
        assert_eq!(request.params, &[1, 2, 3]);
        assert_eq!(request.openings().collect::<Vec<_>>(), writer.openings);
        let missing = Err(AbiError::MissingOpening);
        assert_eq!(request.read(0, 5, 0, 2048), Ok(&[10; 2048][..]));
        assert_eq!(request.read(0, 6, 1000, 24), Ok(&[10; 24][..]));
        assert_eq!(request.read(0, 5, 1024 + 1000, 24), Ok(&[10; 24][..]));
        assert_eq!(request.read(0, 6, 1000, 25), missing);
        assert_eq!(request.read(0, 4, 1024, 4), Ok(&[10; 4][..]));
        assert_eq!(request.read(0, 4, 1023, 4), missing);
        assert_eq!(request.read(2, 5, 0, 1), missing);
        assert_eq!(request.read(0, u64::MAX, 0, 1), missing);
        // Two openings of neighbouring chunks are no single one.
        assert_eq!(request.read(1, 0, 0, 2048), missing);
        let mut pieces = request.pieces(1, 0);
        assert_eq!(pieces.next(2048), Ok(&[20; 1024][..]));
        assert_eq!(pieces.next(1000), Ok(&[21; 1000][..]));
        pieces.unread(1000 + 24);
        assert_eq!(pieces.next(1000), Ok(&[20; 24][..]));
        assert_eq!(pieces.next(2000), Ok(&[21; 1024][..]));
        assert_eq!(pieces.next(0), Ok(&[][..]));
        assert_eq!(pieces.next(1), missing);
        assert_eq!(request.pieces(1, 2).next(1), missing);
        assert_eq!(request.read(SOURCE_LEAVES, 7, 90, 10), Ok(&[30; 10][..]));
        assert_eq!(request.read(SOURCE_LEAVES, 7, 90, 11), missing);
        assert_eq!(request.read(SOURCE_LEAVES, 8, 0, 1), missing);
        assert_eq!(request.read(SOURCE_LEAVES, 6, 0, 1), missing);
    }

    #[test]
    fn malformed_requests_are_refused_by_name() {
        let writer = writer();
        let data = writer.data().unwrap();
        let openings_end = HEADER_BYTES + 3 + 4 * OPENING_BYTES;
        for cut in 0..openings_end {
            assert_eq!(Request::parse(&data[..cut], &writer.evidence).unwrap_err(), AbiError::Truncated);
        }
        // Evidence or inline bytes that end too early.
        let out_of_bounds = |data: &[u8], evidence: &[u8]| Request::parse(data, evidence).unwrap_err();
        assert_eq!(out_of_bounds(&data[..data.len() - 1], &writer.evidence), AbiError::OutOfBounds);
        assert_eq!(out_of_bounds(&data, &writer.evidence[..2147]), AbiError::OutOfBounds);
        assert_eq!(out_of_bounds(&data, &[]), AbiError::OutOfBounds);
        let with = |at: usize, byte: u8| {
            let mut data = data.clone();
            data[at] = byte;
            Request::parse(&data, &writer.evidence).map(|_| ())
        };
        assert_eq!(with(0, 2), Err(AbiError::Version));
        assert_eq!(with(1, 4), Err(AbiError::UnknownOp));
        assert_eq!(with(HEADER_BYTES + 3, 4), Err(AbiError::Source));
        assert_eq!(with(HEADER_BYTES + 3, 3), Ok(()));
        // Lengths and offsets at the top of their range must not wrap around.
        let mut wild = writer.clone();
        wild.openings[0].len = u32::MAX;
        assert_eq!(out_of_bounds(&wild.data().unwrap(), &wild.evidence), AbiError::OutOfBounds);
        wild.openings[0].at = IN_EVIDENCE - 1;
        assert_eq!(out_of_bounds(&wild.data().unwrap(), &wild.evidence), AbiError::OutOfBounds);
    }

    #[test]
    fn leaves_come_from_the_longest_opening_of_each() {
        let mut writer = RequestWriter::new(Op::Cell, 1, &[], 0, 0);
        let data: Vec<u8> = (0..30).collect();
        writer.open_inline(SOURCE_LEAVES, 8, &data[..4]).unwrap();
        writer.open_in_evidence(SOURCE_LEAVES, 9, &data[4..6]).unwrap();
        writer.open_inline(SOURCE_LEAVES, 9, &data[4..10]).unwrap();
        writer.open_inline(SOURCE_LEAVES, 9, &data[4..7]).unwrap();
        writer.open_inline(0, 7, &data[..9]).unwrap();
        for beside in [6, 11, u64::MAX] {
            writer.open_inline(SOURCE_LEAVES, beside, &data).unwrap();
        }
        let bytes = writer.data().unwrap();
        let request = Request::parse(&bytes, &writer.evidence).unwrap();
        assert_eq!(request.leaves::<4>(7), [&[][..], &data[..4], &data[4..10], &[]]);
        assert_eq!(request.leaves::<2>(u64::MAX), [&data[..], &[]]);
        assert_eq!(request.leaves::<0>(7), [] as [&[u8]; 0]);
    }

    proptest! {
        #[test]
        fn parsing_any_bytes_never_panics(data in prop::collection::vec(any::<u8>(), 0..200), op in 0u8..5) {
            let mut data = data;
            if data.len() > 7 {
                // Most random headers announce too much; keep the lengths small so that openings are reached.
                (data[0], data[1], data[5], data[7]) = (ABI, op, 0, 0);
                data[4] &= 15;
                data[6] &= 7;
            }
            if let Ok(request) = Request::parse(&data, &[1, 2, 3]) {
                for opening in request.openings() {
                    let read = request.pieces(opening.source, opening.start).next(usize::MAX);
                    prop_assert!(opening.len == 0 || read.is_ok() || opening.start > u64::MAX / 1024);
                }
            }
        }
    }
}

/// A geometry with several classes, and for every cell of it (leaf, place, class, bytes per cell) by plain counting.
fn counted(classes: &[(u64, u64, u32, u32)]) -> (Geometry, Vec<(u64, u32, usize, u32)>) {
    let mut geometry = Geometry::zeroed();
    geometry.abi = ABI;
    geometry.shard_align = 1;
    geometry.classes = classes.len() as u16;
    let (mut cells, mut leaf) = (Vec::new(), 0);
    for (index, (count, cost, cells_per_leaf, cell_bytes)) in classes.iter().copied().enumerate() {
        geometry.class[index] = CostClass { cells: count, cost, cells_per_leaf, cell_bytes, ..Default::default() };
        for cell in 0..count {
            let place = (cell % u64::from(cells_per_leaf)) as u32;
            if place == 0 && cell > 0 {
                leaf += 1;
            }
            cells.push((leaf, place, index, cell_bytes));
        }
        leaf += 1;
    }
    (geometry, cells)
}

proptest! {
    #[test]
    fn geometry_equals_plain_counting(
        classes in prop::collection::vec((1u64..200, 1u64..50, 1u32..40, 1u32..20), 1..=MAX_CLASSES),
    ) {
        let (geometry, cells) = counted(&classes);
        prop_assert!(geometry.is_valid());
        prop_assert_eq!(geometry.cells(), Some(cells.len() as u64));
        let leaves = cells.last().unwrap().0 + 1;
        prop_assert_eq!(geometry.leaves(), Some(leaves));
        for (index, (leaf, cell, ..)) in cells.iter().enumerate() {
            prop_assert_eq!(geometry.locate(index as u64), Some(CellAt { leaf: *leaf, cell: *cell }));
        }
        prop_assert_eq!(geometry.locate(cells.len() as u64), None);
        for leaf in 0..leaves {
            let of_leaf: Vec<_> = cells.iter().filter(|cell| cell.0 == leaf).collect();
            let span = geometry.leaf_span(leaf).unwrap();
            prop_assert_eq!(span.cells as usize, of_leaf.len());
            prop_assert_eq!((span.class, span.cell_bytes), (of_leaf[0].2, of_leaf[0].3));
            prop_assert_eq!(span.bytes, span.cells * span.cell_bytes);
        }
        prop_assert_eq!(geometry.leaf_span(leaves), None);
        for leaf in 0..=leaves {
            let before = || cells.iter().filter(|cell| cell.0 < leaf);
            prop_assert_eq!(geometry.cells_before(leaf), Some(before().count() as u64));
            prop_assert_eq!(geometry.bytes_before(leaf), Some(before().map(|cell| u64::from(cell.3)).sum()));
            prop_assert_eq!(geometry.weight_before(leaf), Some(before().map(|cell| classes[cell.2].1).sum()));
        }
        prop_assert_eq!(geometry.cells_before(leaves + 1), None);
        prop_assert_eq!(geometry.weight(), geometry.weight_before(leaves));
        prop_assert_eq!(geometry.bytes(), geometry.bytes_before(leaves));
    }
}

#[test]
fn geometries_beyond_the_limits_are_invalid() {
    let good = Geometry::uniform(1000, 10, 4);
    assert!(good.is_valid());
    let bad = |change: &dyn Fn(&mut Geometry)| {
        let mut geometry = good;
        change(&mut geometry);
        !geometry.is_valid()
    };
    assert!(bad(&|g| g.abi = 2));
    assert!(bad(&|g| g.shard_align = 0));
    assert!(bad(&|g| g.classes = 0));
    assert!(bad(&|g| g.classes = 17));
    assert!(bad(&|g| g.classes = 2));
    assert!(bad(&|g| g.inputs = 5));
    assert!(bad(&|g| g.inputs = 1));
    assert!(bad(&|g| g.input_bytes[0] = 1024));
    assert!(bad(&|g| (g.inputs, g.input_bytes[0]) = (1, 1000)));
    assert!(!bad(&|g| (g.inputs, g.input_bytes[0]) = (1, 1024)));
    assert!(bad(&|g| g.class[1].cells = 1));
    assert!(bad(&|g| g.class[0].cells = 0));
    assert!(bad(&|g| g.class[0].cost = 0));
    assert!(bad(&|g| g.class[0].cells_per_leaf = 0));
    assert!(bad(&|g| g.class[0].cell_bytes = 0));
    assert!(bad(&|g| g.class[0].cell_bytes = 1025));
    assert!(bad(&|g| g.class[0].cost = (1 << 48) / 1000 + 1));
    assert!(bad(&|g| g.class[0].cells = u64::MAX));
    assert!(bad(&|g| g.class[0].cells_per_leaf = u32::MAX));
    // Numbers from a hostile verifier overflow to None, never to a wrong answer or a panic.
    let mut wild = good;
    wild.classes = 16;
    wild.class =
        [CostClass { cells: u64::MAX, cost: u64::MAX, cells_per_leaf: 1, cell_bytes: 9, stage: 0, reserved: 0 }; 16];
    assert_eq!((wild.cells(), wild.leaves(), wild.weight(), wild.bytes()), (None, None, None, None));
}
