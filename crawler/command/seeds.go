package command

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
)

// parseSeed gives a URL of the command line its canonical form. One without a scheme
// gets https.
func parseSeed(arg string) (crawler.Request, error) {
	raw := strings.TrimSpace(arg)
	switch {
	case raw == "-":
		return crawler.Request{}, usagef("\"-\" is no web address; URLs from standard input are read with --seeds -")
	case strings.HasPrefix(raw, "@"):
		return crawler.Request{}, usagef("%q is no web address; URLs from a file are read with --seeds %s", arg, orFile(raw[1:]))
	case !strings.Contains(raw, "://"):
		if isBareWord(raw) {
			return crawler.Request{}, usagef("%q is no web address: if it is a host's name, write https://%s; if it is the value of a flag that can do without, join them with =", arg, raw)
		}
		raw = "https://" + raw
	}
	if err := crawler.CheckCredentials(raw); err != nil {
		return crawler.Request{}, usagef("%q: %v", withoutCredentials(raw), err)
	}
	u, err := weburl.Parse(raw)
	if err != nil {
		return crawler.Request{}, usagef("%q is no web address: %v", arg, reasonOf(err))
	}
	return crawler.Request{URL: u.String()}, nil
}

// isBareWord reports whether a seed is a single word, which is more often the rest of
// another flag or command than a host.
func isBareWord(raw string) bool {
	return raw != "" && raw != "localhost" && !strings.ContainsAny(raw, ".:/[]@?#") && printableASCII(raw)
}

func printableASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func orFile(name string) string {
	if name == "" {
		return "FILE"
	}
	return name
}

// withoutCredentials is an address for a message.
func withoutCredentials(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	if i := strings.LastIndexByte(rest[:end], '@'); ok && i >= 0 {
		return scheme + "://…@" + rest[i+1:]
	}
	return raw
}

// parseSeedWords reads a seed with a scope and a depth of its own, "URL scope=path
// depth=3", in place of the crawl's.
func parseSeedWords(words []string) (crawler.Request, error) {
	seed, err := parseSeed(words[0])
	if err != nil {
		return seed, err
	}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		if seed.Area == nil {
			seed.Area = new(scope.Area)
		}
		switch name {
		case "scope":
			seed.Area.Within = scope.Within(value)
			if value == "" || seed.Area.Check() != nil {
				return seed, fmt.Errorf("the scope of a seed is %q; it must be path, host, domain or any", value)
			}
		case "depth":
			if value == "unlimited" {
				seed.Area.MaxDepth = scope.AnyDepth
				continue
			}
			n, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return seed, fmt.Errorf("the depth of a seed is %q; it must be a whole number from 0, or unlimited", value)
			}
			if seed.Area.MaxDepth = int(n); n == 0 {
				seed.Area.MaxDepth = -1
			}
		default:
			return seed, fmt.Errorf("a seed has no setting %q, but scope and depth%s", name, didYouMean(name, []string{"scope", "depth"}, ""))
		}
	}
	return seed, nil
}

// checkReadable makes sure that a file of the command line is there.
func checkReadable(flag, name string) error {
	if name == "" || name == "-" {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return usagef("%s: %v", flag, err)
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return usagef("%s: %s is a folder; give a file", flag, name)
	}
	return nil
}

// reasonOf is the reason in an error of weburl, or the error.
func reasonOf(err error) error {
	var reason weburl.Reason
	if errors.As(err, &reason) {
		return reason
	}
	return err
}

// maxSeedLine bounds a line of a file of seeds, in bytes.
const maxSeedLine = 64 << 10

// addSeeds adds the seeds of a file to the crawl, some at a time.
func (r *crawlRun) addSeeds(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	if err := r.crawler.Begin(ctx); err != nil { // see crawler.Options.MoreSeeds
		return err
	}
	const some = 5000
	var seeds []crawler.Request
	err := r.app.eachSeed(name, &r.options.Settings, func(seed crawler.Request) error {
		if seeds = append(seeds, seed); len(seeds) < some {
			return nil
		}
		err := r.crawler.Add(ctx, seeds...)
		seeds = seeds[:0]
		return err
	})
	var wrong *usageError
	switch {
	case errors.As(err, &wrong):
		err = fmt.Errorf("%w; the lines before it are added", err)
	case err != nil:
		return err
	}
	return cmp.Or(r.crawler.Add(ctx, seeds...), err)
}

// eachSeed calls fn with the seeds of a file, or of standard input if the name is "-",
// until it returns an error. What is wrong with a line is told with its number. Empty
// lines and those that begin with # are passed over.
func (a *app) eachSeed(name string, settings *crawler.Settings, fn func(crawler.Request) error) error {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return usagef("--seeds: %v", err)
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxSeedLine)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		seed, err := parseSeedWords(strings.Fields(line))
		if err == nil {
			err = refusePrivate(*settings, []crawler.Request{seed})
		}
		if err != nil {
			return usagef("--seeds %s, line %d: %v", name, number, err)
		}
		if err := fn(seed); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("--seeds %s: %w", name, err)
	}
	return nil
}

// seeds returns what is to be added to a crawl: the URLs that were named, or else
// the program's own. A crawl that was begun with other URLs stays with these.
func (a *app) seeds(ctx context.Context, l *live, begun bool, named []crawler.Request) ([]crawler.Request, error) {
	if len(named) > 0 || !begun {
		if len(named) > 0 {
			return named, nil
		}
		return a.options.Seeds, nil
	}
	for _, own := range a.options.Seeds {
		if known, err := inspect.HasSeed(ctx, l.store, own); known || err != nil {
			return a.options.Seeds, err
		}
	}
	return nil, nil
}

// hasNewSeeds reports whether the crawl has not had one of the seeds before.
func (r *crawlRun) hasNewSeeds(ctx context.Context) (bool, error) {
	for _, s := range r.options.Seeds {
		known, err := inspect.HasSeed(ctx, r.live.store, s)
		if err != nil || !known {
			return err == nil, err
		}
	}
	return false, nil
}

// refusePrivate is the function of that name for all seeds, if they may not be
// private any more.
func (r *crawlRun) refusePrivate(ctx context.Context, before crawler.Settings) error {
	s := r.options.Settings
	if err := refusePrivate(s, r.options.Seeds); err != nil {
		return err
	}
	if s.AllowPrivate || !before.AllowPrivate {
		return nil
	}
	return inspect.WalkSeeds(ctx, r.live.store, func(seed *crawler.Request) error {
		return refusePrivate(s, []crawler.Request{*seed})
	})
}

// refusePrivate says that --allow-private is needed if a seed is plainly on a
// private network. Names that only lead there fail when they are fetched.
func refusePrivate(s crawler.Settings, seeds []crawler.Request) error {
	if s.AllowPrivate {
		return nil
	}
	for _, seed := range seeds {
		u, err := weburl.Parse(seed.URL)
		if err != nil {
			continue
		}
		name := u.Hostname()
		addr, err := netip.ParseAddr(name)
		private := err == nil && (addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified())
		if private || name == "localhost" || strings.HasSuffix(name, ".localhost") {
			return usagef("%s is on a private network or this machine, which a crawl does not touch unless you give --allow-private", seed.URL)
		}
	}
	return nil
}

// addCookies adds the cookies of a file to the crawl's.
func (r *crawlRun) addCookies(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return usagef("--cookie-file: %v", err)
	}
	n, err := r.crawler.AddCookies(ctx, b)
	if err != nil {
		return usagef("--cookie-file %s: %v", name, err)
	}
	r.logger.Info("cookies of a file", "file", name, "cookies", n)
	return nil
}
