package crawler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
)

// Options are all that a program says about its crawl: what people choose, which
// is stored and may be chosen otherwise when it goes on, and the code, which is
// not. Nil and zero fields mean the defaults given; all hooks may be called by
// many goroutines at once.
type Options struct {
	// Seeds are where the crawl begins. Those that it has already change nothing.
	Seeds []Request

	// MoreSeeds says that Add adds others between Begin and Run. Workers of other
	// processes wait for Run then: what a crawl follows depends on all of its seeds.
	MoreSeeds bool

	// Settings are what people choose about it.
	Settings Settings

	// Functions are called with the pages, by the labels of their requests.
	// Default: none.
	Functions []Function

	// Items declares the items that functions write: under each name a value of
	// their type, such as Quote{}. Its fields are the columns of an export as CSV.
	Items map[string]any

	// Scope decides which links belong to the crawl. Default: what Settings.Scope
	// says.
	Scope Scope

	// Filter says whether a link of a page is followed, before scope and
	// robots.txt are asked. What functions follow does not pass it. Default: each
	// is.
	Filter func(from *Visit, link stages.Link) bool

	// Priority returns the priority of a request that has none of its own.
	// Default: 0.
	Priority func(from *Visit, r Request) int

	// Identity returns what a page is known by: two addresses of one identity are
	// one page, fetched once. "" means the default, which is the address in
	// canonical form, as Settings.Identity says.
	Identity func(u weburl.URL) string

	// BeforeRequest may change a request before it is sent: its header, its
	// authorization. An error fails the request, as a network failure would; a
	// *stages.Error says whether for good. For a robots.txt, r has the URL alone.
	// Default: it goes as it is.
	BeforeRequest func(hr *http.Request, r Request) error

	// Proxy returns the proxy for a request, or nil for none; see
	// stages.Fetcher. Default: none.
	Proxy func(*http.Request) (*url.URL, error)

	// Transport makes another HTTP transport out of the built-in one, which
	// refuses private addresses; see stages.Fetcher. Default: the built-in one.
	Transport func(builtin *http.Transport) http.RoundTripper

	// PDF reads PDF files for the stage extract: (*pdf.Reader).Read of package
	// stages/pdf, say. Default: they go to no stage behind crawl.
	PDF func(ctx context.Context, file []byte) (*extract.PDF, error)

	// OnGeneration is called when a generation is complete; see
	// pipeline.Options. Default: nothing happens.
	OnGeneration func(ctx context.Context, g pipeline.Generation, tx *queue.Tx) error

	// Logger receives what happens. Default: nothing is logged.
	Logger *slog.Logger

	// DrainTime is how long pages that are being worked on when the crawl is
	// stopped may take to finish. Default 10s.
	DrainTime time.Duration

	// NoChaining makes every page go through the queues of the stages behind
	// crawl, which parse it anew; see pipeline.Options.
	NoChaining bool

	// Shared says that other processes work on the crawl too: what is known of hosts is
	// then read from the store each time, and the limits of pages and of the rate are kept there. A host keeps
	// to the process that asked it before while that lives and has time for it.
	Shared bool

	// ArchiveDir is the folder for the files of the archive, which the stage warc needs.
	// It belongs to the store: only both together are a whole.
	ArchiveDir string

	// ArchiveName tells ArchiveDir from those of other processes that work on the crawl,
	// each of which has its own. It belongs to the folder for good. Default: none, for a
	// crawl with one.
	ArchiveName string

	// Program is stored with the settings as what they were before anybody chose
	// others, for a command that goes on with a crawl by flags. Default: nothing.
	Program *Settings

	// Origins is stored with the settings as well: who has chosen each, by the names
	// of AllSettings, for people. Default: nothing.
	Origins map[string]string

	origins map[string]bool // of the seeds, if they are known
}

// extractor is that of the stage extract.
func (o *Options) extractor() *extract.Extractor {
	return &extract.Extractor{Mode: o.Settings.Mode, Markdown: o.Settings.Markdown, Comments: o.Settings.Comments, PDF: o.PDF}
}

func (o *Options) logger() *slog.Logger {
	if o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}

// important reports whether an origin is one of the seeds'.
func (o *Options) important(origin string) bool { return o.origins[origin] }

// withDefaults fills in the settings' defaults and says what cannot be, by name.
func (o Options) withDefaults() (Options, error) {
	var err error
	if o.Settings, err = o.Settings.WithDefaults(); err != nil {
		return o, err
	}
	o.Seeds = slices.Clone(o.Seeds)
	var errs []error
	for i := range o.Seeds {
		if err := CheckCredentials(o.Seeds[i].URL); err != nil {
			errs = append(errs, fmt.Errorf("seed: %w", err))
		}
		if err := o.Seeds[i].normalize(weburl.URL{}); err != nil {
			errs = append(errs, fmt.Errorf("seed: %w", err))
		}
	}
	_, routing := newRouter(o.Functions, o.Settings.Stages, o.Seeds)
	_, items := itemKinds(o.Items)
	errs = append(errs, routing, items)
	for _, f := range o.Functions {
		if f.Queue != "" && o.Settings.Runs(f.Queue) {
			errs = append(errs, fmt.Errorf("the queue of the function %s is called as the stage %s is", f.name(), f.Queue))
		}
	}
	if o.Settings.Runs(StageWARC) && o.ArchiveDir == "" {
		errs = append(errs, errors.New("the stage warc needs Options.ArchiveDir"))
	}
	if err := errors.Join(errs...); err != nil {
		return o, fmt.Errorf("%w: %w", ErrSettings, err)
	}
	return o, nil
}
