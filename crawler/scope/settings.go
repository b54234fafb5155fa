package scope

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

// Within says how far from its seeds a crawl may go.
type Within string

// The values of --scope.
const (
	// WithinHost keeps to the hosts of the seeds; "www." makes no difference,
	// since one often redirects to the other.
	WithinHost Within = "host"
	// WithinDomain keeps to the registrable domains of the seeds.
	WithinDomain Within = "domain"
	// WithinAny goes everywhere.
	WithinAny Within = "any"
)

// The defaults of [Traps]. Real sites stay well below them: of the paths of
// reference manuals, source browsers and dated blogs few have 15 segments, and
// none says the same thing four times in a row.
const (
	DefaultMaxLength     = 2048
	DefaultMaxSegments   = 25
	DefaultMaxPathLoops  = 3
	DefaultMaxSameName   = 5
	DefaultMaxParams     = 30
	DefaultMaxSameParams = 5
	DefaultMaxCalendar   = 1000
	DefaultMaxSessions   = 3
	DefaultMaxTokens     = 1000
	DefaultMaxFacets     = 2000
)

// Settings are what people choose about the scope of a crawl. The zero value
// keeps to the hosts of the seeds and out of traps.
type Settings struct {
	// Within is how far the crawl goes; empty means WithinHost.
	Within Within `json:"within,omitempty"`
	// Deny are regular expressions of URLs that are rejected.
	Deny []string `json:"deny,omitempty"`
	// Allow are regular expressions; if there are any, URLs that match none of
	// them are rejected. They do not widen the scope.
	Allow []string `json:"allow,omitempty"`
	// MaxDepth is how many links from a seed the crawl goes; 0 means any number,
	// a negative one none: the seeds alone. Redirects do not count.
	MaxDepth int `json:"max_depth,omitempty"`
	// Traps are the limits beyond which an address is taken for a trap.
	Traps Traps `json:"traps,omitzero"`
}

// Traps are limits on the form of addresses. Zero means the default, a
// negative number no limit.
type Traps struct {
	MaxLength           int `json:"max_length,omitempty"`            // bytes of the URL: 2048
	MaxSegments         int `json:"max_segments,omitempty"`          // segments of the path: 25
	MaxPathLoops        int `json:"max_path_loops,omitempty"`        // a run of segments in a row: 3 times
	MaxRepeatedSegments int `json:"max_repeated_segments,omitempty"` // a segment in a path: 5 times
	MaxParams           int `json:"max_params,omitempty"`            // parameters of the query: 30
	MaxRepeatedParams   int `json:"max_repeated_params,omitempty"`   // a parameter of one name: 5 times

	// How many addresses of a [Pattern] are fetched.
	MaxCalendar int `json:"max_calendar,omitempty"` // pages of one calendar: 1,000
	MaxSessions int `json:"max_sessions,omitempty"` // session ids for one page: 3
	MaxTokens   int `json:"max_tokens,omitempty"`   // random segments of one path: 1,000
	MaxFacets   int `json:"max_facets,omitempty"`   // values for one set of four parameters or more: 2,000
}

// Rules returns the list of rules that the settings mean for a crawl from the
// given seeds, and from others with areas of their own. Seeds are accepted whatever
// else holds: somebody asked for them.
func (s *Settings) Rules(seeds []weburl.URL, areas ...Area) ([]Rule, error) {
	rules := []Rule{{Action: Accept, Kind: Seed}}
	rules = append(rules, s.Traps.rules()...)
	if len(s.Deny) > 0 {
		rules = append(rules, Rule{Action: Reject, Kind: Regexp, Values: s.Deny, From: "--deny"})
	}
	if len(areas) > 0 {
		if len(s.Allow) > 0 {
			rules = append(rules, Rule{Action: Reject, Unless: true, Kind: Regexp, Values: s.Allow, From: "--allow"})
		}
		own, err := s.areaRules(areas)
		if err != nil {
			return nil, err
		}
		if rules = append(rules, own...); len(seeds) == 0 {
			return append(rules, Rule{Action: Reject, Unless: true, Kind: Seed, From: "the scope of the seeds"}), nil
		}
	}
	var kind Kind
	var values []string
	switch cmp.Or(s.Within, WithinHost) {
	case WithinHost:
		kind = Host
		for _, u := range seeds {
			values = append(values, bareHost(u))
		}
	case WithinDomain:
		kind = Domain
		for _, u := range seeds {
			values = append(values, u.RegistrableDomain())
		}
	case WithinAny:
	default:
		return nil, fmt.Errorf("%w: scope %q is not host, domain or any", ErrInvalidRule, s.Within)
	}
	if len(values) > 0 {
		slices.Sort(values)
		values = slices.Compact(values)
		rules = append(rules, Rule{Action: Reject, Unless: true, Kind: kind, Values: values, From: "--scope " + string(kind)})
	}
	if len(s.Allow) > 0 {
		rules = append(rules, Rule{Action: Reject, Unless: true, Kind: Regexp, Values: s.Allow, From: "--allow"})
	}
	if s.MaxDepth != 0 {
		rules = append(rules, Rule{Action: Reject, Kind: Depth, Limit: max(s.MaxDepth, 0), From: "--depth"})
	}
	return rules, nil
}

// New compiles the rules that the settings mean for a crawl from the given
// seeds. Errors are [ErrInvalidRule].
func (s *Settings) New(seeds []weburl.URL, areas ...Area) (*Scope, error) {
	rules, err := s.Rules(seeds, areas...)
	if err != nil {
		return nil, err
	}
	return New(rules...)
}

func (t Traps) rules() (rules []Rule) {
	for _, l := range []struct {
		kind             Kind
		name             string // of the setting, behind --trap-
		limit, byDefault int
	}{
		{Length, "length", t.MaxLength, DefaultMaxLength},
		{Segments, "segments", t.MaxSegments, DefaultMaxSegments},
		{PathLoop, "loops", t.MaxPathLoops, DefaultMaxPathLoops},
		{RepeatedSegment, "repeats", t.MaxRepeatedSegments, DefaultMaxSameName},
		{Params, "params", t.MaxParams, DefaultMaxParams},
		{RepeatedParam, "same-params", t.MaxRepeatedParams, DefaultMaxSameParams},
	} {
		if l.limit >= 0 {
			rules = append(rules, Rule{Action: Reject, Kind: l.kind, Limit: cmp.Or(l.limit, l.byDefault), From: "--trap-" + l.name})
		}
	}
	return rules
}
