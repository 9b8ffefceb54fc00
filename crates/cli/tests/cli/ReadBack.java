import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.Utils;

/** Reads a topic from its beginning to its end and prints, for each partition, how many records it has and their hash. */
public class ReadBack {
    public static void main(String[] args) {
        String topic = args[1];
        Properties properties = new Properties();
        properties.put("bootstrap.servers", args[0]);
        properties.put("enable.auto.commit", "false");
        try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(partition -> new TopicPartition(topic, partition.partition())).toList();
            for (TopicPartition partition : partitions) {
                consumer.assign(List.of(partition));
                consumer.seekToBeginning(List.of(partition));
                long end = consumer.endOffsets(List.of(partition)).get(partition);
                long count = 0;
                long hash = 0xcbf29ce484222325L;
                while (consumer.position(partition) < end) {
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                        int chosen = Utils.toPositive(Utils.murmur2(record.key())) % partitions.size();
                        if (chosen != partition.partition()) {
                            throw new IllegalStateException(record + " belongs to partition " + chosen);
                        }
                        hash = add(add(hash, record.key()), record.value());
                        for (Header header : record.headers()) {
                            hash = add(add(hash, header.key().getBytes(StandardCharsets.UTF_8)), header.value());
                        }
                        count++;
                    }
                }
                System.out.println(partition.partition() + " " + count + " " + Long.toHexString(hash));
            }
        }
    }

    /** FNV-1a of the bytes and of one that no text has, so that it counts where a field ends. */
    static long add(long hash, byte[] bytes) {
        for (byte next : bytes) {
            hash = (hash ^ (next & 0xff)) * 0x100000001b3L;
        }
        return (hash ^ 0xff) * 0x100000001b3L;
    }
}
