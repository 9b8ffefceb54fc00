// Writes batches with Kafka's own classes and says how it reads them, or says how it reads the batches in files.
// See README.md.

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.zip.CRC32C;

import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.ByteBufferOutputStream;

public class Batches {
    static final long TIME = 1_700_000_000_000L;
    static final PrintStream out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false,
            StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        if (args.length > 0 && args[0].equals("write")) {
            writeAll();
        } else {
            for (String file : args) {
                out.println("== " + Path.of(file).getFileName());
                dump(ByteBuffer.wrap(Files.readAllBytes(Path.of(file))));
            }
        }
        out.flush();
    }

    // ---- what is written

    /** One golden case: its name, its bytes in hexadecimal, and how Kafka reads them. */
    static void golden(String name, ByteBuffer bytes) {
        byte[] array = new byte[bytes.remaining()];
        bytes.duplicate().get(array);
        out.println("== " + name);
        out.println(HexFormat.of().formatHex(array));
        dump(ByteBuffer.wrap(array));
    }

    static void writeAll() throws Exception {
        List<Object[]> codecs = List.of(
                new Object[] {"none", Compression.NONE},
                new Object[] {"gzip", Compression.gzip().build()},
                new Object[] {"gzip-1", Compression.gzip().level(1).build()},
                new Object[] {"gzip-9", Compression.gzip().level(9).build()},
                new Object[] {"snappy", Compression.snappy().build()},
                new Object[] {"lz4", Compression.lz4().build()},
                new Object[] {"lz4-1", Compression.lz4().level(1).build()},
                new Object[] {"lz4-17", Compression.lz4().level(17).build()},
                new Object[] {"zstd", Compression.zstd().build()},
                new Object[] {"zstd--5", Compression.zstd().level(-5).build()},
                new Object[] {"zstd-1", Compression.zstd().level(1).build()},
                new Object[] {"zstd-19", Compression.zstd().level(19).build()},
                new Object[] {"zstd-22", Compression.zstd().level(22).build()});
        for (Object[] codec : codecs) {
            String name = (String) codec[0];
            Compression compression = (Compression) codec[1];
            golden("shapes-" + name, batch(compression, Batch.at(1234), shapes()));
            if (compression != Compression.NONE)
                golden("large-" + name, batch(compression, Batch.at(0), large()));
        }
        golden("incompressible-lz4", batch(Compression.lz4().build(), Batch.at(0), incompressible()));
        golden("incompressible-zstd", batch(Compression.zstd().build(), Batch.at(0), incompressible()));

        golden("log-append-time", batch(Compression.NONE, Batch.at(7).appendTime(TIME + 99), shapes()));
        golden("log-append-time-lz4",
                batch(Compression.lz4().build(), Batch.at(7).appendTime(TIME + 99), shapes()));
        golden("idempotent", batch(Compression.NONE, Batch.at(0).producer(987_654_321_000L, 3, 41, false), shapes()));
        golden("sequence-wraps",
                batch(Compression.NONE, Batch.at(0).producer(5, 0, Integer.MAX_VALUE - 1, false), shapes()));
        golden("transactional",
                batch(Compression.zstd().build(), Batch.at(0).producer(4000, 12, 0, true), shapes()));
        golden("delete-horizon", batch(Compression.NONE, Batch.at(50).horizon(TIME + 5_000_000), shapes()));
        golden("compacted", compacted());
        golden("emptied", emptied());
        for (ControlRecordType type : List.of(ControlRecordType.ABORT, ControlRecordType.COMMIT))
            golden("marker-" + type.toString().toLowerCase(),
                    MemoryRecords.withEndTransactionMarker(77, TIME, 6, 4000, (short) 12,
                            new EndTransactionMarker(type, 31)).buffer());
        golden("leader-change", MemoryRecords.withLeaderChangeMessage(78, TIME, 6, ByteBuffer.allocate(256),
                new LeaderChangeMessage().setLeaderId(1)).buffer());
        golden("several", several());

        for (byte magic = 0; magic <= 1; magic++) {
            for (Object[] codec : codecs) {
                String name = (String) codec[0];
                if (name.contains("-") || name.equals("zstd"))
                    continue;
                Compression compression = (Compression) codec[1];
                golden("magic" + magic + "-" + name, batch(compression, Batch.at(10).magic(magic), plain()));
                if (magic == 1)
                    golden("magic1-log-append-time-" + name,
                            batch(compression, Batch.at(10).magic(magic).appendTime(TIME + 99), plain()));
            }
        }
    }

    /** What a batch is besides its records. */
    static class Batch {
        long baseOffset;
        byte magic = RecordBatch.CURRENT_MAGIC_VALUE;
        TimestampType timestampType = TimestampType.CREATE_TIME;
        long appendTime = RecordBatch.NO_TIMESTAMP;
        long producerId = RecordBatch.NO_PRODUCER_ID;
        short producerEpoch = RecordBatch.NO_PRODUCER_EPOCH;
        int baseSequence = RecordBatch.NO_SEQUENCE;
        boolean transactional;
        long horizon = RecordBatch.NO_TIMESTAMP;

        static Batch at(long baseOffset) {
            Batch batch = new Batch();
            batch.baseOffset = baseOffset;
            return batch;
        }

        Batch magic(byte magic) {
            this.magic = magic;
            if (magic == 0)
                timestampType = TimestampType.NO_TIMESTAMP_TYPE;
            return this;
        }

        Batch appendTime(long appendTime) {
            this.timestampType = TimestampType.LOG_APPEND_TIME;
            this.appendTime = appendTime;
            return this;
        }

        Batch producer(long id, int epoch, int sequence, boolean transactional) {
            this.producerId = id;
            this.producerEpoch = (short) epoch;
            this.baseSequence = sequence;
            this.transactional = transactional;
            return this;
        }

        Batch horizon(long horizon) {
            this.horizon = horizon;
            return this;
        }

        MemoryRecordsBuilder builder(ByteBufferOutputStream stream, Compression compression) {
            return new MemoryRecordsBuilder(stream, magic, compression, timestampType, baseOffset, appendTime,
                    producerId, producerEpoch, baseSequence, transactional, false, 8, 1 << 20, horizon);
        }
    }

    static ByteBuffer batch(Compression compression, Batch batch, List<SimpleRecord> records) {
        MemoryRecordsBuilder builder = batch.builder(new ByteBufferOutputStream(1 << 20), compression);
        for (SimpleRecord record : records)
            builder.append(record);
        return builder.build().buffer();
    }

    /** Every shape of key, value, header and timestamp; tests/batches/golden.rs has the same. */
    static List<SimpleRecord> shapes() {
        Header[] headers = {
            new RecordHeader("trace_id", bytes("0af7651916cd43dd")),
            new RecordHeader("trace_id", bytes("again")),
            new RecordHeader("", bytes("no name")),
            new RecordHeader("nothing", (byte[]) null),
            new RecordHeader("empty", new byte[0]),
            new RecordHeader("p\u0159\u00edli\u0161", bytes("\u017elu\u0165ou\u010dk\u00fd")),
        };
        return List.of(
                new SimpleRecord(TIME, bytes("u42"), bytes("{\"event\":\"view_product\"}"), headers),
                new SimpleRecord(TIME + 5, null, bytes("value without a key"), new Header[0]),
                new SimpleRecord(TIME - 70_000, bytes("a tombstone, and before the first"), null, new Header[0]),
                new SimpleRecord(TIME + 10_000_000, new byte[0], new byte[0], new Header[0]),
                new SimpleRecord(TIME + 1, (byte[]) null, null, new Header[0]),
                new SimpleRecord(-1, bytes("no timestamp"), bytes("x".repeat(200)), new Header[0]));
    }

    static List<SimpleRecord> plain() {
        return List.of(
                new SimpleRecord(TIME, bytes("u42"), bytes("{\"event\":\"view_product\"}")),
                new SimpleRecord(TIME + 5, null, bytes("value without a key")),
                new SimpleRecord(TIME - 70_000, bytes("a tombstone, and before the first"), (byte[]) null),
                new SimpleRecord(TIME + 10_000, new byte[0], new byte[0]),
                new SimpleRecord(TIME + 1, bytes("k"), bytes("x".repeat(200))));
    }

    /** More than one block of every codec: 160 KB that compress well. */
    static List<SimpleRecord> large() {
        List<SimpleRecord> records = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            StringBuilder value = new StringBuilder();
            while (value.length() < 4000)
                value.append("{\"user\":").append(i * i).append(",\"event\":\"order_shipped\"}");
            records.add(new SimpleRecord(TIME + i, bytes("user-" + i), bytes(value.toString())));
        }
        return records;
    }

    static List<SimpleRecord> incompressible() {
        byte[] value = new byte[3000];
        int state = 1;
        for (int i = 0; i < value.length; i++) {
            state = state * 1_103_515_245 + 12_345;
            value[i] = (byte) (state >> 16);
        }
        return List.of(new SimpleRecord(TIME, null, value));
    }

    /** What a cleaner leaves: gaps between the offsets, and the range of the whole batch. */
    static ByteBuffer compacted() {
        MemoryRecordsBuilder builder = Batch.at(1000).producer(5, 1, 300, false)
                .builder(new ByteBufferOutputStream(1 << 16), Compression.lz4().build());
        builder.appendWithOffset(1003, TIME, bytes("a"), bytes("1"));
        builder.appendWithOffset(1004, TIME - 3, bytes("b"), bytes("2"));
        builder.appendWithOffset(1090, TIME + 9, bytes("c"), bytes("3"));
        builder.overrideLastOffset(1099);
        return builder.build().buffer();
    }

    static ByteBuffer emptied() {
        ByteBuffer buffer = ByteBuffer.allocate(DefaultRecordBatch.RECORD_BATCH_OVERHEAD);
        DefaultRecordBatch.writeEmptyHeader(buffer, RecordBatch.CURRENT_MAGIC_VALUE, 5, (short) 1, 300, 1000, 1099, 8,
                TimestampType.CREATE_TIME, TIME, false, false);
        buffer.flip();
        return buffer;
    }

    /** Batches of all formats one after the other, and the first bytes of one more. */
    static ByteBuffer several() throws Exception {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write(array(batch(Compression.NONE, Batch.at(0).magic((byte) 0), plain())));
        all.write(array(batch(Compression.gzip().build(), Batch.at(5).magic((byte) 1), plain())));
        all.write(array(batch(Compression.NONE, Batch.at(10), shapes())));
        all.write(array(batch(Compression.zstd().build(), Batch.at(16), shapes())));
        all.write(array(batch(Compression.NONE, Batch.at(22), shapes())), 0, 100);
        return ByteBuffer.wrap(all.toByteArray());
    }

    static byte[] array(ByteBuffer buffer) {
        byte[] array = new byte[buffer.remaining()];
        buffer.duplicate().get(array);
        return array;
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    // ---- how it is read

    static void dump(ByteBuffer bytes) {
        for (RecordBatch batch : MemoryRecords.readableRecords(bytes).batches()) {
            batch.ensureValid();
            out.println("batch magic=" + batch.magic()
                    + " last_offset=" + batch.lastOffset()
                    + " next_offset=" + batch.nextOffset()
                    + " leader_epoch=" + batch.partitionLeaderEpoch()
                    + " compression=" + batch.compressionType()
                    + " timestamp_type=" + (batch.magic() == 0 ? TimestampType.CREATE_TIME : batch.timestampType())
                    + " max_timestamp=" + batch.maxTimestamp()
                    + " producer=" + batch.producerId() + "/" + batch.producerEpoch()
                    + " sequence=" + batch.baseSequence() + ".." + batch.lastSequence()
                    + " transactional=" + batch.isTransactional()
                    + " control=" + batch.isControlBatch()
                    + " delete_horizon=" + (batch.deleteHorizonMs().isPresent()
                            ? String.valueOf(batch.deleteHorizonMs().getAsLong()) : "none")
                    + " size=" + batch.sizeInBytes());
            for (Record record : batch) {
                StringBuilder headers = new StringBuilder();
                for (Header header : record.headers())
                    headers.append(" ").append(show(ByteBuffer.wrap(bytes(header.key())))).append("=")
                            .append(show(header.value() == null ? null : ByteBuffer.wrap(header.value())));
                out.println("record offset=" + record.offset()
                        + " timestamp=" + record.timestamp()
                        + (batch.isControlBatch() ? " control=" + ControlRecordType.parse(record.key()) : "")
                        + " key=" + show(record.key())
                        + " value=" + show(record.value())
                        + " headers=[" + headers.toString().strip() + "]");
            }
        }
    }

    /** Short bytes in hexadecimal, long ones by their length and CRC-32C. */
    static String show(ByteBuffer bytes) {
        if (bytes == null)
            return "null";
        if (bytes.remaining() <= 64)
            return "'" + HexFormat.of().formatHex(array(bytes)) + "'";
        CRC32C crc = new CRC32C();
        crc.update(bytes.duplicate());
        return bytes.remaining() + ":" + String.format("%08x", crc.getValue());
    }
}
