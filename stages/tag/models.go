package tag

import (
	"bytes"
	"embed"
	"fmt"
	"strings"
	"sync"
)

//go:embed models/*.model
var modelFiles embed.FS

// A builtin is an embedded model, read when it is asked for the first time.
type builtin struct {
	once sync.Once
	m    *model
}

var builtins = map[string]*builtin{"en": {}, "pt": {}, "fr": {}, "es": {}, "de": {}}

// Languages returns the codes of the languages that have an embedded model.
func Languages() []string { return []string{"de", "en", "es", "fr", "pt"} }

// For returns the tagger for a language, given as a BCP 47 code of which the
// first part counts: "en", "en-US" and "EN_us" are the same. The first call
// for a language reads its embedded model; all calls share it.
//
// For a language without a model, ok is false, and the tagger gives sentences
// and tokens without tags. The code "" stands for a language nobody knows.
func For(lang string) (t *Tagger, ok bool) {
	code, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(lang)), "_", "-"), "-")
	b := builtins[code]
	if b == nil {
		return &Tagger{m: &model{lang: code, style: styleOf(code), lex: rulesOnly.lex}}, false
	}
	b.once.Do(func() {
		data, err := modelFiles.ReadFile("models/" + code + ".model")
		if err == nil {
			b.m, err = readModel(bytes.NewReader(data), false)
		}
		if err != nil {
			// The file is part of the program and was tested with it.
			panic(fmt.Sprintf("tag: embedded model %s: %v", code, err))
		}
	})
	return &Tagger{m: b.m}, true
}
