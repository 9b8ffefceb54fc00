use super::*;
use proptest::prelude::*;

const LIMIT: usize = 8 << 20;

/// The `text` of tests/golden/lz4/make.sh.
fn text(lines: usize) -> Vec<u8> {
    let line = |i: usize| match i % 1000 {
        0 => format!("user {i} checks out\n"),
        _ => "a user views a product\n".to_owned(),
    };
    (0..lines).flat_map(|i| line(i).into_bytes()).collect()
}

/// The `noise` of tests/golden/lz4/make.sh.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(69_069).wrapping_add(1);
        33 + ((state >> 16) % 94) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn compress(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Lz4::default().compress(input, None, &mut out).unwrap();
    out
}

fn decompress(input: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    Lz4::default().decompress(input, &mut out, LIMIT)?;
    Ok(out)
}

#[test]
fn xxh32_check_values() {
    assert_eq!(xxh32(b""), 0x02cc_5d05);
    assert_eq!(xxh32(b"a"), 0x550d_7456);
    assert_eq!(xxh32(b"abc"), 0x32d1_53ff);
    assert_eq!(xxh32(b"Nobody inspects the spammish repetition"), 0xe229_3b2f);
}

#[test]
fn frames_of_other_programs_are_read() {
    macro_rules! frame {
        ($name:literal, $content:expr) => {
            ($name, &include_bytes!(concat!("../../../tests/golden/lz4/", $name))[..], $content)
        };
    }
    for (name, frame, content) in [
        frame!("4mib-independent.lz4", text(200_000)),
        frame!("4mib-linked.lz4", text(200_000)),
        frame!("4mib-linked-high.lz4", text(200_000)),
        frame!("64kib-linked-block-checksums.lz4", text(20_000)),
        frame!("256kib-independent-block-checksums.lz4", text(20_000)),
        frame!("1mib-linked-high.lz4", text(60_000)),
        frame!("content-size.lz4", text(20_000)),
        frame!("python.lz4", text(20_000)),
        frame!("incompressible.lz4", noise(70_000)),
        frame!("empty.lz4", vec![]),
    ] {
        assert!(decompress(frame).unwrap() == content, "{name}");
    }
}

#[test]
fn frames_that_follow_each_other_are_read_and_skippable_ones_skipped() {
    let skippable = [&0x184d_2a5fu32.to_le_bytes()[..], &3u32.to_le_bytes(), b"abc"].concat();
    let frames = [&compress(b"one, "), &skippable, &compress(b"two")].map(|frame| &frame[..]).concat();
    assert_eq!(decompress(&frames).unwrap(), b"one, two");
    assert_eq!(decompress(&[&frames[..], b"and something else"].concat()).unwrap(), b"one, two");
    assert_eq!(decompress(&skippable), Err(corrupt(CUT_OFF)));
}

#[test]
fn the_header_checksum_of_old_clients_is_accepted() {
    let mut frame = compress(b"checkout");
    frame[6] = broken_header_checksum(&WRITTEN_DESCRIPTOR);
    assert_eq!(decompress(&frame).unwrap(), b"checkout");
    frame[6] ^= 1;
    assert_eq!(decompress(&frame), Err(corrupt("the frame's header checksum does not match")));
}

#[test]
fn frames_are_written_as_java_writes_them() {
    let content = [text(5000), noise(1000)].concat();
    let frame = compress(&content);
    assert_eq!(frame[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    assert_eq!(frame[frame.len() - 4..], [0; 4]);
    let mut blocks = 0;
    let mut rest = &frame[7..];
    while let Some((size, after)) = rest.split_first_chunk::<4>().filter(|(size, _)| **size != [0; 4]) {
        rest = &after[(u32::from_le_bytes(*size) & !UNCOMPRESSED) as usize..];
        blocks += 1;
    }
    assert_eq!(blocks, content.len().div_ceil(64 << 10));
}

#[test]
fn damaged_checksums_and_sizes_are_found() {
    let frame = include_bytes!("../../../tests/golden/lz4/python.lz4");
    let damaged = |at: usize| {
        let mut frame = frame.to_vec();
        frame[at] ^= 1;
        decompress(&frame).unwrap_err().to_string()
    };
    assert_eq!(damaged(frame.len() - 1), "corrupt lz4 data: the content's checksum does not match");
    assert_eq!(damaged(frame.len() - 9), "corrupt lz4 data: a block's checksum does not match");
    assert_eq!(damaged(30), "corrupt lz4 data: a block's checksum does not match");

    let mut frame = frame.to_vec();
    frame[6] ^= 1;
    frame[14] = header_checksum(&frame[4..14]);
    let error = decompress(&frame).unwrap_err().to_string();
    assert_eq!(error, "corrupt lz4 data: the content is not as long as its frame says");
}

#[test]
fn the_limit_is_exact() {
    for content in [text(10_000), noise(70_000)] {
        let frame = compress(&content);
        let decompress = |limit| Lz4::default().decompress(&frame, &mut Vec::new(), limit);
        assert_eq!(decompress(content.len()), Ok(()));
        let limit = content.len() - 1;
        assert_eq!(
            decompress(limit),
            Err(CodecError::LimitExceeded { compression: Compression::Lz4, limit })
        );
    }
}

proptest! {
    #[test]
    fn content_of_several_blocks_comes_back(lines in 0usize..20_000, noises in 0usize..70_000) {
        let content = [text(lines), noise(noises)].concat();
        prop_assert!(decompress(&compress(&content)).unwrap() == content);
    }
}
