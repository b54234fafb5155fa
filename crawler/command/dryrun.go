package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-301537d8/weir/crawler"
)

// How much of a crawl --dry-run tries.
const (
	drySeeds = 10
	dryLinks = 10
)

// dryRun says what a crawl would do with its first seeds, and stores nothing.
func (a *app) dryRun(ctx context.Context, p place, f *runFlags, w *wishes) error {
	e, err := a.effective(ctx, p, f.dir, w)
	if err != nil {
		return err
	}
	more := false // than are tried
	if f.seeds != "" {
		err := a.eachSeed(f.seeds, &e.settings, func(seed crawler.Request) error {
			if more = len(w.seeds) >= drySeeds; more {
				return errEnough
			}
			w.seeds = append(w.seeds, seed)
			return nil
		})
		if err != nil && err != errEnough {
			return err
		}
	}
	if len(w.seeds) == 0 {
		w.seeds = a.options.Seeds
	}
	if len(w.seeds) == 0 {
		return usagef("--dry-run needs the URLs that it is to try")
	}
	if err := refusePrivate(e.settings, w.seeds); err != nil {
		return err
	}
	o := a.options
	o.Settings, o.Seeds = e.settings, w.seeds
	o.Settings.Stages = []crawler.Stage{{Name: crawler.StageCrawl}}
	pr, err := newProber(ctx, &o)
	if err != nil {
		return err
	}
	defer pr.store.Close()
	out := &printer{w: a.out}
	many := plural(int64(len(w.seeds)), "seed")
	if more {
		many = "more than " + many
	}
	out.printf("Nothing is stored. A crawl in %s would begin with %s.\n", p.name, many)
	failed := 0
	for i, seed := range w.seeds {
		if i == drySeeds {
			out.printf("\nThe other %d seeds are not tried.\n", len(w.seeds)-drySeeds)
			break
		}
		p, err := pr.fetch(ctx, seed)
		if err != nil {
			return err
		}
		out.printf("\n")
		p.summary(out, false)
		if p.Failure != nil {
			failed++
		}
		dryLinksOf(out, p)
	}
	if out.err != nil {
		return out.err
	}
	if failed == min(len(w.seeds), drySeeds) {
		return exitError(exitFailure)
	}
	return nil
}

// dryLinksOf shows the first links of a page: those that would be followed first.
func dryLinksOf(out *printer, p *probe) {
	shown := 0
	for _, follow := range []bool{true, false} {
		for _, l := range p.Links {
			if l.Follow != follow || shown == dryLinks {
				continue
			}
			shown++
			mark := "-"
			if follow {
				mark = "+"
			}
			line := fmt.Sprintf("  %s %s", mark, l.To)
			if !follow {
				line += "  " + l.Because
			}
			out.printf("%s\n", strings.TrimRight(line, " "))
		}
	}
}
