package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// file writes a PDF file with a page for each list of lines.
func file(title string, pages ...[]string) []byte {
	var b bytes.Buffer
	var offsets []int
	object := func(format string, args ...any) {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n", len(offsets))
		fmt.Fprintf(&b, format, args...)
		b.WriteString("\nendobj\n")
	}
	b.WriteString("%PDF-1.4\n")
	var kids []string
	for i := range pages {
		kids = append(kids, fmt.Sprintf("%d 0 R", 5+2*i))
	}
	object("<< /Type /Catalog /Pages 2 0 R >>")
	object("<< /Type /Pages /Kids [%s] /Count %d >>", strings.Join(kids, " "), len(pages))
	object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
	object("<< /Title (%s) /Author (Ann Miller) >>", title)
	for i, lines := range pages {
		object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents %d 0 R >>", 6+2*i)
		content := "BT /F1 12 Tf 72 770 Td 14 TL\n"
		for _, l := range lines {
			content += "(" + l + ") Tj T*\n"
		}
		content += "ET"
		object("<< /Length %d >>\nstream\n%s\nendstream", len(content), content)
	}
	at := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer << /Size %d /Root 1 0 R /Info 4 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, at)
	return b.Bytes()
}

func TestRead(t *testing.T) {
	r := &Reader{interpreted: true}
	defer r.Close()
	good := file("Salt of the sea", []string{"Salt is won from the sea", "by sun and wind."}, []string{"A second page, caf\\351."})

	t.Run("text, title and pages", func(t *testing.T) {
		d, err := r.Read(t.Context(), good)
		if err != nil {
			t.Fatal(err)
		}
		if d.Title != "Salt of the sea" || len(d.Pages) != 2 || d.Cut {
			t.Errorf("got %+v", d)
		}
		if want := "Salt is won from the sea\nby sun and wind."; d.Pages[0] != want {
			t.Errorf("page 1 is %q, want %q", d.Pages[0], want)
		}
		if want := "A second page, café."; d.Pages[1] != want {
			t.Errorf("page 2 is %q, want %q", d.Pages[1], want)
		}
	})
	t.Run("broken files", func(t *testing.T) {
		for name, b := range map[string][]byte{"empty": nil, "HTML": []byte("<html>"), "a head only": good[:40]} {
			if d, err := r.Read(t.Context(), b); !errors.Is(err, ErrBroken) {
				t.Errorf("%s: %+v, %v, want ErrBroken", name, d, err)
			}
		}
	})
	t.Run("a damaged table of objects is repaired", func(t *testing.T) {
		b := bytes.Replace(good, []byte("startxref\n"), []byte("startxref\n9"), 1)
		if d, err := r.Read(t.Context(), b); err != nil || len(d.Pages) != 2 {
			t.Errorf("%+v, %v", d, err)
		}
	})
	t.Run("a password", func(t *testing.T) {
		b := bytes.Replace(good, []byte("/Info"), []byte("/Encrypt << /Filter /Standard /V 1 /R 2 /O (01234567890123456789012345678901) /U (01234567890123456789012345678901) /P -4 >> /ID [(a) (b)] /Info"), 1)
		if d, err := r.Read(t.Context(), b); !errors.Is(err, ErrPassword) {
			t.Errorf("%+v, %v, want ErrPassword", d, err)
		}
	})
	t.Run("the limit of text", func(t *testing.T) {
		r.MaxText = 10
		defer func() { r.MaxText = 0 }()
		if d, err := r.Read(t.Context(), good); err != nil || len(d.Pages) != 1 || !d.Cut {
			t.Errorf("%+v, %v, want one page and Cut", d, err)
		}
	})
	t.Run("damaged at random", func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for range 40 {
			b := bytes.Clone(good)
			for range 1 + random.IntN(20) {
				b[random.IntN(len(b))] = byte(random.IntN(256))
			}
			if _, err := r.Read(t.Context(), b); err != nil && !errors.Is(err, ErrBroken) && !errors.Is(err, ErrPassword) && !errors.Is(err, ErrLimit) {
				t.Errorf("%v", err)
			}
		}
	})
	t.Run("the end of time", func(t *testing.T) {
		// Form objects that draw each other ten times, eleven deep.
		r.Timeout = 50 * time.Millisecond
		defer func() { r.Timeout = 0 }()
		if d, err := r.Read(t.Context(), manyFold(t)); !errors.Is(err, ErrLimit) {
			t.Errorf("%+v, %v, want ErrLimit", d, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Read(ctx, good); !errors.Is(err, context.Canceled) {
			t.Errorf("after the end of the context: %v", err)
		}
		r.Timeout = 0
		if d, err := r.Read(t.Context(), good); err != nil || len(d.Pages) != 2 {
			t.Errorf("afterwards: %+v, %v", d, err)
		}
	})
}

// manyFold is a page that draws a text 10^11 times.
func manyFold(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj\n")
	b.WriteString("4 0 obj << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> endobj\n")
	draw := strings.Repeat("/X Do ", 10)
	fmt.Fprintf(&b, "3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 500 500] /Resources << /XObject << /X 10 0 R >> >> /Contents 5 0 R >> endobj\n")
	fmt.Fprintf(&b, "5 0 obj << /Length %d >> stream\n%s\nendstream endobj\n", len(draw), draw)
	for i := 10; i < 20; i++ {
		fmt.Fprintf(&b, "%d 0 obj << /Type /XObject /Subtype /Form /BBox [0 0 500 500] /Resources << /XObject << /X %d 0 R >> >> /Length %d >> stream\n%s\nendstream endobj\n", i, i+1, len(draw), draw)
	}
	last := "BT /F1 12 Tf 10 10 Td (word) Tj ET"
	fmt.Fprintf(&b, "20 0 obj << /Type /XObject /Subtype /Form /BBox [0 0 500 500] /Resources << /Font << /F1 4 0 R >> >> /Length %d >> stream\n%s\nendstream endobj\n", len(last), last)
	b.WriteString("trailer << /Root 1 0 R >>\n%%EOF\n")
	return b.Bytes()
}
