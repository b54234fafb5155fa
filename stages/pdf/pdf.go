// Package pdf reads the text of PDF files.
//
// It runs PDFium, the reader of Chrome, as WebAssembly: pure Go for its users,
// and whatever a file does happens in a sandbox without files, network or
// environment, with an end of its time and its memory. What the first file costs
// besides is a few seconds of processor time and 400 MB for a moment, in which
// the module is compiled.
//
// Text comes in the order in which it stands in the file, line by line as it is
// set: columns mostly one after the other, tables as rows of words. Scanned pages
// have no text unless somebody has put one behind them. Files that need a
// password are refused.
package pdf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/klippa-app/go-pdfium"
	pdfiumerrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/seed-301537d8/weir/stages/extract"
)

// Errors of Read. That of a context is returned as it is.
var (
	// ErrPassword is returned for a file that cannot be read without a password.
	ErrPassword = errors.New("pdf: the file needs a password")
	// ErrBroken is returned for what is no PDF file, or one broken beyond repair.
	ErrBroken = errors.New("pdf: not a PDF file, or broken")
	// ErrLimit is returned for a file that takes more time or memory than it may,
	// or is larger than MaxFile.
	ErrLimit = errors.New("pdf: the file takes too much")
)

// Defaults and bounds.
const (
	DefaultTimeout = 20 * time.Second
	DefaultMaxText = 16 << 20
	MaxFile        = 64 << 20
	maxMemory      = 256 << 20 // of the sandbox
	maxPages       = 20_000
	pageBytes      = 64 << 10 // of WebAssembly
)

// A Reader reads PDF files. Its zero value is ready; many goroutines may use it,
// as many files at once as there are processors. It holds a compiled module of
// some 100 MB from the first file until Close.
type Reader struct {
	Timeout time.Duration // for one file; 0 means DefaultTimeout
	MaxText int           // bytes of text after which the pages that follow are left out; 0 means DefaultMaxText

	interpreted bool // for tests: starts at once, and is ten times as slow

	start sync.Once
	pool  pdfium.Pool
	err   error
}

// Read reads a file. It is made for the field PDF of [extract.Extractor].
func (r *Reader) Read(ctx context.Context, file []byte) (*extract.PDF, error) {
	if len(file) > MaxFile {
		return nil, fmt.Errorf("%w: %d MiB, at most %d are read", ErrLimit, len(file)>>20, MaxFile>>20)
	}
	r.start.Do(func() { r.pool, r.err = newPool(r.interpreted) })
	if r.err != nil {
		return nil, fmt.Errorf("pdf: start PDFium: %w", r.err)
	}
	instance, err := r.pool.GetInstanceWithContext(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("pdf: start PDFium: %w", err)
	}
	timeout := cmp.Or(r.Timeout, DefaultTimeout)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	// What runs in the sandbox ends when its instance is killed, and only then.
	killed := make(chan struct{})
	stop := context.AfterFunc(limited, func() {
		defer close(killed)
		_ = instance.Kill() // it is dropped, whatever it says
	})
	d, err := r.read(instance, file)
	if stop() {
		_ = instance.Close() // likewise
	} else {
		<-killed
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, fmt.Errorf("%w: more than %v", ErrLimit, timeout)
	}
	return d, err
}

// newPool compiles PDFium.
func newPool(interpreted bool) (pdfium.Pool, error) {
	const features = api.CoreFeaturesV2 | experimental.CoreFeaturesExceptionHandling
	config := wazero.NewRuntimeConfig()
	if interpreted {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	workers := runtime.GOMAXPROCS(0)
	return webassembly.Init(webassembly.Config{
		Context:       experimental.WithCompilationWorkers(context.Background(), workers),
		MaxTotal:      workers,
		FSConfig:      wazero.NewFSConfig(),
		RuntimeConfig: config.WithCoreFeatures(features).WithCloseOnContextDone(true).WithMemoryLimitPages(maxMemory / pageBytes),
		Stdout:        io.Discard,
		Stderr:        io.Discard,
	})
}

// read reads a file by an instance, which may end at any time.
func (r *Reader) read(instance pdfium.Pdfium, file []byte) (d *extract.PDF, err error) {
	defer func() {
		if p := recover(); p != nil { // of the module, out of memory for one
			d, err = nil, fmt.Errorf("%w: %v", ErrLimit, p)
		}
	}()
	opened, err := instance.OpenDocument(&requests.OpenDocument{File: &file})
	switch {
	case errors.Is(err, pdfiumerrors.ErrPassword):
		return nil, ErrPassword
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	doc := opened.Document
	count, err := instance.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: doc})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	d = &extract.PDF{Title: title(instance, doc)}
	limit := cmp.Or(r.MaxText, DefaultMaxText)
	for i := range count.PageCount {
		if i == maxPages || limit <= 0 {
			d.Cut = true
			break
		}
		page := requests.Page{ByIndex: &requests.PageByIndex{Document: doc, Index: i}}
		text, err := instance.GetPageText(&requests.GetPageText{Page: page})
		if err != nil { // of one page: the others may be whole
			d.Pages = append(d.Pages, "")
			continue
		}
		d.Pages = append(d.Pages, lines(text.Text))
		limit -= len(text.Text)
	}
	return d, nil
}

// title returns the title that a file gives itself.
func title(instance pdfium.Pdfium, doc references.FPDF_DOCUMENT) string {
	m, err := instance.FPDF_GetMetaText(&requests.FPDF_GetMetaText{Document: doc, Tag: "Title"})
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ToValidUTF8(m.Value, ""))
}

// lines returns a page's text with plain line breaks, without what stands for
// no letter, and with words whole that were parted at the end of a line: PDFium
// writes U+0002 or U+FFFE there.
func lines(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	s = strings.NewReplacer("\x02\n", "", "\ufffe\n", "", "\x02", "", "\ufffe", "", "\x00", "").Replace(s)
	kept := strings.Split(s, "\n")
	for i, l := range kept {
		kept[i] = strings.TrimRight(l, " \t\u00a0")
	}
	return strings.Trim(strings.Join(kept, "\n"), "\n")
}

// Close frees what the reader holds. It must not be used afterwards.
func (r *Reader) Close() error {
	r.start.Do(func() { r.err = errors.New("the reader is closed") })
	if r.pool == nil {
		return nil
	}
	return r.pool.Close()
}
