"""librdkafka, by confluent-kafka, as a peer of the interoperability tests; see README.md."""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition


# How long nothing may come.
PATIENCE_S = 60


def from_text(text):
    return None if text == "-" else bytes.fromhex(text[1:])


def to_text(data):
    return "-" if data is None else "x" + data.hex()


def produce(bootstrap, topic, codec):
    failures = []
    producer = Producer(
        {"bootstrap.servers": bootstrap, "compression.codec": codec, "linger.ms": 50, "enable.idempotence": True}
    )

    def delivered(error, _message):
        if error is not None:
            failures.append(str(error))

    for line in sys.stdin:
        partition, timestamp, key, value, headers = line.rstrip("\n").split("\t")
        headers = [header.split(":") for header in headers.split(",") if header]
        producer.produce(
            topic,
            partition=int(partition),
            timestamp=int(timestamp),
            key=from_text(key),
            value=from_text(value),
            headers=[(from_text(name).decode(), from_text(data)) for name, data in headers],
            on_delivery=delivered,
        )
        producer.poll(0)
    if producer.flush(60) > 0 or failures:
        sys.exit(f"not all delivered: {failures[:3]}")


def consume(bootstrap, topic, count):
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, "check.crcs": True}
    )
    partitions = consumer.list_topics(topic, 30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    seen = 0
    last = time.monotonic()
    while seen < count:
        message = consumer.poll(1)
        if message is None:
            if time.monotonic() - last > PATIENCE_S:
                sys.exit(f"only {seen} of {count} records came")
            continue
        last = time.monotonic()
        if message.error():
            sys.exit(str(message.error()))
        headers = ",".join(f"{to_text(name.encode())}:{to_text(data)}" for name, data in message.headers() or [])
        fields = [message.offset(), message.partition(), message.timestamp()[1]]
        fields += [to_text(message.key()), to_text(message.value()), headers]
        print(*fields, sep="\t")
        seen += 1
    consumer.close()


if __name__ == "__main__":
    command, bootstrap, topic, argument = sys.argv[1:]
    if command == "produce":
        produce(bootstrap, topic, argument)
    else:
        consume(bootstrap, topic, int(argument))
