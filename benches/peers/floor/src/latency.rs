use bytes::BytesMut;
use milena_producer::partitioner::KeyHash;
use milena_records::{BatchBuilder, Codec, ProducerStamp, Scratch};
use peer_common::{Args, OneByOne, Result, pool};

use crate::CLIENT;
use crate::produce::{check, headers, now_ms, partition_data, parts, request};
use crate::socket::Socket;

/// One record, one request, one answer, again and again. Without idempotence: it has no producer id that a real broker gave.
pub(crate) fn run(args: &Args) -> Result<()> {
    let pool = pool(args.size, args.headers);
    let mut scratch = Scratch::new();
    let mut buffer = BytesMut::with_capacity(args.batch_bytes);
    let mut clock = OneByOne::start(args);
    let mut socket = Socket::connect(&args.bootstrap)?;
    while let Some(number) = clock.next() {
        let event = &pool[number % pool.len()];
        let headers = args.headers.then(|| headers(event));
        let headers = headers.as_ref().map_or(&[][..], |headers| headers);
        let mut builder = BatchBuilder::new(std::mem::take(&mut buffer), args.batch_bytes);
        builder.try_append(&parts(event, now_ms(), headers))?;
        let batch = builder.seal(&Codec::NONE, &mut scratch)?;
        let index = KeyHash::Murmur2.partition(event.key.as_bytes(), args.partitions);
        socket.write(&request(&args.topic, vec![partition_data(index, &batch, &ProducerStamp::NONE)])?)?;
        buffer = batch.recycle().unwrap_or_default();
        let answer = socket.read()?;
        check(answer.clone())?;
        socket.give_back(answer);
        clock.acknowledged();
    }
    clock.report(CLIENT);
    Ok(())
}
