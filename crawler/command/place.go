package command

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/seed-301537d8/weir/internal/memory"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/pgqueue"
)

// A place is where the store of a crawl is: a folder, or a schema of a PostgreSQL
// database.
type place struct {
	name   string // as one types it, but without a password
	folder string // "" for a database
	dsn    string // of a database, for pgqueue
	schema string
	server string // the address of the server that has it, or ""
	files  string // the folder for what is not in the store: WARC files
}

// defaultSchema is where a crawl is in a database.
const defaultSchema = "weir"

// parsePlace reads what --dir and --files say. A database is a URL as libpq has it
// (postgres://user@host/database), with the schema as a parameter of that name.
func parsePlace(dir, files string) (place, error) {
	if dir == "" {
		return place{}, usagef("--dir is empty; leave it out for %s, or name a folder", defaultDir)
	}
	if isServer(dir) {
		if files == "" {
			files = filepath.Join("weir-files", fileName(dir))
		}
		return place{name: dir, server: dir, files: files}, nil
	}
	if !strings.HasPrefix(dir, "postgres://") && !strings.HasPrefix(dir, "postgresql://") {
		if files == "" {
			files = dir
		}
		return place{name: dir, folder: dir, files: files}, nil
	}
	// Nothing that goes wrong shows the text, which may have a password.
	u, err := url.Parse(dir)
	if err != nil {
		return place{}, usagef("--dir: the URL of the database is malformed; write it as postgres://user@host/database?schema=name, with %%-escapes where needed")
	}
	p := place{schema: defaultSchema, files: files}
	query := u.Query()
	if s := query.Get("schema"); s != "" {
		p.schema = s
	}
	query.Del("schema")
	u.RawQuery = query.Encode()
	p.dsn = u.String()
	config, err := pgx.ParseConfig(p.dsn)
	if err != nil {
		return place{}, usagef("--dir: %v", err)
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	query.Del("password")
	query.Del("sslpassword")
	if p.schema != defaultSchema {
		query.Set("schema", p.schema)
	}
	u.RawQuery = query.Encode()
	p.name = u.String()
	if p.files == "" {
		p.files = filepath.Join("weir-files", fileName(config.Database)+"."+fileName(p.schema))
	}
	return p, nil
}

// fileName makes a name one of a file.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' {
			return '_'
		}
		return r
	}, s)
}

func (p place) isDatabase() bool { return p.dsn != "" }

// pgOptions are the options of a store in a database. It has the bounds of one in a
// folder, so that either can be copied to the other.
func (p place) pgOptions(logger *slog.Logger) *pgqueue.Options {
	o := &pgqueue.Options{Queue: memory.StoreOptions().Queue, Schema: p.schema}
	o.Queue.Logger = logger
	return o
}

// state returns whether there is a store, and who has it open if that is known.
func (p place) state(ctx context.Context) (pgqueue.State, error) {
	if p.isDatabase() {
		st, err := pgqueue.ReadState(ctx, p.dsn, p.pgOptions(nil))
		return st, p.explain(err)
	}
	if p.server != "" {
		return pgqueue.State{Exists: true}, nil // it says so itself
	}
	ok, err := badgerqueue.Exists(p.folder)
	if err != nil {
		err = fmt.Errorf("--dir %s: %w", p.folder, err)
	}
	return pgqueue.State{Exists: ok}, err
}

// openDriver opens the store for what must not change it on the way.
func (p place) openDriver(ctx context.Context) (driver.Store, error) {
	if p.server != "" {
		return nil, usagef("%s is a server; give the folder or the database that it has open", p.name)
	}
	if p.isDatabase() {
		db, err := pgqueue.OpenDriver(ctx, p.dsn, p.pgOptions(nil))
		return db, p.explain(err)
	}
	return badgerqueue.OpenDriver(p.folder, nil)
}

// open opens the store, so that it may be changed.
func (p place) open(ctx context.Context) (*queue.Store, error) {
	if p.server != "" {
		return nil, usagef("%s is a server; give the folder or the database that it has open", p.name)
	}
	if p.isDatabase() {
		s, err := pgqueue.Open(ctx, p.dsn, p.pgOptions(nil))
		return s, p.explain(err)
	}
	return badgerqueue.Open(p.folder, nil)
}

// explain puts the name of a database before an error.
func (p place) explain(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", p.name, err)
}

// argument is --dir for a command to type, or nothing for the default.
func (p place) argument() string { return dirArgument(p.name) }
