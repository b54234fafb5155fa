package command

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is that of a server. New connections get what the files have: they are looked
// at for each, and read again when they have changed. While they cannot be used, as in the
// midst of a change, the certificate that was read before is used on, and it is said once why.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	read    [2]fileState // of the files when they were read
	current *tls.Certificate
	told    string // what was said last of files that cannot be used
}

// fileState is what changes with a file.
type fileState struct {
	at   time.Time
	size int64
}

// newCertificate reads the files. Those of a certificate that nobody may accept now are an
// error.
func newCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log}
	return c, c.renew()
}

// get is for tls.Config.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.renew()
	if err == nil && time.Now().After(c.current.Leaf.NotAfter) {
		err = c.expired(c.current)
	}
	switch {
	case err == nil:
		c.told = ""
	case c.told != err.Error():
		c.told = err.Error()
		c.log.Error("the certificate that was read before is used on", "valid until", c.current.Leaf.NotAfter, "err", err)
	}
	return c.current, nil
}

// renew reads the files if they have changed.
func (c *certificate) renew() error {
	var now [2]fileState
	for i, name := range []string{c.cert, c.key} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		now[i] = fileState{info.ModTime(), info.Size()}
	}
	if c.current != nil && now == c.read {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("--tls-cert %s with --tls-key %s: %w", c.cert, c.key, err)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return c.expired(&pair)
	}
	if c.current != nil {
		c.log.Info("the certificate was read again", "file", c.cert, "valid until", pair.Leaf.NotAfter)
	}
	c.current, c.read = &pair, now
	return nil
}

func (c *certificate) expired(pair *tls.Certificate) error {
	return fmt.Errorf("--tls-cert %s: it has expired on %s; put a new one in its place", c.cert, pair.Leaf.NotAfter.UTC().Format("2006-01-02 15:04 UTC"))
}
