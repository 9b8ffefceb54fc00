"""Two librdkafka consumers share a group, one leaves, and another resumes where the group committed: BOOTSTRAP TOPIC PROTOCOL."""

import sys
import time

from confluent_kafka import Consumer, Producer

# How long anything may take.
PATIENCE_S = 60
PARTITIONS = 6


class Member:
    def __init__(self, bootstrap, group, protocol):
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "group.protocol": protocol,
        }
        if protocol == "classic":
            settings["partition.assignment.strategy"] = "cooperative-sticky"
        self.consumer = Consumer(settings)
        self.values = []

    def poll(self):
        message = self.consumer.poll(0.1)
        if message is None:
            return
        if message.error():
            sys.exit(f"consuming: {message.error()}")
        self.values.append(message.value())

    def owned(self):
        return len(self.consumer.assignment())

    def at_the_end(self):
        """Whether it has read what it owns now; it may have read what the other owns before they shared."""
        positions = self.consumer.position(self.consumer.assignment())
        ends = [self.consumer.get_watermark_offsets(it, cached=True)[1] for it in positions]
        return all(it.offset == end > 0 for it, end in zip(positions, ends))


def until(what, members, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"not in time: {what}; {[(member.owned(), len(member.values)) for member in members]}")
        for member in members:
            member.poll()


def produce(bootstrap, topic, values):
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
    for value in values:
        producer.produce(topic, key=value, value=value)
        producer.poll(0)
    if producer.flush(PATIENCE_S) > 0:
        sys.exit("not everything was produced")


def main(bootstrap, topic, protocol):
    group = f"{topic}-group"
    first_half = [b"%d" % number for number in range(600)]
    produce(bootstrap, topic, first_half)
    one, two = Member(bootstrap, group, protocol), Member(bootstrap, group, protocol)
    one.consumer.subscribe([topic])
    until("the first owns everything", [one], lambda: one.owned() == PARTITIONS)
    two.consumer.subscribe([topic])
    both = [one, two]
    until("they share", both, lambda: one.owned() == two.owned() == PARTITIONS // 2)
    until("everything is read", both, lambda: one.at_the_end() and two.at_the_end())
    if set(one.values) | set(two.values) != set(first_half):
        sys.exit("they did not read what was produced")
    for member in both:
        member.consumer.commit(asynchronous=False)
    two.consumer.close()
    until("the first owns everything again", [one], lambda: one.owned() == PARTITIONS)
    one.consumer.close()

    second_half = [b"%d" % number for number in range(600, 900)]
    produce(bootstrap, topic, second_half)
    three = Member(bootstrap, group, protocol)
    three.consumer.subscribe([topic])
    until("the rest is read", [three], lambda: len(three.values) >= len(second_half))
    if sorted(three.values) != sorted(second_half):
        sys.exit("it did not resume where the group had committed")
    three.consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
