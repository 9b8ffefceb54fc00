"""Two kafka-python consumers share a group, one leaves, and another resumes where the group committed: BOOTSTRAP TOPIC."""

import sys
import time

from kafka import KafkaConsumer, KafkaProducer

# How long anything may take.
PATIENCE_S = 60
PARTITIONS = 6


class Member:
    def __init__(self, bootstrap, topic, group):
        self.consumer = KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=500,
        )
        self.values = []

    def poll(self):
        for records in self.consumer.poll(100).values():
            self.values += [record.value for record in records]

    def owned(self):
        return len(self.consumer.assignment())

    def at_the_end(self):
        """Whether it has read what it owns now; it may have read what the other owns before they shared."""
        ends = self.consumer.end_offsets(self.consumer.assignment())
        return all(self.consumer.position(partition) == end for partition, end in ends.items())


def until(what, members, condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"not in time: {what}; {[(member.owned(), len(member.values)) for member in members]}")
        for member in members:
            member.poll()


def produce(bootstrap, topic, values):
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=5)
    sent = [producer.send(topic, key=value, value=value) for value in values]
    for future in sent:
        future.get(PATIENCE_S)
    producer.close()


def main(bootstrap, topic):
    group = f"{topic}-group"
    first_half = [b"%d" % number for number in range(600)]
    produce(bootstrap, topic, first_half)
    one = Member(bootstrap, topic, group)
    until("the first owns everything", [one], lambda: one.owned() == PARTITIONS)
    two = Member(bootstrap, topic, group)
    both = [one, two]
    until("they share", both, lambda: one.owned() == two.owned() == PARTITIONS // 2)
    until("everything is read", both, lambda: one.at_the_end() and two.at_the_end())
    if set(one.values) | set(two.values) != set(first_half):
        sys.exit("they did not read what was produced")
    for member in both:
        member.consumer.commit()
    two.consumer.close()
    until("the first owns everything again", [one], lambda: one.owned() == PARTITIONS)
    one.consumer.close()

    second_half = [b"%d" % number for number in range(600, 900)]
    produce(bootstrap, topic, second_half)
    three = Member(bootstrap, topic, group)
    until("the rest is read", [three], lambda: len(three.values) >= len(second_half))
    if sorted(three.values) != sorted(second_half):
        sys.exit("it did not resume where the group had committed")
    three.consumer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
