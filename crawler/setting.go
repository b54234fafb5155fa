package crawler

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// A Setting is one entry of the table of all that people choose about a crawl: a
// field of Settings with its name, which is that of the flag and of the key in a
// file, and with its one documentation. Flags, files, "weir config", what is said
// when a crawl goes on, and the manuals are all made of the table; see
// [AllSettings].
type Setting struct {
	// Name is that of the flag, without dashes, and of the key: "max-pages".
	Name string
	// Field is the path of the field in Settings: "Scope.MaxDepth".
	Field string
	// Group is the heading that it stands under.
	Group string
	// Arg says in a word what a value is, such as "duration"; "" for a switch.
	Arg string
	// Doc says in a line what it is for.
	Doc string
	// Default is the text of the default value, or "" if there is none.
	Default string
	// Values are those that it may have, where they are few.
	Values []string
	// Bare is the value that the flag means without one, if it may be without.
	Bare string
	// Resume says what a change means for a crawl that goes on.
	Resume string
	// List says that it has any number of values.
	List bool
	// Pair says how the two halves of a value are joined where each value of a list
	// is a name and what it stands for: "=" or ": ".
	Pair string
	// PerHost says that a host may have its own; see Settings.Hosts.
	PerHost bool

	access access
}

// access reads and writes the field of a setting as text.
type access interface {
	// isSet reports whether the field has a value that is not the default's zero.
	isSet(s *Settings) bool
	get(s *Settings) []string
	set(s *Settings, values []string) error
	copy(to, from *Settings)
}

// Switch reports whether the setting is on or off.
func (s *Setting) Switch() bool { return s.Arg == "" }

// IsSet reports whether settings have a value of their own for it, which is not
// the default.
func (s *Setting) IsSet(of *Settings) bool { return s.access.isSet(of) }

// Get returns the setting's values as text: one, or those of a list. Secrets are
// never part of settings.
func (s *Setting) Get(of *Settings) []string {
	if !s.access.isSet(of) {
		if s.Default == "" {
			return nil
		}
		if s.List {
			return strings.Split(s.Default, ",")
		}
		return []string{s.Default}
	}
	return s.access.get(of)
}

// Set changes settings to values given as text. The error says what a value must
// be, and does not name the setting.
func (s *Setting) Set(of *Settings, values ...string) error {
	if !s.List && len(values) != 1 {
		return fmt.Errorf("it has one value, not %d", len(values))
	}
	return s.access.set(of, values)
}

// Copy takes the setting from other settings.
func (s *Setting) Copy(to, from *Settings) { s.access.copy(to, from) }

// FindSetting returns the setting of a name, or nil.
func FindSetting(name string) *Setting {
	for _, s := range AllSettings() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// value is the access to a field of one value.
type value[T comparable] struct {
	ptr    func(*Settings) *T
	parse  func(string) (T, error)
	format func(T) string
}

func (v value[T]) isSet(s *Settings) bool {
	var zero T
	return *v.ptr(s) != zero
}
func (v value[T]) get(s *Settings) []string { return []string{v.format(*v.ptr(s))} }
func (v value[T]) copy(to, from *Settings)  { *v.ptr(to) = *v.ptr(from) }
func (v value[T]) set(s *Settings, values []string) error {
	parsed, err := v.parse(strings.TrimSpace(values[0]))
	if err == nil {
		*v.ptr(s) = parsed
	}
	return err
}

// list is the access to a field of several values, each of which check may refuse
// or write otherwise. An empty value takes back those before it.
type list struct {
	ptr   func(*Settings) *[]string
	check func(string) (string, error)
}

func (l list) isSet(s *Settings) bool   { return len(*l.ptr(s)) > 0 }
func (l list) get(s *Settings) []string { return slices.Clone(*l.ptr(s)) }
func (l list) copy(to, from *Settings)  { *l.ptr(to) = slices.Clone(*l.ptr(from)) }
func (l list) set(s *Settings, values []string) error {
	var all []string
	for _, v := range values {
		if v = strings.TrimSpace(v); v == "" {
			all = nil
			continue
		}
		if l.check != nil {
			var err error
			if v, err = l.check(v); err != nil {
				return err
			}
		}
		all = append(all, v)
	}
	*l.ptr(s) = all
	return nil
}

// custom is an access made of functions, where a field is no value and no list.
type custom struct {
	ptr    func(*Settings) any // the field's address
	format func(*Settings) []string
	change func(*Settings, []string) error
	take   func(to, from *Settings)
}

func (c custom) isSet(s *Settings) bool {
	return !reflect.ValueOf(c.ptr(s)).Elem().IsZero() && len(c.format(s)) > 0
}
func (c custom) get(s *Settings) []string               { return c.format(s) }
func (c custom) set(s *Settings, values []string) error { return c.change(s, values) }
func (c custom) copy(to, from *Settings)                { c.take(to, from) }

// onOff is a switch.
func onOff(ptr func(*Settings) *bool) access {
	return value[bool]{ptr, func(v string) (bool, error) {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return false, fmt.Errorf("it is on or off: true or false")
		}
		return b, nil
	}, strconv.FormatBool}
}

// text is a field of any text but the empty one.
func text(ptr func(*Settings) *string, check func(string) (string, error)) access {
	return value[string]{ptr, func(v string) (string, error) {
		if v == "" {
			return "", fmt.Errorf("it must not be empty")
		}
		if check != nil {
			return check(v)
		}
		return v, nil
	}, func(v string) string { return v }}
}

// oneOf is a field of few possible values.
func oneOf[T ~string](ptr func(*Settings) *T, values ...T) access {
	return value[T]{ptr, func(v string) (T, error) {
		if slices.Contains(values, T(v)) {
			return T(v), nil
		}
		return "", fmt.Errorf("it must be %s", orList(values))
	}, func(v T) string { return string(v) }}
}

// orList joins values for people: "a, b or c".
func orList[T ~string](values []T) string {
	var b strings.Builder
	for i, v := range values {
		switch {
		case i == 0:
		case i == len(values)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(v))
	}
	return b.String()
}

// none is the word for a number or time that is not there, and unlimited for one
// without end. Settings have zero for their default, so that what somebody sets to
// nothing is stored as -1 where nothing is not the default.
const (
	wordNone      = "none"
	wordUnlimited = "unlimited"
)

// number is a whole number from least to most. Where word is not empty it stands
// for zero, the default; else a text of "0", if it may be, is kept as -1.
func number[T ~int | ~int64](ptr func(*Settings) *T, least, most T, word string) access {
	return value[T]{ptr, func(v string) (T, error) {
		if word != "" && v == word {
			return 0, nil
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || T(n) < least || T(n) > most || int64(T(n)) != n {
			limit := ""
			if most < math.MaxInt32 {
				limit = fmt.Sprint(most)
			}
			return 0, mustBe("a whole number", fmt.Sprint(least), limit, word)
		}
		if n == 0 {
			return -1, nil
		}
		return T(n), nil
	}, func(n T) string { return fmt.Sprint(orZero(n)) }}
}

// limitOf is a whole number of which "0", "none" and the zero value mean that there
// is no limit.
func limitOf[T ~int | ~int64](ptr func(*Settings) *T, parse func(string) (int64, error), format func(int64) string, kind string) access {
	return value[T]{ptr, func(v string) (T, error) {
		if v == wordUnlimited || v == "0" {
			return 0, nil
		}
		n, err := parse(v)
		if err != nil || n < 1 || int64(T(n)) != n {
			return 0, fmt.Errorf("it must be %s, or %s", kind, wordUnlimited)
		}
		return T(n), nil
	}, func(n T) string { return format(int64(n)) }}
}

// orZero is a number as people write it: what is stored as -1 is 0.
func orZero[T ~int | ~int64](n T) T {
	if n == -1 {
		return 0
	}
	return n
}

func mustBe(what, least, most, word string) error {
	s := fmt.Sprintf("it must be %s from %s", what, least)
	if most != "" {
		s += " to " + most
	}
	if word != "" {
		s += ", or " + word
	}
	return fmt.Errorf("%s", s)
}

// span is a time from least to most. With mayBeNone "none" and "0" are kept as -1.
func span(ptr func(*Settings) *time.Duration, least, most time.Duration, mayBeNone bool) access {
	return value[time.Duration]{ptr, func(v string) (time.Duration, error) {
		d, err := time.ParseDuration(v)
		switch {
		case mayBeNone && (v == wordNone || err == nil && d == 0):
			return -1, nil
		case err == nil && d >= least && d <= most:
			return d, nil
		}
		word := ""
		if mayBeNone {
			word = wordNone
		}
		return 0, mustBe("a time such as 5s or 1h30m,", formatSpan(least), formatSpan(most), word)
	}, formatSpan}
}

// formatSpan writes a time without parts that are nothing: 12h, not 12h0m0s.
func formatSpan(d time.Duration) string {
	if d < 0 {
		return wordNone
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// size is a number of bytes from least to most.
func size(ptr func(*Settings) *int64, least, most int64) access {
	return value[int64]{ptr, func(v string) (int64, error) {
		n, err := parseSize(v)
		if err != nil || n < least || n > most {
			return 0, mustBe("a size such as 10MiB,", formatSize(least), formatSize(most), "")
		}
		return n, nil
	}, formatSize}
}

func parseSize(v string) (int64, error) {
	n, err := humanize.ParseBytes(v)
	if err != nil || n > 1<<62 {
		return 0, fmt.Errorf("%q is no size", v)
	}
	return int64(n), nil
}

// formatSize writes a size so that it is read as the same.
func formatSize(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return strconv.FormatInt(n, 10)
}
