package crawler

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
)

// The groups of settings, which are the headings that they stand under.
const (
	GroupScope    = "What is followed"
	GroupLimits   = "How much"
	GroupHosts    = "How fast, and how often"
	GroupRequests = "How it is asked for"
	GroupAgain    = "Again"
	GroupStages   = "What is made of it"
)

// What a change means for a crawl that goes on.
const (
	fromNowOn    = "from now on"
	linksFound   = "for links found from now on"
	limitFromNow = "from now on; URLs left out at the old limit stay left out"
	thisRun      = "for this run and later ones"
	whenComplete = "only when the crawl is complete, for URLs added then"
	notExtracted = "for pages whose text has not been extracted yet"
	newIdentity  = "from now on; a page known by its old identity may be fetched again"
)

// AllSettings returns the table of settings, in the order in which they are shown.
// The caller must not change it.
func AllSettings() []*Setting {
	settingTable.once.Do(func() {
		settingTable.all = slices.Concat(scopeSettings(), limitSettings(), hostSettings(), requestSettings(), stageSettings(), againSettings())
	})
	return settingTable.all
}

var settingTable struct {
	once sync.Once
	all  []*Setting
}

func scopeSettings() []*Setting {
	all := []*Setting{
		{Name: "scope", Field: "Scope.Within", Arg: "where", Default: string(scope.WithinHost), Values: []string{"host", "domain", "any"}, Resume: linksFound,
			Doc:    "where links are followed to: host (of a seed), domain or any",
			access: oneOf(func(s *Settings) *scope.Within { return &s.Scope.Within }, scope.WithinHost, scope.WithinDomain, scope.WithinAny)},
		{Name: "depth", Field: "Scope.MaxDepth", Arg: "links", Default: wordUnlimited, Resume: linksFound,
			Doc:    "how many links from a seed to go; 0 means the seeds alone",
			access: number(func(s *Settings) *int { return &s.Scope.MaxDepth }, 0, math.MaxInt32, wordUnlimited)},
		{Name: "allow", Field: "Scope.Allow", Arg: "regexp", List: true, Resume: linksFound,
			Doc:    "follow only URLs that match this regexp (repeatable: any of them)",
			access: list{func(s *Settings) *[]string { return &s.Scope.Allow }, checkRegexp}},
		{Name: "deny", Field: "Scope.Deny", Arg: "regexp", List: true, Resume: linksFound,
			Doc:    "never follow URLs that match this regexp (repeatable)",
			access: list{func(s *Settings) *[]string { return &s.Scope.Deny }, checkRegexp}},
		{Name: "priority", Field: "Priority", Arg: "rule", List: true, Default: PrioritySitemap, Resume: linksFound,
			Doc:    "which pages of a generation come first (repeatable, added up): depth, inlinks, sitemap, or 'regexp=number' for URLs that match",
			access: list{func(s *Settings) *[]string { return &s.Priority }, checkPriority}},
		{Name: "links", Field: "Links", Arg: "which", Default: LinksAll, Values: []string{LinksAll, LinksNone}, Resume: linksFound,
			Doc:    "which links to follow beside those that functions follow: all or none",
			access: oneOf(func(s *Settings) *string { return &s.Links }, LinksAll, LinksNone)},
		{Name: "sitemaps", Field: "Sitemaps", Resume: "for hosts whose robots.txt is read from now on",
			Doc:    "also follow the sitemaps that robots.txt names",
			access: onOff(func(s *Settings) *bool { return &s.Sitemaps })},
		{Name: "forms", Field: "Forms", Resume: linksFound,
			Doc:    "also follow what forms with the method GET ask for",
			access: onOff(func(s *Settings) *bool { return &s.Forms })},
		{Name: "ignore-robots", Field: "IgnoreRobots", Resume: fromNowOn,
			Doc:    "fetch what robots.txt forbids; for your own sites",
			access: onOff(func(s *Settings) *bool { return &s.IgnoreRobots })},
		{Name: "sort-query", Field: "Identity.SortQuery", Resume: newIdentity,
			Doc:    "take URLs for one page whose parameters differ in their order alone",
			access: onOff(func(s *Settings) *bool { return &s.Identity.SortQuery })},
		{Name: "drop-tracking", Field: "Identity.DropTracking", Resume: newIdentity,
			Doc:    "take URLs for one page that differ in utm_*, gclid and the like alone",
			access: onOff(func(s *Settings) *bool { return &s.Identity.DropTracking })},
		{Name: "drop-session", Field: "Identity.DropSession", Resume: newIdentity,
			Doc:    "take URLs for one page that differ in a session id alone",
			access: onOff(func(s *Settings) *bool { return &s.Identity.DropSession })},
		{Name: "drop-param", Field: "Identity.DropParams", Arg: "name", List: true, Resume: newIdentity,
			Doc:    "take URLs for one page that differ in the parameter of this name alone (repeatable)",
			access: list{func(s *Settings) *[]string { return &s.Identity.DropParams }, nil}},
		{Name: "strip-www", Field: "Identity.StripWWW", Resume: newIdentity,
			Doc:    "take www.example.com and example.com for one host",
			access: onOff(func(s *Settings) *bool { return &s.Identity.StripWWW })},
		{Name: "strip-slash", Field: "Identity.StripTrailingSlash", Resume: newIdentity,
			Doc:    "take /a/ and /a for one page",
			access: onOff(func(s *Settings) *bool { return &s.Identity.StripTrailingSlash })},
	}
	for _, t := range []struct {
		name, field, doc string
		byDefault        int
		ptr              func(*scope.Traps) *int
	}{
		{"length", "MaxLength", "bytes of a URL", scope.DefaultMaxLength, func(t *scope.Traps) *int { return &t.MaxLength }},
		{"segments", "MaxSegments", "segments of a path", scope.DefaultMaxSegments, func(t *scope.Traps) *int { return &t.MaxSegments }},
		{"loops", "MaxPathLoops", "times that segments of a path repeat in a row", scope.DefaultMaxPathLoops, func(t *scope.Traps) *int { return &t.MaxPathLoops }},
		{"repeats", "MaxRepeatedSegments", "times that a segment stands in a path", scope.DefaultMaxSameName, func(t *scope.Traps) *int { return &t.MaxRepeatedSegments }},
		{"params", "MaxParams", "parameters of a query", scope.DefaultMaxParams, func(t *scope.Traps) *int { return &t.MaxParams }},
		{"same-params", "MaxRepeatedParams", "parameters of one name", scope.DefaultMaxSameParams, func(t *scope.Traps) *int { return &t.MaxRepeatedParams }},
		{"calendar", "MaxCalendar", "pages of one calendar", scope.DefaultMaxCalendar, func(t *scope.Traps) *int { return &t.MaxCalendar }},
		{"sessions", "MaxSessions", "session ids of one page", scope.DefaultMaxSessions, func(t *scope.Traps) *int { return &t.MaxSessions }},
		{"tokens", "MaxTokens", "random segments of one path", scope.DefaultMaxTokens, func(t *scope.Traps) *int { return &t.MaxTokens }},
		{"facets", "MaxFacets", "pages of one set of four parameters or more", scope.DefaultMaxFacets, func(t *scope.Traps) *int { return &t.MaxFacets }},
	} {
		all = append(all, &Setting{
			Name: "trap-" + t.name, Field: "Scope.Traps." + t.field, Group: GroupScope, Arg: "n", Default: strconv.Itoa(t.byDefault), Resume: linksFound,
			Doc:    "more " + t.doc + " than this are a trap",
			access: trapLimit(func(s *Settings) *int { return t.ptr(&s.Scope.Traps) }),
		})
	}
	return inGroup(GroupScope, all)
}

func limitSettings() []*Setting {
	return inGroup(GroupLimits, []*Setting{
		{Name: "max-pages", Field: "MaxPages", Arg: "n", Default: wordUnlimited, Resume: limitFromNow,
			Doc:    "how many pages to fetch at most",
			access: countLimit(func(s *Settings) *int { return &s.MaxPages })},
		{Name: "max-pages-per-generation", Field: "MaxGenerationPages", Arg: "n", Default: wordUnlimited, Resume: limitFromNow,
			Doc:    "how many pages of a generation to fetch at most, the best first; the others are left out until the next round",
			access: countLimit(func(s *Settings) *int { return &s.MaxGenerationPages })},
		{Name: "max-bytes", Field: "MaxBytes", Arg: "size", Default: wordUnlimited, Resume: limitFromNow,
			Doc:    "how many bytes of pages to fetch at most, as they arrive",
			access: limitOf(func(s *Settings) *int64 { return &s.MaxBytes }, parseSize, formatSize, "a size such as 10GiB")},
		{Name: "max-time", Field: "MaxTime", Arg: "duration", Default: wordUnlimited, Resume: thisRun,
			Doc: "stop cleanly after this long, as with Ctrl-C; the same command goes on",
			access: limitOf(func(s *Settings) *time.Duration { return &s.MaxTime }, func(v string) (int64, error) {
				d, err := time.ParseDuration(v)
				return int64(d), err
			}, func(n int64) string { return formatSpan(time.Duration(n)) }, "a time such as 30m")},
		{Name: "max-pages-per-host", Field: "MaxHostPages", Arg: "n", Default: wordUnlimited, PerHost: true, Resume: limitFromNow,
			Doc:    "how many pages of one host to fetch at most",
			access: countLimit(func(s *Settings) *int { return &s.MaxHostPages })},
		{Name: "max-bytes-per-host", Field: "MaxHostBytes", Arg: "size", Default: wordUnlimited, PerHost: true, Resume: limitFromNow,
			Doc:    "how many bytes of one host to fetch at most, as they arrive",
			access: limitOf(func(s *Settings) *int64 { return &s.MaxHostBytes }, parseSize, formatSize, "a size such as 10GiB")},
		{Name: "max-body", Field: "MaxBody", Arg: "size", Default: formatSize(stages.DefaultMaxBody), PerHost: true, Resume: fromNowOn,
			Doc:    "how large a page may be after decompression",
			access: size(func(s *Settings) *int64 { return &s.MaxBody }, 1<<10, 1<<30)},
		{Name: "memory", Field: "Memory", Arg: "size", Default: formatSize(DefaultMemory), Resume: thisRun,
			Doc:    "what large pages under way may take together",
			access: size(func(s *Settings) *int64 { return &s.Memory }, 1<<20, 1<<40)},
	})
}

func hostSettings() []*Setting {
	return inGroup(GroupHosts, []*Setting{
		{Name: "delay", Field: "Delay", Arg: "duration", Default: formatSpan(DefaultDelay), PerHost: true, Resume: fromNowOn,
			Doc:    "least time between two requests to a host; 0 means none",
			access: span(func(s *Settings) *time.Duration { return &s.Delay }, time.Millisecond, 24*time.Hour, true)},
		{Name: "per-host", Field: "PerHost", Arg: "n", Default: "1", Resume: fromNowOn,
			Doc:    "requests under way to one host at most",
			access: number(func(s *Settings) *int { return &s.PerHost }, 1, MaxPerHost, "")},
		{Name: "workers", Field: "Workers", Arg: "n", Default: strconv.Itoa(DefaultWorkers), Resume: thisRun,
			Doc:    "pages being fetched at once, over all hosts",
			access: number(func(s *Settings) *int { return &s.Workers }, 1, MaxWorkers, "")},
		{Name: "rate", Field: "Rate", Arg: "n", Default: wordUnlimited, Resume: thisRun,
			Doc:    "requests a second at most, over all hosts",
			access: rateLimit(func(s *Settings) *float64 { return &s.Rate })},
		{Name: "retries", Field: "Retries", Arg: "n", Default: strconv.Itoa(DefaultRetries), Resume: fromNowOn,
			Doc:    "how often a page is tried again if its failure may pass",
			access: number(func(s *Settings) *int { return &s.Retries }, 0, maxRetries, "")},
		{Name: "grace", Field: "Grace", Arg: "duration", Default: formatSpan(DefaultGrace), Resume: fromNowOn,
			Doc:    "how long a generation waits for a host that fails, before it goes on without it meanwhile, and at most for a slow one; none means that it waits for every host",
			access: span(func(s *Settings) *time.Duration { return &s.Grace }, time.Millisecond, 1000*time.Hour, true)},
		{Name: "wait-for-hosts", Field: "Grace", Resume: fromNowOn,
			Doc: "let generations wait for every host, however long it fails or takes; the same as --grace none",
			access: custom{func(s *Settings) any { return new(bool) }, func(s *Settings) []string { return nil }, func(s *Settings, values []string) error {
				on, err := strconv.ParseBool(values[0])
				if err != nil {
					return fmt.Errorf("it is on or off: true or false")
				}
				if s.Grace < 0 {
					s.Grace = 0
				}
				if on {
					s.Grace = -1
				}
				return nil
			}, func(to, from *Settings) {}}},
		{Name: "give-up", Field: "GiveUp", Arg: "duration", Default: formatSpan(DefaultGiveUp), Resume: fromNowOn,
			Doc:    "about how long a host may fail before what is left of it is given up",
			access: span(func(s *Settings) *time.Duration { return &s.GiveUp }, time.Second, 10_000*time.Hour, false)},
	})
}

func requestSettings() []*Setting {
	return inGroup(GroupRequests, []*Setting{
		{Name: "user-agent", Field: "UserAgent", Arg: "text", Default: stages.DefaultUserAgent, Resume: fromNowOn,
			Doc:    "who to say we are; robots.txt is read for its first word",
			access: text(func(s *Settings) *string { return &s.UserAgent }, checkUserAgent)},
		{Name: "header", Field: "Header", Arg: "'name: value'", List: true, Pair: ": ", PerHost: true, Resume: fromNowOn,
			Doc:    "a header to send with each request (repeatable); a value env:NAME or file:PATH is read from there",
			access: list{func(s *Settings) *[]string { return &s.Header }, checkHeader}},
		{Name: "auth", Field: "Auth", Arg: "host=scheme:...", List: true, Pair: "=", PerHost: true, Resume: fromNowOn,
			Doc:    "log in at a host: HOST=basic:USER:SECRET, digest:USER:SECRET or bearer:SECRET, where SECRET is env:NAME or file:PATH (repeatable)",
			access: authAccess()},
		{Name: "cookies", Field: "Cookies", Resume: fromNowOn,
			Doc:    "keep the cookies that servers set, and send them back",
			access: onOff(func(s *Settings) *bool { return &s.Cookies })},
		{Name: "proxy", Field: "Proxy", Arg: "url", List: true, PerHost: true, Resume: fromNowOn, Default: ProxyEnvironment,
			Doc:    "ask through a proxy: http, https or socks5 (repeatable: by turns), env for those of the environment, or none",
			access: list{func(s *Settings) *[]string { return &s.Proxy }, checkProxy}},
		{Name: "timeout", Field: "Timeout", Arg: "duration", Default: formatSpan(DefaultTimeout), PerHost: true, Resume: fromNowOn,
			Doc:    "how long a request may take with its body",
			access: span(func(s *Settings) *time.Duration { return &s.Timeout }, 10*time.Millisecond, 24*time.Hour, false)},
		{Name: "types", Field: "Types", Arg: "type", List: true, PerHost: true, Resume: fromNowOn,
			Doc:    "also keep answers of this media type, such as application/pdf or image/*, beside HTML, text and XML (repeatable)",
			access: list{func(s *Settings) *[]string { return &s.Types }, checkType}},
		{Name: "allow-private", Field: "AllowPrivate", Resume: fromNowOn,
			Doc:    "permit addresses on private networks and on this machine",
			access: onOff(func(s *Settings) *bool { return &s.AllowPrivate })},
		{Name: "insecure", Field: "Insecure", PerHost: true, Resume: fromNowOn,
			Doc:    "take certificates of servers that cannot be verified",
			access: onOff(func(s *Settings) *bool { return &s.Insecure })},
		{Name: "ca-file", Field: "CAFile", Arg: "file", PerHost: true, Resume: fromNowOn,
			Doc:    "also trust the certificates in this file (PEM)",
			access: text(func(s *Settings) *string { return &s.CAFile }, nil)},
		{Name: "client-cert", Field: "ClientCert", Arg: "file", PerHost: true, Resume: fromNowOn,
			Doc:    "show servers that ask for one the certificate in this file (PEM)",
			access: text(func(s *Settings) *string { return &s.ClientCert }, nil)},
		{Name: "client-key", Field: "ClientKey", Arg: "file", PerHost: true, Resume: fromNowOn,
			Doc:    "the key of --client-cert, if it is in a file of its own (PEM)",
			access: text(func(s *Settings) *string { return &s.ClientKey }, nil)},
		{Name: "host", Field: "Hosts", Arg: "'host name=value ...'", List: true, Resume: fromNowOn,
			Doc:    "settings for one host, or with *.example.com for those below one: 'example.com delay=5s timeout=2m' (repeatable)",
			access: hostsAccess()},
	})
}

func stageSettings() []*Setting {
	return inGroup(GroupStages, []*Setting{
		{Name: "stages", Field: "Stages", Arg: "names", List: true, Default: "crawl,extract,tag", Resume: whenComplete,
			Doc:    "which stages to run, in order: crawl, extract, tag, warc and those of --stage",
			access: stagesAccess()},
		{Name: "stage", Field: "Stages", Arg: "'name=command args'", List: true, Pair: "=", Resume: whenComplete,
			Doc:    "run a program as a stage (repeatable); behind the others, or in place of extract or tag",
			access: stageCommands()},
		{Name: "warc", Field: "Stages", Resume: whenComplete,
			Doc:    "keep what servers answer in WARC files, in the folder warc of --dir; the same as a stage warc",
			access: warcAccess()},
		{Name: "near-duplicates", Field: "NearDuplicates", Arg: "what", Default: NearReport, Values: []string{NearOff, NearReport, NearSkip}, Resume: notExtracted,
			Doc:    "pages whose main text is nearly that of another: off, report, or skip, which does not follow their links",
			access: oneOf(func(s *Settings) *string { return &s.NearDuplicates }, NearReport, NearOff, NearSkip)},
		{Name: "requisites", Field: "Requisites", Arg: "which", Default: RequisitesNone, Values: []string{RequisitesAll, RequisitesSite, RequisitesNone}, Bare: RequisitesAll, Resume: "for pages fetched from now on",
			Doc:    "also fetch what pages need to be shown: all of it, site (what is on the hosts of the scope) or none",
			access: oneOf(func(s *Settings) *string { return &s.Requisites }, RequisitesNone, RequisitesAll, RequisitesSite)},
		{Name: "warc-size", Field: "Archive.FileSize", Arg: "size", Default: formatSize(1 << 30), Resume: fromNowOn,
			Doc:    "how large a WARC file grows before another is begun",
			access: size(func(s *Settings) *int64 { return &s.Archive.FileSize }, 1<<10, 1<<40)},
		{Name: "warc-prefix", Field: "Archive.Prefix", Arg: "text", Default: "weir", Resume: "for files begun from now on",
			Doc:    "what the names of WARC files begin with",
			access: text(func(s *Settings) *string { return &s.Archive.Prefix }, checkPrefix)},
		{Name: "warc-info", Field: "Archive.Info", Arg: "'name: value'", List: true, Pair: ": ", Resume: "for files begun from now on",
			Doc:    "a field of the warcinfo record of each WARC file, such as 'operator: A. Librarian' (repeatable)",
			access: list{func(s *Settings) *[]string { return &s.Archive.Info }, checkInfo}},
		{Name: "stage-attempts", Field: "StageAttempts", Arg: "n", Default: strconv.Itoa(DefaultStageAttempts), Resume: thisRun,
			Doc:    "how often a stage behind crawl tries a page",
			access: number(func(s *Settings) *int { return &s.StageAttempts }, 1, maxRetries, "")},
		{Name: "stage-backoff", Field: "StageBackoff", Arg: "duration", Default: formatSpan(DefaultStageBackoff), Resume: thisRun,
			Doc:    "how long it waits for the second attempt; further waits double, up to 10 minutes",
			access: span(func(s *Settings) *time.Duration { return &s.StageBackoff }, 1, 1000*time.Hour, false)},
		{Name: "strict-generations", Field: "Strict", Resume: thisRun,
			Doc:    "finish a generation in every stage before the next begins",
			access: onOff(func(s *Settings) *bool { return &s.Strict })},
		{Name: "markdown", Field: "Markdown", Resume: notExtracted,
			Doc:    "keep the main text as Markdown too",
			access: onOff(func(s *Settings) *bool { return &s.Markdown })},
		{Name: "comments", Field: "Comments", Resume: notExtracted,
			Doc:    "keep the comments of readers and the replies of forums too",
			access: onOff(func(s *Settings) *bool { return &s.Comments })},
		{Name: "mode", Field: "Mode", Arg: "mode", Default: string(extract.ModeBalanced), Values: []string{"accurate", "balanced", "fast"}, Resume: notExtracted,
			Doc:    "how to find a page's main text: accurate, balanced or fast",
			access: oneOf(func(s *Settings) *extract.Mode { return &s.Mode }, extract.ModeAccurate, extract.ModeBalanced, extract.ModeFast)},
	})
}

func againSettings() []*Setting {
	return inGroup(GroupAgain, []*Setting{
		{Name: "every", Field: "Every", Arg: "duration", Default: wordNone, Resume: thisRun,
			Doc:    "keep running, and visit what is due again so long after the round before",
			access: neverOr(func(s *Settings) *time.Duration { return &s.Every })},
		{Name: "min-interval", Field: "MinInterval", Arg: "duration", Default: formatSpan(DefaultMinInterval), Resume: "for the next visit of each page",
			Doc:    "leave a page alone for so long at least, though it changes all the time",
			access: span(func(s *Settings) *time.Duration { return &s.MinInterval }, 1, 100_000*time.Hour, false)},
		{Name: "max-interval", Field: "MaxInterval", Arg: "duration", Default: formatSpan(DefaultMaxInterval), Resume: "for the next visit of each page",
			Doc:    "visit a page again after so long at most, though it never changes",
			access: span(func(s *Settings) *time.Duration { return &s.MaxInterval }, 1, 100_000*time.Hour, false)},
		{Name: "history", Field: "History", Arg: "n", Default: strconv.Itoa(DefaultHistory), Resume: "for a page at its next visit",
			Doc:    "how many visits and changes to remember of a page, with the texts before; 0 means the last visit alone",
			access: number(func(s *Settings) *int { return &s.History }, 0, 1000, "")},
	})
}
