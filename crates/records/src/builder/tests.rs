use super::*;
use proptest::prelude::*;

const VALUE_100: RecordParts<'static> = RecordParts {
    timestamp: 1_700_000_000_000,
    key: Some(b"user-00000000042"),
    value: Some(&[b'x'; 100]),
    headers: &[],
};

#[test]
fn the_limit_counts_the_whole_batch_and_is_not_exceeded() {
    let record_len = {
        let mut builder = BatchBuilder::new(BytesMut::new(), usize::MAX);
        builder.try_append(&VALUE_100).unwrap();
        builder.size() - BATCH_HEADER_LEN
    };
    for (slack, fits) in [(0, 3), (1, 3), (record_len - 1, 3), (record_len, 4)] {
        let limit = BATCH_HEADER_LEN + 3 * record_len + slack;
        let mut builder = BatchBuilder::new(BytesMut::with_capacity(limit), limit);
        while builder.try_append(&VALUE_100).is_ok() {}
        assert_eq!(builder.record_count(), fits, "{slack}");
        assert_eq!(builder.size(), BATCH_HEADER_LEN + fits as usize * record_len);
        assert!(builder.size() <= limit);
    }
}

#[test]
fn a_full_batch_is_as_it_was_before_the_record_that_did_not_fit() {
    let mut builder = BatchBuilder::new(BytesMut::new(), 320);
    assert_eq!(builder.try_append(&VALUE_100), Ok(0));
    let before = format!("{builder:?}");
    let later = RecordParts { timestamp: VALUE_100.timestamp + 1, value: Some(&[0; 200]), ..VALUE_100 };
    assert_eq!(builder.try_append(&later), Err(BatchFull));
    assert_eq!(format!("{builder:?}"), before);
    assert_eq!(builder.try_append(&VALUE_100), Ok(1));
}

#[test]
fn the_first_record_is_taken_whatever_its_size_and_the_only_one_then() {
    let value = vec![1; 100_000];
    let mut builder = BatchBuilder::new(BytesMut::with_capacity(100), 100);
    assert_eq!(builder.try_append(&RecordParts { value: Some(&value), ..RecordParts::default() }), Ok(0));
    assert_eq!(builder.try_append(&RecordParts::default()), Err(BatchFull));
    assert_eq!(builder.record_count(), 1);
}

#[test]
fn a_used_buffer_shows_nothing_of_what_was_in_it() {
    let fill = |buffer| {
        let mut builder = BatchBuilder::new(buffer, 16_384);
        let headers = [HeaderRef { key: "k", value: None }];
        while builder.try_append(&RecordParts { headers: &headers, ..VALUE_100 }).is_ok() {}
        builder.seal(&Codec::NONE, &mut Scratch::new()).unwrap()
    };
    let expected = fill(BytesMut::new()).section().clone();
    let used = BytesMut::from(&[0xff; 20_000][..]);
    assert_eq!(fill(used).section(), &expected);
    let mut short = BytesMut::with_capacity(16_384);
    short.resize(100, 0xff);
    assert_eq!(fill(short).section(), &expected);
}

proptest! {
    #[test]
    fn no_record_exceeds_its_upper_bound(
        timestamps: [i64; 3],
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
        headers in prop::collection::vec((".{0,3}", any::<Option<Vec<u8>>>()), 0..3),
    ) {
        let headers: Vec<_> =
            headers.iter().map(|(key, value)| HeaderRef { key, value: value.as_deref() }).collect();
        let record =
            RecordParts { timestamp: 0, key: key.as_deref(), value: value.as_deref(), headers: &headers };
        let mut builder = BatchBuilder::new(BytesMut::new(), usize::MAX);
        for timestamp in timestamps {
            let before = builder.size();
            builder.try_append(&RecordParts { timestamp, ..record }).unwrap();
            let record_len = builder.size() - before;
            prop_assert!(BATCH_HEADER_LEN + record_len <= BatchBuilder::upper_bound(&record));
        }
    }
}

#[test]
fn a_reserved_buffer_takes_no_more_than_was_reserved() {
    let mut builder = BatchBuilder::new(BytesMut::new(), 64 << 10);
    let value = [0; 1_000];
    for size in [4 << 10, 8 << 10, 16 << 10, 64 << 10] {
        builder.reserve(size);
        let parts = RecordParts { value: Some(&value), ..Default::default() };
        while builder.size() + BatchBuilder::upper_bound(&parts) <= size {
            builder.try_append(&parts).unwrap();
        }
        let capacity = builder.buffer.capacity();
        assert!(capacity <= size, "{capacity} bytes for a batch of {size}");
    }
    assert_eq!(builder.record_count(), 64);
}
