package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// isUntrusted reports whether an attempt has ended because the server could not show who
// it is.
func isUntrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}

// explained says what to do about an error of the way to a server, where that is known. met
// says that the server has answered before.
func explained(err error, u *url.URL, met bool) error {
	host := u.Host
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		c, now := invalid.Cert, time.Now()
		if now.Before(c.NotBefore) {
			return fmt.Errorf("the certificate %s of %s is valid from %s on, and here it is %s: set the clock of this machine if that is wrong, or give the server another: %w",
				subject(c), host, day(c.NotBefore), day(now), err)
		}
		return fmt.Errorf("the certificate %s of %s has expired on %s, and here it is %s: renew it on the server, which reads the file again by itself: %w",
			subject(c), host, day(c.NotAfter), day(now), err)
	case errors.As(err, &name) && name.Certificate != nil:
		return fmt.Errorf("the certificate %s of %s is not for %s: use a name that it has, or give the server another: %w", subject(name.Certificate), host, name.Host, err)
	case errors.As(err, &unknown) && unknown.Cert != nil:
		return fmt.Errorf("nobody whom this machine trusts has signed the certificate %s of %s: give the certificate of who has (weir: --ca FILE): %w", subject(unknown.Cert), host, err)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s speaks no TLS; if that is as it should be its address begins with http://: %w", host, err)
	case !met && u.Scheme == "http" && wasConnected(err):
		return fmt.Errorf("%s does not speak HTTP/2 without TLS; if it has TLS its address begins with https://: %w", host, err)
	}
	return err
}

// wasConnected reports whether an attempt has failed when there was a connection, and not
// because it took too long.
func wasConnected(err error) bool {
	var op *net.OpError
	var timeout net.Error
	return !(errors.As(err, &op) && op.Op == "dial") && !(errors.As(err, &timeout) && timeout.Timeout()) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, errSlow)
}

// subject is what a certificate is known by.
func subject(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return fmt.Sprintf("%q", c.Subject.String())
	}
	return fmt.Sprintf("%.200q", strings.Join(names, " "))
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
