import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A stage over the network: it counts the words of texts.
 *
 * <pre>java -cp classes CountWords URL [LEASE [TOKENFILE]]</pre>
 *
 * <p>Values of the queue texts are {"id": …, "text": …}; what comes of each goes to the
 * queue counts. Run as many as you like, and kill them: nothing is lost, nothing counted
 * twice.
 */
public class CountWords {
    public static void main(String[] args) throws Exception {
        WeirWorker.Options options = new WeirWorker.Options();
        if (args.length > 1) options.lease = Duration.ofMillis((long) (Double.parseDouble(args[1]) * 1000));
        if (args.length > 2) options.tokenFile = Path.of(args[2]);
        AtomicBoolean stopped = new AtomicBoolean();
        CountDownLatch done = new CountDownLatch(1);
        AtomicInteger status = new AtomicInteger(1);
        options.stop = stopped::get;
        Runtime.getRuntime().addShutdownHook(new Thread(() -> { // at SIGTERM
            stopped.set(true);
            try {
                done.await();
                Runtime.getRuntime().halt(status.get()); // and not with that of the signal
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        try {
            WeirWorker.work(args[0], "texts", CountWords::handle, options);
            status.set(0);
        } finally {
            done.countDown();
        }
    }

    static void handle(Object item, WeirWorker.Emitter emit) {
        Map<?, ?> text = (Map<?, ?>) item;
        if (text.get("text") == null) throw new WeirWorker.Permanent("the item has no text");
        String words = ((String) text.get("text")).strip();
        emit.to("counts", Map.of("id", text.get("id"), "words", words.isEmpty() ? 0 : words.split("\\s+").length));
    }
}
