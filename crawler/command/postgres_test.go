//go:build unix

package command_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/seed-301537d8/weir/crawler/inspect"
)

// inSchema is --dir for a schema of the server.
func inSchema(t *testing.T, schema string) string {
	t.Helper()
	if err := startDatabase(); err != nil {
		t.Fatal("this test needs PostgreSQL: ", err)
	}
	c, err := pgx.Connect(t.Context(), database.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), "DROP SCHEMA IF EXISTS "+pgx.Identifier{schema}.Sanitize()+" CASCADE"); err != nil {
		t.Fatal(err) // of the test before, with -count
	}
	return database.DSN() + "&schema=" + schema
}

// query runs a statement on the server and returns the one text that it yields.
func query(t *testing.T, sql string) (text string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), database.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	rows, err := c.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[any])
	if err != nil {
		t.Fatal(err)
	}
	if len(texts) == 1 {
		text, _ = texts[0].(string)
	}
	return text
}

// whole makes sure that a crawl of the site in a place is complete and as it must be.
func (s *site) whole(t *testing.T, place string) {
	t.Helper()
	if out := must(t, "check", "--dir", place); !strings.Contains(out, "is whole") {
		t.Errorf("check says %s", out)
	}
	var pages []string
	for _, p := range lines[inspect.PageRow](t, must(t, "export", "--dir", place, "pages")) {
		pages = append(pages, strings.TrimPrefix(p.URL, s.URL)+" "+p.Title)
	}
	if got, want := sortLines(strings.Join(pages, "\n")), "/ home\n/a first\n/b second\n/deep deep\n/old "; got != want {
		t.Errorf("the crawl has\n%s\nwant\n%s", got, want)
	}
	if n := strings.Count(must(t, "export", "--dir", place, "failures"), "\n"); n != 2 {
		t.Errorf("%d failures, want 2", n)
	}
}

// Of two processes one crawls. When it is killed the other goes on, and ends with what
// one process alone would have.
func TestStandbyTakesOver(t *testing.T) {
	t.Parallel() // it waits for most of its time
	place := inSchema(t, "takeover")
	s := newSite(t, "/b")
	first, _, firstErrs := start(t, s.crawlArgs(place, "--files", t.TempDir(), "--warc")...)
	<-s.reached
	second, out, errs := start(t, s.crawlArgs(place, "--files", t.TempDir(), "--warc")...)
	errs.await(t, "Standing by: ")
	if text := must(t, "status", "--dir", place); !strings.Contains(text, "running (pid ") {
		t.Errorf("status says\n%s", text)
	}
	for _, command := range []string{"holding", "config", "check"} {
		must(t, command, "--dir", place)
	}
	if text := must(t, "why", "--dir", place, s.URL+"/b"); !strings.Contains(text, "state     waiting") {
		t.Errorf("why says\n%s", text)
	}
	if r := weir(t, "dead", "--dir", place, "retry", "--all"); r.code != 1 || !strings.Contains(r.err, "leads since") {
		t.Errorf("a change while another leads: exit code %d\n%s", r.code, r.err)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	errs.await(t, "Leading the crawl in ")
	<-s.reached // what the first was killed at is fetched again
	close(s.gate["/b"])
	if err := second.Wait(); err != nil || !strings.Contains(out.String(), "Complete: 5 pages and 2 failures") {
		t.Fatalf("the second: %v\n%s%s\nthe first said\n%s", err, out, errs, firstErrs)
	}
	s.whole(t, place)
	for path, want := range map[string]int{"/": 1, "/a": 1, "/b": 2, "/missing": 1} {
		if got := s.count(path); got != want {
			t.Errorf("%s was asked for %d times, want %d", path, got, want)
		}
	}
	if n := strings.Count(must(t, "export", "--dir", place, "captures"), "\n"); n != 6 {
		t.Errorf("%d captures, want 6", n)
	}
	if text := must(t, "dead", "--dir", place, "list"); !strings.Contains(text, "no dead letters") {
		t.Errorf("dead letters:\n%s", text)
	}
}

// A leader that was stopped while another took the store over finds out when it
// wakes, and is a standby.
func TestLeaderThatWasPausedStandsBy(t *testing.T) {
	t.Parallel() // it waits for most of its time
	place := inSchema(t, "paused")
	s := newSite(t, "/b")
	first, firstOut, firstErrs := start(t, s.crawlArgs(place)...)
	<-s.reached
	second, out, errs := start(t, s.crawlArgs(place)...)
	errs.await(t, "Standing by: ")
	// One that is told to stop while it stands by has nothing to finish.
	third, _, thirdErrs := start(t, s.crawlArgs(place)...)
	thirdErrs.await(t, "Standing by: ")
	if err := third.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := third.Wait(); third.ProcessState.ExitCode() != 130 {
		t.Errorf("the third, interrupted: %v\n%s", err, thirdErrs)
	}
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// As the server does by itself after a while.
	query(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir leader paused' AND pid = (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pg_locks.pid = pg_stat_activity.pid LIMIT 1)")
	errs.await(t, "Leading the crawl in ")
	<-s.reached
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	firstErrs.await(t, "another process has taken the store over")
	close(s.gate["/b"])
	if err := second.Wait(); err != nil || !strings.Contains(out.String(), "Complete: 5 pages and 2 failures") {
		t.Fatalf("the second: %v\n%s%s", err, out, errs)
	}
	if err := first.Wait(); err != nil || !strings.Contains(firstErrs.String(), "complete already") || strings.Contains(firstErrs.String(), "Ctrl-C") {
		t.Fatalf("the first: %v\n%s%s", err, firstOut, firstErrs)
	}
	s.whole(t, place)
}

// When the server dies the crawl waits for it and goes on.
func TestServerGoesAndComes(t *testing.T) {
	place := inSchema(t, "gone")
	s := newSite(t, "/b")
	crawl, out, errs := start(t, s.crawlArgs(place)...)
	<-s.reached
	if err := database.Stop("immediate"); err != nil {
		t.Fatal(err)
	}
	if r := weir(t, "status", "--dir", place); r.code != 1 || !strings.Contains(r.err, "schema gone: connect: ") {
		t.Errorf("status without a server: exit code %d\n%s", r.code, r.err)
	}
	if r := weir(t, s.crawlArgs(place)...); r.code != 1 || !strings.Contains(r.err, "schema gone: connect: ") {
		t.Errorf("a crawl that begins without a server: exit code %d\n%s", r.code, r.err)
	}
	close(s.gate["/b"])
	errs.await(t, "Standing by: ")
	if err := database.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := crawl.Wait(); err != nil || !strings.Contains(out.String(), "Complete: 5 pages and 2 failures") {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	s.whole(t, place)
}

// Seeds from standard input of which some were on their way when the store was lost are
// not lost in silence.
func TestLeaderIsLostWhileItReadsSeeds(t *testing.T) {
	t.Parallel() // it waits for most of its time
	place := inSchema(t, "seeds")
	errs := newOutput()
	crawl := weirProcess(t.Context(), "crawl", "--dir", place, "--allow-private", "--progress", "off", "--seeds", "-")
	crawl.Stderr = errs
	in, err := crawl.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := crawl.Start(); err != nil {
		t.Fatal(err)
	}
	defer crawl.Process.Kill()
	seeds := func(from int) {
		var b strings.Builder
		for i := range 6000 {
			fmt.Fprintf(&b, "http://127.0.0.1:1/%d\n", from+i)
		}
		_, _ = io.WriteString(in, b.String()) // which it may not read any more
	}
	seeds(0)
	const stored = "SELECT coalesce((SELECT n_tup_ins FROM pg_stat_user_tables WHERE schemaname = 'seeds' AND relname = 'kv') > 1000, false)::text FROM pg_sleep(0.05)"
	for query(t, stored) != "true" {
	}
	query(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'weir % seeds'")
	seeds(6000)
	_ = in.Close()
	if err := crawl.Wait(); crawl.ProcessState.ExitCode() != 1 || !strings.Contains(errs.String(), "standard input") {
		t.Errorf("the crawl: %v\n%s", err, errs)
	}
}

// A crawl moves from a folder to a database and back, half done each time, and ends as
// one that never moved.
func TestCopyOfAHalfDoneCrawl(t *testing.T) {
	inDatabase := inSchema(t, "copied")
	folder, back := filepath.Join(t.TempDir(), "crawl"), filepath.Join(t.TempDir(), "back")
	s := newSite(t, "/b")
	halfDone := func(place string, args ...string) {
		t.Helper()
		crawl, _, _ := start(t, args...)
		<-s.reached
		if r := weir(t, "copy", place, back); r.code != 1 || !strings.Contains(r.err, "stop it first") {
			t.Errorf("copy of a store in use: exit code %d\n%s", r.code, r.err)
		}
		if err := crawl.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = crawl.Wait()
	}
	halfDone(folder, s.crawlArgs(folder)...)
	if out := must(t, "copy", folder, inDatabase); !strings.Contains(out, "compared (SHA-256 ") {
		t.Errorf("copy says\n%s", out)
	}
	if r := weir(t, "copy", folder, inDatabase); r.code != 1 || !strings.Contains(r.err, "the target holds a store") {
		t.Errorf("copy to a store: exit code %d\n%s", r.code, r.err)
	}
	if a, b := must(t, "export", "--dir", folder, "pages"), must(t, "export", "--dir", inDatabase, "pages"); a != b {
		t.Errorf("the folder has\n%s\nthe copy\n%s", a, b)
	}
	halfDone(inDatabase, "crawl", "--dir", inDatabase, "--progress", "off")
	must(t, "copy", inDatabase, back)
	close(s.gate["/b"])
	if r := weir(t, "crawl", "--dir", back, "--progress", "off"); r.code != 0 || !strings.Contains(r.out, "Complete: 5 pages and 2 failures") {
		t.Fatalf("the crawl goes on from the copy: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	s.whole(t, back)
	if n := s.count("/a"); n != 1 {
		t.Errorf("/a was asked for %d times, want once", n)
	}
}

// A dump of the database that is made while a crawl runs is restored to another, and
// the crawl goes on from there: what was fetched after the dump is fetched again.
func TestRestoredDumpGoesOn(t *testing.T) {
	place := inSchema(t, "dumped")
	s := newSite(t, "/b")
	crawl, _, _ := start(t, s.crawlArgs(place)...)
	<-s.reached
	file := filepath.Join(t.TempDir(), "dump")
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := database.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run("pg_dump", "--schema=dumped", "--format=custom", "--file="+file, "postgres")
	close(s.gate["/b"])
	if err := crawl.Wait(); err != nil {
		t.Fatal(err)
	}
	s.whole(t, place)
	run("createdb", "restored")
	t.Cleanup(func() { run("dropdb", "--force", "restored") })
	run("pg_restore", "--dbname=restored", "--exit-on-error", file)
	restored := strings.Replace(place, "/postgres?", "/restored?", 1)
	if text := must(t, "status", "--dir", restored); !strings.Contains(text, "not running") {
		t.Errorf("status of the backup says\n%s", text)
	}
	if r := weir(t, "crawl", "--dir", restored, "--progress", "off"); r.code != 0 || !strings.Contains(r.out, "Complete: 5 pages and 2 failures") {
		t.Fatalf("the crawl goes on from the backup: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	s.whole(t, restored)
	for path, want := range map[string]int{"/": 1, "/b": 2} {
		if got := s.count(path); got != want {
			t.Errorf("%s was asked for %d times, want %d", path, got, want)
		}
	}
}

// What is said about databases that cannot be used, with the same words for crawl and
// for those that look.
func TestDatabasesThatCannotBe(t *testing.T) {
	inSchema(t, "any")
	dsn := database.DSN()
	host := dsn[strings.Index(dsn, "host="):]
	query(t, `CREATE ROLE locked LOGIN PASSWORD 'right'; CREATE ROLE guest LOGIN;
		CREATE SCHEMA other; CREATE TABLE other.theses (text text);
		CREATE SCHEMA newer; CREATE TABLE newer.weir (format int); INSERT INTO newer.weir VALUES (9);`)
	hba := query(t, "SHOW hba_file")
	query(t, "COPY (VALUES ('local all locked scram-sha-256'), ('local all all trust')) TO '"+hba+"'")
	query(t, "SELECT pg_reload_conf()")
	for variable, value := range map[string]string{"PGPASSFILE": filepath.Join(t.TempDir(), "none"), "PGPASSWORD": ""} {
		t.Setenv(variable, value)
	}
	var b strings.Builder
	for _, c := range []struct{ name, place string }{
		{"a wrong password", "postgres://locked:wr0ng@/postgres?" + host},
		{"a wrong password as a parameter", "postgres://locked@/postgres?password=wr0ng&" + host},
		{"no password", "postgres://locked@/postgres?" + host},
		{"a database that is not there", "postgres://weir@/nowhere?" + host},
		{"a role that is not there", "postgres://nobody@/postgres?" + host},
		{"a schema of something else", dsn + "&schema=other"},
		{"a newer version", dsn + "&schema=newer"},
		{"a name that is no schema", dsn + "&schema=a-b"},
		{"a read-only database", dsn + "&schema=fresh&default_transaction_read_only=on"},
		{"a role that may not make a schema", "postgres://guest@/postgres?schema=fresh&" + host},
		{"a URL that is none", "postgres://weir:wr0ng@[::1/postgres"},
		{"a host that is none", "postgres://weir:wr0ng@127.0.0.1:1/postgres"},
		{"a port that is none", "postgres://weir:wr0ng@127.0.0.1:99999/postgres"},
	} {
		b.WriteString("# " + c.name + "\n")
		for _, args := range [][]string{{"status", "--dir", c.place}, {"crawl", "--dir", c.place, "--progress", "off", "https://a.example/"}} {
			r := weir(t, args...)
			b.WriteString(args[0] + ": " + string(rune('0'+r.code)) + " " + r.out + r.err)
			if r.code == 0 || strings.Contains(r.out+r.err, "wr0ng") {
				t.Errorf("%s: %s: exit code %d\n%s%s", c.name, args[0], r.code, r.out, r.err)
			}
		}
	}
	got := strings.ReplaceAll(b.String(), strings.TrimPrefix(host, "host="), "SOCKET")
	got = strings.ReplaceAll(got, strings.ReplaceAll(strings.TrimPrefix(host, "host="), "/", "%2F"), "SOCKET")
	golden(t, filepath.Join("testdata", "databases.txt"), got)
	if left := query(t, "SELECT count(*)::text FROM pg_namespace WHERE nspname = 'fresh'"); left != "0" {
		t.Errorf("%s schemas were made", left)
	}
	if r := weir(t, "config", "--dir", "postgres://locked:right@/postgres?"+host); r.code != 0 || strings.Contains(r.out+r.err, "right") {
		t.Errorf("config: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	t.Setenv("PGPASSWORD", "right")
	if r := weir(t, "status", "--dir", "postgres://locked@/postgres?"+host); r.code != 1 || !strings.Contains(r.err, "there is no crawl in") {
		t.Errorf("with the password in PGPASSWORD: exit code %d\n%s", r.code, r.err)
	}
}

// golden compares a text with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has\n%s\ngot\n%s", name, want, got)
	}
}
