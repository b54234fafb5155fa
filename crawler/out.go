package crawler

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

// Out collects what a function decides about a page. If the function returns
// nil it all happens in the one transaction that records the page; if not, none
// of it does. Nothing here can fail in the function's code: what cannot be, such
// as an item that cannot be encoded, fails the page once the function returns.
//
// An Out belongs to one call of a function and is not safe for concurrent use.
type Out struct {
	visit    *Visit
	requests []Request
	refused  []refusal // links that are no addresses
	items    []item
	result   any
	verdict  *verdict
	err      error // the first
}

// NewOut returns an Out for calling a function in a test. Afterwards
// [Out.Requests], [Out.Items], [Out.Verdict] and [Out.Err] tell what it has
// decided.
func NewOut(v *Visit) *Out { return &Out{visit: v} }

// item is a named record.
type item struct {
	name, key string
	value     any
	body      []byte
}

// refusal is a link that leads nowhere.
type refusal struct{ href, why string }

// Follow follows the links that match any of the selectors, and returns how many
// there are: elements with an href, or a src as frames have. Like any link they
// must pass scope and robots.txt, and one that is known is not fetched again.
func (o *Out) Follow(selectors ...string) int { return o.FollowAs("", selectors...) }

// FollowAs is Follow with a label, which says what function gets the pages.
func (o *Out) FollowAs(label string, selectors ...string) int {
	n := 0
	for _, s := range selectors {
		m, err := cascadia.Compile(s)
		if err != nil {
			o.Fail(fmt.Errorf("follow %q: %w", s, err))
			continue
		}
		if o.visit.ContentType == "" {
			o.Fail(errNoPage)
			return 0
		}
		for _, node := range o.visit.Document().FindMatcher(m).Nodes {
			if href, ok := target(node); ok {
				n++
				o.Request(Request{URL: href, Label: label})
			}
		}
	}
	return n
}

var errNoPage = errors.New("behind the stage extract there is no page to find links in; give their addresses to Out.Request")

// target returns where an element leads.
func target(n *html.Node) (string, bool) {
	for _, name := range []string{"href", "src"} {
		for _, a := range n.Attr {
			if a.Key == name && a.Val != "" {
				return a.Val, true
			}
		}
	}
	return "", false
}

// Request adds a request: an address, absolute or as a link of the page, with a
// label, data, a priority, or what makes it no plain GET. Like any link it must
// pass scope and robots.txt, and one that is known is not made again.
func (o *Out) Request(r Request) {
	base, err := weburl.Parse(o.visit.base())
	if err == nil {
		err = r.normalize(base)
	}
	var bad *weburl.Error
	switch {
	case errors.As(err, &bad): // the web's mistake, and not the function's
		o.refused = append(o.refused, refusal{r.URL, err.Error()})
	case err != nil:
		o.Fail(fmt.Errorf("request %s: %w", r.URL, err))
	default:
		o.requests = append(o.requests, r)
	}
}

// Item writes a record of the items of that name, which Options.Items declares.
// Items are known by their keys: what is written under a key that is there takes
// its place. An empty key makes it one of the page's own, told apart by its
// number on the page. The value is encoded as JSON.
func (o *Out) Item(name, key string, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		o.Fail(fmt.Errorf("item %s: %w", name, err))
		return
	}
	o.items = append(o.items, item{name, key, value, b})
}

// Retry says that the answer is not the page, and may be at another time: a
// captcha, an empty shell. It is asked for again after a back-off, as after a
// failed request, until Settings.Retries are over; then it is a failure with this
// reason. Whatever else the function has decided is dropped.
func (o *Out) Retry(reason string) { o.verdict = &verdict{reason: reason, again: true} }

// RetryAfter is Retry after a time of the function's choice.
func (o *Out) RetryAfter(d time.Duration, reason string) {
	o.verdict = &verdict{reason: reason, again: true, after: max(d, 0), delayed: true}
}

// GiveUp says that the answer is not the page and never will be: a soft 404. The
// address becomes a failure with this reason. Whatever else the function has
// decided is dropped.
func (o *Out) GiveUp(reason string) { o.verdict = &verdict{reason: reason} }

// verdict is what a function says against an answer.
type verdict struct {
	reason  string
	again   bool
	delayed bool
	after   time.Duration
}

// Result is what a stage behind crawl has found: it is stored with the page under
// the stage's name, and handed to the next stage. In place of extract it is a
// [Text], in place of tag [Tags].
func (o *Out) Result(value any) { o.result = value }

// Fail fails the page with an error, as returning it does; the first one counts.
func (o *Out) Fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// Err returns the first error. A function need not ask.
func (o *Out) Err() error { return o.err }

// Requests returns the requests that were added, in canonical form.
func (o *Out) Requests() []Request { return slices.Clone(o.requests) }

// Items returns the values of the items of a name that were written.
func (o *Out) Items(name string) []any {
	var values []any
	for _, it := range o.items {
		if it.name == name {
			values = append(values, it.value)
		}
	}
	return values
}

// Verdict returns what the function has said against the answer: the reason, and
// whether it is to be asked for again. Without a verdict reason is empty.
func (o *Out) Verdict() (reason string, again bool) {
	if o.verdict == nil {
		return "", false
	}
	return o.verdict.reason, o.verdict.again
}

// checkItems returns an error if an item is not what Options.Items declares.
func (o *Out) checkItems(declared map[string]any) error {
	for _, it := range o.items {
		want, ok := declared[it.name]
		if !ok {
			return fmt.Errorf("item %s is not declared in Options.Items", it.name)
		}
		if got, want := valueType(it.value), valueType(want); got != want {
			return fmt.Errorf("item %s is a %v, and declared as %v", it.name, got, want)
		}
	}
	return nil
}

// valueType is the type of a value, without pointers.
func valueType(v any) reflect.Type {
	t := reflect.TypeOf(v)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}
