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
		{`<p><i class=icon>4.5 of 5 stars</i><span class=count>187</span></p>`, "4.5 of 5 stars 187"},
		{`<p><span class=price>$49.30</span><span class=sr-only>current price</span></p>`, "$49.30 current price"},
		{`<p>Learn more<span class="clipped">about it</span></p>`, "Learn more about it"},
		{`<p>as was shown<sup><a href="#n16">16</a></sup> before</p>`, "as was shown 16 before"},
		{`<p><em class=title>Fish Ladder</em>The easiest way up</p>`, "Fish Ladder The easiest way up"},
		{`<p>10<sup>15</sup> m<sup>2</sup>, <span class=drop>T</span>he <a href=/x>Weir</a>s</p>`, "1015 m2, The Weirs"},
		{"<p><b>W</b><i>ord</i> and <b>un</b><i>believable</i></p>", "Word and unbelievable"},
		{"<p><span class=cap>O</span><span class=rest>nce</span></p>", "Once"},
		{"<p><span>Hel</span><span>lo</span></p>", "Hello"},
		{"<p><span class=a>hyphen</span><wbr><span class=b>ated</span></p>", "hyphenated"},
		{"<p>H<sub>2</sub>O, <i>i</i><b>Phone</b></p>", "H2O, iPhone"},
		{"<p><code><span class=k>func</span><span class=n>main</span></code></p>", "funcmain"},
		{`<p><code><span style="display: block">open(gate)</span><span style="display:block">wait()</span></code></p>`, "open(gate)\nwait()"},
		{`<pre><span style="display: block">if x</span><span style="display:block">  y</span></pre>`, "if x\n  y"},
		{"<pre><span style='display:block'>if x</span>\n<span style='display:block'>  y\n</span><i>z</i></pre>", "if x\n  y\nz"},
		{"<code style='display:block;white-space:pre'>if x\n  y</code>", "if x\n  y"},
		{"<pre>$ <code>a<br>b</code></pre>", "$ a\nb"},
		{"<pre><span class=k>func</span><span class=n>main</span></pre>", "funcmain"},
		{"<p><span class=a>日本</span><span class=b>語です</span></p>", "日本語です"},
	} {
		p := read(t, "<title>x</title><body>"+c.html)
		if got := texts(p); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %q, want %q", c.html, got, c.want)
		}
	}
}
