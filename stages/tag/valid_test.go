package tag

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/seed-301537d8/weir/internal/cputime"
)

// checkCoNLLU reports what is not valid CoNLL-U in what was written of a text:
// https://universaldependencies.org/format.html, and the places in MISC.
func checkCoNLLU(out []byte, text string) error {
	if len(out) > 0 && !bytes.HasSuffix(out, []byte("\n\n")) {
		return fmt.Errorf("no blank line at the end")
	}
	at := 0 // in text: tokens follow each other
	for block := range strings.SplitSeq(strings.TrimSuffix(string(out), "\n\n"), "\n\n") {
		if block == "" {
			continue
		}
		stated, joined := "", ""
		words, rangeEnd, spaceBefore := 0, 0, false
		for line := range strings.SplitSeq(block, "\n") {
			if rest, ok := strings.CutPrefix(line, "# text = "); ok {
				stated = rest
			}
			if strings.HasPrefix(line, "#") {
				continue
			}
			col := strings.Split(line, "\t")
			if len(col) != 10 {
				return fmt.Errorf("%d columns: %q", len(col), line)
			}
			for _, c := range col {
				if c == "" || c != strings.TrimSpace(c) {
					return fmt.Errorf("a column is empty or padded: %q", line)
				}
			}
			var first, last int
			if n, _ := fmt.Sscanf(col[0], "%d-%d", &first, &last); n == 2 {
				if first != words+1 || last <= first || first <= rangeEnd {
					return fmt.Errorf("range %s after word %d and a range to %d", col[0], words, rangeEnd)
				}
				rangeEnd = last
			} else {
				words++
				if col[0] != fmt.Sprint(words) {
					return fmt.Errorf("word %s, want %d", col[0], words)
				}
				if words <= rangeEnd {
					if col[9] != "_" {
						return fmt.Errorf("a word of a multiword token has a place: %q", line)
					}
					continue // it stands in its token
				}
			}
			misc, noSpace := strings.CutPrefix(col[9], "SpaceAfter=No|")
			var start, end int
			if n, _ := fmt.Sscanf(misc, "TokenRange=%d:%d", &start, &end); n != 2 || start < at || end <= start || end > len(text) {
				return fmt.Errorf("place %q after %d in %d bytes", col[9], at, len(text))
			}
			if got := oneLine(text[start:end]); got != col[1] && got != "" {
				return fmt.Errorf("%q stands at %d:%d, not %q", got, start, end, col[1])
			}
			at = end
			if spaceBefore {
				joined += " "
			}
			joined += col[1]
			spaceBefore = !noSpace
		}
		if words < rangeEnd {
			return fmt.Errorf("%d words, but a range to %d", words, rangeEnd)
		}
		if joined != stated {
			return fmt.Errorf("the text is %q, the tokens say %q", stated, joined)
		}
	}
	return nil
}

func written(t testing.TB, tg *Tagger, text string) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := WriteCoNLLU(&buf, tg.Tag(text)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// Whatever is tagged, what is written of it is valid.
func TestWhatIsWrittenIsValid(t *testing.T) {
	texts := append([]string{
		story, "íamos divertir-nos e que não", "dá-no-los, fi-lo-ia nas-nos da-se", "hacérselo del al-del",
		"can't've gonna cannot-nos", "zum-zum im's", "l'homme du-du aujourd'hui",
	}, hostile...)
	for _, lang := range Languages() {
		data, err := os.ReadFile("testdata/" + lang + ".conllu")
		if err != nil {
			t.Fatal(err)
		}
		sentences, err := ReadTreebank(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, s := range sentences {
			all = append(all, s.Text)
		}
		texts = append(texts, strings.Join(all, " "), strings.Join(all, "\n\n"))
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		texts = append(texts, randomText(random))
	}
	for _, lang := range append(Languages(), "xx") {
		tg, _ := For(lang)
		for _, text := range texts {
			if err := checkCoNLLU(written(t, tg, text), text); err != nil {
				t.Errorf("%s: %v (seed %d)\n%q", lang, err, seed, text)
			}
		}
	}
}

// randomText returns words, marks and gaps of all kinds in random order.
func randomText(r *rand.Rand) string {
	parts := []string{
		"divertir", "-nos", "nos", "da", "das", "-se", "-lo", "no", "pela", "can", "not", "don't", "n't", "'s", "’s", "du", "des",
		"l'", "del", "al", "hacerlo", "zum", "im", "Dr.", "U.S.", "z.B.", "13.", "80 000", "80\u00a0000", "3.14", "1-2-3", "a:b", "www.", "a@b.de",
		"的", "日本語", "ไทย", "\u0301", "\u200d", "👩‍👩‍👧", "\u200b", "\ufeff", "\u0085", "\u2028", "\u2029", "\x00", "\xff", "\xe2\x80",
		".", "!", "?!", "...", ",", ";", ":", "(", ")", "\"", "“", "”", "«", "»", "-", "--", "—", "_", "/", "\\", "|", "#", "&", "&amp;", "😀", ":-)",
		" ", " ", " ", " ", "\n", "\t", "\r\n", "\n\n", "\f",
	}
	var b strings.Builder
	for range 1 + r.IntN(40) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

// A text gives the same sentences however it arrives, in one piece or in many.
func TestTagReaderIsTag(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	size := pieceSize{least: 1 << 10, most: 4 << 10}
	long := func(join string) string {
		var b strings.Builder
		for b.Len() < 5*size.most {
			b.WriteString(randomText(random))
			b.WriteString(join)
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"empty": "", "short": story, "white space": strings.Repeat(" \n", size.most),
		"paragraphs": strings.Repeat(story+"\n\n", 3*size.most/len(story)),
		"sentences":  strings.Repeat("Ann didn't sleep. ", 3*size.most/18),
		"one word":   strings.Repeat("é", 2*size.most), "one sentence": strings.Repeat("and so on ", size.most/4),
		"random words": long(" "), "random paragraphs": long("\n\n"), "random lines": long("\n"),
	} {
		for _, lang := range append(Languages(), "xx") {
			tg, _ := For(lang)
			var doc Document
			tg.tagInto(&doc, text, size)
			var want bytes.Buffer
			if err := WriteCoNLLU(&want, doc.Sentences); err != nil {
				t.Fatal(err)
			}
			if err := checkCoNLLU(want.Bytes(), text); err != nil {
				t.Errorf("%s: %s: %v (seed %d)", lang, name, err, seed)
			}
			for how, r := range map[string]io.Reader{
				"at once": strings.NewReader(text), "with the end": iotest.DataErrReader(strings.NewReader(text)),
				"in halves": iotest.HalfReader(strings.NewReader(text)), "byte by byte": iotest.OneByteReader(strings.NewReader(text)),
			} {
				var got bytes.Buffer
				w := NewCoNLLUWriter(&got)
				if err := tg.tagReader(r, size, w.Write); err != nil {
					t.Fatal(err)
				}
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Errorf("%s: %s, read %s: %d bytes, want %d (seed %d)", lang, name, how, got.Len(), want.Len(), seed)
				}
			}
		}
	}
}

// The memory of a reader's text does not follow its size.
func TestTagReaderHoldsAPiece(t *testing.T) {
	tg := tagger(t, "en")
	most := 0
	err := tg.TagReader(io.LimitReader(repeatReader("Ann didn't sleep. "), 3<<20), func(s []Sentence) error {
		most = max(most, s[len(s)-1].End-s[0].Start)
		return nil
	})
	if err != nil || most == 0 || most > defaultPieces.most {
		t.Errorf("got %d bytes at a time, %v; want at most %d", most, err, defaultPieces.most)
	}
}

// repeatReader repeats a text without end.
type repeatReader string

func (r repeatReader) Read(p []byte) (int, error) {
	n := copy(p, r)
	for n >= len(r) && n < len(p) {
		n += copy(p[n:], r)
	}
	return n, nil
}

func TestTagReaderErrors(t *testing.T) {
	tg := tagger(t, "en")
	if err := tg.TagReader(iotest.ErrReader(errFull), func([]Sentence) error { return nil }); err == nil || !strings.Contains(err.Error(), errFull.Error()) {
		t.Errorf("got %v", err)
	}
	if err := tg.TagReader(strings.NewReader(story), func([]Sentence) error { return errFull }); err != errFull {
		t.Errorf("got %v", err)
	}
}

// hostileUnits are repeated: each is a run that a rule might read again at every
// step.
var hostileUnits = map[string]string{
	"letters and colons": "a:b:", "letters and hyphens": "a-b-", "capitals after stops": "abc.Def", "plus signs": "a+b+", "dots": "a.b.", "at signs": "a@b@",
	"digits and colons": "1:1a", "digits and hyphens": "1-1a-", "digits": "1.1,1:", "entities": "&a", "closing brackets": "a://)", "quotes": "”", "exclamation marks": "!",
	"question marks": "?!", "apostrophes": "l'", "english clitics": "a's", "underscores": "_a", "ideographs": "的", "ideographs and colons": "的:",
	"Katakana": "ー", "Thai": "ฝาย", "Thai vowels": "เ", "Han and Thai": "水ฝ", "one letter": "é", "joiners": "a\u200d", "emoji": "👩‍👩‍👧", "emoticons": ":))))a",
	"nouns": "house ", "adjectives": "big ", "possessives": "dog 's ", "adverbs": "very - ", "determiners": "the ", "numbers": "1 000 ", "names": "Ann ",
	"adjectives and possessives": "big 's ", "joined adverbs": "very-",
}

// Hostile text costs time and memory in proportion to its length. The least of
// several runs of eight times the length may take three times as long as that:
// what is quadratic takes eight times.
func TestTimeIsLinear(t *testing.T) {
	const size = 4 << 10
	least := func(f func()) time.Duration {
		d := time.Duration(1 << 62)
		for range 4 {
			start := cputime.Used() // others may have the processor meanwhile
			f()
			d = min(d, cputime.Used()-start)
		}
		return d
	}
	for name, unit := range hostileUnits {
		lang := map[string]string{"apostrophes": "fr", "numbers": "fr", "exclamation marks": "de"}[name]
		tg := tagger(t, cmp.Or(lang, "en"))
		var doc Document
		run := func(n int) func() {
			text := strings.Repeat(unit, n/len(unit))
			return func() {
				tg.TagInto(&doc, text)
				CountNounPhrases(doc.Sentences)
				CountEntities(doc.Sentences)
			}
		}
		long := run(8 * size)
		long() // grows the document
		if short, whole := least(run(size)), least(long); whole > 24*max(short, 100*time.Microsecond) {
			t.Errorf("%s: %v for %d bytes, %v for %d", name, short, size, whole, 8*size)
		}
	}
}
