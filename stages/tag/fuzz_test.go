package tag

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"
)

// packed wraps a body in a valid header, so that the checksum does not hide
// what decodeModel does with it.
func packed(t testing.TB, fill func(*encoder)) []byte {
	t.Helper()
	var e encoder
	fill(&e)
	var z bytes.Buffer
	w, err := flate.NewWriter(&z, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(e.buf)
	w.Close()
	head := []byte(magic)
	for _, n := range []uint32{formatVersion, uint32(len(e.buf)), crc32.ChecksumIEEE(e.buf), uint32(z.Len())} {
		head = binary.LittleEndian.AppendUint32(head, n)
	}
	return append(head, z.Bytes()...)
}

func FuzzTag(f *testing.F) {
	for _, s := range append(hostile, story) {
		f.Add(s, uint8(0))
		f.Add(s, uint8(2))
	}
	f.Fuzz(func(t *testing.T, text string, lang uint8) {
		langs := append(Languages(), "xx")
		tg, _ := For(langs[int(lang)%len(langs)])
		checkDocument(t, tg, text)
		for _, s := range tg.Tag(text) {
			NounPhrases(s)
			Entities(s)
		}
		if err := WriteCoNLLU(io.Discard, tg.Tag(text)); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzLoad(f *testing.F) {
	model := smallModel(f)
	body, err := io.ReadAll(flate.NewReader(bytes.NewReader(model[headerSize:])))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add(body[:len(body)/2])
	f.Add([]byte("\x02en\x01\x01X\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := Load(bytes.NewReader(body)); err == nil && !bytes.HasPrefix(body, []byte(magic)) {
			t.Fatal("loaded without the magic line")
		}
		m, err := decodeModel(body, false)
		if err != nil {
			return
		}
		// A model that was accepted must be usable, whatever it says.
		tg := &Tagger{m: m}
		for _, text := range []string{story, "da des DES", "\xff"} {
			tg.Tag(text)
		}
	})
}

func FuzzTreebank(f *testing.F) {
	for _, name := range []string{"testdata/en.conllu", "testdata/pt.conllu"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(filledInput))
	f.Fuzz(func(t *testing.T, data []byte) {
		sentences, err := ReadTreebank(bytes.NewReader(data))
		if err == nil {
			for _, s := range sentences {
				s.surface()
			}
			passages(sentences, true)
		}
		var out bytes.Buffer
		if err := new(Tagger).FillCoNLLU(bytes.NewReader(data), &out); err == nil && !bytes.Equal(out.Bytes(), data) {
			t.Fatalf("filled without a model: %q became %q", data, out.Bytes())
		}
		tg, _ := For("en")
		out.Reset()
		if err := tg.FillCoNLLU(bytes.NewReader(data), &out); err != nil {
			return
		}
		if a, b := bytes.Count(data, []byte("\n")), bytes.Count(out.Bytes(), []byte("\n")); a != b {
			t.Fatalf("%d lines became %d", a, b)
		}
	})
}

func FuzzTrain(f *testing.F) {
	f.Add("1\ta\t_\tX\t_\t_\t_\t_\t_\t_\n\n")
	f.Add(strings.ReplaceAll(filledInput, "\t_\t_\t_\t", "\tX\tX\t_\t"))
	f.Fuzz(func(t *testing.T, data string) {
		sentences, err := ReadTreebank(strings.NewReader(data))
		if err != nil || len(sentences) > 50 {
			return
		}
		var buf bytes.Buffer
		if err := Train(&buf, sentences, &TrainOptions{Language: "fr", XPOS: true, Epochs: 1}); err != nil {
			return
		}
		tg, err := Load(&buf)
		if err != nil {
			t.Fatal(err)
		}
		tg.Tag(data)
	})
}
