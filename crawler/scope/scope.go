package scope

import (
	"encoding/json"
	"fmt"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

// Scope is a compiled list of rules. It may be used by many goroutines. The
// zero Scope accepts everything.
type Scope struct {
	rules      []Rule
	conditions []condition
	texts      []string // of the decisions of each rule; see Decision.text
}

// New compiles rules. Errors are [ErrInvalidRule] with where the rule is from, or its
// number, and what is wrong with it.
func New(rules ...Rule) (*Scope, error) {
	s := &Scope{}
	for i, r := range rules {
		c, err := r.compile()
		if err != nil {
			if r.From != "" {
				return nil, fmt.Errorf("%s: %w", r.From, err)
			}
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		if most := r.MaxDepth; most > 0 {
			holds := c
			c = func(u weburl.URL, depth int) (bool, string) {
				if depth > most {
					return false, ""
				}
				return holds(u, depth)
			}
		}
		s.rules = append(s.rules, r)
		s.conditions = append(s.conditions, c)
		s.texts = append(s.texts, Decision{Accepted: r.Action == Accept, Number: i + 1, Rule: r}.String())
	}
	return s, nil
}

// Rules returns the rules in order. The caller must not change them.
func (s *Scope) Rules() []Rule { return s.rules }

// MarshalJSON implements json.Marshaler: the list of rules.
func (s *Scope) MarshalJSON() ([]byte, error) { return json.Marshal(s.rules) }

// UnmarshalJSON implements json.Unmarshaler. It compiles the rules it reads.
func (s *Scope) UnmarshalJSON(data []byte) error {
	var rules []Rule
	if err := json.Unmarshal(data, &rules); err != nil {
		return err
	}
	t, err := New(rules...)
	if err != nil {
		return err
	}
	*s = *t
	return nil
}

// Decision is the answer about one address and the rule that gave it.
type Decision struct {
	Accepted bool
	// Number is that of the rule, from 1, or 0 if no rule matched.
	Number int
	// Rule is the rule that matched, or the zero Rule.
	Rule Rule
	// Reason explains a decision that no rule has made, as a [Func] does.
	Reason string

	text  string // what String returns but for what was found, if it is at hand
	found string
}

// String explains the decision in a line, by what the rule is from or else by its
// number: "rejected by --scope host: reject unless host is example.com; found
// example.org".
func (d Decision) String() string {
	if d.text != "" {
		return d.text + d.foundText()
	}
	verb := "rejected"
	if d.Accepted {
		verb = "accepted"
	}
	switch {
	case d.Reason != "":
		return verb + ": " + d.Reason
	case d.Number == 0:
		return verb + ": no rule matches"
	}
	rule, by := d.Rule, d.Rule.From
	if rule.From = ""; by == "" {
		by = fmt.Sprintf("rule %d", d.Number)
	}
	return fmt.Sprintf("%s by %s: %s", verb, by, rule) + d.foundText()
}

// foundText is what String says of what was found.
func (d Decision) foundText() string {
	if d.found == "" {
		return ""
	}
	return "; found " + d.found
}

// Decide returns what the first rule that matches says about an address that
// is depth links away from the nearest known seed. Seeds have depth 0, and a
// redirect has the depth of what it came from.
func (s *Scope) Decide(u weburl.URL, depth int) Decision {
	for i, c := range s.conditions {
		r := &s.rules[i]
		if matches, found := c(u, depth); matches != r.Unless {
			return Decision{Accepted: r.Action == Accept, Number: i + 1, Rule: *r, text: s.texts[i], found: found}
		}
	}
	return Decision{Accepted: true}
}

// Func is a scope that a function decides: whether an address that is depth
// links away from the nearest known seed belongs to the crawl, and why. It may be
// called by many goroutines.
type Func func(u weburl.URL, depth int) (accept bool, why string)

// Decide returns what the function says.
func (f Func) Decide(u weburl.URL, depth int) Decision {
	accept, why := f(u, depth)
	if why == "" {
		why = "a function decides"
	}
	return Decision{Accepted: accept, Reason: why}
}
