import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Measures Kafka's own client, with the command line and the line of JSON of `milena bench`. */
public class Peer {
    static final int KEY_LENGTH = 16;
    static final Duration POLL = Duration.ofMillis(500);

    final String operation;
    final Map<String, String> options = new HashMap<>();
    final String topic;
    final int size;
    final int records;
    final int warmup;

    public static void main(String[] words) throws Exception {
        Peer peer = new Peer(words);
        switch (peer.operation) {
            case "produce" -> peer.produce();
            case "consume" -> peer.consume();
            case "latency", "first" -> peer.latency();
            case "e2e" -> peer.endToEnd();
            default -> throw new IllegalArgumentException("unknown operation " + peer.operation);
        }
        System.exit(0); // without closing, which takes its time
    }

    Peer(String[] words) {
        operation = words[0];
        for (int index = 1; index < words.length; index++) {
            String name = words[index].substring(2);
            boolean isFlag = name.equals("idempotent") || name.equals("headers");
            options.put(name, isFlag ? "true" : words[++index]);
        }
        topic = option("topic", "bench");
        size = number("size", 100);
        records = operation.equals("first") ? 1 : number("records", 1_000_000);
        warmup = operation.equals("first") ? 0 : number("warmup", 0);
    }

    String option(String name, String otherwise) {
        return options.getOrDefault(name, otherwise);
    }

    int number(String name, int otherwise) {
        return Integer.parseInt(option(name, Integer.toString(otherwise)));
    }

    KafkaProducer<byte[], byte[]> producer() {
        Map<String, Object> config = Map.of(
            "bootstrap.servers", option("bootstrap", ""),
            "acks", option("acks", "all"),
            "enable.idempotence", option("idempotent", "false"),
            "linger.ms", option("linger-ms", "5"),
            "batch.size", option("batch-bytes", "65536"),
            "compression.type", option("compression", "none"),
            "max.in.flight.requests.per.connection", option("inflight", "5"),
            "buffer.memory", Integer.toString(64 << 20));
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(boolean atEnd) {
        Map<String, Object> config = Map.of(
            "bootstrap.servers", option("bootstrap", ""),
            "enable.auto.commit", "false",
            "max.poll.records", "5000",
            "fetch.max.wait.ms", "100",
            "auto.offset.reset", atEnd ? "latest" : "earliest");
        var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        List<TopicPartition> partitions = IntStream.range(0, number("partitions", 6))
            .mapToObj(index -> new TopicPartition(topic, index)).toList();
        consumer.assign(partitions);
        if (atEnd) {
            consumer.seekToEnd(partitions);
        } else {
            consumer.seekToBeginning(partitions);
        }
        return consumer;
    }

    ProducerRecord<byte[], byte[]> record(Event event) {
        var record = new ProducerRecord<>(topic, event.key, event.value);
        if (options.containsKey("headers")) {
            for (Header header : event.headers) {
                record.headers().add(header);
            }
        }
        return record;
    }

    void produce() throws Exception {
        Event[] pool = Event.pool(size);
        var producer = producer();
        var failure = new AtomicReference<Exception>();
        Callback callback = (metadata, error) -> {
            if (error != null) {
                failure.set(error);
            }
        };
        for (int number = 0; number < warmup; number++) {
            producer.send(record(pool[number % pool.length]), callback);
        }
        producer.flush();
        Meter meter = new Meter();
        for (int number = warmup; number < warmup + records; number++) {
            producer.send(record(pool[number % pool.length]), callback);
        }
        producer.flush();
        if (failure.get() != null) {
            throw failure.get();
        }
        meter.report(this, records, (long) records * (KEY_LENGTH + size), null, 0);
    }

    void consume() throws Exception {
        var consumer = consumer(false);
        read(consumer, warmup);
        Meter meter = new Meter();
        long[] total = read(consumer, records);
        meter.report(this, total[0], total[1], null, 0);
    }

    /** Reads at least so many records; gives how many it were, and the bytes in their keys and values. */
    static long[] read(KafkaConsumer<byte[], byte[]> consumer, long wanted) {
        long records = 0;
        long bytes = 0;
        while (records < wanted) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                records++;
                bytes += record.key().length + record.value().length;
            }
        }
        return new long[] {records, bytes};
    }

    void latency() throws Exception {
        Event[] pool = Event.pool(size);
        long[] latencies = new long[records];
        long firstAck = 0;
        Meter meter = new Meter();
        long connecting = System.nanoTime();
        var producer = producer();
        for (int number = 0; number < warmup + records; number++) {
            if (number == warmup && number > 0) {
                meter = new Meter();
            }
            long sending = System.nanoTime();
            producer.send(record(pool[number % pool.length])).get();
            long acknowledged = System.nanoTime();
            if (number == 0) {
                firstAck = acknowledged - connecting;
            }
            if (number >= warmup) {
                latencies[number - warmup] = acknowledged - sending;
            }
        }
        meter.report(this, records, (long) records * (KEY_LENGTH + size), latencies, firstAck);
    }

    void endToEnd() throws Exception {
        var consumer = consumer(true);
        var producer = producer();
        for (long began = System.nanoTime(); System.nanoTime() - began < 2_000_000_000L;) {
            consumer.poll(Duration.ofMillis(50));
        }
        Event[] pool = Event.pool(size);
        int total = warmup + records;
        int rate = number("rate", 1_000);
        long origin = System.nanoTime();
        Thread sender = new Thread(() -> {
            for (int number = 0; number < total; number++) {
                long due = origin + number * 1_000_000_000L / rate;
                for (long wait = due - System.nanoTime(); wait > 0; wait = due - System.nanoTime()) {
                    java.util.concurrent.locks.LockSupport.parkNanos(wait);
                }
                byte[] key = Event.ascii(String.format("%016x", System.nanoTime() - origin));
                producer.send(new ProducerRecord<>(topic, key, pool[number % pool.length].value));
            }
        });
        sender.setDaemon(true);
        sender.start();
        Meter meter = new Meter();
        long[] latencies = new long[records];
        for (int received = 0; received < total;) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
                long sent = Long.parseLong(new String(record.key(), StandardCharsets.US_ASCII), 16);
                if (received >= warmup && received < total) {
                    latencies[received - warmup] = System.nanoTime() - origin - sent;
                }
                received++;
                if (received == warmup) {
                    meter = new Meter();
                }
            }
        }
        meter.report(this, records, (long) records * (KEY_LENGTH + size), latencies, 0);
    }
}

/** A record that every client sends; `benches/events` says what they are. */
class Event {
    static final int COUNT = 10_000;
    static final long TIME_BEGIN_MS = 1_763_848_700_000L;
    static final long TIME_SPREAD_MS = 10_000_000;
    static final String[] KINDS =
        {"page_view", "add_to_cart", "checkout", "search", "login", "logout", "purchase", "impression"};
    static final String[] CATEGORIES =
        {"books", "garden", "electronics", "toys", "grocery", "fashion", "sports", "music"};

    final byte[] key;
    final byte[] value;
    final Header[] headers;
    /** Of SplitMix64 (Steele, Lea, Flood 2014). */
    private long state;

    static Event[] pool(int size) {
        Event[] events = new Event[COUNT];
        Arrays.setAll(events, index -> new Event(index, size));
        return events;
    }

    Event(long index, int size) {
        state = 42L << 32 | index;
        key = ascii(String.format("%016x", next()));
        String kind = KINDS[(int) below(8)];
        long timeMs = TIME_BEGIN_MS + below(TIME_SPREAD_MS);
        long user = next() & 0xffff_ffffL;
        var text = new StringBuilder(String.format(
            "{\"user_id\":\"u-%08x\",\"event\":\"%s\",\"ts\":%d,\"session\":\"%016x\",\"items\":[", user, kind, timeMs, next()));
        while (text.length() < size) {
            long sku = below(1_000_000);
            long quantity = below(9) + 1;
            long price = next();
            text.append(String.format("{\"sku\":\"SKU-%06d\",\"qty\":%d,\"price\":%d.%02d,\"cat\":\"%s\"},", sku, quantity,
                Long.remainderUnsigned(price, 500), (price >>> 32) % 100, CATEGORIES[(int) below(8)]));
        }
        value = ascii(text.substring(0, size));
        headers = new Header[] {
            new RecordHeader("trace_id", ascii(String.format("%016x%016x", next(), next()))),
            new RecordHeader("schema_ver", ascii("3")),
            new RecordHeader("event_type", ascii(kind)),
            new RecordHeader("timestamp", ascii(Long.toString(timeMs))),
            new RecordHeader("source", ascii("web-frontend")),
        };
    }

    static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private long below(long end) {
        return Long.remainderUnsigned(next(), end);
    }

    private long next() {
        state += 0x9e3779b97f4a7c15L;
        long z = state;
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }
}

/** Measures the process from its making on; processor time comes in ticks of 10 ms. */
class Meter {
    private static final double TICKS_PER_SECOND = 100;

    private final long started = System.nanoTime();
    private final double[] cpu = cpuSeconds();

    Meter() throws IOException {}

    /** Prints the result; latencies may be null, and the time to the first acknowledgement 0. */
    void report(Peer peer, long records, long bytes, long[] latencies, long firstAck) throws IOException {
        double wall = (System.nanoTime() - started) / 1e9;
        double[] now = cpuSeconds();
        double user = now[0] - cpu[0];
        double system = now[1] - cpu[1];
        String line = format(
            "{\"client\":\"java\",\"op\":\"%s\",\"records\":%d,\"size\":%d,\"compression\":\"%s\",\"wall_s\":%.4f,\"rps\":%.0f,"
                + "\"mbps\":%.1f,\"cpu_user_s\":%.3f,\"cpu_sys_s\":%.3f,\"cpu_us_per_record\":%.4f,\"max_rss_mb\":%.1f",
            peer.operation, records, peer.size, peer.option("compression", "none"), wall, records / wall, bytes / wall / 1e6,
            user, system, (user + system) * 1e6 / records, maxRssMb());
        if (latencies != null && latencies.length > 1) {
            Arrays.sort(latencies);
            String[] names = {"p50", "p90", "p99", "p999", "max"};
            double[] fractions = {0.5, 0.9, 0.99, 0.999, 1};
            for (int index = 0; index < names.length; index++) {
                long latency = latencies[(int) ((latencies.length - 1) * fractions[index])];
                line += format(",\"%s_us\":%.1f", names[index], latency / 1e3);
            }
        }
        if (firstAck > 0) {
            line += format(",\"first_ack_ms\":%.2f", firstAck / 1e6);
        }
        System.out.println(line + "}");
    }

    private static String format(String text, Object... values) {
        return String.format(Locale.ROOT, text, values);
    }

    /** In user and in system mode, of all threads: fields 14 and 15, of which the name in parentheses is the second. */
    private static double[] cpuSeconds() throws IOException {
        String stat = Files.readString(Path.of("/proc/self/stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return new double[] {
            Double.parseDouble(fields[14 - 3]) / TICKS_PER_SECOND, Double.parseDouble(fields[15 - 3]) / TICKS_PER_SECOND};
    }

    private static double maxRssMb() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
            }
        }
        return 0;
    }
}
