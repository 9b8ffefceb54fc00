package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The records that every client sends; `benches/events` says what they are.
const (
	eventCount   = 10_000
	keyLength    = 16
	timeBeginMs  = 1_763_848_700_000
	timeSpreadMs = 10_000_000
)

var (
	kinds      = [8]string{"page_view", "add_to_cart", "checkout", "search", "login", "logout", "purchase", "impression"}
	categories = [8]string{"books", "garden", "electronics", "toys", "grocery", "fashion", "sports", "music"}
)

type event struct {
	key, value []byte
	headers    []kgo.RecordHeader
}

// splitMix64 is of Steele, Lea, Flood 2014.
type splitMix64 uint64

func (state *splitMix64) next() uint64 {
	*state += 0x9e3779b97f4a7c15
	z := uint64(*state)
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func pool(size int) []event {
	events := make([]event, eventCount)
	for index := range events {
		events[index] = newEvent(uint64(index), size)
	}
	return events
}

func newEvent(index uint64, size int) event {
	random := splitMix64(42<<32 | index)
	key := fmt.Sprintf("%016x", random.next())
	kind := kinds[random.next()%8]
	timeMs := timeBeginMs + random.next()%timeSpreadMs
	user := random.next() & 0xffff_ffff
	session := random.next()
	var value strings.Builder
	fmt.Fprintf(&value, `{"user_id":"u-%08x","event":"%s","ts":%d,"session":"%016x","items":[`, user, kind, timeMs, session)
	for value.Len() < size {
		sku, quantity, price, category := random.next(), random.next(), random.next(), random.next()
		fmt.Fprintf(&value, `{"sku":"SKU-%06d","qty":%d,"price":%d.%02d,"cat":"%s"},`,
			sku%1_000_000, quantity%9+1, price%500, (price>>32)%100, categories[category%8])
	}
	traceHigh, traceLow := random.next(), random.next()
	header := func(name, value string) kgo.RecordHeader { return kgo.RecordHeader{Key: name, Value: []byte(value)} }
	return event{
		key:   []byte(key),
		value: []byte(value.String()[:size]),
		headers: []kgo.RecordHeader{
			header("trace_id", fmt.Sprintf("%016x%016x", traceHigh, traceLow)),
			header("schema_ver", "3"),
			header("event_type", kind),
			header("timestamp", strconv.FormatUint(timeMs, 10)),
			header("source", "web-frontend"),
		},
	}
}
