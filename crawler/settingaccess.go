package crawler

import (
	"fmt"
	"maps"
	"mime"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// How settings that are no plain values are read from words and written as words.

// neverOr is a time whose zero value means never.
func neverOr(ptr func(*Settings) *time.Duration) access {
	return value[time.Duration]{ptr, func(v string) (time.Duration, error) {
		d, err := time.ParseDuration(v)
		switch {
		case v == wordNone || err == nil && d == 0:
			return 0, nil
		case err != nil || d < 0:
			return 0, mustBe("a time such as 12h or 30m,", "1ns", "", wordNone)
		}
		return d, nil
	}, formatSpan}
}

func inGroup(group string, all []*Setting) []*Setting {
	for _, s := range all {
		s.Group = group
	}
	return all
}

func checkRegexp(v string) (string, error) {
	if _, err := regexp.Compile(v); err != nil {
		return "", fmt.Errorf("it is no regular expression: %w", err)
	}
	return v, nil
}

func checkPrefix(v string) (string, error) {
	if strings.ContainsAny(v, "/\\: \t\r\n\x00") {
		return "", fmt.Errorf("%q is no part of a file's name", v)
	}
	return v, nil
}

func checkInfo(v string) (string, error) {
	name, value, ok := strings.Cut(v, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !ok || name == "" || strings.ContainsAny(name, " \t") || strings.ContainsAny(v, "\r\n\x00") {
		return "", fmt.Errorf("%q is not of the form 'name: value'", v)
	}
	return name + ": " + value, nil
}

func checkUserAgent(v string) (string, error) {
	if strings.ContainsAny(v, "\r\n\x00") {
		return "", fmt.Errorf("it must be one line")
	}
	return v, nil
}

func checkType(v string) (string, error) {
	t, params, err := mime.ParseMediaType(v)
	if err != nil || len(params) > 0 || strings.Count(t, "/") != 1 || strings.HasPrefix(t, "/") || strings.HasSuffix(t, "/") {
		return "", fmt.Errorf("%q is no media type such as application/pdf, image/* or */*", v)
	}
	return t, nil
}

// trapLimit is a limit of which 0 means the default and -1 none.
func trapLimit(ptr func(*Settings) *int) access {
	return value[int]{ptr, func(v string) (int, error) {
		if v == wordUnlimited {
			return -1, nil
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return 0, fmt.Errorf("it must be a whole number from 1, or %s", wordUnlimited)
		}
		return n, nil
	}, func(n int) string {
		if n < 0 {
			return wordUnlimited
		}
		return strconv.Itoa(n)
	}}
}

func countLimit(ptr func(*Settings) *int) access {
	return limitOf(ptr, func(v string) (int64, error) { return strconv.ParseInt(v, 10, 64) },
		func(n int64) string { return strconv.FormatInt(n, 10) }, "a whole number from 1")
}

// rateLimit is a number of requests a second, which may be less than one.
func rateLimit(ptr func(*Settings) *float64) access {
	return value[float64]{ptr, func(v string) (float64, error) {
		if v == wordUnlimited || v == "0" {
			return 0, nil
		}
		n, err := strconv.ParseFloat(v, 64)
		if err != nil || !(n >= 0.001 && n <= 1e6) {
			return 0, fmt.Errorf("it must be a number of requests a second, from 0.001 to 1000000, or %s", wordUnlimited)
		}
		return n, nil
	}, func(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }}
}

// stagesAccess is the list of names. Stages that were there keep their commands.
func stagesAccess() access {
	return custom{
		func(s *Settings) any { return &s.Stages },
		func(s *Settings) []string {
			var names []string
			for _, st := range s.Stages {
				names = append(names, st.Name)
			}
			return names
		},
		func(s *Settings, values []string) error {
			var all []Stage
			for _, v := range values {
				for name := range strings.SplitSeq(v, ",") {
					name = strings.TrimSpace(name)
					st := Stage{Name: name}
					if i := slices.IndexFunc(s.Stages, func(o Stage) bool { return o.Name == name }); i >= 0 {
						st = s.Stages[i]
					}
					all = append(all, st)
				}
			}
			switch {
			case all[0].Name != StageCrawl:
				return fmt.Errorf("it must begin with crawl")
			case slices.ContainsFunc(all, func(st Stage) bool { return st.Name == "" }):
				return fmt.Errorf("a name is empty")
			}
			s.Stages = all
			return nil
		},
		func(to, from *Settings) { to.Stages = slices.Clone(from.Stages) },
	}
}

// stageCommands are the stages with commands.
func stageCommands() access {
	return custom{
		func(s *Settings) any { return &s.Stages },
		func(s *Settings) []string {
			var all []string
			for _, st := range s.Stages {
				if len(st.Command) > 0 {
					all = append(all, st.Name+"="+joinCommand(st.Command))
				}
			}
			return all
		},
		func(s *Settings, values []string) error {
			all := slices.Clone(s.stages())
			for _, v := range values {
				name, line, ok := strings.Cut(v, "=")
				name = strings.TrimSpace(name)
				command, err := splitCommand(line)
				switch {
				case !ok || name == "" || err == nil && len(command) == 0:
					return fmt.Errorf("%q is not of the form 'name=command args'", v)
				case err != nil:
					return fmt.Errorf("%s: %w", name, err)
				case name == StageCrawl || name == StageWARC:
					return fmt.Errorf("the stage %s cannot be another program", name)
				}
				if i := slices.IndexFunc(all, func(o Stage) bool { return o.Name == name }); i >= 0 {
					all[i].Command = command
				} else {
					all = append(all, Stage{Name: name, Command: command})
				}
			}
			s.Stages = all
			return nil
		},
		func(to, from *Settings) { to.Stages = slices.Clone(from.Stages) },
	}
}

func warcAccess() access {
	has := func(s *Settings) bool { return s.Runs(StageWARC) }
	set := func(s *Settings, on bool) {
		s.Stages = slices.DeleteFunc(slices.Clone(s.stages()), func(st Stage) bool { return st.Name == StageWARC })
		if on {
			s.Stages = append(s.Stages, Stage{Name: StageWARC})
		}
	}
	return custom{
		func(s *Settings) any { b := has(s); return &b },
		func(s *Settings) []string { return []string{strconv.FormatBool(has(s))} },
		func(s *Settings, values []string) error {
			on, err := strconv.ParseBool(values[0])
			if err != nil {
				return fmt.Errorf("it is on or off: true or false")
			}
			set(s, on)
			return nil
		},
		func(to, from *Settings) { set(to, has(from)) },
	}
}

// hostsAccess is one text for each host: its name and its settings.
func hostsAccess() access {
	return custom{
		func(s *Settings) any { return &s.Hosts },
		func(s *Settings) []string {
			var all []string
			for _, host := range slices.Sorted(maps.Keys(s.Hosts)) {
				words := []string{host}
				of := s.Hosts[host]
				for _, st := range AllSettings() {
					if st.PerHost && st.IsSet(&of) {
						for _, v := range st.Get(&of) {
							words = append(words, st.Name+"="+v)
						}
					}
				}
				all = append(all, joinCommand(words))
			}
			return all
		},
		func(s *Settings, values []string) error {
			for _, v := range values {
				words, err := splitCommand(v)
				if err != nil {
					return err
				}
				if len(words) == 0 {
					s.Hosts = nil
					continue
				}
				if _, err := checkHost(words[0]); err != nil {
					return fmt.Errorf("it begins with a host: %w", err)
				}
				given := make(map[string][]string)
				var names []string
				for _, w := range words[1:] {
					name, value, ok := strings.Cut(w, "=")
					if !ok {
						return fmt.Errorf("%q is not of the form name=value", w)
					}
					if given[name] == nil {
						names = append(names, name)
					}
					given[name] = append(given[name], value)
				}
				if len(names) == 0 {
					delete(s.Hosts, words[0])
				}
				for _, name := range names {
					if err := s.SetHost(words[0], name, given[name]...); err != nil {
						return err
					}
				}
			}
			return nil
		},
		func(to, from *Settings) { to.Hosts = maps.Clone(from.Hosts) },
	}
}

// SetHost changes a setting of one host: "example.com", "example.com:8080", or, with
// "*.example.com", of all hosts below one. The error names the setting.
func (s *Settings) SetHost(host, name string, values ...string) error {
	host, err := checkHost(host)
	if err != nil {
		return err
	}
	st := FindSetting(name)
	switch {
	case st == nil:
		return fmt.Errorf("there is no setting %q", name)
	case !st.PerHost:
		return fmt.Errorf("%s cannot be chosen for a single host", name)
	}
	of := s.Hosts[host]
	if name == "auth" {
		if len(values) != 1 {
			return fmt.Errorf("auth: it has one value, not %d", len(values))
		}
		if of.Auth, err = checkAuth(values[0]); err != nil {
			return fmt.Errorf("auth: %w", err)
		}
	} else if err := st.Set(&of, values...); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	hosts := maps.Clone(s.Hosts)
	if hosts == nil {
		hosts = make(map[string]Settings)
	}
	hosts[host] = of
	s.Hosts = hosts
	return nil
}

// authAccess is what hosts have for Auth, as the flag writes it: host=scheme:...
// A host's own settings have it without the host.
func authAccess() access {
	return custom{
		func(s *Settings) any { t := strings.Join(authTexts(s), " "); return &t },
		authTexts,
		func(s *Settings, values []string) error {
			for _, v := range values {
				host, auth, ok := strings.Cut(v, "=")
				if !ok {
					return fmt.Errorf("it is not of the form HOST=basic:USER:SECRET, digest:USER:SECRET or bearer:SECRET")
				}
				if err := s.SetHost(host, "auth", auth); err != nil {
					return err
				}
			}
			return nil
		},
		func(to, from *Settings) {
			for host, of := range from.Hosts {
				if of.Auth != "" {
					_ = to.SetHost(host, "auth", of.Auth) // it has been checked
				}
			}
		},
	}
}

func authTexts(s *Settings) []string {
	if s.Auth != "" {
		return []string{s.Auth}
	}
	return nil
}
