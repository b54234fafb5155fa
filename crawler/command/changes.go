package command

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/seed-301537d8/weir/crawler"
)

// change is a setting that a run was given and that differs from the stored
// one.
type change struct {
	setting  *crawler.Setting
	old, now string
}

// String says in a line what the change means.
func (c change) String() string {
	return fmt.Sprintf("--%s: was %s, now %s (%s)", c.setting.Name, c.old, c.now, c.setting.Resume)
}

// changesOf returns what changes from one Settings to another.
func changesOf(before, after crawler.Settings) []change {
	var changes []change
	for _, st := range crawler.AllSettings() {
		if isAlias(st) {
			continue
		}
		was, now := valueText(st, &before), valueText(st, &after)
		if was != now {
			changes = append(changes, change{st, was, now})
		}
	}
	return changes
}

// isAlias reports whether another setting says the same.
func isAlias(st *crawler.Setting) bool { return st.Name == "warc" || st.Name == "wait-for-hosts" }

// valueText is a setting's value in a line.
func valueText(st *crawler.Setting, of *crawler.Settings) string {
	nothing := "none"
	if st.Switch() {
		nothing = "false"
	}
	return cmp.Or(strings.Join(st.Get(of), ", "), nothing)
}
