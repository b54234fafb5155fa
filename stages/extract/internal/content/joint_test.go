package content

import "testing"

// Words of elements side by side stand apart where styles set them apart, and
// letters that are marked within a word do not.
func TestWordsOfElementsSideBySide(t *testing.T) {
	for _, c := range []struct{ html, want string }{
		{"<p><span class=name>Jacek Polewski</span><span class=title>STUDENT</span></p>", "Jacek Polewski STUDENT"},
		{"<p><span class=name>amount</span><span class=type>integer</span></p>", "amount integer"},
		{"<p><a href=/a>Earth Ball</a><em>Outside Over There</em><span class=label>Upset</span></p>", "Earth Ball Outside Over There Upset"},
		{"<p><time>December 20, 2024</time><time class=updated>September 26, 2025</time></p>", "December 20, 2024 September 26, 2025"},
		{"<p><span class=a>One sentence.</span><span class=b>Another one.</span></p>", "One sentence. Another one."},
		{"<p><b>W</b><i>ord</i> and <b>un</b><i>believable</i></p>", "Word and unbelievable"},
		{"<p><span class=cap>O</span><span class=rest>nce</span></p>", "Once"},
		{"<p><span>Hel</span><span>lo</span></p>", "Hello"},
		{"<p><span class=a>hyphen</span><wbr><span class=b>ated</span></p>", "hyphenated"},
		{"<p>H<sub>2</sub>O, <i>i</i><b>Phone</b></p>", "H2O, iPhone"},
		{"<p><code><span class=k>func</span><span class=n>main</span></code></p>", "funcmain"},
		{"<pre><span class=k>func</span><span class=n>main</span></pre>", "funcmain"},
		{"<p><span class=a>日本</span><span class=b>語です</span></p>", "日本語です"},
	} {
		p := read(t, "<title>x</title><body>"+c.html)
		if got := texts(p); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %q, want %q", c.html, got, c.want)
		}
	}
}
