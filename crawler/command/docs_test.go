package command_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
)

// settingsTable is the part of docs/cli.md about settings.
func settingsTable() string {
	var b strings.Builder
	group := ""
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	for _, st := range crawler.AllSettings() {
		if st.Group != group {
			group = st.Group
			fmt.Fprintf(&b, "\n%s:\n\n| flag and key | default | | a change, when it goes on, holds |\n|---|---|---|---|\n", group)
		}
		name, doc := "--"+st.Name, st.Doc
		if !st.Switch() {
			name += " " + strings.Trim(st.Arg, "'")
		}
		if st.PerHost {
			doc += ". Also for single hosts"
		}
		byDefault := st.Default
		if st.Switch() {
			byDefault = "no"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", cell(name), cell(byDefault), cell(doc), cell(st.Resume))
	}
	return b.String() + "\n"
}

func TestDocsHaveTheTableOfSettings(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "cli.md")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "-update -->\n", "<!-- end of settings -->"
	before, rest, ok := strings.Cut(strings.ReplaceAll(string(b), "\r\n", "\n"), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the settings", name)
	}
	want := settingsTable()
	if got == want {
		return
	}
	if *update {
		if err := os.WriteFile(name, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the settings of docs/cli.md are not those of the table (go test ./crawler/command -run Docs -update writes them)")
}
