package crawler

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// History is what is kept of the visits to an address from round 1 on. What round 0
// found is in its Page or Failure, and is the first entry here.
//
// Interval is how long the address is left alone. It follows the rule of Heritrix
// (Sigurðsson, Incremental Web crawling with Heritrix, IWAW 2005): divided by 1.5
// when a visit finds a change, multiplied by 1.5 when it finds none, within the
// bounds of the settings. So it settles where about every other visit finds one. A
// visit that fails, which tells neither, leaves it as it is.
type History struct {
	URL      string        `json:"url"`
	Interval time.Duration `json:"interval_ns"`
	Next     time.Time     `json:"next"` // when the address is due

	// First is the first visit of all. Visits are the last ones, oldest first, one for each round that visited the
	// address, and Changes the rounds of which a Change is kept. Settings.History
	// bounds both.
	First   VisitMark   `json:"first"`
	Visits  []VisitMark `json:"visits"`
	Changes []int       `json:"changes,omitempty"`
}

// VisitMark is what came of one visit.
type VisitMark struct {
	Round      int       `json:"round"`
	Generation int       `json:"generation"`
	At         time.Time `json:"at"`
	Outcome    string    `json:"outcome"`
	Status     int       `json:"status,omitempty"`
	Reason     string    `json:"reason,omitempty"` // of a failure
	Digest     string    `json:"digest,omitempty"` // of the body, if one came
	Links      bool      `json:"links,omitempty"`  // the page has other links than before
}

// Outcomes of visits.
const (
	VisitNew      = "new"      // there was no page, and now there is
	VisitSame     = "same"     // not modified, or the same as before
	VisitChanged  = "changed"  // another body, with, as far as is known, another text or other links
	VisitMoved    = "moved"    // a redirect took the place of the page, or of another redirect
	VisitVanished = "vanished" // 404, 410, or a page that says so; see softMissing
	VisitFailed   = "failed"   // whatever else kept the crawl from it
)

// Change is what a round found to be otherwise than the one before. Its JSON form
// is stable.
type Change struct {
	Round  int       `json:"round"`
	Kind   string    `json:"kind"` // VisitNew, VisitChanged, VisitMoved, VisitVanished or VisitFailed
	URL    string    `json:"url"`
	At     time.Time `json:"at"`
	Status int       `json:"status,omitempty"`
	Reason string    `json:"reason,omitempty"`
	To     string    `json:"to,omitempty"` // of a redirect
	Title  string    `json:"title,omitempty"`
	Before string    `json:"digest_before,omitempty"`
	Digest string    `json:"digest,omitempty"`

	// LinksNew and LinksGone are links of the page that it did not have, and that it
	// has no more, maxChangedLinks of each at most.
	LinksNew  []string `json:"links_new,omitempty"`
	LinksGone []string `json:"links_gone,omitempty"`
}

// maxChangedLinks bounds the links in a Change.
const maxChangedLinks = 200

// Default values of Settings for rounds.
const (
	DefaultInterval    = 24 * time.Hour
	DefaultMinInterval = time.Hour
	DefaultMaxInterval = 30 * 24 * time.Hour
	DefaultHistory     = 10
)

// history is how much of the past is kept, in visits and in changes.
func (s *Settings) history() int { return max(s.History, 0) }

// firstInterval is how long an address is left alone that has been visited once.
func (s *Settings) firstInterval() time.Duration {
	return s.bounded(cmp.Or(s.Every, DefaultInterval))
}

func (s *Settings) bounded(d time.Duration) time.Duration {
	return min(max(d, s.MinInterval), s.MaxInterval)
}

// nextInterval is the rule above.
func (s *Settings) nextInterval(was time.Duration, outcome string) time.Duration {
	switch outcome {
	case VisitFailed:
	case VisitSame:
		was += was / 2
	default:
		was = was * 2 / 3
	}
	return s.bounded(was)
}

// add notes a visit. A visit of the same round is replaced: a dead letter that is
// tried again settles the address anew.
func (h *History) add(m VisitMark, s *Settings) {
	was := cmp.Or(h.Interval, s.firstInterval())
	h.Interval = s.nextInterval(was, m.Outcome)
	h.Next = m.At.Add(h.Interval)
	h.Visits = slices.DeleteFunc(h.Visits, func(o VisitMark) bool { return o.Round == m.Round })
	h.Visits = append(h.Visits, m)
	if over := len(h.Visits) - max(s.history(), 1); over > 0 {
		h.Visits = slices.Delete(h.Visits, 0, over)
	}
}

// sameText notes that the last visit, which found another body, found the text as it
// was.
func (h *History) sameText(s *Settings) {
	m := &h.Visits[len(h.Visits)-1]
	m.Outcome = VisitSame
	// The interval before was divided; now it is multiplied.
	h.Interval = s.bounded(h.Interval * 9 / 4)
	h.Next = m.At.Add(h.Interval)
}

// keepChange adds a change to a transaction, and takes out what is too old by it.
func (h *History) keepChange(tx *queue.Tx, key string, c *Change, s *Settings) error {
	if s.history() == 0 {
		return nil
	}
	h.Changes = slices.DeleteFunc(h.Changes, func(n int) bool { return n == c.Round })
	h.Changes = append(h.Changes, c.Round)
	for len(h.Changes) > s.history() {
		old := tables.ChangeKey(h.Changes[0], key)
		tx.Delete(tables.Changes, old)
		tx.Delete(tables.Versions, old)
		h.Changes = slices.Delete(h.Changes, 0, 1)
	}
	return tables.Put(tx, tables.Changes, tables.ChangeKey(c.Round, key), *c)
}

// known is what the crawl knows of an address that it visits again.
type known struct {
	page    *Page    // nil if there was never one
	failure *Failure // nil if the last visit did not fail
	history History
}

// live reports whether the last visit found a page that is one.
func (k *known) live() bool {
	return k != nil && k.page != nil && k.page.Redirect == "" && k.page.VanishedAt == nil && !k.page.Soft404 && !isGone(k.page.Status)
}

// redirects reports whether the last visit found a redirect.
func (k *known) redirects() bool {
	return k != nil && k.page != nil && k.page.Redirect != "" && k.page.VanishedAt == nil
}

// remember adds to the transaction of a visit, from round 1 on, what is kept of it, and
// returns it. A new address that is no change (a failure, a redirect) has its record
// alone until it is visited again.
func (v *Visitor) remember(out *pipeline.Out, r Request, m VisitMark, c *Change) (*History, error) {
	if v.round.number() == 0 {
		return nil, nil
	}
	s := &v.Options.Settings
	tx, key := out.Tx(), r.Key()
	m.Round, m.Generation = v.round.number(), out.Generation()
	tx.Add(tables.Crawl, tables.RoundCounter(v.round.number(), m.Outcome), 1)
	var h History
	if r.known != nil {
		h = r.known.history
		h.Visits, h.Changes = slices.Clone(h.Visits), slices.Clone(h.Changes)
	}
	if c != nil {
		c.Round, c.Kind, c.URL, c.At, c.Status, c.Reason, c.Digest = v.round.number(), m.Outcome, r.URL, m.At, m.Status, m.Reason, m.Digest
		if err := h.keepChange(tx, key, c, s); err != nil {
			return nil, err
		}
	}
	if r.known == nil && c == nil {
		return nil, nil
	}
	h.URL = r.URL
	if r.known == nil {
		h.Interval, h.Next, h.First, h.Visits = s.firstInterval(), m.At.Add(s.firstInterval()), m, []VisitMark{m}
	} else {
		h.add(m, s)
	}
	return &h, tables.Put(tx, tables.History, key, h)
}

// linkChanges returns which links one list has and the other lacks.
func linkChanges(before, after []Link) (added, gone []string) {
	missing := func(from, in []Link) (list []string) {
		has := make(map[string]bool, len(in))
		for _, l := range in {
			has[l.To] = true
		}
		for _, l := range from {
			if !has[l.To] && len(list) < maxChangedLinks {
				list = append(list, l.To)
			}
		}
		return list
	}
	return missing(after, before), missing(before, after)
}
