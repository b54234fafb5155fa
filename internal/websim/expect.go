package websim

// Outcome is what a crawl should find at an address.
type Outcome struct {
	Generation int    // distance from the seed in links and redirects
	Fail       string // the reason, or "" for a page
	Detail     string // what the failure's explanation contains
	Redirect   string // the target, if it is one
	Attempts   int    // how often it is asked for; 0 if that is not certain
	NoIndex    bool
	Text       bool // it has a text
}

// Expected is what a crawl should find.
type Expected struct {
	Outcomes map[string]Outcome // by URL
	// Skips are the links that are refused, each with words of the reasons.
	Skips map[string][]string
	// Sizes counts the addresses of each generation, Texts the texts.
	Sizes, Texts []int64
}

// Expect returns what a crawl from Seed finds that goes depth links deep, or on
// to the end if depth is negative, and tries each address up to so many times.
func (w *Web) Expect(depth, attempts int) Expected {
	e := Expected{Outcomes: make(map[string]Outcome), Skips: make(map[string][]string)}
	type place struct {
		url   string
		depth int
	}
	now := []place{{w.seed, 0}}
	seen := map[string]bool{w.seed: true}
	for g := 0; len(now) > 0; g++ {
		var next []place
		e.Sizes, e.Texts = append(e.Sizes, int64(len(now))), append(e.Texts, 0)
		for _, p := range now {
			r := w.lookup(p.url)
			if r == nil {
				r = &resource{fail: "http_404"}
			}
			o := r.outcome(g, attempts)
			e.Outcomes[p.url] = o
			if o.Text {
				e.Texts[g]++
			}
			if o.Fail != "" {
				continue
			}
			for _, l := range r.links {
				below := p.depth + 1
				if r.redirect != "" {
					below = p.depth
				}
				deep := depth >= 0 && below > depth
				if deep {
					e.Skips[l.to] = append(e.Skips[l.to], "links from a seed")
				}
				if l.refused != "" {
					e.Skips[l.to] = append(e.Skips[l.to], l.refused)
				}
				if !deep && l.refused == "" && !seen[l.to] {
					seen[l.to] = true
					next = append(next, place{l.to, below})
				}
			}
		}
		now = next
	}
	return e
}

func (r *resource) outcome(generation, attempts int) Outcome {
	o := Outcome{Generation: generation, Fail: r.fail, Detail: r.detail, Redirect: r.redirect, Attempts: r.failures + 1}
	switch r.fail {
	case "":
		o.NoIndex, o.Text = r.noIndex, !r.noIndex && !r.noText
	case "robots":
		o.Attempts, o.Redirect = 0, ""
	case "http_500", "rate_limited", "truncated", "timeout":
		o.Attempts = attempts
	default:
		o.Redirect = ""
	}
	return o
}
