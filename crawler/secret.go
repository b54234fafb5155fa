package crawler

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

// Settings name secrets and do not hold them: "env:NAME" is the value of an
// environment variable, "file:PATH" the first line of a file. So none is stored with
// a crawl, shown by a command, or seen in the list of processes. They are read when
// a run begins.

// isSecret reports whether a text names a secret.
func isSecret(text string) bool {
	return strings.HasPrefix(text, "env:") && len(text) > 4 || strings.HasPrefix(text, "file:") && len(text) > 5
}

// readSecret returns the secret that a text names.
func readSecret(text string) (string, error) {
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		v, ok := os.LookupEnv(name)
		if !ok || v == "" {
			return "", fmt.Errorf("the environment variable %s is not set", name)
		}
		return v, nil
	}
	name := strings.TrimPrefix(text, "file:")
	b, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("the first line of %s is empty", name)
	}
	return line, nil
}

const howSecrets = "name it env:NAME, an environment variable, or file:PATH, a file's first line"

// CheckCredentials returns an error if an address has a user name or password, which
// weburl would leave out.
func CheckCredentials(raw string) error {
	scheme, rest, ok := strings.Cut(raw, "//")
	if !ok || scheme != "" && !strings.HasSuffix(scheme, ":") {
		return nil
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		authority = rest[:i]
	}
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return nil
	}
	return fmt.Errorf("it has a user name or password, which an address cannot bring along; leave it out and give --auth '%s=basic:USER:env:NAME'", authority[at+1:])
}

// Auth is how to log in at a host, as Settings.Auth has it.
type auth struct {
	scheme string // basic, digest or bearer
	user   string
	secret string // that is named
}

func parseAuth(text string) (auth, error) {
	const form = "basic:USER:SECRET, digest:USER:SECRET or bearer:SECRET"
	scheme, rest, ok := strings.Cut(text, ":")
	a := auth{scheme: scheme, secret: rest}
	switch {
	case ok && scheme == "bearer":
	case ok && (scheme == "basic" || scheme == "digest"):
		// The secret is known by its prefix, so that a user name may have colons in
		// digest; basic cannot send one.
		i := max(strings.LastIndex(rest, ":env:"), strings.LastIndex(rest, ":file:"))
		if i < 0 {
			if strings.Contains(rest, ":") {
				return a, errors.New("the password must not be written here: " + howSecrets)
			}
			return a, errors.New("it is not of the form " + form)
		}
		a.user, a.secret = rest[:i], rest[i+1:]
		if a.user == "" || scheme == "basic" && strings.Contains(a.user, ":") {
			return a, errors.New("the user name is empty or has a colon")
		}
	default:
		return a, errors.New("it is not of the form " + form)
	}
	if !isSecret(a.secret) {
		return a, errors.New("the secret must not be written here: " + howSecrets)
	}
	return a, nil
}

func checkAuth(text string) (string, error) {
	_, err := parseAuth(text)
	return text, err
}

// checkHost makes sure that a host of Settings.Hosts can be one.
func checkHost(host string) (string, error) {
	name, below := strings.CutPrefix(strings.TrimSpace(host), "*.")
	u, err := weburl.Parse("http://" + name)
	if err != nil || u.Target() != "/" || strings.ContainsAny(name, "/?#@= ") {
		return "", fmt.Errorf("%q is no host such as example.com, example.com:8080 or *.example.com", host)
	}
	if below {
		return "*." + u.Host(), nil
	}
	return u.Host(), nil
}

// sensitive reports whether a header's value is a secret by its name.
func sensitive(name string) bool {
	n := strings.ToLower(name)
	for _, part := range []string{"authorization", "cookie", "token", "secret", "password", "api-key", "apikey"} {
		if strings.Contains(n, part) {
			return true
		}
	}
	return false
}

// checkHeader makes sure that a line can be a header of every request.
func checkHeader(line string) (string, error) {
	name, value, ok := strings.Cut(line, ":")
	name, value = http.CanonicalHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
	switch {
	case !ok || !httpguts.ValidHeaderFieldName(name):
		return "", fmt.Errorf("%q is not of the form 'Name: value'", line)
	case !httpguts.ValidHeaderFieldValue(value):
		return "", fmt.Errorf("the value of %s has characters that no header may have", name)
	case name == "User-Agent":
		return "", errors.New("the header User-Agent has a setting of its own, --user-agent")
	case name == "Authorization":
		return "", errors.New("the header Authorization has a setting of its own, --auth")
	case name == "Cookie":
		return "", errors.New("cookies come from a file, --cookie-file")
	case forbiddenHeaders[name]:
		return "", fmt.Errorf("%s is what the crawl itself says", name)
	case sensitive(name) && !isSecret(value):
		return "", fmt.Errorf("the value of %s is a secret that must not be written here: %s", name, howSecrets)
	}
	return name + ": " + value, nil
}

var forbiddenHeaders = map[string]bool{
	"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Connection": true, "Accept-Encoding": true,
	"Proxy-Authorization": true, "If-None-Match": true, "If-Modified-Since": true, "Te": true, "Trailer": true, "Upgrade": true,
}

// The values of Settings.Proxy that are no addresses.
const (
	ProxyEnvironment = "env"
	ProxyNone        = "none"
)

// checkProxy makes sure that a text can be a proxy.
func checkProxy(text string) (string, error) {
	if text == ProxyEnvironment || text == ProxyNone {
		return text, nil
	}
	u, secret, err := parseProxy(text)
	switch {
	case err != nil:
		return "", err
	case u.User != nil && secret == "":
		return "", errors.New("the proxy's password must not be written here: " + howSecrets + ", as in http://user:env:NAME@host:port")
	}
	return text, nil
}

// parseProxy returns a proxy's address and the name of its password. Such a name
// may have slashes and colons, so it is taken out first.
func parseProxy(text string) (u *url.URL, secret string, err error) {
	bad := fmt.Errorf("%q is no proxy such as http://host:3128, https://host:443 or socks5://host:1080", redactProxy(text))
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, "", bad
	}
	user := ""
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, rest = rest[:i], rest[i+1:]
		name, password, _ := strings.Cut(user, ":")
		if user = name; isSecret(password) {
			secret = password
		}
		if user == "" {
			return nil, "", bad
		}
	}
	u, err = url.Parse(scheme + "://" + rest)
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return nil, "", bad
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return nil, "", bad
	}
	if user != "" {
		u.User = url.User(user)
	}
	return u, secret, nil
}

// redactProxy leaves out what may be a password.
func redactProxy(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if i := strings.LastIndexByte(rest, '@'); ok && i >= 0 {
		return scheme + "://…@" + rest[i+1:]
	}
	return text
}
