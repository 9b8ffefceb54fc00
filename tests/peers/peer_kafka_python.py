"""kafka-python as a peer of the interoperability tests; see README.md."""

import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition


# How long nothing may come.
PATIENCE_S = 60


def from_text(text):
    return None if text == "-" else bytes.fromhex(text[1:])


def to_text(data):
    return "-" if data is None else "x" + data.hex()


def produce(bootstrap, topic, codec):
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec, linger_ms=50, acks="all"
    )
    sent = []
    for line in sys.stdin:
        partition, timestamp, key, value, headers = line.rstrip("\n").split("\t")
        headers = [header.split(":") for header in headers.split(",") if header]
        sent.append(
            producer.send(
                topic,
                partition=int(partition),
                timestamp_ms=int(timestamp),
                key=from_text(key),
                value=from_text(value),
                headers=[(from_text(name).decode(), from_text(data)) for name, data in headers],
            )
        )
    producer.flush(60)
    for future in sent:
        future.get(60)
    producer.close()


def consume(bootstrap, topic, count):
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    partitions = [TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    seen = 0
    last = time.monotonic()
    while seen < count:
        if time.monotonic() - last > PATIENCE_S:
            sys.exit(f"only {seen} of {count} records came")
        for records in consumer.poll(1000).values():
            last = time.monotonic()
            for record in records:
                headers = ",".join(f"{to_text(name.encode())}:{to_text(data)}" for name, data in record.headers)
                fields = [record.offset, record.partition, record.timestamp]
                fields += [to_text(record.key), to_text(record.value), headers]
                print(*fields, sep="\t")
                seen += 1
    consumer.close()


if __name__ == "__main__":
    command, bootstrap, topic, argument = sys.argv[1:]
    if command == "produce":
        produce(bootstrap, topic, argument)
    else:
        consume(bootstrap, topic, int(argument))
