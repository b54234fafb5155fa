package command

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/hardweb"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// outcome is what a crawl has made of an address, for the site to judge.
func outcome(ctx context.Context, store *queue.Store, url string) (o hardweb.Outcome, err error) {
	e, err := inspect.Explain(ctx, store, url, nil)
	switch {
	case err != nil:
	case e.Page != nil:
		o.Page, o.Title, o.Canonical = true, e.Page.Title, e.Page.Canonical
	case e.Failure != nil:
		o.Reason = e.Failure.Reason
	case e.Skip != nil:
		o.Skip = e.Skip.Reason
	}
	return o, err
}

// torture crawls the torture site, in memory, and prints whether each of its cases
// came out right.
func (a *app) torture(ctx context.Context) error {
	site, err := hardweb.Listen()
	if err != nil {
		return err
	}
	defer site.Close()
	store, err := memqueue.Open(nil)
	if err != nil {
		return err
	}
	defer store.Close()
	c, err := crawler.New(store, &crawler.Options{
		Seeds: crawler.Seeds(site.Seeds()...),
		Settings: crawler.Settings{
			Delay: -1, AllowPrivate: true, Sitemaps: true, Forms: true,
			Stages: []crawler.Stage{{Name: crawler.StageCrawl}},
		},
	})
	if err != nil {
		return err
	}
	defer standardLog(slog.New(slog.DiscardHandler))() // net/http complains of the cases
	if err := c.Run(ctx); err != nil {
		return err
	}
	if done, err := c.Done(ctx); err != nil || !done {
		return exitError(exitInterrupted)
	}
	failed := 0
	for i, tc := range site.Cases {
		wrong, err := site.Check(i, func(url string) (hardweb.Outcome, error) { return outcome(ctx, store, url) })
		if err != nil {
			return err
		}
		if wrong != "" {
			failed++
			fmt.Fprintf(a.out, "FAIL  %s: %s\n", tc.Name, wrong)
			continue
		}
		fmt.Fprintf(a.out, "pass  %s\n", tc.Name)
	}
	fmt.Fprintf(a.out, "%d of %d cases are right.\n", len(site.Cases)-failed, len(site.Cases))
	if failed > 0 {
		return exitError(exitFailure)
	}
	return nil
}
