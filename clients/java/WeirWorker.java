import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.BooleanSupplier;

/**
 * A worker for Weir's exec stage, in one file and without dependencies.
 *
 * <pre>{@code
 * public class Lengths {
 *     public static void main(String[] args) throws Exception {
 *         WeirWorker.serve((item, emit) -> {
 *             Map<?, ?> page = (Map<?, ?>) item;
 *             if (page.get("url") == null) throw new WeirWorker.Permanent("the item has no url");
 *             emit.to("texts", Map.of("url", page.get("url")));
 *         });
 *     }
 * }
 * }</pre>
 *
 * <p>Weir starts the program, sends it items and reads its replies; docs/exec.md
 * of the Weir repository describes how. System.out is safe: standard output
 * belongs to the protocol, so it is redirected to standard error, which Weir
 * logs.
 *
 * <p>work(url, queue, handler, options) does the same for a queue of a store that
 * `weir serve` offers, over the network: docs/protocol.md describes it. The token is
 * that of the variable WEIR_TOKEN, or of a file.
 *
 * <p>JSON is read as Map, List, String, Boolean, Long (or Double, if it has a
 * fraction, an exponent or too many digits) and null; the same and any other
 * Number can be emitted.
 *
 * <p>Needs Java 17 or later.
 */
public final class WeirWorker {
    static final long PROTOCOL = 1;

    private WeirWorker() {}

    /** What does one item. What it emits counts only if it returns. */
    @FunctionalInterface
    public interface Handler {
        void handle(Object item, Emitter emit) throws Exception;
    }

    /** Sends a value to the edge of that name. */
    @FunctionalInterface
    public interface Emitter {
        void to(String edge, Object value);
    }

    /** The item cannot succeed, however often it is tried. */
    public static class Permanent extends RuntimeException {
        final String reason;

        public Permanent(String message) {
            this(message, "");
        }

        /** reason is a short machine-readable word, such as "no_text". */
        public Permanent(String message, String reason) {
            super(message);
            this.reason = reason;
        }
    }

    /** The item should be tried again, but not before so many seconds. */
    public static class RetryAfter extends RuntimeException {
        final double seconds;

        public RetryAfter(double seconds, String message) {
            super(message);
            this.seconds = seconds;
        }
    }

    /** Answers items, in order, until Weir closes standard input. */
    public static void serve(Handler handler) throws IOException {
        serve(handler, "java");
    }

    /** Like serve, under a name of its own in Weir's log. */
    public static void serve(Handler handler, String name) throws IOException {
        // Keep the protocol's stream for ourselves; give everyone else stderr.
        OutputStream out = new FileOutputStream(FileDescriptor.out);
        System.setOut(System.err);
        BufferedReader in = new BufferedReader(
                new InputStreamReader(new FileInputStream(FileDescriptor.in), StandardCharsets.UTF_8), 1 << 16);
        String line = in.readLine();
        if (line == null) return;
        Map<?, ?> hello = (Map<?, ?>) new Parser(line).document();
        if (!Long.valueOf(PROTOCOL).equals(hello.get("weir"))) {
            throw new IOException("WeirWorker: unknown protocol: " + line);
        }
        Map<String, Object> greeting = new LinkedHashMap<>();
        greeting.put("weir", PROTOCOL);
        greeting.put("name", name);
        say(out, greeting);
        while ((line = in.readLine()) != null) {
            Map<?, ?> batch = (Map<?, ?>) new Parser(line).document();
            for (Object entry : (List<?>) batch.get("items")) {
                Map<?, ?> one = (Map<?, ?>) entry;
                say(out, answer(handler, one.get("id"), one.get("item")));
            }
        }
    }

    private static void say(OutputStream out, Map<String, Object> value) throws IOException {
        StringBuilder b = new StringBuilder();
        write(b, value);
        out.write(b.append('\n').toString().getBytes(StandardCharsets.UTF_8));
        out.flush();
    }

    private static Map<String, Object> answer(Handler handler, Object id, Object item) {
        Map<String, Object> reply = new LinkedHashMap<>();
        reply.put("id", id);
        Map<String, List<Object>> emitted = new LinkedHashMap<>();
        try {
            handler.handle(item, (edge, value) -> {
                write(new StringBuilder(), value); // its error belongs to the item
                emitted.computeIfAbsent(edge, e -> new ArrayList<>()).add(value);
            });
            reply.put("ok", true);
            reply.put("emit", emitted);
        } catch (Permanent e) {
            reply.put("error", message(e));
            reply.put("permanent", true);
            reply.put("reason", e.reason);
        } catch (RetryAfter e) {
            reply.put("error", message(e));
            reply.put("retry_after", e.seconds);
        } catch (Exception | StackOverflowError e) {
            e.printStackTrace();
            reply.put("error", e.getClass().getSimpleName() + ": " + message(e));
        }
        return reply;
    }

    private static String message(Throwable e) {
        return e.getMessage() == null || e.getMessage().isEmpty() ? "failed" : e.getMessage();
    }

    /** A server has refused a call. code is one of docs/protocol.md. */
    public static class Refused extends RuntimeException {
        public final String code;

        Refused(String call, String code, String message) {
            super(call + ": " + code + ": " + message);
            this.code = code;
        }
    }

    /** How a store is reached, and worked on. */
    public static final class Options {
        /** The token; null for that of tokenFile, or of the variable WEIR_TOKEN if that is null too. */
        public String token;

        /** A file with a token alone, or a role and a token on each line, as TOKENS of `weir serve` has. */
        public Path tokenFile;

        /** What the server lists this client by. */
        public String name = "java";

        /**
         * For how long the server keeps what this client holds when it does not hear of it.
         * A thread gives a sign of life three times as often.
         */
        public Duration lease = Duration.ofSeconds(15);

        /** For how long a call is made again while no server answers. */
        public Duration patience = Duration.ofMinutes(2);

        /** Work returns when this is true. */
        public BooleanSupplier stop = () -> false;

        /** How many items are received at a time. */
        public int batch = 1;

        /** Further fields of the call subscribe, Map.of("affinity_us", 3000000) say. */
        public Map<String, Object> subscribe = Map.of();

        private String token() throws IOException {
            if (token != null) return token;
            if (tokenFile == null) return System.getenv().getOrDefault("WEIR_TOKEN", "");
            List<String[]> lines = new ArrayList<>();
            for (String line : Files.readAllLines(tokenFile)) {
                if (!line.isBlank() && !line.startsWith("#")) lines.add(line.strip().split("\\s+"));
            }
            for (String role : List.of("work", "admin")) {
                for (String[] line : lines) {
                    if (line.length == 2 && line[0].equals(role)) return line[1];
                }
            }
            if (lines.isEmpty() || lines.get(0).length != 1) {
                throw new IOException(tokenFile + " has no token of the role work");
            }
            return lines.get(0)[0];
        }
    }

    /** What these say may pass, here or at another address. */
    private static final Set<String> LATER = Set.of("unavailable", "busy", "fenced", "failed", "closed");

    /** The server has given back what the client held. */
    private static final Set<String> LOST = Set.of("lease_lost", "unknown_client");

    /** There is no room now. */
    private static final Set<String> FULL = Set.of("queue_full", "disk_full");

    /** The fault is not that of what was sent: of the token, of the server, or of what is in between. */
    private static final Set<String> ELSEWHERE = Set.of("unauthorized", "forbidden", "protocol", "internal", "corrupt");

    /**
     * A store that `weir serve` offers, at a URL, or at those of a leader and its standbys,
     * separated by commas. Its methods may be called from any thread.
     */
    public static final class Store implements AutoCloseable {
        private final Options options;
        private final String token;
        private final List<String> bases = new ArrayList<>();
        private final HttpClient http =
                HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(10)).build();
        private final Thread beat;
        private volatile String client;

        public Store(String url, Options options) throws IOException, InterruptedException {
            this.options = options;
            this.token = options.token();
            for (String u : url.split(",")) bases.add(u.strip().replaceAll("/+$", "") + "/weir/v1/");
            open();
            beat = new Thread(this::beat, "weir heartbeat");
            beat.setDaemon(true);
            beat.start();
        }

        /** The id of this client, which calls have. */
        public String client() {
            return client;
        }

        /** Makes the client known, under a new id: what it held before it holds no more. */
        public void open() throws InterruptedException {
            String id = newID();
            call("open", Map.of("client", id, "version", 1, "name", options.name, "program", "WeirWorker.java",
                    "lease_ms", options.lease.toMillis()));
            client = id;
        }

        /**
         * Makes a call, and again while no server answers: calls may be repeated. It throws
         * Refused for what will not pass by itself.
         */
        public Map<?, ?> call(String name, Map<String, ?> message) throws InterruptedException {
            return call(name, message, options.patience);
        }

        private Map<?, ?> call(String name, Map<String, ?> message, Duration patience) throws InterruptedException {
            StringBuilder body = new StringBuilder();
            write(body, message);
            long begun = System.nanoTime();
            while (true) {
                Refused refused;
                String base;
                synchronized (bases) {
                    base = bases.get(0);
                }
                try {
                    HttpResponse<String> r = http.send(HttpRequest.newBuilder(URI.create(base + name))
                            .timeout(Duration.ofMinutes(1)).header("Content-Type", "application/json")
                            .header("Authorization", "Bearer " + token)
                            .POST(HttpRequest.BodyPublishers.ofString(body.toString())).build(),
                            HttpResponse.BodyHandlers.ofString());
                    Object answer = parse(r.body());
                    if (r.statusCode() == 200 && answer instanceof Map) return (Map<?, ?>) answer;
                    refused = refused(name, r.statusCode(), answer);
                } catch (IOException e) {
                    refused = new Refused(name, "unavailable", base + ": " + e);
                }
                if (!LATER.contains(refused.code) || System.nanoTime() - begun > patience.toNanos()) throw refused;
                synchronized (bases) {
                    if (base.equals(bases.get(0))) bases.add(bases.remove(0));
                }
                pause();
            }
        }

        private static Refused refused(String call, int status, Object answer) {
            if (answer instanceof Map && ((Map<?, ?>) answer).get("code") instanceof String) {
                return new Refused(call, (String) ((Map<?, ?>) answer).get("code"), "" + ((Map<?, ?>) answer).get("message"));
            }
            boolean later = status >= 500 || status == 429 || status == 200; // not of a Weir server: a proxy's, perhaps
            return new Refused(call, later ? "unavailable" : "protocol", "status " + status);
        }

        /** Commits changes, all or none, once. It returns the result, or throws Refused. */
        public Map<?, ?> commit(List<Map<String, Object>> changes) throws InterruptedException {
            Map<String, Object> transaction = new HashMap<>(Map.of("id", newID(), "changes", changes));
            if (changes.stream().noneMatch(c -> c.containsKey("delivery"))) {
                // What settles nothing could happen again when its id has been forgotten.
                Object serial = call("limits", Map.of()).get("serial");
                if (serial != null) transaction.put("since", serial);
            }
            long begun = System.nanoTime();
            while (true) {
                Map<?, ?> reply = call("commit", Map.of("client", client, "transactions", List.of(transaction)));
                Map<?, ?> outcome = (Map<?, ?>) ((List<?>) reply.get("outcomes")).get(0);
                if (outcome.get("error") == null) {
                    return outcome.get("result") == null ? Map.of() : (Map<?, ?>) outcome.get("result");
                }
                Refused refused = refused("commit", 400, outcome.get("error"));
                if (!LATER.contains(refused.code) || System.nanoTime() - begun > options.patience.toNanos()) throw refused;
                pause();
            }
        }

        /** Gives back what the client holds. If no server hears it, that ends with the lease. */
        @Override
        public void close() {
            beat.interrupt();
            try {
                call("leave", Map.of("client", client), Duration.ZERO);
            } catch (Refused e) {
                // The lease ends by itself.
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        private void beat() {
            try {
                while (true) {
                    Thread.sleep(Math.max(1, options.lease.toMillis() / 3));
                    try {
                        call("heartbeat", Map.of("client", client), Duration.ZERO);
                    } catch (Refused e) {
                        // Whoever receives or commits meets it.
                    }
                }
            } catch (InterruptedException e) {
                // The store is closed.
            }
        }

        private static String newID() {
            return UUID.randomUUID().toString().replace("-", "");
        }

        private static void pause() throws InterruptedException {
            Thread.sleep(ThreadLocalRandom.current().nextLong(50, 500));
        }
    }

    private static Object parse(String text) {
        try {
            return new Parser(text).document();
        } catch (RuntimeException | StackOverflowError e) {
            return null;
        }
    }

    /**
     * Works on the JSON values of a queue until options.stop. The handler is that of serve;
     * what it emits is enqueued to the queue of the edge's name by the transaction that
     * acknowledges the item, so both happen once or not at all, whatever dies. It throws
     * Refused if the server does not want this client, or has been away for longer than the
     * patience.
     */
    public static void work(String url, String queue, Handler handler, Options options)
            throws IOException, InterruptedException {
        try (Store store = new Store(url, options)) {
            while (!options.stop.getAsBoolean()) {
                try {
                    session(store, queue, handler, options);
                } catch (Refused e) {
                    if (!LOST.contains(e.code)) throw e;
                    System.err.println("WeirWorker: begins again: " + e.getMessage());
                    store.open();
                }
            }
        }
    }

    private static void session(Store store, String queue, Handler handler, Options options) throws InterruptedException {
        String name = Store.newID();
        Map<String, Object> begin = new LinkedHashMap<>(options.subscribe);
        begin.putAll(Map.of("client", store.client(), "session", name, "queue", queue, "barriers", "none"));
        store.call("subscribe", begin);
        for (long seq = 1; !options.stop.getAsBoolean(); seq++) {
            Map<?, ?> got = store.call("receive", Map.of("client", store.client(), "session", name, "seq", seq,
                    "max", options.batch, "wait_ms", 5000));
            if (got.get("deliveries") == null) continue;
            for (Object d : (List<?>) got.get("deliveries")) settle(store, handler, (Map<?, ?>) d);
        }
    }

    private static void settle(Store store, Handler handler, Map<?, ?> d) throws InterruptedException {
        Object number = d.get("delivery");
        Map<String, Object> got;
        try {
            Object text = ((Map<?, ?>) d.get("item")).get("text");
            got = answer(handler, number, new Parser((String) text).document());
        } catch (RuntimeException | StackOverflowError e) { // it has no text, or that is no JSON
            got = Map.of("error", "the item is not JSON", "permanent", true);
        }
        List<Map<String, Object>> changes = new ArrayList<>();
        Map<String, Object> end = new LinkedHashMap<>();
        end.put("delivery", number);
        if (Boolean.TRUE.equals(got.get("ok"))) {
            end.put("do", "ack");
            for (Map.Entry<?, ?> edge : ((Map<?, ?>) got.get("emit")).entrySet()) {
                for (Object value : (List<?>) edge.getValue()) {
                    StringBuilder b = new StringBuilder();
                    write(b, value);
                    changes.add(Map.of("do", "enqueue", "name", edge.getKey(), "item", Map.of("text", b.toString())));
                }
            }
        } else {
            end.put("do", got.containsKey("permanent") ? "bury" : "retry");
            end.put("error", got.get("error"));
            if (got.get("retry_after") != null) {
                end.put("flag", true);
                end.put("wait_us", (long) ((Double) got.get("retry_after") * 1e6));
            }
        }
        while (true) {
            try {
                List<Map<String, Object>> all = new ArrayList<>(changes);
                all.add(end);
                store.commit(all);
                return;
            } catch (Refused e) {
                if (FULL.contains(e.code)) {
                    Thread.sleep(ThreadLocalRandom.current().nextLong(500, 1500));
                    continue;
                }
                boolean about = !LOST.contains(e.code) && !LATER.contains(e.code) && !ELSEWHERE.contains(e.code);
                if (changes.isEmpty() || !about) throw e;
                changes.clear(); // what was emitted can never be stored
                end.put("do", "bury");
                end.put("error", e.getMessage());
            }
        }
    }

    private static void write(StringBuilder b, Object v) {
        if (v == null || v instanceof Boolean) {
            b.append(v);
        } else if (v instanceof Double && !Double.isFinite((Double) v) || v instanceof Float && !Float.isFinite((Float) v)) {
            throw new Permanent("JSON has no number " + v);
        } else if (v instanceof Number) {
            b.append(v);
        } else if (v instanceof CharSequence || v instanceof Character) {
            writeString(b, v.toString());
        } else if (v instanceof Map) {
            char next = '{';
            if (((Map<?, ?>) v).isEmpty()) b.append(next);
            for (Map.Entry<?, ?> e : ((Map<?, ?>) v).entrySet()) {
                b.append(next);
                writeString(b, String.valueOf(e.getKey()));
                b.append(':');
                write(b, e.getValue());
                next = ',';
            }
            b.append('}');
        } else if (v instanceof Collection) {
            char next = '[';
            if (((Collection<?>) v).isEmpty()) b.append(next);
            for (Object e : (Collection<?>) v) {
                b.append(next);
                write(b, e);
                next = ',';
            }
            b.append(']');
        } else {
            throw new Permanent("cannot write a " + v.getClass().getName() + " as JSON");
        }
    }

    private static void writeString(StringBuilder b, String s) {
        b.append('"');
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c == '"' || c == '\\') {
                b.append('\\').append(c);
            } else if (c < 0x20 || Character.isSurrogate(c)) {
                b.append(String.format("\\u%04x", (int) c));
            } else {
                b.append(c);
            }
        }
        b.append('"');
    }

    /** Reads what Weir sends, which is valid JSON. */
    private static final class Parser {
        private final String s;
        private int at;

        Parser(String s) {
            this.s = s;
        }

        Object document() {
            Object v = value();
            space();
            if (at != s.length()) throw bad();
            return v;
        }

        private Object value() {
            space();
            switch (peek()) {
                case '{':
                    return object();
                case '[':
                    return array();
                case '"':
                    return string();
                case 't':
                    return word("true", Boolean.TRUE);
                case 'f':
                    return word("false", Boolean.FALSE);
                case 'n':
                    return word("null", null);
                default:
                    return number();
            }
        }

        private Map<String, Object> object() {
            Map<String, Object> out = new LinkedHashMap<>();
            at++;
            if (skip('}')) return out;
            do {
                space();
                String key = string();
                if (!skip(':')) throw bad();
                out.put(key, value());
            } while (skip(','));
            if (!skip('}')) throw bad();
            return out;
        }

        private List<Object> array() {
            List<Object> out = new ArrayList<>();
            at++;
            if (skip(']')) return out;
            do {
                out.add(value());
            } while (skip(','));
            if (!skip(']')) throw bad();
            return out;
        }

        private String string() {
            if (peek() != '"') throw bad();
            StringBuilder b = new StringBuilder();
            for (at++; peek() != '"'; at++) {
                char c = s.charAt(at);
                if (c != '\\') {
                    b.append(c);
                    continue;
                }
                at++;
                switch (peek()) {
                    case 'n': b.append('\n'); break;
                    case 't': b.append('\t'); break;
                    case 'r': b.append('\r'); break;
                    case 'b': b.append('\b'); break;
                    case 'f': b.append('\f'); break;
                    case 'u':
                        b.append((char) Integer.parseInt(s.substring(at + 1, at + 5), 16));
                        at += 4;
                        break;
                    default: b.append(s.charAt(at));
                }
            }
            at++;
            return b.toString();
        }

        private Object number() {
            int from = at;
            while (at < s.length() && "+-.eE0123456789".indexOf(s.charAt(at)) >= 0) at++;
            String n = s.substring(from, at);
            try {
                return Long.valueOf(n);
            } catch (NumberFormatException e) {
                return Double.valueOf(n);
            }
        }

        private Object word(String w, Object v) {
            if (!s.startsWith(w, at)) throw bad();
            at += w.length();
            return v;
        }

        private boolean skip(char c) {
            space();
            if (at < s.length() && s.charAt(at) == c) {
                at++;
                return true;
            }
            return false;
        }

        private void space() {
            while (at < s.length() && s.charAt(at) <= ' ') at++;
        }

        private char peek() {
            if (at >= s.length()) throw bad();
            return s.charAt(at);
        }

        private IllegalArgumentException bad() {
            return new IllegalArgumentException("bad JSON at " + at);
        }
    }
}
