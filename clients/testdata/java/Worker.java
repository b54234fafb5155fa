import java.util.Map;

public class Worker {
    public static void main(String[] args) throws Exception {
        WeirWorker.serve((item, emit) -> {
            Map<?, ?> m = (Map<?, ?>) item;
            System.out.println("handling " + m.get("do")); // must not harm the protocol
            switch ((String) m.get("do")) {
                case "echo":
                    emit.to("out", m.get("value"));
                    java.util.HashMap<String, Object> again = new java.util.HashMap<>();
                    again.put("again", m.get("value"));
                    emit.to("out", again);
                    emit.to("size", String.valueOf(m.get("value")).length());
                    break;
                case "permanent":
                    throw new WeirWorker.Permanent("never", "no_text");
                case "later":
                    throw new WeirWorker.RetryAfter(90, "soon");
                case "fail":
                    emit.to("out", "lost");
                    throw new IllegalStateException("bad luck");
                case "unencodable":
                    emit.to("out", new Object());
                    break;
                case "die":
                    Runtime.getRuntime().halt(3);
            }
        });
    }
}
