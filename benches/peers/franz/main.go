// Measures franz-go, with the command line and the line of JSON of `milena bench`.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	bufferedRecords = 500_000
	bufferedBytes   = 64 << 20
	fetchWait       = 100 * time.Millisecond
	partitionBytes  = 1 << 20
	settling        = 2 * time.Second
)

// options is the command line.
type options struct {
	operation, bootstrap, topic, compression    string
	records, warmup, size, batchBytes, inflight int
	lingerMs, partitions, rate                  int
	idempotent, headers                         bool
}

func main() {
	log.SetFlags(0)
	o := parse(os.Args[1:])
	switch o.operation {
	case "produce":
		produce(o)
	case "consume":
		consume(o)
	case "latency":
		latency(o)
	case "first":
		o.records, o.warmup = 1, 0
		latency(o)
	case "e2e":
		endToEnd(o)
	default:
		log.Fatalf("unknown operation %q", o.operation)
	}
}

func parse(words []string) *options {
	if len(words) == 0 {
		log.Fatal("an operation is missing: produce, consume, latency, e2e or first")
	}
	o := &options{operation: words[0]}
	flags := flag.NewFlagSet("peer-franz", flag.ExitOnError)
	flags.StringVar(&o.bootstrap, "bootstrap", "", "host:port")
	flags.StringVar(&o.topic, "topic", "bench", "")
	flags.StringVar(&o.compression, "compression", "none", "")
	flags.IntVar(&o.records, "records", 1_000_000, "")
	flags.IntVar(&o.warmup, "warmup", 0, "")
	flags.IntVar(&o.size, "size", 100, "")
	flags.IntVar(&o.batchBytes, "batch-bytes", 65_536, "")
	flags.IntVar(&o.inflight, "inflight", 5, "")
	flags.IntVar(&o.lingerMs, "linger-ms", 5, "")
	flags.IntVar(&o.partitions, "partitions", 6, "")
	flags.IntVar(&o.rate, "rate", 1_000, "")
	flags.BoolVar(&o.idempotent, "idempotent", false, "")
	flags.BoolVar(&o.headers, "headers", false, "")
	acks := flags.String("acks", "all", "only all is measured")
	_ = flags.Parse(words[1:]) // ends the process at a mistake
	if *acks != "all" {
		log.Fatal("only --acks all is measured")
	}
	return o
}

func (o *options) producer() *kgo.Client {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	config := []kgo.Opt{
		kgo.SeedBrokers(o.bootstrap),
		kgo.DefaultProduceTopic(o.topic),
		kgo.ProducerLinger(time.Duration(o.lingerMs) * time.Millisecond),
		kgo.ProducerBatchMaxBytes(int32(o.batchBytes)),
		kgo.ProducerBatchCompression(codecs[o.compression]),
		kgo.MaxBufferedRecords(bufferedRecords),
		kgo.MaxBufferedBytes(bufferedBytes),
	}
	// An idempotent producer bounds what is in flight itself.
	if !o.idempotent {
		config = append(config, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(o.inflight))
	}
	return client(config)
}

func (o *options) consumer(at kgo.Offset) *kgo.Client {
	partitions := make(map[int32]kgo.Offset, o.partitions)
	for partition := range o.partitions {
		partitions[int32(partition)] = at
	}
	return client([]kgo.Opt{
		kgo.SeedBrokers(o.bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{o.topic: partitions}),
		kgo.FetchMaxWait(fetchWait),
		kgo.FetchMaxPartitionBytes(partitionBytes),
	})
}

func client(config []kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(config...)
	check(err)
	return made
}

func (o *options) record(events []event, number int) *kgo.Record {
	event := &events[number%len(events)]
	record := &kgo.Record{Key: event.key, Value: event.value}
	if o.headers {
		record.Headers = event.headers
	}
	return record
}

func produce(o *options) {
	events := pool(o.size)
	producer := o.producer()
	var pending sync.WaitGroup
	acknowledged := func(_ *kgo.Record, err error) {
		check(err)
		pending.Done()
	}
	send := func(from, to int) {
		pending.Add(to - from)
		for number := from; number < to; number++ {
			producer.Produce(context.Background(), o.record(events, number), acknowledged)
		}
		pending.Wait()
	}
	send(0, o.warmup)
	meter := start()
	send(o.warmup, o.warmup+o.records)
	meter.report(o, o.records, o.records*(o.size+keyLength), nil, 0)
}

func consume(o *options) {
	consumer := o.consumer(kgo.NewOffset().AtStart())
	read := func(wanted int) (records, bytes int) {
		for records < wanted {
			fetches := consumer.PollFetches(context.Background())
			check(fetches.Err())
			fetches.EachRecord(func(record *kgo.Record) {
				records++
				bytes += len(record.Key) + len(record.Value)
			})
		}
		return records, bytes
	}
	read(o.warmup)
	meter := start()
	records, bytes := read(o.records)
	meter.report(o, records, bytes, nil, 0)
}

func latency(o *options) {
	events := pool(o.size)
	latencies := make([]time.Duration, 0, o.records)
	var firstAck time.Duration
	meter := start()
	connecting := time.Now()
	producer := o.producer()
	for number := range o.warmup + o.records {
		if number == o.warmup && number > 0 {
			meter = start()
		}
		sending := time.Now()
		check(producer.ProduceSync(context.Background(), o.record(events, number)).FirstErr())
		took := time.Since(sending)
		if number == 0 {
			firstAck = time.Since(connecting)
		}
		if number >= o.warmup {
			latencies = append(latencies, took)
		}
	}
	meter.report(o, o.records, o.records*(o.size+keyLength), latencies, firstAck)
}

func endToEnd(o *options) {
	consumer, producer := o.consumer(kgo.NewOffset().AtEnd()), o.producer()
	settled, cancel := context.WithTimeout(context.Background(), settling)
	consumer.PollFetches(settled)
	cancel()

	events := pool(o.size)
	total := o.warmup + o.records
	origin := time.Now()
	go func() {
		for number := range total {
			time.Sleep(time.Until(origin.Add(time.Duration(number) * time.Second / time.Duration(o.rate))))
			record := o.record(events, number)
			record.Key = fmt.Appendf(nil, "%016x", time.Since(origin).Nanoseconds())
			producer.Produce(context.Background(), record, func(_ *kgo.Record, err error) { check(err) })
		}
	}()
	meter := start()
	latencies := make([]time.Duration, 0, o.records)
	for received := 0; received < total; {
		fetches := consumer.PollFetches(context.Background())
		check(fetches.Err())
		now := time.Since(origin)
		fetches.EachRecord(func(record *kgo.Record) {
			sent, err := strconv.ParseInt(string(record.Key), 16, 64)
			check(err)
			received++
			if received > o.warmup {
				latencies = append(latencies, now-time.Duration(sent))
			} else if received == o.warmup {
				meter = start()
			}
		})
	}
	meter.report(o, len(latencies), len(latencies)*(o.size+keyLength), latencies, 0)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
