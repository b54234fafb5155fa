package command

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/seed-301537d8/weir/crawler"
)

// configFile is a file of settings: a mapping in YAML whose keys are the names of
// the flags, with "seeds" as a list of addresses, and settings of single hosts under
// "host". Each mistake in it is told with its line.
type configFile struct {
	name     string
	settings []choice
	run      []runChoice
	seeds    []crawler.Request
}

// runChoice is a setting of the run that the file chooses.
type runChoice struct{ name, value, origin string }

// mistakes are the errors of a file, each with its place.
type mistakes struct {
	file string
	all  []error
}

func (m *mistakes) add(n ast.Node, format string, args ...any) {
	m.all = append(m.all, fmt.Errorf("%s: %s", m.at(n), fmt.Sprintf(format, args...)))
}

// at is the place of a node: "crawl.yaml:3".
func (m *mistakes) at(n ast.Node) string { return fmt.Sprintf("%s:%d", m.file, lineOf(n)) }

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line
}

// readConfig reads a file. The error, a usageError, has all that is wrong with it.
func readConfig(name string) (*configFile, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, usagef("--config: %v", err)
	}
	f := &configFile{name: name}
	m := &mistakes{file: name}
	parsed, err := parser.ParseBytes(bytes.TrimPrefix(b, []byte("\ufeff")), 0)
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, usagef("%s:%d: %s", name, lineOfToken(syntax.Token), syntax.Message)
	case err != nil:
		return nil, usagef("%s: %v", name, err)
	case len(parsed.Docs) > 1:
		return nil, usagef("%s:%d: a second document begins here; a file of settings has one", name, lineOf(parsed.Docs[1].Body))
	}
	if len(parsed.Docs) == 1 && parsed.Docs[0].Body != nil {
		f.read(parsed.Docs[0].Body, m)
	}
	if len(m.all) > 0 {
		return nil, &usageError{errors.Join(m.all...)}
	}
	return f, nil
}

func lineOfToken(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 1
	}
	return t.Position.Line
}

func (f *configFile) read(body ast.Node, m *mistakes) {
	if _, empty := body.(*ast.NullNode); empty {
		return
	}
	if _, comment := body.(*ast.CommentGroupNode); comment {
		return
	}
	entries, ok := entriesOf(body)
	if !ok {
		m.add(body, "the file is no mapping of settings, such as 'delay: 2s'")
		return
	}
	var run runFlags
	runSettings := run.settings()
	known := settingNames(nil)
	for _, s := range runSettings {
		if !s.flagOnly {
			known = append(known, s.name)
		}
	}
	for _, e := range entries {
		name := keyOf(e)
		if i := slices.IndexFunc(runSettings, func(s runSetting) bool { return s.name == name && !s.flagOnly }); i >= 0 {
			f.readRun(runSettings[i], e, m)
			continue
		}
		st := crawler.FindSetting(name)
		switch {
		case st == nil:
			m.add(e.Key, "there is no setting %q%s", name, didYouMean(name, known, ""))
		case name == "host":
			f.readHosts(st, e, m)
		default:
			values, ok := valuesOf(st, e.Value, m)
			if !ok {
				continue
			}
			if err := st.Set(new(crawler.Settings), values...); err != nil {
				m.add(e.Key, "%s: %v", name, err)
				continue
			}
			f.settings = append(f.settings, choice{st, values, m.at(e.Key)})
		}
	}
	order := crawler.AllSettings()
	slices.SortStableFunc(f.settings, func(a, b choice) int {
		return slices.Index(order, a.setting) - slices.Index(order, b.setting)
	})
}

// settingNames are the names of settings that which says yes to, or of all.
func settingNames(which func(*crawler.Setting) bool) []string {
	var names []string
	for _, st := range crawler.AllSettings() {
		if which == nil || which(st) {
			names = append(names, st.Name)
		}
	}
	return names
}

// readRun reads a setting of the run. Seeds may stand in the file itself.
func (f *configFile) readRun(s runSetting, e *ast.MappingValueNode, m *mistakes) {
	if s.name == "seeds" {
		if list, ok := e.Value.(*ast.SequenceNode); ok {
			f.readSeeds(list, m)
			return
		}
	}
	value, ok := scalar(e.Value)
	if !ok {
		m.add(e.Key, "%s: it has one value", s.name)
		return
	}
	if s.on == nil {
		if err := (&textFlag{new(string), s.arg, s.values}).Set(value); err != nil {
			m.add(e.Key, "%s: %v", s.name, err)
			return
		}
	} else if value != "true" && value != "false" {
		m.add(e.Key, "%s: it is on or off: true or false", s.name)
		return
	}
	f.run = append(f.run, runChoice{s.name, value, m.at(e.Key)})
}

// readSeeds reads a list of addresses, or of mappings with url, depth and scope.
func (f *configFile) readSeeds(list *ast.SequenceNode, m *mistakes) {
	for _, n := range list.Values {
		if text, ok := scalar(n); ok {
			f.addSeed(n, []string{text}, m)
			continue
		}
		entries, ok := entriesOf(n)
		if !ok {
			m.add(n, "seeds: it is no address, and no mapping with url, depth and scope")
			continue
		}
		words := []string{""}
		for _, e := range entries {
			value, ok := scalar(e.Value)
			switch name := keyOf(e); {
			case !ok:
				m.add(e.Key, "seeds: %s has one value", name)
			case name == "url":
				words[0] = value
			default:
				words = append(words, name+"="+value)
			}
		}
		if words[0] == "" {
			m.add(n, "seeds: there is no url")
			continue
		}
		f.addSeed(n, words, m)
	}
}

func (f *configFile) addSeed(n ast.Node, words []string, m *mistakes) {
	seed, err := parseSeedWords(words)
	if err != nil {
		m.add(n, "seeds: %v", err)
		return
	}
	f.seeds = append(f.seeds, seed)
}

// readHosts reads the settings of single hosts.
func (f *configFile) readHosts(st *crawler.Setting, e *ast.MappingValueNode, m *mistakes) {
	if none(e.Value) {
		f.settings = append(f.settings, choice{st, []string{""}, m.at(e.Key)})
		return
	}
	hosts, ok := entriesOf(e.Value)
	if !ok {
		m.add(e.Key, "host: it is no mapping of hosts to their settings")
		return
	}
	perHost := settingNames(func(st *crawler.Setting) bool { return st.PerHost })
	var all crawler.Settings
	for _, h := range hosts {
		entries, ok := entriesOf(h.Value)
		if !ok {
			m.add(h.Key, "host %s: it is no mapping of settings", keyOf(h))
			continue
		}
		for _, e := range entries {
			name := keyOf(e)
			own := crawler.FindSetting(name)
			if own == nil {
				m.add(e.Key, "host %s: there is no setting %q%s", keyOf(h), name, didYouMean(name, perHost, ""))
				continue
			}
			values, ok := valuesOf(own, e.Value, m)
			if !ok {
				continue
			}
			if err := all.SetHost(keyOf(h), name, values...); err != nil {
				m.add(e.Key, "host %s: %v", keyOf(h), err)
			}
		}
	}
	if values := st.Get(&all); len(values) > 0 {
		f.settings = append(f.settings, choice{st, values, m.at(e.Key)})
	}
}

// none reports whether a value is an empty list or mapping, or missing.
func none(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.NullNode:
		return true
	case *ast.SequenceNode:
		return len(n.Values) == 0
	case *ast.MappingNode:
		return len(n.Values) == 0
	}
	return false
}

// entriesOf returns the entries of a mapping.
func entriesOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func keyOf(e *ast.MappingValueNode) string {
	if t := e.Key.GetToken(); t != nil {
		return t.Value
	}
	return e.Key.String()
}

// scalar returns the text of a value that is no list and no mapping.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(n.Value.Value, "\n"), true
	case *ast.NullNode, *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return "", false
	case ast.ScalarNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// valuesOf returns the values of a setting: one, or a list of them, or a mapping
// where each is a name with what it stands for.
func valuesOf(st *crawler.Setting, n ast.Node, m *mistakes) ([]string, bool) {
	if text, ok := scalar(n); ok {
		if strings.TrimSpace(text) == "" && st.List {
			return []string{""}, true // none
		}
		return []string{text}, true
	}
	var values []string
	switch {
	case !st.List:
		m.add(n, "%s: it has one value", st.Name)
		return nil, false
	case n.Type() == ast.SequenceType:
		for _, v := range n.(*ast.SequenceNode).Values {
			text, ok := scalar(v)
			if !ok {
				m.add(v, "%s: a value of the list is no text", st.Name)
				return nil, false
			}
			values = append(values, text)
		}
		if len(values) == 0 {
			values = []string{""}
		}
		return values, true
	}
	entries, ok := entriesOf(n)
	if !ok || st.Pair == "" {
		m.add(n, "%s: it is no list", st.Name)
		return nil, false
	}
	for _, e := range entries {
		text, ok := scalar(e.Value)
		if !ok {
			m.add(e.Key, "%s: %s has one value", st.Name, keyOf(e))
			return nil, false
		}
		values = append(values, keyOf(e)+st.Pair+text)
	}
	return values, true
}
