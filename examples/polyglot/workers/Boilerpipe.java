import de.l3s.boilerpipe.document.TextDocument;
import de.l3s.boilerpipe.extractors.ArticleExtractor;
import de.l3s.boilerpipe.sax.BoilerpipeSAXInput;
import java.io.StringReader;
import java.util.Map;
import org.xml.sax.InputSource;

/** Takes the main text out of a page with boilerpipe's article extractor. */
public class Boilerpipe {
    public static void main(String[] args) throws Exception {
        WeirWorker.serve((item, emit) -> {
            String html = (String) ((Map<?, ?>) item).get("html");
            TextDocument page = new BoilerpipeSAXInput(new InputSource(new StringReader(html))).getTextDocument();
            String title = page.getTitle() == null ? "" : page.getTitle();
            emit.to("text", Map.of("title", title, "text", ArticleExtractor.getInstance().getText(page)));
        }, "boilerpipe");
    }
}
