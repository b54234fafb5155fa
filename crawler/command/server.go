package command

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/queue/remote"
)

// What the commands share that offer a store, or use one that is offered.

const (
	// tokenVariable is the environment variable of a token.
	tokenVariable = "WEIR_TOKEN"

	// tokensFile is the file of a server's tokens, in its folder.
	tokensFile = "TOKENS"

	defaultListen = "127.0.0.1:7420"
)

// isServer reports whether the place of a crawl is at a server.
func isServer(dir string) bool {
	return strings.HasPrefix(dir, "http://") || strings.HasPrefix(dir, "https://")
}

// remoteFlags say how to reach a server.
type remoteFlags struct{ tokenFile, ca string }

func (f *remoteFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.tokenFile, "token-file", "", "`file` with the token of the server, or its "+tokensFile+"; default: the variable "+tokenVariable)
	flags.StringVar(&f.ca, "ca", "", "`file` with the certificates that vouch for the server, in PEM; default: those of the system")
}

// options returns how a client is to reach its server.
func (f *remoteFlags) options(name string) (*remote.Options, error) {
	o := &remote.Options{Name: name, Token: os.Getenv(tokenVariable), Program: version()}
	if f.tokenFile != "" {
		tokens, err := readTokens(f.tokenFile)
		if err != nil {
			return nil, err
		}
		best := remote.RoleNone
		for _, t := range tokens {
			if t.Role > best {
				best, o.Token = t.Role, t.Secret
			}
		}
	}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", f.ca)
		}
		o.TLS = &tls.Config{RootCAs: pool}
	}
	return o, nil
}

// openRemote opens the store of a server.
func (a *app) openRemote(ctx context.Context, p place, patience time.Duration) (*live, error) {
	o, err := a.remote.options(workerName())
	if err != nil {
		return nil, err
	}
	o.Patience = patience
	store, err := remote.Open(ctx, p.server, o)
	if err != nil {
		return nil, err
	}
	l := a.newLive(p, store)
	l.workers = func(ctx context.Context) ([]remote.Client, error) { return remote.Workers(ctx, p.server, o) }
	return l, nil
}

// withServer runs fn on the store of a server.
func (a *app) withServer(ctx context.Context, p place, out io.Writer, fn func(ctx context.Context, l *live, out io.Writer) error) error {
	l, err := a.openRemote(ctx, p, lookPatience)
	if err != nil {
		return err
	}
	return errors.Join(fn(ctx, l, out), l.store.Close())
}

// readTokens reads a file of tokens: a line for each, with a role (read, work or admin)
// and the secret, or the secret alone, which is then an admin's.
func readTokens(name string) ([]remote.Token, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var tokens []remote.Token
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
		case len(fields) == 1:
			tokens = append(tokens, remote.Token{Secret: fields[0], Role: remote.RoleAdmin})
		case len(fields) == 2:
			role, err := remote.ParseRole(fields[0])
			if err != nil {
				return nil, fmt.Errorf("%s, line %d: %w", name, n, err)
			}
			tokens = append(tokens, remote.Token{Secret: fields[1], Role: role})
		default:
			return nil, fmt.Errorf("%s, line %d: want a role and a token", name, n)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s holds no token", name)
	}
	return tokens, nil
}

// makeTokens writes a file with a random token for each role, if there is none. Who
// sees it, sees all of it: workers wait for it, and a process may be killed here.
func makeTokens(name string) error {
	if info, err := os.Stat(name); err == nil && info.Size() > 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("# Tokens of this crawl's server: a role and a secret on each line.\n")
	for role := remote.RoleRead; role <= remote.RoleAdmin; role++ {
		fmt.Fprintf(&b, "%s %s\n", role, rand.Text())
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // for its owner alone
	if err != nil {
		return aboutFile(name, err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(b.String())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return aboutFile(name, err)
	}
	// A link, unlike a new name, takes the place of nothing: another server's tokens stay.
	err = os.Link(f.Name(), name)
	if info, statErr := os.Stat(name); err == nil || statErr == nil && info.Size() > 0 {
		return nil
	}
	// An empty file is there, or the filesystem has no links.
	return aboutFile(name, os.Rename(f.Name(), name))
}

// listenFlags say where and how a store is offered.
type listenFlags struct {
	address   string
	tokens    string
	cert, key string
	insecure  bool
}

func (f *listenFlags) add(flags *pflag.FlagSet, address string) {
	flags.StringVar(&f.address, "listen", address, "offer the store to workers at this `address`, as 127.0.0.1:7420")
	flags.StringVar(&f.tokens, "tokens", "", "`file` of the tokens that open it: a role (read, work, admin) and a secret on each line; default: the variable "+tokenVariable+", or "+tokensFile+" in the folder, which is made")
	flags.StringVar(&f.cert, "tls-cert", "", "`file` with the server's certificate, in PEM; read again when it changes")
	flags.StringVar(&f.key, "tls-key", "", "`file` with its key")
	flags.BoolVar(&f.insecure, "listen-insecure", false, "permit an address that others can reach without TLS, as behind a proxy that has it")
}

// offer is a store that is offered.
type offer struct {
	server *remote.Server
	web    *http.Server
	url    string
	hint   string     // what a worker is to be called with beside the URL
	failed chan error // at most one, and closed when it does not listen any more

	resumed time.Time // when a crawl was resumed that others may work on; zero if it is new
}

// check refuses what cannot be, before a folder is made.
func (f *listenFlags) check() error {
	host, _, err := net.SplitHostPort(f.address)
	if err != nil {
		return usagef("--listen is %q; it must be an address and a port, as %s", f.address, defaultListen)
	}
	if (f.cert == "") != (f.key == "") {
		return usagef("--tls-cert and --tls-key go together")
	}
	if ip := net.ParseIP(host); f.cert == "" && !f.insecure && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usagef("--listen %s can be reached from elsewhere: give --tls-cert and --tls-key, or --listen-insecure if something before it has TLS", f.address)
	}
	if err := errors.Join(checkReadable("--tls-cert", f.cert), checkReadable("--tls-key", f.key), checkReadable("--tokens", f.tokens)); err != nil {
		return err
	}
	if f.cert != "" {
		if _, err := newCertificate(f.cert, f.key, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
	}
	tokens, err := f.givenTokens()
	if tokens != nil && err == nil {
		_, err = remote.NewServer(remote.ServerOptions{Tokens: tokens})
	}
	return err
}

// offer begins to listen. Until Lead is called it is a standby. dir is where its tokens
// are, if flags do not say.
func (a *app) offer(f *listenFlags, dir string, logger *slog.Logger) (*offer, error) {
	o := &offer{failed: make(chan error, 1)}
	tokens, err := f.readTokens(dir, &o.hint)
	if err != nil {
		return nil, err
	}
	if o.server, err = remote.NewServer(remote.ServerOptions{Tokens: tokens, Program: version(), Logger: logger}); err != nil {
		return nil, err
	}
	o.web = remote.NewHTTPServer(o.server)
	o.web.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelInfo)
	scheme, names := "http", []string(nil)
	if f.cert != "" {
		files, err := newCertificate(f.cert, f.key, logger)
		if err != nil {
			return nil, err
		}
		o.web.TLSConfig = &tls.Config{GetCertificate: files.get, MinVersion: tls.VersionTLS12}
		scheme, names = "https", files.current.Leaf.DNSNames
	}
	listener, err := net.Listen("tcp", f.address)
	if err != nil {
		return nil, err
	}
	o.url = scheme + "://" + reachable(listener.Addr().String(), names)
	go func() {
		defer close(o.failed)
		var err error
		if scheme == "https" {
			err = o.web.ServeTLS(listener, "", "")
		} else {
			err = o.web.Serve(listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			o.failed <- err
		}
	}()
	return o, nil
}

// reachable returns where others reach a listener: in place of "any address of this
// machine" it has a name, of the certificate if there is one.
func reachable(address string, names []string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsUnspecified() {
		return address
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "*") {
			return net.JoinHostPort(name, port)
		}
	}
	if name, err := os.Hostname(); err == nil {
		return net.JoinHostPort(name, port)
	}
	return address
}

// givenTokens returns the tokens that the file of --tokens has, or the variable; nil if
// neither is given.
func (f *listenFlags) givenTokens() ([]remote.Token, error) {
	if f.tokens != "" {
		return readTokens(f.tokens)
	}
	if secret := os.Getenv(tokenVariable); secret != "" {
		return []remote.Token{{Secret: secret, Role: remote.RoleAdmin}}, nil
	}
	return nil, nil
}

// readTokens returns the tokens of a server, and says how a worker gets at one. Without
// those that are given it has those of a folder, which are made.
func (f *listenFlags) readTokens(dir string, hint *string) ([]remote.Token, error) {
	tokens, err := f.givenTokens()
	name := f.tokens
	if tokens == nil && err == nil {
		name = filepath.Join(dir, tokensFile)
		if err := errors.Join(os.MkdirAll(dir, 0o777), makeTokens(name)); err != nil {
			return nil, err
		}
		tokens, err = readTokens(name)
	}
	if name != "" {
		*hint = " --token-file " + name
	}
	return tokens, err
}

// How long to wait for a server that does not answer: to look, and to crawl.
const (
	lookPatience  = 10 * time.Second
	crawlPatience = 2 * time.Minute
)

// lingerTime is for how long a server goes on, when all is done, for its workers to
// hear of it. returnTime is how long those of a server that has died have to find the
// one that has been started in its place, or leads now; they try again each second.
const (
	lingerTime = 5 * time.Second
	returnTime = 3 * time.Second
)

// end stops offering a store. If linger is set its clients may leave before, if they do
// so soon, and come if they worked on what is resumed.
func (o *offer) end(ctx context.Context, linger bool) {
	if linger {
		select {
		case <-time.After(time.Until(o.resumed.Add(returnTime))):
		case <-ctx.Done():
		}
		ctx, cancel := context.WithTimeout(ctx, lingerTime)
		_ = o.server.WaitClients(ctx)
		cancel()
	}
	o.server.Lead(nil)
}

// close stops listening.
func (o *offer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if o.web.Shutdown(ctx) != nil {
		_ = o.web.Close()
	}
}

// workerName is what a worker is called that is not told.
func workerName() string {
	host, err := os.Hostname()
	return fmt.Sprintf("%s/%d", cmp.Or(host, fmt.Sprint(err)), os.Getpid())
}

// lead offers a store.
func (o *offer) lead(ctx context.Context, l *live) {
	if _, err := crawler.Load(ctx, l.store); err == nil {
		o.resumed = time.Now()
	}
	l.workers = func(context.Context) ([]remote.Client, error) { return o.server.Clients(), nil }
	o.server.Lead(l.store)
}

// leadOffering is lead for a store that others may use meanwhile. As long as this process
// is a standby they are told so.
func (a *app) leadOffering(ctx context.Context, p place, f *listenFlags, con *console, logger *slog.Logger, crawl func(ctx context.Context, l *live, waited bool) error) error {
	if err := f.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var o *offer
	begin := func() (err error) {
		if o, err = a.offer(f, p.files, logger); err != nil {
			return err
		}
		con.printf("Workers: %s work %s%s", a.name, o.url, o.hint)
		go func() {
			if err := <-o.failed; err != nil {
				cancel(err)
			}
		}()
		return nil
	}
	if p.isDatabase() {
		if err := begin(); err != nil {
			return err
		}
	}
	err := a.lead(ctx, p, con, logger, func(ctx context.Context, l *live, waited bool) error {
		if o == nil { // a folder: what is made in it is made when it is a store
			if err := begin(); err != nil {
				return err
			}
		}
		o.lead(ctx, l)
		err := crawl(ctx, l, waited)
		o.end(ctx, err == nil && ctx.Err() == nil)
		return err
	})
	if o != nil {
		o.close()
	}
	return err
}
