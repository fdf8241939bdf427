// Apache's Java client: `client PLACE TRANSPORT PROTOCOL NAMES`, as for Python's client. The library checks the name
// and the sequence id of every reply.

import echo.*;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.thrift.TApplicationException;
import org.apache.thrift.protocol.TBinaryProtocol;
import org.apache.thrift.protocol.TCompactProtocol;
import org.apache.thrift.protocol.TMultiplexedProtocol;
import org.apache.thrift.protocol.TProtocol;
import org.apache.thrift.transport.TSSLTransportFactory;
import org.apache.thrift.transport.TSocket;
import org.apache.thrift.transport.TTransport;
import org.apache.thrift.transport.layered.TFramedTransport;

public class Client {
    static int calls = 0;

    interface Method<T> {
        T call(T value) throws Exception;
    }

    interface Call {
        void call() throws Exception;
    }

    static void check(boolean holds, Object... what) {
        if (!holds) {
            throw new AssertionError("after " + calls + " calls: " + List.of(what));
        }
    }

    /** Checks that each value comes back unchanged. */
    @SafeVarargs
    static <T> void same(Method<T> method, T... values) throws Exception {
        for (T value : values) {
            calls++;
            T got = method.call(value);
            check(value.equals(got), value, got);
        }
    }

    static byte[] everyByte(int times) {
        byte[] all = new byte[256 * times];
        for (int at = 0; at < all.length; at++) {
            all[at] = (byte) at;
        }
        return all;
    }

    static void baseTypes(Echo.Client client) throws Exception {
        client.testVoid();
        calls++;
        same(client::testString, "", "x", "nul\0\t\n\"\\", "Grüße, 世界 🎈", "ü".repeat(127), "ü".repeat(128),
            "0123456789abcdef".repeat(1 << 16));
        same(client::testBool, true, false);
        same(client::testByte, Byte.MIN_VALUE, (byte) -1, (byte) 0, (byte) 1, (byte) 63, (byte) 64, Byte.MAX_VALUE);
        same(client::testShort, Short.MIN_VALUE, (short) -1, (short) 0, (short) 1, (short) 63, (short) 64, Short.MAX_VALUE);
        same(client::testInt, Integer.MIN_VALUE, -1, 0, 1, 63, 64, Integer.MAX_VALUE);
        same(client::testLong, Long.MIN_VALUE, -1L, 0L, 1L, 63L, 64L, Long.MAX_VALUE);
        // `equals` compares the bits of doubles.
        same(client::testDouble, 0.0, -0.0, 1.5, -1.0, Double.MIN_VALUE, Double.MAX_VALUE, Double.POSITIVE_INFINITY,
            Double.NEGATIVE_INFINITY, Double.NaN);
        same(client::testBinary, ByteBuffer.wrap(new byte[0]), ByteBuffer.wrap(new byte[1]), ByteBuffer.wrap(everyByte(1)),
            ByteBuffer.wrap(everyByte(1 << 12)));
        same(client::testEnum, Season.SPRING, Season.AUTUMN, Season.WINTER);
        same(client::testTypedef, Long.MIN_VALUE, 0L, Long.MAX_VALUE);
    }

    static Leaf leaf(String text) {
        return new Leaf(text, Byte.MIN_VALUE, Integer.MIN_VALUE, Long.MAX_VALUE);
    }

    static Everything everything() {
        return new Everything(true, false, (byte) -1, Short.MIN_VALUE, 1 << 30, Long.MIN_VALUE, -0.5, "Grüße",
            ByteBuffer.wrap(new byte[] {0, -1}), Season.WINTER, 1L << 40, leaf("leaf"), List.of(true, false, true),
            Set.of("a", "", "ü"), Map.of("none", List.of(), "some", List.of((short) 1, (short) -1)));
    }

    static void structs(Echo.Client client) throws Exception {
        same(client::testStruct, leaf("leaf"), leaf("世界"), new Leaf("", (byte) 0, 0, 0));
        same(client::testNest, new Branch((byte) 1, leaf("leaf"), -1), new Branch((byte) 0, leaf(""), 0));
        same(client::testEverything, everything(), everything().setAbsent("").setGiven(0).setLast(false));
        Everything got = client.testEverything(everything());
        calls++;
        check(!got.isSetAbsent() && !got.isSetGiven() && !got.isSetLast(), got);
        Tree deep = new Tree("leaf", List.of());
        for (int level = 0; level < 25; level++) {
            deep = new Tree("level " + level, List.of(deep));
        }
        Tree wide = new Tree("wide", Collections.nCopies(1000, new Tree("", List.of())));
        same(client::testTree, deep, wide);
        same(client::testUnion, Choice.number(-1), Choice.text(""), Choice.leaf(leaf("leaf")));
        Leaf multi = client.testMulti("Grüße", Byte.MIN_VALUE, Integer.MIN_VALUE, Long.MAX_VALUE,
            Map.of((short) 0, "", (short) -1, "ü"), Season.WINTER);
        calls++;
        check(multi.equals(leaf("Grüße")), multi);
    }

    static void containers(Echo.Client client) throws Exception {
        List<Integer> many = new ArrayList<>();
        for (int number = 0; number < 10_000; number++) {
            many.add(number);
        }
        List<Integer> edges = List.of(Integer.MIN_VALUE, -1, 0, 1, 63, 64, Integer.MAX_VALUE);
        same(client::testList, List.of(), List.of(0), edges, many, Collections.nCopies(14, 5), Collections.nCopies(15, 5));
        same(client::testBits, List.of(), List.of(true), List.of(false, true, true, false), Collections.nCopies(1000, true));
        same(client::testSet, Set.of(), Set.of(0), Set.copyOf(edges));
        same(client::testMap, Map.of(), Map.of(0, 0), Map.of(Integer.MIN_VALUE, Integer.MAX_VALUE, -1, 0));
        same(client::testStringMap, Map.of(), Map.of("", ""), Map.of("a", "2", "ü", "世界", "blank", ""));
        same(client::testListOfMaps, List.of(), List.of(Map.of()), List.of(Map.of("a", 1), Map.of(), Map.of("b", -1, "", 0)));
        for (int number : new int[] {1, -5, Integer.MAX_VALUE}) {
            var maps = client.testMapMap(number);
            calls++;
            check(maps.equals(Map.of(number, Map.of(number, number, -number, -number))), maps);
        }
        Insanity insanity = new Insanity(Map.of(Season.SPRING, 5L, Season.WINTER, -8L), List.of(leaf("leaf"), leaf("")));
        var got = client.testInsanity(insanity);
        calls++;
        var expected = Map.of(1L, Map.of(Season.SPRING, insanity, Season.SUMMER, insanity), 2L, Map.of(Season.AUTUMN, new Insanity()));
        check(got.equals(expected), got);
    }

    static <E extends Exception> E raised(Class<E> kind, Call call) throws Exception {
        calls++;
        try {
            call.call();
        } catch (Exception error) {
            check(kind.isInstance(error), error);
            return kind.cast(error);
        }
        throw new AssertionError("nothing was thrown");
    }

    static void exceptions(Echo.Client client) throws Exception {
        check(raised(Sorry.class, () -> client.testException("sorry")).equals(new Sorry(1001, "sorry")));
        TApplicationException broken = raised(TApplicationException.class, () -> client.testException("broken"));
        check(broken.getType() == TApplicationException.INTERNAL_ERROR, broken);
        check(broken.getMessage().startsWith("call.required_failed"), broken);
        client.testException("fine");
        Sorry sorry = raised(Sorry.class, () -> client.testMultiException("sorry", "words"));
        check(sorry.equals(new Sorry(1001, "This is a sorry")), sorry);
        Sad sad = raised(Sad.class, () -> client.testMultiException("sad", "words"));
        check(sad.number == 2002 && sad.leaf.text.equals("This is a sad"), sad);
        check(client.testMultiException("fine", "words").text.equals("words"));
        calls += 2;
    }

    static void oneway(Echo.Client client) throws Exception {
        String token = "Java " + System.nanoTime() + " " + ProcessHandle.current().pid();
        check(!client.testArrived(token));
        client.testOneway(token);
        same(client::testInt, 42);
        // The oneway call started before the next calls, but need not have ended.
        boolean arrived = false;
        for (int tries = 0; tries < 100 && !arrived; tries++) {
            arrived = client.testArrived(token);
        }
        check(arrived, "testOneway never arrived");
        calls += 3;
    }

    static TTransport connectionTo(String place) throws Exception {
        String[] parts = place.split(":", 2);
        int port = Integer.parseInt(parts[1]);
        if (parts[0].equals("tcp")) {
            TTransport socket = new TSocket("localhost", port);
            socket.open();
            return socket;
        }
        // The factory reads authorities only from a key store file.
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        try (FileInputStream file = new FileInputStream(System.getenv("ECHO_CA"))) {
            trusted.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        Path store = Files.createTempFile("trusted", ".p12");
        try (FileOutputStream file = new FileOutputStream(store.toFile())) {
            trusted.store(file, "nothing secret".toCharArray());
        }
        TSSLTransportFactory.TSSLTransportParameters options = new TSSLTransportFactory.TSSLTransportParameters();
        options.setTrustStore(store.toString(), "nothing secret", null, "PKCS12");
        TTransport socket = TSSLTransportFactory.getClientSocket("localhost", port, 60_000, options);
        Files.delete(store);
        return socket;
    }

    public static void main(String[] options) throws Exception {
        TTransport transport = connectionTo(options[0]);
        if (options[1].equals("framed")) {
            transport = new TFramedTransport(transport);
        }
        boolean strict = options[2].equals("binary");
        TProtocol read = options[2].equals("compact")
            ? new TCompactProtocol(transport)
            : new TBinaryProtocol(transport, strict, strict);
        // Servers reply with the bare method name.
        TProtocol written = options[3].equals("multiplexed") ? new TMultiplexedProtocol(read, "Echo") : read;
        Echo.Client client = new Echo.Client(read, written);
        baseTypes(client);
        structs(client);
        containers(client);
        exceptions(client);
        oneway(client);
        transport.close();
        System.out.println(calls + " calls");
    }
}
