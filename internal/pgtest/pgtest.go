// Package pgtest runs a PostgreSQL server for tests and benchmarks: with a data
// folder of its own, as a user of its own where the caller is root, reachable
// through a socket in that folder and nothing else.
package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Server is a PostgreSQL server.
type Server struct {
	dir string
	bin string
}

// Start makes a server and starts it. settings are such as "fsync=off".
func Start(settings ...string) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir, bin}
	if err := s.make(settings); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// binaries returns the folder of initdb and pg_ctl.
func binaries() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		return "", errors.New("there is no PostgreSQL here: initdb is neither in PATH nor in /usr/lib/postgresql; on Debian: apt-get install postgresql")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// Standby starts a server that follows this one, and answers reads.
func (s *Server) Standby() (*Server, error) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	standby := &Server{dir, s.bin}
	err = own(dir)
	if err == nil {
		err = standby.run("pg_basebackup", "-h", s.dir, "-U", "weir", "-D", filepath.Join(dir, "data"), "-R", "-c", "fast", "--no-sync")
	}
	if err == nil {
		err = standby.configure("unix_socket_directories='" + dir + "'")
	}
	if err == nil {
		err = standby.Restart()
	}
	if err != nil {
		standby.Close()
		return nil, err
	}
	return standby, nil
}

// Promote ends that a server follows another.
func (s *Server) Promote() error {
	return s.run("pg_ctl", "-D", filepath.Join(s.dir, "data"), "-w", "promote")
}

func (s *Server) make(settings []string) error {
	if err := own(s.dir); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	if err := s.run("initdb", "-D", data, "-U", "weir", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return err
	}
	settings = append([]string{"listen_addresses=''", "unix_socket_directories='" + s.dir + "'", "max_connections=200", "shared_buffers=64MB"}, settings...)
	if err := s.configure(settings...); err != nil {
		return err
	}
	return s.Restart()
}

// configure adds settings, of which the last of a name counts.
func (s *Server) configure(settings ...string) error {
	f, err := os.OpenFile(filepath.Join(s.dir, "data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strings.Join(settings, "\n") + "\n")
	return errors.Join(err, f.Close())
}

// Restart starts a server that has been stopped.
func (s *Server) Restart() error {
	return s.run("pg_ctl", "-D", filepath.Join(s.dir, "data"), "-l", filepath.Join(s.dir, "log"), "-w", "start")
}

// Stop stops the server in a mode of pg_ctl: fast, or immediate, which is a
// crash.
func (s *Server) Stop(mode string) error {
	return s.run("pg_ctl", "-D", filepath.Join(s.dir, "data"), "-m", mode, "-w", "stop")
}

// Close stops the server and removes its data.
func (s *Server) Close() error {
	err := s.Stop("immediate")
	return errors.Join(err, os.RemoveAll(s.dir))
}

// DSN returns the connection string of a superuser.
func (s *Server) DSN() string { return "postgres://weir@/postgres?host=" + s.dir }

// Socket returns the folder of the socket that it listens on.
func (s *Server) Socket() string { return s.dir }

// PID returns the process id of the server, the parent of all its others.
func (s *Server) PID() (int, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strconv.Atoi(line)
}

// Command returns a command that runs a client program of the server's version, such as
// pg_dump or psql, with the arguments that connect it to the server.
func (s *Server) Command(name string, args ...string) *exec.Cmd {
	return exec.Command(filepath.Join(s.bin, name), append([]string{"-h", s.dir, "-U", "weir"}, args...)...)
}

// Log returns the end of the server's log.
func (s *Server) Log() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(b[max(0, len(b)-4000):])
}

func (s *Server) run(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	if err := lower(cmd); err != nil {
		return err
	}
	// Not a pipe: the server inherits it, and would keep it open.
	out, err := os.Create(filepath.Join(s.dir, "out"))
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		b, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w: %s\n%s", name, err, b, s.Log())
	}
	return nil
}

// Give gives a folder to the user that runs the server.
func (s *Server) Give(dir string) error { return own(dir) }
