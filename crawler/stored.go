package crawler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// Stored is what a store holds of its crawl's options.
type Stored struct {
	Settings  Settings         `json:"settings"`
	Functions []StoredFunction `json:"functions,omitempty"`
	Items     []ItemKind       `json:"items,omitempty"`

	// Program holds the settings of the program's own that it was begun with,
	// before anybody chose others on a command line.
	Program *Settings `json:"program,omitempty"`

	// Origins says who has chosen each of the settings; see Options.Origins.
	Origins map[string]string `json:"origins,omitempty"`
}

// StoredFunction is what is stored of a function.
type StoredFunction struct {
	Label string `json:"label"`
	Queue string `json:"queue,omitempty"`
}

// Queues returns the names of the crawl's queues: those of its stages, in their
// order, then those of its functions. An archive has none.
func (s *Stored) Queues() []string {
	var names []string
	for _, st := range s.Settings.stages() {
		if st.Name != StageWARC {
			names = append(names, st.Name)
		}
	}
	for _, f := range s.Functions {
		if f.Queue != "" {
			names = append(names, f.Queue)
		}
	}
	return names
}

// ErrFunctions is returned for a crawl that is unfinished and needs functions that
// the program lacks.
var ErrFunctions = errors.New("store holds the unfinished work of other functions")

const savedKey = "settings"

// saved is what Begin stores.
func (c *Crawler) saved() *Stored {
	sv := &Stored{Settings: c.options.Settings, Origins: c.options.Origins}
	if p := c.options.Program; p != nil {
		own := *p
		own.Stages = slices.Clone(own.Stages)
		for i := range own.Stages {
			own.Stages[i].Go = own.Stages[i].Go || own.Stages[i].Func != nil
		}
		sv.Program = &own
	}
	for _, f := range c.options.Functions {
		sv.Functions = append(sv.Functions, StoredFunction{f.Label, f.Queue})
	}
	sv.Items, _ = itemKinds(c.options.Items) // New has checked them
	return sv
}

// Load returns what a store holds of its crawl's options. It returns an error that
// wraps queue.ErrNotFound if it holds no crawl.
func Load(ctx context.Context, store *queue.Store) (*Stored, error) {
	b, err := store.Get(ctx, tables.Crawl, savedKey)
	if err != nil {
		return nil, fmt.Errorf("load crawl: %w", err)
	}
	sv := new(Stored)
	if err := json.Unmarshal(b, sv); err != nil {
		return nil, fmt.Errorf("load crawl: %w: %w", queue.ErrCorrupt, err)
	}
	return sv, nil
}

// Resume returns the settings with which a program goes on with the crawl: the
// stored ones, with the program's own where these have changed since, and with
// its functions for the stages.
func (s *Stored) Resume(program Settings) (Settings, error) {
	settings := s.Settings
	if s.Program != nil {
		was, err := fieldsOf(s.Program)
		if err != nil {
			return settings, err
		}
		now, err := fieldsOf(&program)
		if err != nil {
			return settings, err
		}
		all, err := fieldsOf(&settings)
		if err != nil {
			return settings, err
		}
		for name := range was {
			if now[name] == nil {
				now[name] = json.RawMessage("null")
			}
		}
		for name, v := range now {
			if !bytes.Equal(v, was[name]) {
				all[name] = v
			}
		}
		b, err := json.Marshal(all)
		if err != nil {
			return settings, err
		}
		settings = Settings{}
		if err := json.Unmarshal(b, &settings); err != nil {
			return settings, err
		}
	}
	settings.Stages = slices.Clone(settings.Stages)
	for i := range settings.Stages {
		st := &settings.Stages[i]
		for _, own := range program.Stages {
			if own.Name == st.Name && own.Func != nil && st.Command == nil {
				st.Func, st.Timeout, st.Follows, st.Go = own.Func, own.Timeout, own.Follows, true
			}
		}
	}
	return settings, nil
}

// fieldsOf returns the fields of settings as they are stored.
func fieldsOf(s *Settings) (map[string]json.RawMessage, error) {
	c := *s
	c.Stages = slices.Clone(s.Stages)
	for i := range c.Stages {
		c.Stages[i].Go = c.Stages[i].Go || c.Stages[i].Func != nil
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var m map[string]json.RawMessage
	return m, json.Unmarshal(b, &m)
}

// checkFunctions returns ErrFunctions, with what differs by name, if requests may
// wait for functions that are not there any more.
func (c *Crawler) checkFunctions(ctx context.Context) error {
	stored, err := Load(ctx, c.store)
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var differ []string
	for _, old := range stored.Functions {
		name := (&Function{Label: old.Label}).name()
		i := slices.IndexFunc(c.options.Functions, func(f Function) bool { return f.Label == old.Label })
		switch {
		case i < 0:
			differ = append(differ, fmt.Sprintf("function %s is gone", name))
		case c.options.Functions[i].Queue != old.Queue:
			differ = append(differ, fmt.Sprintf("function %s has the queue %q and had %q", name, c.options.Functions[i].Queue, old.Queue))
		}
	}
	for _, old := range stored.Items {
		if _, ok := c.options.Items[old.Name]; !ok {
			differ = append(differ, fmt.Sprintf("items %s are gone", old.Name))
		}
	}
	if len(differ) == 0 {
		return nil
	}
	if done, err := pipeline.Done(ctx, c.store); done || err != nil {
		return err
	}
	return fmt.Errorf("%w: %s; go on with the program that began it, or use another folder", ErrFunctions, strings.Join(differ, "; "))
}
