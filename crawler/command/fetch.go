package command

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/cascadia"
	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/crawler"
)

// fetchFlags are the flags of fetch that crawl does not have.
type fetchFlags struct {
	url, label, method, data string
	header                   []string

	sel, attr                    string
	html, text, markdown, body   bool
	headers, links, meta, asJSON bool
}

func (a *app) fetchCommand() *cobra.Command {
	var f fetchFlags
	cmd := &cobra.Command{
		Use:   "fetch [flags] URL|FILE",
		Short: "Fetch one page as a crawl would, and show what is in it",
		Long: `Fetch asks for one address as a crawl that begins there would, with robots.txt,
redirects and all, and says what the crawl would make of it. Nothing is stored. It
is the tool to write functions with: what the program's function decides about the
page is shown, and --select tries a selector. A file, or - for standard input, is
read as a page of --url.`,
		Example: `  weir fetch https://example.com
  weir fetch --links --headers https://example.com
  weir fetch --select 'h1, h2' https://example.com
  weir fetch --select a --attr href page.html --url https://example.com
  weir fetch --markdown https://example.com > page.md
  weir fetch --data '{"page":1}' --header 'Content-Type: application/json' https://api.example.com`,
		Args: oneArg("a URL or a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			settings := a.options.Settings
			settings.Stages = []crawler.Stage{{Name: crawler.StageCrawl}}
			w := &wishes{choices: flagChoices(cmd.Flags())}
			if err := w.apply(&settings, make(map[string]string), &settings); err != nil {
				return err
			}
			if err := a.checkAccess(settings); err != nil {
				return err
			}
			if f.sel != "" {
				if _, err := cascadia.Compile(f.sel); err != nil {
					return usagef("--select %q: %v", f.sel, err)
				}
			}
			p, err := a.probe(cmd.Context(), settings, &f, args[0])
			if err != nil {
				return err
			}
			if err := a.showProbe(p, &f); err != nil {
				return err
			}
			if p.Failure != nil {
				return exitError(exitFailure)
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.sel, "select", "", "print the text of the elements that this CSS `selector` matches")
	fl.StringVar(&f.attr, "attr", "", "with --select, print this attribute instead")
	fl.BoolVar(&f.html, "html", false, "with --select, print the HTML instead; alone, that of the page as it was parsed")
	fl.BoolVar(&f.text, "text", false, "print the main text")
	fl.BoolVar(&f.markdown, "markdown", false, "print the main text as Markdown")
	fl.BoolVar(&f.body, "body", false, "print the body, text in UTF-8")
	fl.BoolVar(&f.headers, "headers", false, "show the response's header")
	fl.BoolVar(&f.links, "links", false, "show each link with the rule that decides about it")
	fl.BoolVar(&f.meta, "meta", false, "show what the page says about itself, JSON-LD too")
	fl.BoolVar(&f.asJSON, "json", false, "write one JSON object with all of it")
	fl.StringVar(&f.url, "url", "", "the `address` of a page that is read from a file")
	fl.StringVar(&f.label, "label", "", "call the function with this label")
	fl.StringVar(&f.method, "method", "", "the request's method (default GET, with --data POST)")
	fl.StringVar(&f.data, "data", "", "the request's body")
	fl.StringArrayVar(&f.header, "header", nil, "a header of the request, `'Name: value'` (repeatable)")
	settingFlags(cmd, func(st *crawler.Setting) bool {
		switch st.Name {
		case "header", "cookies": // header is another flag here
			return false
		case "scope", "allow", "deny", "ignore-robots", "max-body":
			return true
		}
		return st.Group == crawler.GroupRequests
	})
	return cmd
}

// showProbe prints what was asked for, or all of it in short.
func (a *app) showProbe(p *probe, f *fetchFlags) error {
	if f.asJSON {
		return writeJSON(a.out, p)
	}
	out := &printer{w: a.out}
	if f.sel == "" && !f.html && !f.text && !f.markdown && !f.body {
		p.summary(out, true)
	}
	if f.headers {
		out.printf("\n")
		for _, name := range slices.Sorted(maps.Keys(p.Header)) {
			for _, value := range p.Header[name] {
				out.printf("%s: %s\n", name, value)
			}
		}
	}
	if f.links {
		out.printf("\n")
		for _, l := range p.Links {
			mark := "-"
			if l.Follow {
				mark = "+"
			}
			out.printf("%s %s  %s\n    %s\n", mark, l.To, l.Text, l.Because)
		}
	}
	if f.meta && p.Meta != nil {
		b, err := json.MarshalIndent(p.Meta, "", "  ")
		if err != nil {
			return err
		}
		out.printf("\n%s\n", b)
	}
	if p.visit != nil {
		if err := p.content(out, f); err != nil {
			return err
		}
	}
	return out.err
}

// summary is a page in a few lines, with the flags of fetch that show more if hints are
// wanted.
func (p *probe) summary(out *printer, hints bool) {
	hint := func(s string) string {
		if !hints {
			return ""
		}
		return " (" + s + ")"
	}
	line := func(name, format string, args ...any) {
		out.printf("  %-9s %s\n", name, strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
	for _, from := range p.Redirects {
		out.printf("%s\n  redirects to\n", from)
	}
	out.printf("%s\n", p.URL)
	if pg := p.Page; pg != nil {
		line("answer", "status %d, %s, %s", pg.Status, orUnknown(pg.ContentType), plural(int64(pg.Bytes), "byte"))
		if pg.Redirect != "" {
			line("redirect", "to %s, which is not followed", pg.Redirect)
		}
		if pg.Title != "" {
			line("title", "%s", pg.Title)
		}
		if pg.NoIndex {
			line("noindex", "the page asks not to be kept")
		}
	}
	if p.Failure != nil {
		line("failed", "%s: %s", p.Failure.Reason, firstLine(p.Failure.Detail))
	}
	if p.Language != "" {
		line("language", "%s", p.Language)
	}
	if e := p.About; e != nil {
		line("scope", "%s", e.Scope.Reason)
		line("robots", "%s", robotsText(e.Robots))
		line("host", "%s", hostText(e.Host))
	}
	if t := p.Timings; t != nil {
		ms := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
		line("time", "%s: dns %s, connect %s, tls %s, first byte after %s", ms(t.Total), ms(t.DNS), ms(t.Connect), ms(t.TLS), ms(t.FirstByte))
	}
	followed := 0
	for _, l := range p.Links {
		if l.Follow {
			followed++
		}
	}
	if p.Page != nil {
		line("links", "%s: %d to follow, %d not%s", plural(int64(len(p.Links)), "target"), followed, len(p.Links)-followed, hint("--links tells why"))
	}
	if p.Text != "" {
		line("text", "%s%s", plural(int64(len(strings.Fields(p.Text))), "word"), hint("--text shows it"))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Items)) {
		out.printf("\nitems %s:\n", name)
		for _, v := range p.Items[name] {
			b, err := json.Marshal(v)
			if err != nil {
				b = []byte(err.Error())
			}
			out.printf("  %s\n", b)
		}
	}
	if len(p.Requests) > 0 {
		out.printf("\nrequests of the function:\n")
		for _, r := range p.Requests {
			out.printf("  %s %s%s %s\n", methodOf(r), r.URL, labelOf(r), r.Body)
		}
	}
}

func methodOf(r crawler.Request) string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

func labelOf(r crawler.Request) string {
	if r.Label == "" {
		return ""
	}
	return " (" + r.Label + ")"
}

// content prints the parts of the page that were asked for.
func (p *probe) content(out *printer, f *fetchFlags) error {
	switch {
	case f.sel != "":
		for _, s := range p.visit.Find(f.sel).EachIter() {
			text := strings.Join(strings.Fields(s.Text()), " ")
			switch {
			case f.attr != "":
				value, ok := s.Attr(f.attr)
				if !ok {
					continue
				}
				text = value
			case f.html:
				h, err := goquery.OuterHtml(s)
				if err != nil {
					return err
				}
				text = h
			}
			out.printf("%s\n", text)
		}
	case f.html:
		h, err := p.visit.Document().Html()
		if err != nil {
			return err
		}
		out.printf("%s\n", h)
	}
	if f.text {
		out.printf("%s\n", p.Text)
	}
	if f.markdown {
		out.printf("%s\n", p.Markdown)
	}
	if f.body {
		_, err := out.Write(p.visit.Body)
		return err
	}
	return nil
}
