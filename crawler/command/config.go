package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/queue"
)

// configCommand shows settings.
func (a *app) configCommand() *cobra.Command {
	var f runFlags
	var asJSON, stored bool
	cmd := &cobra.Command{
		Use:   "config [flags]",
		Short: "Show the settings of a crawl, and where each comes from",
		Long: `Config shows the settings of the crawl in a folder, or of one that would begin
there: those that are stored with it, with the file of settings and the flags that
are given. Each comes with its origin: a flag, a line of a file, the program, or the
default. What it writes is itself a file of settings for --config. Nothing is changed.`,
		Example: `  weir config
  weir config --server https://crawl.example.com:7420 --token-file TOKENS
  weir config -c crawl.yaml --delay 5s   # what would hold with these
  weir config > crawl.yaml               # a file to begin with`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if stored {
				return a.withStore(cmd.Context(), f.dir, a.out, writeStored)
			}
			w, err := f.read(cmd.Flags(), args)
			if err != nil {
				return err
			}
			p, err := parsePlace(f.dir, f.files)
			if err != nil {
				return err
			}
			e, err := a.effective(cmd.Context(), p, f.dir, w)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(a.out, e.rows())
			}
			_, err = io.WriteString(a.out, e.yaml())
			return err
		},
	}
	cmd.Flags().SortFlags = false
	f.add(cmd, "dir", "server", "config")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write an object for each setting, with its documentation")
	cmd.Flags().BoolVar(&stored, "stored", false, "write what is stored, as it is")
	cmd.Flags().Lookup("stored").Hidden = true
	settingFlags(cmd, nil)
	return cmd
}

// writeStored writes what is stored of a crawl's options, for another process.
func writeStored(ctx context.Context, l *live, out io.Writer) error {
	stored, err := crawler.Load(ctx, l.store)
	if errors.Is(err, queue.ErrNotFound) {
		stored, err = new(crawler.Stored), nil
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(stored)
}

// effective are settings with their origins.
type effective struct {
	settings crawler.Settings
	origins  map[string]string
	seeds    []crawler.Request // of the file of settings
	dir      string
	begun    bool
}

// effective returns the settings of the crawl in a place, which is that of --dir, with
// what is wished.
func (a *app) effective(ctx context.Context, p place, dir string, w *wishes) (*effective, error) {
	e := &effective{settings: a.options.Settings, origins: make(map[string]string), dir: p.name, seeds: w.seeds}
	state, err := p.state(ctx)
	if err != nil {
		return nil, err
	}
	if state.Exists {
		// Another process may have the folder open, and knows no files of ours: it tells
		// what is stored, and the rest is done here.
		var out bytes.Buffer
		b := *a
		b.args = []string{"config", "--stored", "--dir", dir}
		if err := b.withStore(ctx, dir, &out, writeStored); err != nil {
			return nil, err
		}
		stored := new(crawler.Stored)
		if err := json.Unmarshal(out.Bytes(), stored); err != nil {
			return nil, fmt.Errorf("read the stored settings: %w", err)
		}
		if e.begun = len(stored.Settings.Stages) > 0; e.begun {
			if e.settings, err = stored.Resume(a.options.Settings); err != nil {
				return nil, err
			}
			maps.Copy(e.origins, stored.Origins)
		}
	}
	if err := w.apply(&e.settings, e.origins, &a.options.Settings); err != nil {
		return nil, err
	}
	for _, st := range crawler.AllSettings() {
		own := a.options.Settings
		if e.origins[st.Name] == "" && st.IsSet(&own) && valueText(st, &own) == valueText(st, &e.settings) {
			e.origins[st.Name] = "program"
		}
	}
	return e, nil
}

// configRow is a setting as config --json writes it.
type configRow struct {
	Name    string   `json:"name"`
	Values  []string `json:"values"`
	Origin  string   `json:"origin"`
	Default string   `json:"default,omitempty"`
	Doc     string   `json:"doc"`
	Resume  string   `json:"on_resume"`
}

func (e *effective) rows() []configRow {
	var rows []configRow
	for _, st := range crawler.AllSettings() {
		if isAlias(st) || st.Name == "auth" {
			continue
		}
		values := st.Get(&e.settings)
		if values == nil {
			values = []string{}
		}
		rows = append(rows, configRow{st.Name, values, e.origin(st), st.Default, st.Doc, st.Resume})
	}
	return rows
}

func (e *effective) origin(st *crawler.Setting) string {
	if o := e.origins[st.Name]; o != "" {
		return o
	}
	return "default"
}

// yaml writes the settings as a file of settings.
func (e *effective) yaml() string {
	var b strings.Builder
	what := "Settings of a crawl that would begin in "
	if e.begun {
		what = "Settings of the crawl in "
	}
	fmt.Fprintf(&b, "# %s%s, and where they come from.\n", what, e.dir)
	if len(e.seeds) > 0 {
		b.WriteString("\nseeds:\n")
		for _, seed := range e.seeds {
			fmt.Fprintf(&b, "  - %s\n", seedYAML(seed))
		}
	}
	group := ""
	line := func(text, comment string) { fmt.Fprintf(&b, "%-40s # %s\n", text, comment) }
	for _, st := range crawler.AllSettings() {
		if isAlias(st) || st.Name == "auth" || st.Name == "stage" && !st.IsSet(&e.settings) {
			continue
		}
		if st.Group != group {
			group = st.Group
			fmt.Fprintf(&b, "\n# %s\n", group)
		}
		values := st.Get(&e.settings)
		switch {
		case st.Name == "host" && len(e.settings.Hosts) == 0:
			line("host: {}", e.origin(st))
		case st.Name == "host":
			line("host:", e.origin(st))
			e.writeHosts(&b)
		case st.Switch():
			line(st.Name+": "+valueText(st, &e.settings), e.origin(st))
		case st.List && len(values) > 0:
			quoted := make([]string, len(values))
			for i, v := range values {
				quoted[i] = yamlText(v)
			}
			line(st.Name+": ["+strings.Join(quoted, ", ")+"]", e.origin(st))
		case st.List:
			line(st.Name+": []", e.origin(st))
		case len(values) == 0: // what is not set has no text
			line("# "+st.Name+":", e.origin(st))
		default:
			line(st.Name+": "+yamlText(values[0]), e.origin(st))
		}
	}
	return b.String()
}

// seedYAML returns a seed as it stands in a file of settings, with its area if it has one.
func seedYAML(seed crawler.Request) string {
	words := []string{"url: " + yamlText(seed.URL)}
	if area := seed.Area; area != nil {
		if area.Within != "" {
			words = append(words, "scope: "+string(area.Within))
		}
		switch {
		case area.MaxDepth == scope.AnyDepth:
			words = append(words, "depth: unlimited")
		case area.MaxDepth < 0:
			words = append(words, "depth: 0")
		case area.MaxDepth > 0:
			words = append(words, fmt.Sprint("depth: ", area.MaxDepth))
		}
	}
	if len(words) == 1 {
		return yamlText(seed.URL)
	}
	return "{" + strings.Join(words, ", ") + "}"
}

func (e *effective) writeHosts(b *strings.Builder) {
	for _, host := range slices.Sorted(maps.Keys(e.settings.Hosts)) {
		own := e.settings.Hosts[host]
		fmt.Fprintf(b, "  %s:\n", yamlText(host))
		for _, st := range crawler.AllSettings() {
			if !st.PerHost || !st.IsSet(&own) {
				continue
			}
			values := st.Get(&own)
			for i, v := range values {
				values[i] = yamlText(v)
			}
			text := strings.Join(values, ", ")
			if st.List && st.Name != "auth" {
				text = "[" + text + "]"
			}
			fmt.Fprintf(b, "    %s: %s\n", st.Name, text)
		}
	}
}

// plainYAML matches texts that need no quotes.
var plainYAML = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)

func yamlText(s string) string {
	if plainYAML.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
