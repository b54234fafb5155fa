package command

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// An address that others can reach needs TLS, or somebody who says that it does not.
func TestListenAddresses(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, 1, time.Hour)
	for _, address := range []string{"127.0.0.1:7420", "127.9.9.9:0", "[::1]:7420", "localhost:7420"} {
		if err := (&listenFlags{address: address}).check(); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{
		":7420", "0.0.0.0:7420", "[::]:7420", "192.168.1.2:7420", "[2001:db8::1]:7420", "[::ffff:10.0.0.1]:7420", "crawl.example:7420",
		"localhost.example:7420", "127.0.0.1.example:7420", "127.1:7420", "[::1%eth0]:7420",
	} {
		err := (&listenFlags{address: address}).check()
		if err == nil || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "--tls-cert") || !strings.Contains(err.Error(), "--listen-insecure") {
			t.Errorf("%s without TLS: %v", address, err)
		}
		if err := (&listenFlags{address: address, insecure: true}).check(); err != nil {
			t.Errorf("%s with --listen-insecure: %v", address, err)
		}
		if err := (&listenFlags{address: address, cert: cert, key: key}).check(); err != nil {
			t.Errorf("%s with TLS: %v", address, err)
		}
	}
}

// What a server cannot use of what it is given is found before anything is made for it.
func TestWhatCannotBeServedIsRefusedFirst(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, 1, -time.Minute)
	short, strange := filepath.Join(dir, "short"), filepath.Join(dir, "strange")
	put(t, short, []byte("work short\n"))
	put(t, strange, []byte("boss 0123456789abcdef\n"))
	for _, c := range []struct {
		flags    listenFlags
		variable string
		says     string
	}{
		{flags: listenFlags{cert: cert, key: key}, says: "has expired"},
		{flags: listenFlags{cert: key, key: cert}, says: "key.pem"},
		{flags: listenFlags{tokens: short}, says: "too easy to guess"},
		{flags: listenFlags{tokens: strange}, says: "line 1"},
		{variable: "short", says: "too easy to guess"},
	} {
		t.Setenv(tokenVariable, c.variable)
		c.flags.address = "127.0.0.1:0"
		if err := c.flags.check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v with the variable %q: %v, want %q", c.flags, c.variable, err, c.says)
		}
	}
}

// A server always has a token: one for each role is made if none is given.
func TestServersHaveTokens(t *testing.T) {
	t.Setenv(tokenVariable, "")
	dir := filepath.Join(t.TempDir(), "crawl")
	var hint string
	tokens, err := (&listenFlags{}).readTokens(dir, &hint)
	if err != nil {
		t.Fatal(err)
	}
	roles := make(map[remote.Role]bool)
	for _, token := range tokens {
		roles[token.Role] = true
	}
	if _, err := remote.NewServer(remote.ServerOptions{Tokens: tokens}); err != nil || len(roles) != 3 || !strings.Contains(hint, tokensFile) {
		t.Errorf("%d roles, %v, %q", len(roles), err, hint)
	}
	for text, says := range map[string]string{
		"":                           "holds no token",
		"# nothing\n\n":              "holds no token",
		"boss 0123456789abcdef":      "line 1",
		"work a b":                   "line 1",
		"\nwork 0123456789abcdef x ": "line 2",
	} {
		file := filepath.Join(t.TempDir(), "tokens")
		put(t, file, []byte(text))
		if _, err := (&listenFlags{tokens: file}).readTokens(dir, &hint); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), file) {
			t.Errorf("a file with %q: %v, want %q", text, err, says)
		}
	}
	// A server may have been killed when its file was made.
	made := filepath.Join(dir, tokensFile)
	put(t, made, nil)
	if again, err := (&listenFlags{}).readTokens(dir, &hint); err != nil || len(again) != 3 {
		t.Errorf("with an empty file: %d tokens, %v", len(again), err)
	}
	if got, err := os.ReadDir(dir); err != nil || len(got) != 1 {
		t.Errorf("the folder holds %v, %v", got, err)
	}
	if info, err := os.Stat(made); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file may be read by others: %v, %v", info, err)
	}
	file := filepath.Join(t.TempDir(), "tokens")
	put(t, file, []byte("work short\n"))
	tokens, err = (&listenFlags{tokens: file}).readTokens(dir, &hint)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.NewServer(remote.ServerOptions{Tokens: tokens}); err == nil || !strings.Contains(err.Error(), "too easy to guess") {
		t.Errorf("a short token: %v", err)
	}
}

// A server that is started again when all is done waits for the workers that the one
// before it has not told; a new one, which has had none, does not.
func TestServersWaitForWorkersOfTheLifeBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		wait := func() time.Duration {
			server, err := remote.NewServer(remote.ServerOptions{Tokens: []remote.Token{{Secret: rand.Text(), Role: remote.RoleAdmin}}})
			if err != nil {
				t.Fatal(err)
			}
			o := &offer{server: server}
			o.lead(t.Context(), &live{store: store})
			time.Sleep(time.Second) // for which it crawls
			begun := time.Now()
			o.end(t.Context(), true)
			return time.Since(begun)
		}
		if got := wait(); got != 0 {
			t.Errorf("a new one waits for %v", got)
		}
		c, err := crawler.New(store, &crawler.Options{Seeds: crawler.Seeds("http://127.0.0.1/"), Settings: crawler.Settings{AllowPrivate: true}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := wait(), returnTime-time.Second; got != want {
			t.Errorf("one that is started again waits for %v, want %v", got, want)
		}
	})
}

// What a server says that workers are to call is an address that they can reach.
func TestReachable(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		address string
		names   []string
		want    string
	}{
		{"127.0.0.1:7420", []string{"a.example"}, "127.0.0.1:7420"},
		{"[2001:db8::1]:7420", nil, "[2001:db8::1]:7420"},
		{"[::]:7420", []string{"*.example", "a.example"}, "a.example:7420"},
		{"0.0.0.0:7420", []string{"*.example"}, host + ":7420"},
		{"[::]:7420", nil, host + ":7420"},
	} {
		if got := reachable(c.address, c.names); got != c.want {
			t.Errorf("%s with a certificate of %q: %s, want %s", c.address, c.names, got, c.want)
		}
	}
}
