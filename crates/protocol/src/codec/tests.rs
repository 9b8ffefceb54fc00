//! Properties of the primitives, and what must be refused.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::messages::api_versions_response::{ApiVersion, SupportedFeatureKey};
use crate::messages::fetch_request::{FetchPartition, FetchTopic};
use crate::messages::produce_request::{PartitionProduceData, TopicProduceData};
use crate::messages::{ApiVersionsResponse, FetchRequest, MetadataRequest, ProduceRequest};

const NAME: &str = "test";

/// An encoder and a decoder of what it wrote, both compact or not.
fn round_trip<T>(
    is_flexible: bool,
    write: impl FnOnce(&mut Encoder),
    read: impl FnOnce(&mut Decoder) -> Result<T, DecodeError>,
) -> T {
    let mut out = Encoder::new();
    out.is_flexible = is_flexible;
    write(&mut out);
    let mut input = Decoder::new(out.into_bytes());
    input.is_flexible = is_flexible;
    let value = read(&mut input).expect("it was written by the encoder");
    input.finish().expect("everything was read");
    value
}

fn decoder(bytes: &[u8], is_flexible: bool) -> Decoder {
    let mut input = Decoder::new(Bytes::copy_from_slice(bytes));
    input.is_flexible = is_flexible;
    input
}

fn encoded<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut out = Encoder::new();
    message.encode(&mut out, version)?;
    Ok(out.into_bytes())
}

fn decoded<M: Message>(bytes: Bytes, version: i16) -> Result<M, DecodeError> {
    let mut input = Decoder::new(bytes);
    let message = M::decode(&mut input, version)?;
    input.finish()?;
    Ok(message)
}

proptest! {
    #[test]
    fn a_varint_takes_7_bits_a_byte_and_comes_back(value: u32) {
        let mut out = Encoder::new();
        out.varint(value);
        let bits = 32 - value.leading_zeros();
        prop_assert_eq!(out.len(), bits.max(1).div_ceil(7) as usize);
        prop_assert_eq!(Decoder::new(out.into_bytes()).varint(NAME), Ok(value));
    }

    #[test]
    fn numbers_come_back(a: i8, b: i16, c: u16, d: i32, e: i64, f in proptest::num::f64::NORMAL, g: bool) {
        let write = |out: &mut Encoder| {
            out.i8(a);
            out.i16(b);
            out.u16(c);
            out.i32(d);
            out.i64(e);
            out.f64(f);
            out.bool(g);
        };
        let read = |input: &mut Decoder| {
            Ok((
                (input.i8(NAME)?, input.i16(NAME)?, input.u16(NAME)?, input.i32(NAME)?),
                (input.i64(NAME)?, input.f64(NAME)?, input.bool(NAME)?),
            ))
        };
        prop_assert_eq!(round_trip(false, write, read), ((a, b, c, d), (e, f, g)));
    }

    #[test]
    fn strings_and_bytes_come_back(text: Option<String>, data: Option<Vec<u8>>, is_flexible: bool) {
        let data = data.map(Bytes::from);
        let write = |out: &mut Encoder| {
            out.nullable_string(NAME, text.as_deref()).expect("short enough");
            out.nullable_bytes(NAME, data.as_ref()).expect("short enough");
        };
        let read = |input: &mut Decoder| Ok((input.nullable_string(NAME)?, input.nullable_bytes(NAME)?));
        let (text_read, data_read) = round_trip(is_flexible, write, read);
        prop_assert_eq!(text_read.as_deref(), text.as_deref());
        prop_assert_eq!(data_read, data);
    }

    #[test]
    fn arrays_come_back(numbers: Option<Vec<i32>>, texts: Vec<String>, is_flexible: bool) {
        let texts: Vec<ByteStr> = texts.into_iter().map(ByteStr::from).collect();
        let write = |out: &mut Encoder| {
            out.nullable_array(NAME, numbers.as_deref(), 0).expect("short enough");
            out.array(NAME, &texts, 0).expect("short enough");
        };
        let read = |input: &mut Decoder| Ok((input.nullable_array(NAME, 0)?, input.array::<ByteStr>(NAME, 0)?));
        prop_assert_eq!(round_trip(is_flexible, write, read), (numbers.clone(), texts.clone()));
    }

    #[test]
    fn unknown_tagged_fields_come_back(fields in proptest::collection::btree_map(any::<u32>(), any::<Vec<u8>>(), 0..200)) {
        let fields: Vec<UnknownTaggedField> =
            fields.into_iter().map(|(tag, data)| UnknownTaggedField { tag, data: data.into() }).collect();
        let write = |out: &mut Encoder| out.unknown_tagged_fields(&fields).expect("sorted");
        prop_assert_eq!(round_trip(true, write, Decoder::unknown_tagged_fields), fields.clone());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, is_flexible: bool) {
        let _ = decoder(&bytes, is_flexible).varint(NAME);
        let _ = decoder(&bytes, is_flexible).nullable_string(NAME);
        let _ = decoder(&bytes, is_flexible).nullable_records(NAME);
        let _ = decoder(&bytes, is_flexible).nullable_array::<ByteStr>(NAME, 0);
        let _ = decoder(&bytes, is_flexible).unknown_tagged_fields();
    }

    #[test]
    fn what_is_not_utf8_is_read_as_java_reads_it(bytes: Vec<u8>) {
        let mut framed = vec![0, bytes.len() as u8];
        framed.extend_from_slice(&bytes[..bytes.len().min(127)]);
        framed[1] = framed.len() as u8 - 2;
        let text = decoder(&framed, false).string(NAME).expect("any bytes are a string");
        prop_assert_eq!(text.as_str(), String::from_utf8_lossy(&framed[2..]));
    }
}

#[test]
fn varints_of_more_than_32_bits_or_5_bytes_are_refused() {
    for bytes in [&[0xff, 0xff, 0xff, 0xff, 0x10][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]] {
        let error = decoder(bytes, true).varint(NAME).unwrap_err();
        assert_eq!(error.problem, DecodeProblem::Varint, "{bytes:x?}");
    }
    assert_eq!(decoder(&[0xff, 0xff, 0xff, 0xff, 0x0f], true).varint(NAME), Ok(u32::MAX));
    assert_eq!(decoder(&[0x81, 0x00], true).varint(NAME), Ok(1), "needless zeros are harmless");
}

#[test]
fn lengths_beyond_the_bytes_left_are_refused_before_anything_is_allocated() {
    let problem =
        |bytes: &[u8], read: fn(&mut Decoder) -> DecodeError| read(&mut decoder(bytes, false)).problem;
    let string = problem(&[0, 5, b'a'], |input| input.string(NAME).unwrap_err());
    assert_eq!(string, DecodeProblem::TooShort { needed: 5, remaining: 1 });
    let bytes = problem(&[0x7f, 0xff, 0xff, 0xff, 1], |input| input.bytes(NAME).unwrap_err());
    assert_eq!(bytes, DecodeProblem::TooShort { needed: 0x7fff_ffff, remaining: 1 });
    let array = problem(&[0, 0, 0, 2, 0, 0, 0, 1], |input| input.array::<i32>(NAME, 0).unwrap_err());
    assert_eq!(array, DecodeProblem::TooMany { count: 2, remaining: 4 });
}

#[test]
fn a_compact_string_longer_than_a_16_bit_length_is_refused() {
    let mut bytes = vec![0x81, 0x80, 0x02]; // 32768, plus one
    bytes.resize(40_000, b'a');
    let error = decoder(&bytes, true).string(NAME).unwrap_err();
    assert_eq!(error.problem, DecodeProblem::StringTooLong { length: 32768 });

    let text = "a".repeat(32768);
    let error = Encoder::new().string(NAME, &text).unwrap_err();
    assert_eq!(error.problem, EncodeProblem::TooLong { length: 32768 });
    Encoder::new().string(NAME, &text[1..]).expect("32767 bytes are allowed");
}

#[test]
fn null_where_the_version_does_not_allow_it_is_refused_both_ways() {
    let request = MetadataRequest { topics: None, ..Default::default() };
    let error = encoded(&request, 0).unwrap_err();
    assert_eq!((error.field, error.problem), ("topics", EncodeProblem::Null));

    let null = encoded(&request, 1).expect("null from version 1 on");
    let error = decoded::<MetadataRequest>(null, 0).unwrap_err();
    assert_eq!((error.field, error.problem), ("topics", DecodeProblem::Null));
}

#[test]
fn a_value_that_the_version_lacks_is_refused_unless_it_is_the_default_or_ignorable() {
    let with = |partition: FetchPartition| FetchRequest {
        topics: vec![FetchTopic { partitions: vec![partition], ..Default::default() }],
        ..Default::default()
    };
    encoded(&with(FetchPartition::default()), 4).expect("nothing is set");
    encoded(&with(FetchPartition { log_start_offset: 7, ..Default::default() }), 4).expect("ignorable");
    let error =
        encoded(&with(FetchPartition { last_fetched_epoch: 7, ..Default::default() }), 11).unwrap_err();
    let expected =
        "cannot write FetchRequest version 11: last_fetched_epoch: set, but this version does not have it";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn an_error_tells_message_version_field_and_problem() {
    let error = decoded::<FetchRequest>(Bytes::from_static(&[0, 0, 0, 1, 0]), 4).unwrap_err();
    let expected = "cannot read FetchRequest version 4: max_wait_ms: 4 bytes are needed and 1 are left";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn bytes_behind_a_message_are_told_by_finish() {
    let bytes = encoded(&MetadataRequest::default(), 4).expect("a default");
    let error = decoded::<MetadataRequest>([&bytes[..], &[1, 2]].concat().into(), 4).unwrap_err();
    assert_eq!(error.problem, DecodeProblem::Trailing { remaining: 2 });
}

/// An ApiVersions response of version 3 with these tagged fields, each with its bytes.
fn tagged(fields: &[(u8, &[u8])]) -> Bytes {
    let mut bytes = vec![0, 0, 1, 0, 0, 0, 0, fields.len() as u8];
    for (tag, data) in fields {
        bytes.extend_from_slice(&[*tag, data.len() as u8]);
        bytes.extend_from_slice(data);
    }
    bytes.into()
}

const EPOCH_7: (u8, &[u8]) = (1, &[0, 0, 0, 0, 0, 0, 0, 7]);
const EPOCH_8: (u8, &[u8]) = (1, &[0, 0, 0, 0, 0, 0, 0, 8]);
const READY: (u8, &[u8]) = (3, &[1]);

#[test]
fn tagged_fields_may_come_in_any_order_and_the_last_of_two_counts() {
    let response: ApiVersionsResponse =
        decoded(tagged(&[READY, EPOCH_7, EPOCH_8]), 3).expect("as Java reads it");
    assert_eq!((response.finalized_features_epoch, response.zk_migration_ready), (8, true));
}

#[test]
fn a_tagged_field_must_take_the_bytes_that_it_announces() {
    let problem = |field| decoded::<ApiVersionsResponse>(tagged(&[field]), 3).unwrap_err().problem;
    assert_eq!(problem((3, &[1, 1])), DecodeProblem::TagLength { tag: 3, remaining: 1 });
    assert_eq!(problem((1, &[0; 7])), DecodeProblem::TooShort { needed: 8, remaining: 7 });
}

#[test]
fn a_tag_that_only_another_version_knows_is_refused() {
    let partition = FetchPartition { high_watermark: 5, ..Default::default() };
    let topics = vec![FetchTopic { partitions: vec![partition], ..Default::default() }];
    let request = FetchRequest { topics, ..Default::default() };
    let of_version_18 = encoded(&request, 18).expect("version 18 has it");
    let error = decoded::<FetchRequest>(of_version_18, 17).unwrap_err();
    assert_eq!(error.problem, DecodeProblem::TagOfOtherVersion { tag: 1 });
}

#[test]
fn unknown_tags_stand_between_known_ones_in_ascending_order() {
    let unknown = |tag| UnknownTaggedField { tag, data: Bytes::from_static(&[0xaa]) };
    let with = |unknown_tagged_fields| ApiVersionsResponse {
        finalized_features_epoch: 7,
        unknown_tagged_fields,
        ..Default::default()
    };
    let bytes = encoded(&with(vec![unknown(0), unknown(9)]), 3).expect("in order");
    assert_eq!(bytes, tagged(&[(0, &[0xaa]), EPOCH_7, (9, &[0xaa])]));

    for tags in [[9, 8], [9, 9], [1, 9]] {
        let error = encoded(&with(tags.map(unknown).into()), 3).unwrap_err();
        assert!(matches!(error.problem, EncodeProblem::TagOrder { .. }), "{tags:?}");
    }
    let error = encoded(&with(vec![unknown(9)]), 2).unwrap_err();
    assert_eq!((error.field, error.problem), ("unknown_tagged_fields", EncodeProblem::Absent));
}

#[test]
fn a_tagged_field_of_any_length_is_framed() {
    for count in [1, 10, 200, 5000] {
        let feature = SupportedFeatureKey { name: "feature.of.some.length".into(), ..Default::default() };
        let supported_features = vec![feature; count];
        let api_keys = vec![ApiVersion::default(); 3];
        let response = ApiVersionsResponse { api_keys, supported_features, ..Default::default() };
        let bytes = encoded(&response, 3).expect("small enough");
        assert_eq!(decoded(bytes, 3), Ok(response), "{count} features");
    }
}

fn produce(records: Records) -> ProduceRequest {
    let partition = PartitionProduceData { records: Some(records), ..Default::default() };
    let topic = TopicProduceData {
        name: "orders".into(),
        partition_data: vec![partition.clone(), partition],
        ..Default::default()
    };
    ProduceRequest { topic_data: vec![topic], ..Default::default() }
}

#[test]
fn record_segments_are_neither_copied_nor_mixed_up() {
    let header = Bytes::from(vec![1; 61]);
    let section = Bytes::from(vec![2; 4096]);
    let request = produce(Records::from_segments([header.clone(), section.clone()]));
    let frame = crate::encode_request(1, None, 9, &request).expect("small enough");
    let shared = frame.segments().iter().filter(|segment| segment.as_ptr() == section.as_ptr()).count();
    assert_eq!(shared, 2, "once for each partition");
    assert_eq!(frame.segments().len(), 5, "what stands before, between and behind them is one segment each");
    assert_eq!(frame.segments().iter().map(Bytes::len).sum::<usize>(), frame.len());

    let bytes = frame.to_bytes();
    assert_eq!(bytes[..4], (bytes.len() as u32 - 4).to_be_bytes());
    let (_, mut body) = crate::decode_request_header(bytes.slice(4..)).expect("a request");
    assert_eq!(ProduceRequest::decode(&mut body, 9), Ok(request));
    body.finish().expect("nothing is left");
}

#[test]
fn shared_segments_keep_their_place_when_lengths_before_them_grow() {
    let section = Bytes::from(vec![2; 4096]);
    let unknown = [UnknownTaggedField { tag: 9, data: section.clone() }];
    let mut out = Encoder::new();
    out.is_flexible = true;
    let mut tags = out.tagged_fields(&unknown).expect("flexible");
    tags.field(3, |out| out.records(NAME, &Records::from(section.clone()))).expect("small enough");
    tags.finish().expect("in order");
    let mut input = decoder(&out.into_bytes(), true);
    let mut tags = input.tagged_fields().expect("two fields");
    assert_eq!(tags.next(&mut input), Ok(Some(3)));
    assert_eq!(input.records(NAME), Ok(Records::from(section.clone())));
    assert_eq!(tags.next(&mut input), Ok(Some(9)));
    assert_eq!(input.unknown_tagged_field(9).data, section);
    assert_eq!(tags.next(&mut input), Ok(None));
}

#[test]
fn decoded_strings_and_records_are_slices_of_the_frame() {
    let request = produce(Records::from(Bytes::from(vec![2; 100])));
    let bytes = encoded(&request, 9).expect("small enough");
    let within = |part: &[u8]| bytes.as_ptr_range().contains(&part.as_ptr());
    let request: ProduceRequest = decoded(bytes.clone(), 9).expect("just written");
    assert!(within(request.topic_data[0].name.as_bytes()));
    let records = request.topic_data[0].partition_data[1].records.as_ref().expect("it has records");
    assert!(within(&records.segments()[0]));
}

#[test]
fn secrets_are_not_printed() {
    use crate::messages::*;
    let secret = Bytes::from_static(b"hunter2");
    let printed = [
        format!("{:?}", SaslAuthenticateRequest { auth_bytes: secret.clone(), ..Default::default() }),
        format!("{:?}", CreateDelegationTokenResponse { hmac: secret.clone(), ..Default::default() }),
        format!(
            "{:?}",
            alter_user_scram_credentials_request::ScramCredentialUpsertion {
                salted_password: secret.clone(),
                ..Default::default()
            }
        ),
        format!(
            "{:?}",
            incremental_alter_configs_request::AlterableConfig {
                name: "ssl.keystore.password".into(),
                value: Some("hunter2".into()),
                ..Default::default()
            }
        ),
        format!("{:?}", produce(Records::from(secret))),
    ];
    for text in printed {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
