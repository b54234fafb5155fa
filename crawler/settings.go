package crawler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
)

// Settings are what people choose about a crawl. They are stored with it, and
// a crawl that is resumed goes by the stored ones unless it is given others.
// Zero fields mean the defaults given.
type Settings struct {
	// Scope says which links are followed. Its MaxDepth is not used; see Depth.
	Scope scope.Settings `json:"scope,omitzero"`

	// Depth is how many links from a seed the crawl goes. Redirects do not
	// count. Negative means without end; 0 means the seeds alone.
	Depth int `json:"depth"`

	// MaxPages is how many pages are fetched at most. 0 means without end.
	MaxPages int `json:"max_pages,omitempty"`

	// Delay is the least time between two requests to one host. Default 1s;
	// negative means none.
	Delay time.Duration `json:"delay,omitempty"`

	// PerHost is how many requests may be under way to one host. Default 1.
	PerHost int `json:"per_host,omitempty"`

	// UserAgent is sent with each request; its product token is what
	// robots.txt is read for. Default stages.DefaultUserAgent.
	UserAgent string `json:"user_agent,omitempty"`

	// AllowPrivate permits addresses on private and loopback networks.
	AllowPrivate bool `json:"allow_private,omitempty"`

	// IgnoreRobots fetches what robots.txt forbids, and follows links that ask
	// not to be followed. It is for one's own sites.
	IgnoreRobots bool `json:"ignore_robots,omitempty"`

	// Sitemaps also follows the sitemaps that robots.txt names.
	Sitemaps bool `json:"sitemaps,omitempty"`

	// Identity chooses what the identity of a page leaves out.
	Identity weburl.Options `json:"identity,omitzero"`

	// Strict begins a generation only when the one before has passed every
	// stage.
	Strict bool `json:"strict,omitempty"`

	// Mode is how the extract stage weighs quality against time.
	Mode extract.Mode `json:"mode,omitempty"`

	// Stages are those that run. The first is crawl, whose pages go through the
	// others in their order, but for warc, which writes them to an archive
	// meanwhile. Default: crawl, extract, tag.
	Stages []Stage `json:"stages,omitempty"`

	// Workers bounds how many pages are being fetched at once. Default 256.
	Workers int `json:"workers,omitempty"`

	// MaxBody bounds a page after decompression, in bytes. Default 10 MiB.
	MaxBody int64 `json:"max_body,omitempty"`

	// MaxAttempts is how often a page is tried if its failure may pass.
	// Default 5.
	MaxAttempts int `json:"max_attempts,omitempty"`
}

// Stage names a stage of the pipeline.
type Stage struct {
	Name string `json:"name"`
	// Command runs the stage as child processes that speak the protocol of
	// stages.Exec. It is required unless the stage is built in.
	Command []string `json:"command,omitempty"`
}

// The built-in stages.
const (
	StageCrawl   = "crawl"
	StageExtract = "extract"
	StageTag     = "tag"
	StageWARC    = "warc" // writes what servers answered to Options.ArchiveDir
)

// BuiltinStages returns the names of the stages that need no command.
func BuiltinStages() []string { return []string{StageCrawl, StageExtract, StageTag, StageWARC} }

// Default values of Settings.
const (
	DefaultDelay       = time.Second
	DefaultWorkers     = 256
	DefaultMaxAttempts = 5
)

// ErrSettings is returned for settings that cannot be.
var ErrSettings = errors.New("invalid crawl settings")

// withDefaults fills in the defaults and checks the rest.
func (s Settings) withDefaults() (Settings, error) {
	if s.Delay == 0 {
		s.Delay = DefaultDelay
	}
	if s.PerHost == 0 {
		s.PerHost = 1
	}
	if s.UserAgent == "" {
		s.UserAgent = stages.DefaultUserAgent
	}
	if s.Workers == 0 {
		s.Workers = DefaultWorkers
	}
	if s.MaxBody == 0 {
		s.MaxBody = stages.DefaultMaxBody
	}
	if s.MaxAttempts == 0 {
		s.MaxAttempts = DefaultMaxAttempts
	}
	if len(s.Stages) == 0 {
		s.Stages = []Stage{{Name: StageCrawl}, {Name: StageExtract}, {Name: StageTag}}
	}
	bad := func(format string, args ...any) (Settings, error) {
		return s, fmt.Errorf("%w: %s", ErrSettings, fmt.Sprintf(format, args...))
	}
	switch {
	case s.PerHost < 0 || s.Workers < 0 || s.MaxPages < 0 || s.MaxAttempts < 0 || s.MaxBody < 0:
		return bad("a number is negative")
	case s.Stages[0].Name != StageCrawl || s.Stages[0].Command != nil:
		return bad("the first stage is %q, not crawl", s.Stages[0].Name)
	}
	if _, err := extract.ParseMode(string(s.Mode)); err != nil {
		return bad("%v", err)
	}
	for i, st := range s.Stages {
		builtin := slices.Contains(BuiltinStages(), st.Name)
		switch {
		case st.Name == "" || strings.ContainsAny(st.Name, "/ \t\x00"):
			return bad("a stage has the name %q", st.Name)
		case !builtin && len(st.Command) == 0:
			return bad("stage %q is unknown and has no command", st.Name)
		case st.Name == StageWARC && len(st.Command) > 0:
			return bad("the stage warc cannot be another program")
		case slices.ContainsFunc(s.Stages[:i], func(o Stage) bool { return o.Name == st.Name }):
			return bad("stage %q is there twice", st.Name)
		}
	}
	if _, err := s.Scope.New(nil); err != nil {
		return bad("%v", err)
	}
	return s, nil
}

// Runs reports whether a stage is among the settings' stages.
func (s *Settings) Runs(stage string) bool {
	return slices.ContainsFunc(s.Stages, func(st Stage) bool { return st.Name == stage })
}

// Change is a setting that a run was given and that differs from the stored
// one.
type Change struct {
	Name     string
	Old, New string
}

func (c Change) String() string { return fmt.Sprintf("%s: %s, was %s", c.Name, c.New, c.Old) }

// Diff returns what changes from one Settings to another.
func Diff(before, after Settings) []Change {
	before, _ = before.withDefaults()
	after, _ = after.withDefaults()
	fields := func(s Settings) map[string]any {
		b, err := json.Marshal(s)
		if err != nil {
			return nil
		}
		var m map[string]any
		if json.Unmarshal(b, &m) != nil {
			return nil
		}
		delete(m, "scope")
		return m
	}
	old, now := fields(before), fields(after)
	names := make(map[string]bool)
	for name := range old {
		names[name] = true
	}
	for name := range now {
		names[name] = true
	}
	show := func(v any) string {
		if v == nil {
			return "not set"
		}
		b, _ := json.Marshal(v)
		return string(b)
	}
	var changes []Change
	for name := range names {
		o, n := show(old[name]), show(now[name])
		if name == "delay" {
			o, n = before.Delay.String(), after.Delay.String()
		}
		if o != n {
			changes = append(changes, Change{name, o, n})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Name, b.Name) })
	for _, d := range scope.Diff(&before.Scope, &after.Scope) {
		name, rest, _ := strings.Cut(d, ":")
		changes = append(changes, Change{"scope " + name, "", strings.TrimSpace(rest)})
	}
	return changes
}

// saved is the crawl's own record: its settings, and the seeds that the scope
// is made from.
type saved struct {
	Settings Settings `json:"settings"`
	Seeds    []string `json:"seeds"`
}

const savedKey = "settings"

// Load returns the settings and the seeds of the crawl in a store. It returns
// an error that wraps queue.ErrNotFound if there is none.
func Load(ctx context.Context, store *queue.Store) (Settings, []string, error) {
	b, err := store.Get(ctx, tableCrawl, savedKey)
	if err != nil {
		return Settings{}, nil, fmt.Errorf("load crawl: %w", err)
	}
	var sv saved
	if err := json.Unmarshal(b, &sv); err != nil {
		return Settings{}, nil, fmt.Errorf("load crawl: %w: %w", queue.ErrCorrupt, err)
	}
	return sv.Settings, sv.Seeds, nil
}
