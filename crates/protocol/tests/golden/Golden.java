import java.io.BufferedWriter;
import java.io.ByteArrayOutputStream;
import java.io.OutputStreamWriter;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.zip.GZIPOutputStream;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.ConsumerProtocolAssignment;
import org.apache.kafka.common.message.ConsumerProtocolSubscription;
import org.apache.kafka.common.message.ControlRecordTypeSchema;
import org.apache.kafka.common.message.EndTxnMarker;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;

/** Writes the golden files of milena-protocol with Kafka's own classes; see README.md beside this file. */
public final class Golden {
    /** What the fields of a message are set to. */
    private enum Mode {
        /** Nothing is set. */
        DEFAULTS,
        /** All fields, each with a value of its own; two elements in each array; unknown tagged fields. */
        FILLED,
        /** As FILLED, with null wherever it is allowed. */
        NULLS,
        /** Zero, false, empty; one element in each array of structs. */
        EMPTY,
        /** As FILLED, with strings and bytes whose lengths take two bytes. */
        LONG,
    }

    private int counter = 0;
    private int flags = 0;

    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[0]);
        new Golden().messages(folder.resolve("messages.jsonl.gz"));
        apis(folder.resolve("apis.txt"));
        errors(folder.resolve("errors.txt"));
    }

    private static void apis(Path path) throws Exception {
        StringBuilder out = new StringBuilder("# key name oldest newest-stable; per version: request header, response header\n");
        for (ApiKeys key : ApiKeys.brokerApis()) {
            out.append(key.id).append(' ').append(key.name).append(' ').append(key.oldestVersion());
            out.append(' ').append(key.latestVersion(false));
            for (short version = key.oldestVersion(); version <= key.latestVersion(false); version++)
                out.append(' ').append(key.requestHeaderVersion(version)).append(key.responseHeaderVersion(version));
            out.append('\n');
        }
        Files.writeString(path, out);
    }

    private static void errors(Path path) throws Exception {
        StringBuilder out = new StringBuilder("# code name families\n");
        for (Errors error : Errors.values()) {
            out.append(error.code()).append(' ').append(error.name());
            if (error.exception() instanceof RetriableException) out.append(" retriable");
            if (error.exception() instanceof InvalidMetadataException) out.append(" invalid-metadata");
            out.append('\n');
        }
        Files.writeString(path, out);
    }

    private void messages(Path path) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        // A fixed header without a time stamp: the same content gives the same file.
        try (BufferedWriter out = new BufferedWriter(
                new OutputStreamWriter(new GZIPOutputStream(bytes), StandardCharsets.UTF_8))) {
            for (ApiKeys key : ApiKeys.brokerApis()) {
                ApiMessageType type = key.messageType;
                message(out, type.newRequest());
                message(out, type.newResponse());
            }
            message(out, new RequestHeaderData());
            message(out, new ResponseHeaderData());
            message(out, new ConsumerProtocolAssignment());
            message(out, new ConsumerProtocolSubscription());
            message(out, new ControlRecordTypeSchema());
            message(out, new EndTxnMarker());
        }
        Files.write(path, bytes.toByteArray());
    }

    private void message(BufferedWriter out, Message prototype) throws Exception {
        short newest = prototype.highestSupportedVersion();
        for (short version = prototype.lowestSupportedVersion(); version <= newest; version++) {
            for (Mode mode : Mode.values()) {
                if (mode == Mode.LONG && version != newest) continue;
                counter = 0;
                flags = 0;
                Message message = prototype.getClass().getConstructor().newInstance();
                if (mode != Mode.DEFAULTS) fill(message, version, mode);
                byte[] bytes = MessageUtil.toByteBufferAccessor(message, version).buffer().array();
                out.write("{\"message\":\"" + prototype.getClass().getSimpleName().replaceFirst("Data$", "") + "\"");
                out.write(",\"version\":" + version + ",\"mode\":\"" + mode + "\"");
                out.write(",\"bytes\":\"" + HexFormat.of().formatHex(bytes) + "\",\"value\":");
                out.write(json(message, version));
                out.write("}\n");
            }
        }
    }

    private void fill(Message message, short version, Mode mode) throws Exception {
        for (Map.Entry<Field, Type> entry : fields(message, version).entrySet()) {
            entry.getKey().set(message, value(entry.getKey(), entry.getValue(), version, mode));
        }
        if ((mode == Mode.FILLED || mode == Mode.LONG) && isFlexible(message, version)) {
            message.unknownTaggedFields().add(new RawTaggedField(1000 + next(), new byte[] {(byte) next()}));
            message.unknownTaggedFields().add(new RawTaggedField(1_000_000 + next(), new byte[0]));
        }
    }

    private Object value(Field field, Type type, short version, Mode mode) throws Exception {
        if (mode == Mode.NULLS && type.isNullable()) return null;
        Optional<Type> element = type.arrayElementType();
        if (element.isEmpty()) return single(field.getType(), type, version, mode);
        Collection<Object> collection = collection(field);
        Class<?> elementClass = elementClass(field);
        boolean isStruct = Message.class.isAssignableFrom(elementClass);
        int count = mode == Mode.EMPTY ? (isStruct ? 1 : 0) : mode == Mode.NULLS ? 1 : 2;
        for (int i = 0; i < count; i++) collection.add(single(elementClass, element.get(), version, mode));
        return collection;
    }

    private Object single(Class<?> java, Type type, short version, Mode mode) throws Exception {
        boolean isEmpty = mode == Mode.EMPTY;
        if (Message.class.isAssignableFrom(java)) {
            Message inner = (Message) java.getConstructor().newInstance();
            fill(inner, version, mode);
            return inner;
        }
        // Flags follow another pattern in each mode, so that two which are mixed up differ in one of them.
        if (java == boolean.class) return !isEmpty && (flags++ >> (mode == Mode.NULLS ? 1 : 0)) % 2 == 0;
        int number = isEmpty ? 0 : next();
        if (java == byte.class || java == Byte.class) return (byte) (number % 127);
        if (java == short.class || java == Short.class) return (short) -(isEmpty ? 0 : 1000 + number);
        if (type == Type.UINT16) return isEmpty ? 0 : 40_000 + number;
        if (java == int.class || java == Integer.class) return isEmpty ? 0 : 0x01020300 + number;
        if (java == long.class || java == Long.class) return isEmpty ? 0L : -0x0102030405060000L - number;
        if (java == double.class) return number + 0.25;
        if (java == Uuid.class) return new Uuid(isEmpty ? 0 : 0xfedcba9876540000L + number, number);
        int length = mode == Mode.LONG ? 200 : 0;
        if (java == String.class) return isEmpty ? "" : "s" + number + "\u00e9" + "x".repeat(length);
        byte[] bytes = isEmpty ? new byte[0] : ByteBuffer.allocate(4 + length).putInt(0, 0x70000000 + number).array();
        if (java == byte[].class) return bytes;
        if (java == ByteBuffer.class) return ByteBuffer.wrap(bytes);
        if (java == BaseRecords.class) return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
        throw new IllegalStateException("no value for " + java);
    }

    private int next() {
        return ++counter;
    }

    /** The fields that the message has in this version, with their types on the wire. */
    private static Map<Field, Type> fields(Message message, short version) throws Exception {
        Map<String, Type> types = new LinkedHashMap<>();
        for (BoundField bound : schema(message, version).fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                tagged.fields().values().forEach(field -> types.put(plain(field.name), field.type));
            } else {
                types.put(plain(bound.def.name), bound.def.type);
            }
        }
        Map<Field, Type> fields = new LinkedHashMap<>();
        for (Field field : message.getClass().getDeclaredFields()) {
            Type type = types.remove(plain(field.getName()));
            if (Modifier.isStatic(field.getModifiers()) || type == null) continue;
            field.setAccessible(true);
            fields.put(field, type);
        }
        if (!types.isEmpty()) throw new IllegalStateException(message.getClass() + " lacks " + types.keySet());
        return fields;
    }

    private static Schema schema(Message message, short version) throws Exception {
        return ((Schema[]) message.getClass().getField("SCHEMAS").get(null))[version];
    }

    private static boolean isFlexible(Message message, short version) throws Exception {
        for (BoundField bound : schema(message, version).fields())
            if (bound.def.type instanceof TaggedFields) return true;
        return false;
    }

    private static String plain(String name) {
        return name.replace("_", "").toLowerCase(Locale.ROOT);
    }

    @SuppressWarnings("unchecked")
    private static Collection<Object> collection(Field field) throws Exception {
        if (field.getType() == List.class) return new ArrayList<>();
        return (Collection<Object>) field.getType().getConstructor().newInstance();
    }

    private static Class<?> elementClass(Field field) {
        java.lang.reflect.Type generic = field.getGenericType();
        if (!(generic instanceof ParameterizedType)) generic = field.getType().getGenericSuperclass();
        return (Class<?>) ((ParameterizedType) generic).getActualTypeArguments()[0];
    }

    private static String json(Message message, short version) throws Exception {
        List<String> members = new ArrayList<>();
        for (Field field : fields(message, version).keySet())
            members.add("\"" + field.getName() + "\":" + json(field.get(message), version));
        if (isFlexible(message, version)) {
            List<String> unknown = new ArrayList<>();
            for (RawTaggedField field : message.unknownTaggedFields())
                unknown.add("[" + field.tag() + "," + json(field.data(), version) + "]");
            members.add("\"unknownTaggedFields\":[" + String.join(",", unknown) + "]");
        }
        return "{" + String.join(",", members) + "}";
    }

    private static String json(Object value, short version) throws Exception {
        if (value == null || value instanceof Number || value instanceof Boolean) return String.valueOf(value);
        if (value instanceof String || value instanceof Uuid) return "\"" + value + "\"";
        if (value instanceof byte[] bytes) return "\"" + HexFormat.of().formatHex(bytes) + "\"";
        if (value instanceof ByteBuffer buffer) return json(buffer.array(), version);
        if (value instanceof MemoryRecords records) return json(records.buffer().array(), version);
        if (value instanceof Message message) return json(message, version);
        if (value instanceof Collection<?> collection) {
            List<String> elements = new ArrayList<>();
            for (Object element : collection) elements.add(json(element, version));
            return "[" + String.join(",", elements) + "]";
        }
        throw new IllegalStateException("no JSON for " + value.getClass());
    }
}
