package scope

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

// ErrInvalidRule is returned for a rule that cannot be compiled.
var ErrInvalidRule = errors.New("scope: invalid rule")

// Action is what a rule does with what it matches.
type Action string

// The actions.
const (
	Accept Action = "accept"
	Reject Action = "reject"
)

// Kind is the condition of a rule.
type Kind string

// The kinds of rules. Some need Values, any one of which is enough; some need
// a Limit.
const (
	// Seed matches addresses of depth 0.
	Seed Kind = "seed"
	// Host matches hosts with their ports, "www." aside, in any case.
	Host Kind = "host"
	// Domain matches registrable domains: example.co.uk has www.example.co.uk.
	// A value that is a subdomain counts as its registrable domain.
	Domain Kind = "domain"
	// Prefix matches absolute URLs that begin so, both in canonical form.
	Prefix Kind = "prefix"
	// Folder matches URLs below folders, which are absolute URLs that end with a slash.
	Folder Kind = "folder"
	// Regexp matches URLs in canonical form that contain a match of an
	// expression in the syntax of package regexp.
	Regexp Kind = "regexp"
	// Depth matches addresses more than Limit links away from a seed.
	Depth Kind = "depth"

	// Length matches URLs of more than Limit bytes.
	Length Kind = "length"
	// Segments matches paths of more than Limit segments.
	Segments Kind = "segments"
	// PathLoop matches paths in which a run of segments stands more than Limit
	// times in a row: /a/b/a/b/a/b. A single number may repeat, as in dates.
	PathLoop Kind = "path-loop"
	// RepeatedSegment matches paths in which a segment that is no number
	// stands more than Limit times anywhere.
	RepeatedSegment Kind = "repeated-segment"
	// Params matches queries of more than Limit parameters.
	Params Kind = "params"
	// RepeatedParam matches queries in which a parameter of one name stands
	// more than Limit times.
	RepeatedParam Kind = "repeated-param"
)

// IsTrap reports whether a rule of the kind leaves out what has no end.
func (k Kind) IsTrap() bool {
	switch k {
	case Length, Segments, PathLoop, RepeatedSegment, Params, RepeatedParam:
		return true
	}
	return false
}

// Rule accepts or rejects what its condition matches.
type Rule struct {
	Action Action `json:"action"`
	// Unless turns the condition round.
	Unless bool     `json:"unless,omitempty"`
	Kind   Kind     `json:"kind"`
	Values []string `json:"values,omitempty"`
	Limit  int      `json:"limit,omitempty"`
	// MaxDepth, if it is not 0, has the condition hold only for addresses at most so
	// many links away from a seed.
	MaxDepth int `json:"max_depth,omitempty"`
	// From says where the rule comes from, a flag for instance. It is part of
	// the explanation and of nothing else.
	From string `json:"from,omitempty"`
}

// String returns the rule in words: "reject unless host is example.com (--scope)".
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString(string(r.Action))
	if r.Unless {
		b.WriteString(" unless ")
	} else {
		b.WriteString(" if ")
	}
	switch r.Kind {
	case Seed:
		b.WriteString("it is a seed")
	case Host, Domain:
		fmt.Fprintf(&b, "%s is %s", r.Kind, oneOf(r.Values))
	case Prefix:
		fmt.Fprintf(&b, "URL begins with %s", oneOf(r.Values))
	case Folder:
		fmt.Fprintf(&b, "URL is below %s", oneOf(r.Values))
	case Regexp:
		fmt.Fprintf(&b, "URL matches %s", oneOf(r.Values))
	case Depth:
		fmt.Fprintf(&b, "more than %d links from a seed", r.Limit)
	case Length:
		fmt.Fprintf(&b, "URL is longer than %d bytes", r.Limit)
	case Segments:
		fmt.Fprintf(&b, "path has more than %d segments", r.Limit)
	case PathLoop:
		fmt.Fprintf(&b, "path repeats itself more than %d times in a row", r.Limit)
	case RepeatedSegment:
		fmt.Fprintf(&b, "path has a segment more than %d times", r.Limit)
	case Params:
		fmt.Fprintf(&b, "query has more than %d parameters", r.Limit)
	case RepeatedParam:
		fmt.Fprintf(&b, "query has a parameter more than %d times", r.Limit)
	default:
		fmt.Fprintf(&b, "%s", r.Kind)
	}
	if r.MaxDepth > 0 {
		fmt.Fprintf(&b, ", at most %d links from a seed", r.MaxDepth)
	}
	if r.From != "" {
		fmt.Fprintf(&b, " (%s)", r.From)
	}
	return b.String()
}

// oneOf joins values for people, and does not print a million of them.
func oneOf(values []string) string {
	const most = 3
	if len(values) <= most {
		return strings.Join(values, " or ")
	}
	return fmt.Sprintf("%s or one of %d more", strings.Join(values[:most], ", "), len(values)-most)
}

// condition tests an address. What it returns beside the answer is what it
// found, for the explanation; it may be empty.
type condition func(u weburl.URL, depth int) (matches bool, found string)

// compile returns the condition of the rule, without regard to Unless.
func (r Rule) compile() (condition, error) {
	if r.Action != Accept && r.Action != Reject {
		return nil, fmt.Errorf("%w: action %q", ErrInvalidRule, r.Action)
	}
	switch r.Kind {
	case Host, Domain, Prefix, Folder, Regexp:
		if len(r.Values) == 0 {
			return nil, fmt.Errorf("%w: %s without values", ErrInvalidRule, r.Kind)
		}
	case Seed:
		return func(_ weburl.URL, depth int) (bool, string) { return depth == 0, "" }, nil
	default:
		if r.Limit < 0 {
			return nil, fmt.Errorf("%w: %s with limit %d", ErrInvalidRule, r.Kind, r.Limit)
		}
	}
	limit := r.Limit
	switch r.Kind {
	case Host:
		return compileHost(r.Values)
	case Domain:
		return compileDomain(r.Values)
	case Prefix:
		return compilePrefix(r.Values)
	case Folder:
		return compileFolder(r.Values)
	case Regexp:
		return compileRegexp(r.Values)
	case Depth:
		return func(_ weburl.URL, depth int) (bool, string) {
			return depth > limit, ""
		}, nil
	case Length:
		return func(u weburl.URL, _ int) (bool, string) {
			return len(u.String()) > limit, ""
		}, nil
	case Segments:
		return func(u weburl.URL, _ int) (bool, string) {
			return strings.Count(u.Path(), "/") > limit, ""
		}, nil
	case PathLoop:
		return func(u weburl.URL, _ int) (bool, string) { return pathLoop(u.Path(), limit) }, nil
	case RepeatedSegment:
		return func(u weburl.URL, _ int) (bool, string) { return repeatedSegment(u.Path(), limit) }, nil
	case Params:
		return func(u weburl.URL, _ int) (bool, string) {
			return u.Query() != "" && strings.Count(u.Query(), "&") >= limit, ""
		}, nil
	case RepeatedParam:
		return func(u weburl.URL, _ int) (bool, string) { return repeatedParam(u.Query(), limit) }, nil
	}
	return nil, fmt.Errorf("%w: kind %q", ErrInvalidRule, r.Kind)
}

func compileHost(values []string) (condition, error) {
	hosts := make(map[string]bool, len(values))
	for _, v := range values {
		u, err := weburl.Parse("http://" + v)
		if err != nil || u.Target() != "/" {
			return nil, fmt.Errorf("%w: host %q", ErrInvalidRule, v)
		}
		hosts[bareHost(u)] = true
	}
	return func(u weburl.URL, _ int) (bool, string) {
		return hosts[bareHost(u)], u.Host()
	}, nil
}

// bareHost is the host by which Host rules compare.
func bareHost(u weburl.URL) string { return strings.TrimPrefix(u.Host(), "www.") }

func compileDomain(values []string) (condition, error) {
	domains := make(map[string]bool, len(values))
	for _, v := range values {
		u, err := weburl.Parse("http://" + v)
		if err != nil || u.Target() != "/" {
			return nil, fmt.Errorf("%w: domain %q", ErrInvalidRule, v)
		}
		domains[u.RegistrableDomain()] = true
	}
	return func(u weburl.URL, _ int) (bool, string) {
		if domains[u.Hostname()] { // spares most lookups in the suffix list
			return true, u.Hostname()
		}
		d := u.RegistrableDomain()
		return domains[d], d
	}, nil
}

func compilePrefix(values []string) (condition, error) {
	prefixes := make([]string, len(values))
	for i, v := range values {
		u, err := weburl.Parse(v)
		if err != nil {
			return nil, fmt.Errorf("%w: prefix: %w", ErrInvalidRule, err)
		}
		prefixes[i] = u.String()
	}
	return func(u weburl.URL, _ int) (bool, string) {
		for _, p := range prefixes {
			if strings.HasPrefix(u.String(), p) {
				return true, p
			}
		}
		return false, ""
	}, nil
}

func compileRegexp(values []string) (condition, error) {
	exprs := make([]*regexp.Regexp, len(values))
	for i, v := range values {
		re, err := regexp.Compile(v)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalidRule, err)
		}
		exprs[i] = re
	}
	return func(u weburl.URL, _ int) (bool, string) {
		for i, re := range exprs {
			if re.MatchString(u.String()) {
				return true, values[i]
			}
		}
		return false, ""
	}, nil
}
