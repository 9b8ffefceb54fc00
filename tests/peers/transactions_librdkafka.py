"""librdkafka consumes, produces and commits in transactions, aborts some, and fences a zombie: BOOTSTRAP INPUT OUTPUT."""

import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer

# How long anything may take.
PATIENCE_S = 60
COUNT = 500


def consumer(bootstrap, group, topic, isolation):
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "isolation.level": isolation,
    }
    subscribed = Consumer(settings)
    subscribed.subscribe([topic])
    return subscribed


def transactional(bootstrap, transactional_id):
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": transactional_id})
    producer.init_transactions(PATIENCE_S)
    return producer


def messages(source, count):
    """The next messages, as many as there are but no more than count."""
    got = source.consume(count, 1.0)
    for message in got:
        if message.error():
            sys.exit(f"consuming: {message.error()}")
    return got


def copy(bootstrap, source_topic, target_topic):
    producer = transactional(bootstrap, f"{source_topic}-copier")
    source = consumer(bootstrap, f"{source_topic}-copiers", source_topic, "read_committed")
    copied = aborted = 0
    deadline = time.monotonic() + PATIENCE_S
    while copied < COUNT:
        if time.monotonic() > deadline:
            sys.exit(f"only {copied} of {COUNT} were copied")
        chunk = messages(source, 50)
        if not chunk:
            continue
        producer.begin_transaction()
        for message in chunk:
            producer.produce(target_topic, key=message.key(), value=message.value())
        if aborted < 3:
            producer.abort_transaction(PATIENCE_S)
            aborted += 1
            # Again from what was committed.
            source.close()
            source = consumer(bootstrap, f"{source_topic}-copiers", source_topic, "read_committed")
            continue
        producer.send_offsets_to_transaction(
            source.position(source.assignment()), source.consumer_group_metadata(), PATIENCE_S
        )
        producer.commit_transaction(PATIENCE_S)
        copied += len(chunk)
    source.close()


def read_all(bootstrap, topic, isolation, count):
    source = consumer(bootstrap, f"{topic}-{isolation}", topic, isolation)
    values = []
    deadline = time.monotonic() + PATIENCE_S
    while len(values) < count and time.monotonic() < deadline:
        values += [message.value() for message in messages(source, 100)]
    values += [message.value() for message in messages(source, 100)]
    source.close()
    return values


def zombies_are_fenced(bootstrap, topic):
    old = transactional(bootstrap, f"{topic}-zombie")
    old.begin_transaction()
    old.produce(topic, value=b"of a zombie")
    old.flush(PATIENCE_S)
    new = transactional(bootstrap, f"{topic}-zombie")
    try:
        old.commit_transaction(PATIENCE_S)
    except KafkaException as error:
        if not error.args[0].fatal():
            sys.exit(f"the zombie may go on: {error}")
    else:
        sys.exit("the zombie committed")
    new.begin_transaction()
    new.produce(topic, value=b"last")
    new.commit_transaction(PATIENCE_S)


def main(bootstrap, source_topic, target_topic):
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(COUNT):
        producer.produce(source_topic, key=b"%d" % (number % 10), value=b"%d" % number)
    producer.flush(PATIENCE_S)
    copy(bootstrap, source_topic, target_topic)
    zombies_are_fenced(bootstrap, target_topic)
    committed = read_all(bootstrap, target_topic, "read_committed", COUNT + 1)
    if sorted(committed) != sorted([b"%d" % number for number in range(COUNT)] + [b"last"]):
        sys.exit(f"committed: {len(committed)} values, {len(set(committed))} different ones")
    everything = read_all(bootstrap, target_topic, "read_uncommitted", COUNT + 2)
    if len(everything) <= len(committed):
        sys.exit("what was aborted is not in the log at all")


if __name__ == "__main__":
    main(*sys.argv[1:])
