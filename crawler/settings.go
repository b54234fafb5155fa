package crawler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
)

// Settings are what people choose about a crawl. They are stored with it.
//
// Zero means the default given, in each field, and the zero Settings are a crawl
// of the seeds' hosts through all stages. A negative number means none where that
// is a choice: no delay, no links; elsewhere it is an error.
type Settings struct {
	// Scope says which links are followed, and how many from a seed. Default: any
	// number on the hosts of the seeds.
	Scope scope.Settings `json:"scope,omitzero"`

	// Links says which links of a page are followed beside those that its
	// function follows: LinksAll or LinksNone. Default LinksAll.
	Links string `json:"links,omitempty"`

	// MaxPages is how many pages are fetched at most. Default: any number.
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

	// Cookies keeps the cookies that servers set, and sends them back.
	Cookies bool `json:"cookies,omitempty"`

	// Sitemaps also follows the sitemaps that robots.txt names, and, if it names
	// none, those in the usual places.
	Sitemaps bool `json:"sitemaps,omitempty"`

	// Identity chooses what the identity of a page leaves out.
	Identity weburl.Options `json:"identity,omitzero"`

	// Strict begins a generation only when the one before has passed every
	// stage.
	Strict bool `json:"strict,omitempty"`

	// Mode is how the extract stage weighs quality against time.
	Mode extract.Mode `json:"mode,omitempty"`
	// Markdown has the extract stage keep the main text as GitHub Flavored
	// Markdown too.
	Markdown bool `json:"markdown,omitempty"`
	// Comments has it keep the comments of readers, and the replies of a forum.
	Comments bool `json:"comments,omitempty"`

	// Stages are those that run. The first is crawl, whose pages go through the
	// others in their order, but for warc, which writes them to an archive
	// meanwhile. Default: crawl, extract, tag.
	Stages []Stage `json:"stages,omitempty"`

	// Workers bounds how many pages are being fetched at once. Default 256.
	Workers int `json:"workers,omitempty"`

	// MaxBody bounds a page after decompression, in bytes. Default 10 MiB.
	MaxBody int64 `json:"max_body,omitempty"`

	// Forms also follows what forms with the method GET ask for, as the page has
	// them.
	Forms bool `json:"forms,omitempty"`

	// Memory bounds what large pages under way take together, in bytes: bodies
	// and trees. What does not fit waits. Default 128 MiB.
	Memory int64 `json:"memory,omitempty"`

	// Grace is how long a generation waits for a host that fails, and at most for one
	// that is slow, before it goes on
	// without what belongs to it, which comes back when the host does. Default 5s;
	// negative means that generations are exact and wait for every host.
	Grace time.Duration `json:"grace,omitempty"`

	// GiveUp is about how long a host may fail, whatever is asked of it, before
	// what is left of it is given up. Default 12h.
	GiveUp time.Duration `json:"give_up,omitempty"`

	// StageAttempts is how often a stage behind crawl, or a function with a queue,
	// tries a page before it lies among the dead letters. Default 20.
	StageAttempts int `json:"stage_attempts,omitempty"`

	// StageBackoff is how long such a page waits for the second attempt. Further
	// waits double, up to ten minutes. Default 1s.
	StageBackoff time.Duration `json:"stage_backoff,omitempty"`

	// Priority is what orders the pages of a generation: PriorityDepth,
	// PriorityInLinks, PrioritySitemap, and any number of "regexp=number", what an
	// address that matches is worth beside. Options.Priority is added. Default
	// PrioritySitemap.
	Priority []string `json:"priority,omitempty"`

	// MaxGenerationPages is how many pages of a generation are fetched at most: those
	// of the highest priority. The others are left out, and the next round takes
	// them. Default: any number.
	MaxGenerationPages int `json:"max_generation_pages,omitempty"`

	// NearDuplicates says what is done about pages whose main text is nearly that of
	// another: NearOff, NearReport or NearSkip, which also costs a second extraction
	// where the stage extract does not run in the same breath. Default NearReport,
	// where the stage extract runs.
	NearDuplicates string `json:"near_duplicates,omitempty"`

	// Archive is how the stage warc writes its files.
	Archive ArchiveSettings `json:"archive,omitzero"`

	// Requisites says which images, style sheets, scripts, fonts and media of pages
	// are fetched as assets: RequisitesNone, RequisitesSite or RequisitesAll. Default
	// RequisitesNone.
	Requisites string `json:"requisites,omitempty"`

	// Every makes the crawl begin a round of its own over what is due, so long after
	// the round before began, or when that is done if it takes longer; Run then ends
	// with its context alone. Default: never.
	Every time.Duration `json:"every,omitempty"`

	// MinInterval and MaxInterval bound how long a page is left alone before it is
	// due: see [History] for the time between. It begins with Every, or a day.
	// Default 1h and 30 days.
	MinInterval time.Duration `json:"min_interval,omitempty"`
	MaxInterval time.Duration `json:"max_interval,omitempty"`

	// History is how many visits and how many changes are remembered of a page, these
	// with the text that it had before. Default 10; negative means the last visit
	// alone.
	History int `json:"history,omitempty"`

	// Retries is how often a page is tried again if its failure may pass. Default 4;
	// negative means never.
	Retries int `json:"retries,omitempty"`

	// MaxBytes is how many bytes of pages are fetched at most, as they arrive.
	// Default: any number.
	MaxBytes int64 `json:"max_bytes,omitempty"`

	// MaxHostPages and MaxHostBytes are how many pages, and how many bytes, of one
	// host are fetched at most. Default: any number.
	MaxHostPages int   `json:"max_host_pages,omitempty"`
	MaxHostBytes int64 `json:"max_host_bytes,omitempty"`

	// MaxTime is how long a run may take before it stops, cleanly and with
	// everything kept. Default: however long.
	MaxTime time.Duration `json:"max_time,omitempty"`

	// Rate is how many requests a second are made at most, over all hosts. Default:
	// any number.
	Rate float64 `json:"rate,omitempty"`

	// Header are lines "Name: value" that are sent with each request, unless it has
	// a header of that name itself. A value env:NAME or file:PATH is a secret that is
	// read from there. Default: none.
	Header []string `json:"header,omitempty"`

	// Auth is how to log in, and belongs to a host in Hosts: basic:USER:SECRET,
	// digest:USER:SECRET or bearer:SECRET, with a SECRET as in Header.
	Auth string `json:"auth,omitempty"`

	// Proxy are the proxies that requests go through, by turns: addresses with the
	// scheme http, https, socks5 or socks5h, whose password is a SECRET as in Header;
	// ProxyEnvironment for those that the environment names, or ProxyNone. The guard
	// against private addresses holds for the requests' hosts, which are looked up
	// here first, and not for the proxies. Options.Proxy takes its place. Default:
	// ProxyEnvironment.
	Proxy []string `json:"proxy,omitempty"`

	// Timeout bounds a request with its body. Default 60s.
	Timeout time.Duration `json:"timeout,omitempty"`

	// Types are the media types that are kept beside HTML, plain text and XML, such
	// as application/pdf, image/* or */*. Default: none.
	Types []string `json:"types,omitempty"`

	// Insecure takes certificates of servers that cannot be verified.
	Insecure bool `json:"insecure,omitempty"`

	// CAFile, ClientCert and ClientKey are files in PEM: certificates that are
	// trusted beside the system's, and the certificate and its key, if that has its
	// own file, that servers are shown. Default: none.
	CAFile     string `json:"ca_file,omitempty"`
	ClientCert string `json:"client_cert,omitempty"`
	ClientKey  string `json:"client_key,omitempty"`

	// Hosts have settings of their own, which take the place of the general ones, by
	// "example.com", "example.com:8080", or "*.example.com" for all hosts below one.
	// Those that a host may have are the ones that AllSettings calls PerHost; see
	// [Settings.SetHost]. Default: none.
	Hosts map[string]Settings `json:"hosts,omitempty"`
}

// ArchiveSettings are those of the files of the stage warc.
type ArchiveSettings struct {
	// Prefix is what their names begin with. Default "weir".
	Prefix string `json:"prefix,omitempty"`

	// FileSize is how large a file grows, in bytes, before the next one is begun.
	// Default 1 GiB.
	FileSize int64 `json:"file_size,omitempty"`

	// Info are fields of the warcinfo record of each file, beside those that are
	// always there, as lines "name: value": operator, description, isPartOf, as WARC
	// 1.1 section 6.2 names them.
	Info []string `json:"info,omitempty"`
}

// Stage names a stage of the pipeline.
type Stage struct {
	Name string `json:"name"`
	// Command runs the stage as child processes that speak the protocol of
	// stages.Exec.
	Command []string `json:"command,omitempty"`

	// Func runs the stage as a function. It gets what is known of a page, the
	// text among it once extract has run, and may change it for the stages behind.
	// What it writes with Out.Result is stored under the stage's name, or, in place
	// of extract and tag, as text and tags. An error or a panic has it tried again,
	// and in the end the page lies among the stage's dead letters.
	//
	// A stage that is not built in has either a Func or a Command.
	Func func(ctx context.Context, d *Doc, out *Out) error `json:"-"`

	// Timeout bounds a call of Func; see Function.Timeout.
	Timeout time.Duration `json:"-"`

	// Follows are the labels that Func gives to what it follows, "" among them for
	// none. Nil means that it follows nothing. What it follows is of the generation
	// behind the page's, as links are, which waits for the stage then. Behind
	// extract the page itself is not there any more, so links are followed by
	// Out.Request and not by selectors.
	Follows []string `json:"-"`

	// Go is stored for a stage that is a function, which is not.
	Go bool `json:"go,omitempty"`
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
	DefaultRetries     = 4
	DefaultMaxAttempts = DefaultRetries + 1
	DefaultTimeout     = time.Minute
	DefaultMemory      = 128 << 20
	DefaultGrace       = 5 * time.Second
	DefaultGiveUp      = 12 * time.Hour

	DefaultStageAttempts = 20
	DefaultStageBackoff  = time.Second
)

// Bounds of Settings: what is beyond is a mistake.
const (
	MaxWorkers = 10_000
	MaxPerHost = 1_000
	maxRetries = 100_000
)

// ErrSettings is returned for settings that cannot be.
var ErrSettings = errors.New("invalid crawl settings")

// WithDefaults returns the settings with each default in its place, or an error that
// wraps [ErrSettings] if they cannot be. What New is given need not have been there.
func (s Settings) WithDefaults() (Settings, error) {
	s.Stages = slices.Clone(s.stages())
	for i := range s.Stages {
		s.Stages[i].Go = s.Stages[i].Go || s.Stages[i].Func != nil
	}
	s.Delay = cmp.Or(s.Delay, DefaultDelay)
	s.PerHost = cmp.Or(s.PerHost, 1)
	s.UserAgent = cmp.Or(s.UserAgent, stages.DefaultUserAgent)
	s.Workers = s.workers()
	s.MaxBody = cmp.Or(s.MaxBody, stages.DefaultMaxBody)
	s.Retries = cmp.Or(s.Retries, DefaultRetries)
	s.Timeout = cmp.Or(s.Timeout, DefaultTimeout)
	s.StageAttempts = cmp.Or(s.StageAttempts, DefaultStageAttempts)
	s.StageBackoff = cmp.Or(s.StageBackoff, DefaultStageBackoff)
	s.Memory = s.memory()
	s.Grace = cmp.Or(s.Grace, DefaultGrace)
	s.GiveUp = cmp.Or(s.GiveUp, DefaultGiveUp)
	s.Links = cmp.Or(s.Links, LinksAll)
	s.MaxInterval = cmp.Or(s.MaxInterval, max(DefaultMaxInterval, s.MinInterval))
	s.MinInterval = cmp.Or(s.MinInterval, min(DefaultMinInterval, s.MaxInterval))
	s.NearDuplicates = cmp.Or(s.NearDuplicates, NearReport)
	s.Requisites = cmp.Or(s.Requisites, RequisitesNone)
	s.History = cmp.Or(s.History, DefaultHistory)
	return s, s.check()
}

// The settings that the parts of a crawl ask for, with their defaults.
func (s *Settings) workers() int { return cmp.Or(s.Workers, DefaultWorkers) }
func (s *Settings) grace() time.Duration {
	return max(cmp.Or(s.Grace, DefaultGrace), 0)
}

// patience is from when on an answer is a slow one; 0 means that none is.
func (s *Settings) patience() time.Duration { return min(s.grace(), max(s.leastDelay(), time.Second)) }

func (s *Settings) memory() int64    { return cmp.Or(s.Memory, DefaultMemory) }
func (s *Settings) maxAttempts() int { return max(cmp.Or(s.Retries, DefaultRetries), 0) + 1 }

func (s *Settings) proxy() []string {
	if len(s.Proxy) == 0 {
		return []string{ProxyEnvironment}
	}
	return s.Proxy
}

// leastDelay is the smallest delay of any host: the frontier's own. What is more of
// a host is added by its politeness.
func (s *Settings) leastDelay() time.Duration {
	least := cmp.Or(s.Delay, DefaultDelay)
	for _, of := range s.Hosts {
		least = min(least, cmp.Or(of.Delay, least))
	}
	return max(least, 0)
}

func (s *Settings) stages() []Stage {
	if len(s.Stages) == 0 {
		return []Stage{{Name: StageCrawl}, {Name: StageExtract}, {Name: StageTag}}
	}
	return s.Stages
}

// Politeness returns the rules for hosts.
func (s *Settings) Politeness() polite.Options {
	// Waits double, so all of them together are twice the last one.
	o := polite.Options{MinDelay: s.Delay, MaxBackoff: max(cmp.Or(s.GiveUp, DefaultGiveUp)/2, time.Second)}
	if s.grace() > 0 {
		o.MaxRetryAfter = min(polite.DefaultMaxRetryAfter, o.MaxBackoff)
	}
	if s.Delay < 0 {
		o.Factor = -1 // as fast as the host answers
	}
	return o
}

// check returns what is wrong with settings whose defaults are filled in.
func (s *Settings) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrSettings, fmt.Sprintf(format, args...))
	}
	for _, st := range AllSettings() {
		if st.Field == "Stages" || !st.IsSet(s) {
			continue // stages are looked at below
		}
		again := Settings{}
		if err := st.Set(&again, st.Get(s)...); err != nil {
			return bad("%s (%s): %v", st.Field, st.Name, err)
		}
	}
	if s.Auth != "" {
		return bad("Auth belongs to a host in Hosts")
	}
	if s.NearDuplicates == NearSkip && !s.Runs(StageExtract) {
		return bad("NearDuplicates (near-duplicates) is skip, which needs the stage extract")
	}
	if s.MinInterval > s.MaxInterval {
		return bad("MinInterval (min-interval) is %s, longer than MaxInterval (max-interval), %s", s.MinInterval, s.MaxInterval)
	}
	if _, err := s.Scope.New(nil); err != nil {
		return bad("%v", err)
	}
	for i, st := range s.Stages {
		builtin := slices.Contains(BuiltinStages(), st.Name)
		fixed := st.Name == StageCrawl || st.Name == StageWARC
		switch {
		case i == 0 && st.Name != StageCrawl:
			return bad("the first stage is %q, not crawl", st.Name)
		case st.Name == "" || strings.ContainsAny(st.Name, "/ \t\x00"):
			return bad("a stage has the name %q", st.Name)
		case st.Func != nil && st.Command != nil:
			return bad("stage %q has a function and a command", st.Name)
		case st.Go && st.Func == nil:
			return bad("stage %q is a Go function, which this program lacks", st.Name)
		case !builtin && st.Func == nil && len(st.Command) == 0:
			return bad("stage %q is not known; the stages are %s, and those that --stage '%s=command' or a function adds", st.Name, strings.Join(BuiltinStages(), ", "), st.Name)
		case st.Func == nil && (st.Follows != nil || st.Timeout != 0):
			return bad("stage %q has Follows or a Timeout and no function", st.Name)
		case fixed && (len(st.Command) > 0 || st.Func != nil):
			return bad("the stage %s cannot be another program or function", st.Name)
		case slices.ContainsFunc(s.Stages[:i], func(o Stage) bool { return o.Name == st.Name }):
			return bad("stage %q is there twice", st.Name)
		}
	}
	return nil
}

// Runs reports whether a stage is among the settings' stages.
func (s *Settings) Runs(stage string) bool {
	return slices.ContainsFunc(s.stages(), func(st Stage) bool { return st.Name == stage })
}
