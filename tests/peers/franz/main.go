// franz-go as a peer: groups, transactions. See ../README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// How long a scenario may take.
const patience = 90 * time.Second

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "group":
		return group(ctx, args[1], args[2])
	case len(args) == 4 && args[0] == "transactions":
		return transactions(ctx, args[1], args[2], args[3])
	}
	return errors.New("group BOOTSTRAP TOPIC, or transactions BOOTSTRAP INPUT OUTPUT")
}

func seeds(bootstrap string) kgo.Opt {
	return kgo.SeedBrokers(strings.Split(bootstrap, ",")...)
}

// Produces the numbers from first up to end, keyed by themselves.
func produce(ctx context.Context, bootstrap, topic string, first, end int) error {
	client, err := kgo.NewClient(seeds(bootstrap), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		return err
	}
	defer client.Close()
	var records []*kgo.Record
	for number := first; number < end; number++ {
		text := []byte(strconv.Itoa(number))
		records = append(records, &kgo.Record{Topic: topic, Key: text, Value: text})
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

type member struct {
	client *kgo.Client
	values map[string]int
}

func join(bootstrap, topic string) (*member, error) {
	client, err := kgo.NewClient(seeds(bootstrap), kgo.ConsumerGroup(topic+"-group"), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.HeartbeatInterval(500*time.Millisecond))
	return &member{client, map[string]int{}}, err
}

func (m *member) poll(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	fetches := m.client.PollFetches(short)
	for _, failure := range fetches.Errors() {
		if !errors.Is(failure.Err, context.DeadlineExceeded) {
			return failure.Err
		}
	}
	fetches.EachRecord(func(record *kgo.Record) { m.values[string(record.Value)]++ })
	return ctx.Err()
}

// How far the partitions that it owns are read, added up, if nothing is committed yet.
func (m *member) progress() int {
	sum := 0
	for _, partitions := range m.client.UncommittedOffsets() {
		for _, next := range partitions {
			sum += int(next.Offset)
		}
	}
	return sum
}

// Polls until the members are at the end of what they own. What one has read and not committed before it gave a
// partition away is the other's to read again.
func shared(ctx context.Context, count int, members ...*member) error {
	for {
		read := 0
		for _, m := range members {
			if err := m.poll(ctx); err != nil {
				return fmt.Errorf("%d of %d read: %w", read, count, err)
			}
			read += m.progress()
		}
		if read == count {
			return nil
		}
	}
}

// Polls until so many different values are read.
func (m *member) read(ctx context.Context, count int) error {
	for len(m.values) < count {
		if err := m.poll(ctx); err != nil {
			return fmt.Errorf("%d of %d read: %w", len(m.values), count, err)
		}
	}
	return nil
}

func group(ctx context.Context, bootstrap, topic string) error {
	one, err := join(bootstrap, topic)
	if err != nil {
		return err
	}
	two, err := join(bootstrap, topic)
	if err != nil {
		return err
	}
	// Until both own something, in rounds: what is read before the second has joined is the first's.
	count := 0
	for round := 0; len(two.values) == 0 || len(one.values) == 0; round++ {
		if err := produce(ctx, bootstrap, topic, count, count+300); err != nil {
			return err
		}
		count += 300
		members := []*member{one, two}
		deadline := time.Now().Add(3 * time.Second)
		for time.Now().Before(deadline) {
			for _, m := range members {
				if err := m.poll(ctx); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
			}
		}
	}
	if err := shared(ctx, count, one, two); err != nil {
		return err
	}
	for _, m := range []*member{one, two} {
		if err := m.client.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		m.client.Close()
	}
	if err := produce(ctx, bootstrap, topic, count, count+100); err != nil {
		return err
	}
	three, err := join(bootstrap, topic)
	if err != nil {
		return err
	}
	defer three.client.Close()
	if err := three.read(ctx, 100); err != nil {
		return fmt.Errorf("the one that resumes: %w", err)
	}
	for value := range three.values {
		if number, err := strconv.Atoi(value); err != nil || number < count {
			return fmt.Errorf("%q was read again, although it was committed", value)
		}
	}
	return nil
}

func transactions(ctx context.Context, bootstrap, input, output string) error {
	const count = 500
	if err := produce(ctx, bootstrap, input, 0, count); err != nil {
		return err
	}
	session, err := kgo.NewGroupTransactSession(seeds(bootstrap), kgo.TransactionalID(input+"-copier"),
		kgo.ConsumerGroup(input+"-copiers"), kgo.ConsumeTopics(input), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RequireStableFetchOffsets(), kgo.DefaultProduceTopic(output))
	if err != nil {
		return err
	}
	defer session.Close()
	copied, aborted := 0, 0
	for copied < count {
		fetches := session.PollRecords(ctx, 50)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%d copied: %w", copied, err)
		}
		if err := session.Begin(); err != nil {
			return err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			session.Produce(ctx, &kgo.Record{Key: record.Key, Value: record.Value}, nil)
		})
		end := kgo.TryCommit
		if aborted < 3 {
			end, aborted = kgo.TryAbort, aborted+1
		}
		committed, err := session.End(ctx, end)
		if err != nil {
			return err
		}
		if committed {
			copied += fetches.NumRecords()
		}
	}
	committed, err := read(ctx, bootstrap, output, count, kgo.ReadCommitted())
	if err != nil {
		return err
	}
	if len(committed) != count {
		return fmt.Errorf("%d different values are committed, not %d", len(committed), count)
	}
	for value, times := range committed {
		if times != 1 {
			return fmt.Errorf("%q is committed %d times", value, times)
		}
	}
	return nil
}

// What can be read of a topic; at least count records, and what comes within a second after them.
func read(ctx context.Context, bootstrap, topic string, count int, isolation kgo.IsolationLevel) (map[string]int, error) {
	client, err := kgo.NewClient(seeds(bootstrap), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(isolation))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	m := &member{client, map[string]int{}}
	for len(m.values) < count {
		if err := m.poll(ctx); err != nil {
			return nil, fmt.Errorf("%d of %d read: %w", len(m.values), count, err)
		}
	}
	for range 10 {
		if err := m.poll(ctx); err != nil {
			return nil, err
		}
	}
	return m.values, nil
}
