import java.util.List;
import java.util.Map;

/** Commits one order to the store at a URL, and says with which code it was refused. */
public class Produce {
    public static void main(String[] args) throws Exception {
        try (WeirWorker.Store store = new WeirWorker.Store(args[0], new WeirWorker.Options())) {
            store.commit(List.of(Map.of("do", "enqueue", "name", "orders", "item", Map.of("text", "two apples"))));
            System.out.println("done");
        } catch (WeirWorker.Refused e) {
            System.out.println(e.code);
        }
    }
}
