package crawler

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/icholy/digest"
	"golang.org/x/net/http/httpproxy"
	"golang.org/x/time/rate"

	"github.com/seed-301537d8/weir/stages"
)

// Fetchers fetch pages as the settings say that their hosts are to be asked: each
// host with settings of its own has a fetcher of its own, so that what belongs to
// one host, credentials above all, goes to no other. Make one with NewFetchers. It
// may be used by many goroutines.
type Fetchers struct {
	general hostFetcher
	byHost  map[string]hostFetcher // as in Settings.Hosts
	pace    pacer                  // of all requests; nil for none
}

// hostFetcher fetches from a host.
type hostFetcher struct {
	*stages.Fetcher
	header http.Header // that requests have unless they have their own
}

// NewFetchers returns the fetchers of pages by options. It reads what settings name:
// secrets, certificates, proxies of the environment. Errors name the setting.
func NewFetchers(o *Options) (*Fetchers, error) {
	s := &o.Settings
	f := &Fetchers{byHost: make(map[string]hostFetcher)}
	if s.Rate > 0 {
		f.pace = newPace(s.Rate)
	}
	var err error
	if f.general, err = o.newFetcher(s); err != nil {
		return nil, err
	}
	for host := range s.Hosts {
		of := s.ForHost(host)
		if f.byHost[host], err = o.newFetcher(&of); err != nil {
			return nil, fmt.Errorf("host %s: %w", host, err)
		}
	}
	if len(f.byHost) > 0 {
		resolver := stages.NewResolver(nil)
		f.Each(func(g *stages.Fetcher) { g.Resolver = resolver })
	}
	return f, nil
}

// newPace lets so many requests a second pass.
func newPace(perSecond float64) pacer {
	return rate.NewLimiter(rate.Limit(perSecond), paceBurst(perSecond))
}

// paceBurst is how many requests may pass at once: a tenth of a second's, or one.
func paceBurst(perSecond float64) int { return max(int(perSecond/10), 1) }

// Each calls fn with every one of the fetchers, for changes before their first use.
func (f *Fetchers) Each(fn func(*stages.Fetcher)) {
	fn(f.general.Fetcher)
	for _, g := range f.byHost {
		fn(g.Fetcher)
	}
}

// connectAs makes the connections to each host those of other fetchers by the same
// settings, before the first use: what comes first, a robots.txt, makes the one on which
// the pages of its host come.
func (f *Fetchers) connectAs(other *Fetchers) {
	f.general.Connections = other.general.Fetcher
	for host, g := range f.byHost {
		g.Connections = other.byHost[host].Fetcher
	}
}

// errNotAsked is wrapped by errors for which a host is not to blame: nothing was sent.
var errNotAsked = errors.New("not asked for")

// Fetch fetches, as [stages.Fetcher.Fetch] does, when the rate permits.
func (f *Fetchers) Fetch(ctx context.Context, r stages.FetchRequest) (*stages.FetchResponse, error) {
	if f.pace != nil {
		if err := f.pace.Wait(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", errNotAsked, err)
		}
	}
	fetcher := f.general
	if len(f.byHost) > 0 {
		if key := hostKey(keysOf(f.byHost), hostOfURL(r.URL)); key != "" {
			fetcher = f.byHost[key]
		}
	}
	if len(fetcher.header) > 0 {
		h := maps.Clone(fetcher.header)
		for name, values := range r.Header {
			h[http.CanonicalHeaderKey(name)] = values
		}
		r.Header = h
	}
	return fetcher.Fetch(ctx, r)
}

// CloseIdle closes the connections that are kept for reuse.
func (f *Fetchers) CloseIdle() { f.Each((*stages.Fetcher).CloseIdle) }

// hostOfURL is the host of an address in canonical form, with its port.
func hostOfURL(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

func keysOf[V any](m map[string]V) func(string) bool {
	return func(key string) bool { _, ok := m[key]; return ok }
}

// hostKey returns the most special key that fits a host: itself with its port, its
// name, or *.domain for the nearest domain that it is below; or "".
func hostKey(has func(string) bool, host string) string {
	if has(host) {
		return host
	}
	name := host
	if i := strings.LastIndexByte(name, ':'); i > 0 && !strings.HasSuffix(name, "]") {
		if name = name[:i]; has(name) {
			return name
		}
	}
	for {
		_, parent, ok := strings.Cut(name, ".")
		if !ok {
			return ""
		}
		if has("*." + parent) {
			return "*." + parent
		}
		name = parent
	}
}

// ForHost returns the settings as they are for a host, "example.com:8080": with
// those of its own in place of the general ones. Headers are added to the general
// ones.
func (s *Settings) ForHost(host string) Settings {
	of := *s
	key := hostKey(keysOf(s.Hosts), host)
	if key == "" {
		return of
	}
	own := s.Hosts[key]
	for _, st := range AllSettings() {
		if !st.PerHost || !st.IsSet(&own) {
			continue
		}
		if st.Name == "auth" {
			of.Auth = own.Auth
			continue
		}
		st.Copy(&of, &own)
	}
	of.Header = slices.Concat(s.Header, own.Header)
	return of
}

// newFetcher returns a fetcher by settings, which are those of a host.
func (o *Options) newFetcher(s *Settings) (hostFetcher, error) {
	none := hostFetcher{}
	f := &stages.Fetcher{
		UserAgent: s.UserAgent, AllowPrivate: s.AllowPrivate, MaxBody: s.MaxBody, Timeout: s.Timeout,
		MaxIdlePerHost: max(s.PerHost, 2), Proxy: o.Proxy, Types: s.mediaTypes(),
	}
	if f.Proxy == nil {
		var err error
		if f.Proxy, err = s.proxies(); err != nil {
			return none, fmt.Errorf("proxy: %w", err)
		}
	}
	config, err := s.tlsConfig()
	if err != nil {
		return none, err
	}
	login, err := s.credentials()
	if err != nil {
		return none, err
	}
	f.Transport = func(builtin *http.Transport) http.RoundTripper {
		if config != nil {
			builtin.TLSClientConfig = config
		}
		var rt http.RoundTripper = builtin
		if o.Transport != nil {
			rt = o.Transport(builtin)
		}
		return login.around(rt)
	}
	return hostFetcher{f, s.plainHeader()}, nil
}

// mediaTypes are those that pages may have.
func (s *Settings) mediaTypes() []string {
	return slices.Concat(stages.DefaultTypes(), s.Types)
}

// proxies returns the function that chooses a request's proxy, or nil for none.
// Several are taken by turns.
func (s *Settings) proxies() (func(*http.Request) (*url.URL, error), error) {
	var choices []func(*url.URL) (*url.URL, error)
	for _, text := range s.proxy() {
		switch text {
		case ProxyNone:
			choices = append(choices, func(*url.URL) (*url.URL, error) { return nil, nil })
		case ProxyEnvironment:
			env := httpproxy.FromEnvironment()
			all := cmp.Or(os.Getenv("ALL_PROXY"), os.Getenv("all_proxy"))
			env.HTTPProxy, env.HTTPSProxy = cmp.Or(env.HTTPProxy, all), cmp.Or(env.HTTPSProxy, all)
			if env.HTTPProxy == "" && env.HTTPSProxy == "" {
				continue
			}
			choices = append(choices, env.ProxyFunc())
		default:
			u, secret, err := parseProxy(text)
			if err != nil {
				return nil, err
			}
			if secret != "" {
				password, err := readSecret(secret)
				if err != nil {
					return nil, err
				}
				u.User = url.UserPassword(u.User.Username(), password)
			}
			choices = append(choices, func(*url.URL) (*url.URL, error) { return u, nil })
		}
	}
	if len(choices) == 0 || len(s.Proxy) == 1 && s.Proxy[0] == ProxyNone {
		return nil, nil
	}
	var turn atomic.Uint64
	return func(r *http.Request) (*url.URL, error) {
		return choices[(turn.Add(1)-1)%uint64(len(choices))](r.URL)
	}, nil
}

// tlsConfig returns what certificates are shown and trusted, or nil for the usual.
func (s *Settings) tlsConfig() (*tls.Config, error) {
	if !s.Insecure && s.CAFile == "" && s.ClientCert == "" {
		if s.ClientKey != "" {
			return nil, errors.New("client-key: there is no client-cert to the key")
		}
		return nil, nil
	}
	config := &tls.Config{InsecureSkipVerify: s.Insecure}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca-file: %w", err)
		}
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			config.RootCAs = x509.NewCertPool()
		}
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca-file: %s has no certificate in PEM", s.CAFile)
		}
	}
	if s.ClientCert != "" {
		cert, err := tls.LoadX509KeyPair(s.ClientCert, cmp.Or(s.ClientKey, s.ClientCert))
		if err != nil {
			return nil, fmt.Errorf("client-cert: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}

// credentials are what is added to each request below everything that records it,
// so that no archive has them.
type credentials struct {
	header http.Header // whose values are secrets
	digest *auth
	user   string
	secret string
}

func (s *Settings) credentials() (*credentials, error) {
	c := &credentials{header: make(http.Header)}
	for _, line := range s.Header {
		name, value, _ := strings.Cut(line, ": ")
		if !isSecret(value) {
			continue
		}
		secret, err := readSecret(value)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		c.header.Add(name, secret)
	}
	if s.Auth != "" {
		a, err := parseAuth(s.Auth)
		if err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
		secret, err := readSecret(a.secret)
		if err != nil {
			return nil, fmt.Errorf("auth: %w", err)
		}
		switch a.scheme {
		case "basic":
			c.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(a.user+":"+secret)))
		case "bearer":
			c.header.Set("Authorization", "Bearer "+secret)
		default:
			c.digest, c.user, c.secret = &a, a.user, secret
		}
	}
	return c, nil
}

// plainHeader is the part of the header that is no secret.
func (s *Settings) plainHeader() http.Header {
	h := make(http.Header)
	for _, line := range s.Header {
		if name, value, _ := strings.Cut(line, ": "); !isSecret(value) {
			h.Add(name, value)
		}
	}
	return h
}

// around returns a round tripper that adds the credentials.
func (c *credentials) around(rt http.RoundTripper) http.RoundTripper {
	if c.digest != nil {
		// RFC 7616: the first request asks for the challenge, later ones bring the answer.
		rt = &digest.Transport{Username: c.user, Password: c.secret, Transport: rt}
	}
	if len(c.header) == 0 && c.digest == nil {
		return rt
	}
	return &loggedIn{rt: rt, header: c.header}
}

type loggedIn struct {
	rt     http.RoundTripper
	header http.Header
}

// RoundTrip implements http.RoundTripper. A request that has a header by itself
// keeps it.
func (l *loggedIn) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range l.header {
		if r.Header[name] == nil {
			r.Header[name] = values
		}
	}
	return l.rt.RoundTrip(r)
}

// CloseIdleConnections closes those of the transport below.
func (l *loggedIn) CloseIdleConnections() {
	rt := l.rt
	if d, ok := rt.(*digest.Transport); ok {
		rt = d.Transport
	}
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// hostSettingsCache remembers ForHost of the hosts that have settings of their own.
type hostSettingsCache struct {
	of    *Settings
	mu    sync.Mutex
	known map[string]*Settings
}

// get returns the settings for a host, which must not be changed.
func (c *hostSettingsCache) get(host string) *Settings {
	if len(c.of.Hosts) == 0 {
		return c.of
	}
	key := hostKey(keysOf(c.of.Hosts), host)
	if key == "" {
		return c.of
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.known[key]
	if s == nil {
		of := c.of.ForHost(host)
		if s = &of; c.known == nil {
			c.known = make(map[string]*Settings)
		}
		c.known[key] = s
	}
	return s
}
