package scope

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

// WithinPath keeps to the folder of a seed: of https://example.com/docs/index.html,
// to what is below https://example.com/docs/. It is for an [Area] alone.
const WithinPath Within = "path"

// AnyDepth is the depth of an [Area] without end.
const AnyDepth = math.MaxInt32

// Area is how far a crawl goes around one seed that has a scope of its own. An
// address is in the crawl if one of the areas has it, or if the general scope has it,
// which is around the seeds without areas. Rules against traps, Deny and Allow hold in
// areas, too.
type Area struct {
	Seed weburl.URL
	// Within is how far it goes: as the general scope if empty.
	Within Within
	// MaxDepth is how many links from a seed it goes: as the general scope if 0; a
	// negative one means none, the seed alone, and AnyDepth any number.
	MaxDepth int
}

// Check returns ErrInvalidRule for an area that cannot be.
func (a Area) Check() error {
	switch a.Within {
	case "", WithinHost, WithinDomain, WithinPath, WithinAny:
		return nil
	}
	return fmt.Errorf("%w: the scope of a seed is %q, not path, host, domain or any", ErrInvalidRule, a.Within)
}

// areaRules are the rules that accept what areas have: one for all that go equally
// far.
func (s *Settings) areaRules(areas []Area) ([]Rule, error) {
	type reach struct {
		kind  Kind
		depth int
	}
	values := make(map[reach][]string)
	for _, a := range areas {
		if err := a.Check(); err != nil {
			return nil, err
		}
		a.Within, a.MaxDepth = cmp.Or(a.Within, s.Within), cmp.Or(a.MaxDepth, s.MaxDepth)
		if a.MaxDepth == AnyDepth {
			a.MaxDepth = 0
		}
		if a.MaxDepth < 0 {
			continue // seeds are accepted anyway
		}
		r, value := reach{Host, a.MaxDepth}, bareHost(a.Seed)
		switch a.Within {
		case WithinDomain:
			r.kind, value = Domain, a.Seed.RegistrableDomain()
		case WithinPath:
			r.kind, value = Folder, folderOf(a.Seed)
		case WithinAny:
			r.kind, value = Regexp, ""
		}
		values[r] = append(values[r], value)
	}
	var rules []Rule
	for _, r := range slices.SortedFunc(maps.Keys(values), func(a, b reach) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.depth, b.depth))
	}) {
		all := values[r]
		slices.Sort(all)
		rules = append(rules, Rule{Action: Accept, Kind: r.kind, Values: slices.Compact(all), MaxDepth: r.depth, From: "the scope of a seed"})
	}
	return rules, nil
}

// folderOf is the address of a page up to its last slash.
func folderOf(u weburl.URL) string {
	path := u.Path()
	return u.Origin() + path[:strings.LastIndexByte(path, '/')+1]
}

// compileFolder matches addresses below any of the folders, each of which ends with
// a slash.
func compileFolder(values []string) (condition, error) {
	folders := make(map[string]bool, len(values))
	for _, v := range values {
		u, err := weburl.Parse(v)
		if err != nil || !strings.HasSuffix(u.Path(), "/") || u.Query() != "" {
			return nil, fmt.Errorf("%w: folder %q", ErrInvalidRule, v)
		}
		folders[u.String()] = true
	}
	return func(u weburl.URL, _ int) (bool, string) {
		path := u.Path()
		for i := range len(path) {
			if path[i] == '/' {
				if f := u.Origin() + path[:i+1]; folders[f] {
					return true, f
				}
			}
		}
		return false, ""
	}, nil
}
