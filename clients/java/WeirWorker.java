import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

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
