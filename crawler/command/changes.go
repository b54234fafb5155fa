package command

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/scope"
)

// change is a setting that a run was given and that differs from the stored
// one.
type change struct {
	name     string
	old, now string
}

func (c change) String() string { return fmt.Sprintf("%s: %s, was %s", c.name, c.now, c.old) }

// changesOf returns what changes from one Settings to another.
func changesOf(before, after crawler.Settings) []change {
	before, _ = before.WithDefaults()
	after, _ = after.WithDefaults()
	fields := func(s crawler.Settings) map[string]any {
		b, err := json.Marshal(s)
		if err != nil {
			return nil
		}
		var m map[string]any
		if json.Unmarshal(b, &m) != nil {
			return nil
		}
		delete(m, "scope")
		return m
	}
	old, now := fields(before), fields(after)
	names := make(map[string]bool)
	for name := range old {
		names[name] = true
	}
	for name := range now {
		names[name] = true
	}
	show := func(v any) string {
		if v == nil {
			return "not set"
		}
		b, _ := json.Marshal(v)
		return string(b)
	}
	var changes []change
	for name := range names {
		o, n := show(old[name]), show(now[name])
		if name == "delay" {
			o, n = before.Delay.String(), after.Delay.String()
		}
		if o != n {
			changes = append(changes, change{name, o, n})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.name, b.name) })
	for _, d := range scope.Diff(&before.Scope, &after.Scope) {
		name, rest, _ := strings.Cut(d, ":")
		changes = append(changes, change{"scope " + name, "", strings.TrimSpace(rest)})
	}
	return changes
}
