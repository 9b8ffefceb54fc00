"""librdkafka fills a topic with records inside and outside of transactions, interleaved: begin|end BOOTSTRAP TOPIC PARTITIONS.

`begin` leaves a transaction open, and goes on with others behind its first records. `end` aborts it, by taking its transactional id
over, and writes one record more. Values begin with what became of them: plain, committed, aborted, open, behind (committed, behind
the first records of the one that is open), last.
"""

import sys

from confluent_kafka import Producer

PATIENCE_S = 60
ROUNDS = 20
# Longer than any test, so that the coordinator does not abort what is left open by itself.
TRANSACTION_TIMEOUT_MS = 600_000


class Writer:
    def __init__(self, bootstrap, topic, partitions, transactional_id=None):
        settings = {"bootstrap.servers": bootstrap, "linger.ms": 0}
        if transactional_id:
            settings["transactional.id"] = f"{topic}-{transactional_id}"
            settings["transaction.timeout.ms"] = TRANSACTION_TIMEOUT_MS
        self.producer = Producer(settings)
        self.topic, self.partitions = topic, partitions
        if transactional_id:
            self.producer.init_transactions(PATIENCE_S)

    def write(self, what):
        """One record to every partition, in the log when this returns."""
        failures = []

        def delivered(error, _message):
            if error:
                failures.append(error)

        for partition in range(self.partitions):
            self.producer.produce(self.topic, value=what.encode(), partition=partition, on_delivery=delivered)
        left = self.producer.flush(PATIENCE_S)
        if left or failures:
            sys.exit(f"{what}: {left} not written, {failures}")

    def in_transaction(self, what, commit):
        self.producer.begin_transaction()
        self.write(what)
        self.end(commit)

    def end(self, commit):
        if commit:
            self.producer.commit_transaction(PATIENCE_S)
        else:
            self.producer.abort_transaction(PATIENCE_S)


def begin(bootstrap, topic, partitions):
    def writer(transactional_id=None):
        return Writer(bootstrap, topic, partitions, transactional_id)

    plain, committing, aborting, leaving = writer(), writer("commits"), writer("aborts"), writer("leaves")
    for number in range(ROUNDS):
        committing.producer.begin_transaction()
        aborting.producer.begin_transaction()
        for step in range(3):
            committing.write(f"committed-{number}-{step}")
            aborting.write(f"aborted-{number}-{step}")
            plain.write(f"plain-{number}-{step}")
        # Markers in either order.
        ends = [(committing, True), (aborting, False)]
        for ending, commit in ends if number % 2 else reversed(ends):
            ending.end(commit)
    leaving.producer.begin_transaction()
    leaving.write("open-0")
    committing.in_transaction("behind-0", commit=True)
    aborting.in_transaction("aborted-behind", commit=False)
    leaving.write("open-1")


def end(bootstrap, topic, partitions):
    # Aborts what its predecessor left open.
    writer = Writer(bootstrap, topic, partitions, "leaves")
    writer.in_transaction("last-0", commit=True)


if __name__ == "__main__":
    what, bootstrap, topic, partitions = sys.argv[1:]
    {"begin": begin, "end": end}[what](bootstrap, topic, int(partitions))
