package queuetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/seed-301537d8/weir/queue/driver"
)

// driverTest is what the tests of the driver contract work with.
type driverTest struct {
	testing.TB
	ctx  context.Context
	disk Disk
	db   driver.Store
}

// RunDriver checks a backend against the comments of [driver.Store]. Each
// subtest is named after the method and quotes the sentence that it checks.
func RunDriver(t *testing.T, h Harness) {
	for _, c := range driverContract {
		t.Run(c.name, func(t *testing.T) {
			d := &driverTest{TB: t, ctx: t.Context(), disk: h(t)}
			d.open()
			defer func() { d.db.Close() }()
			c.check(d)
			if t.Failed() {
				t.Logf("the contract says: %q", c.sentence)
			}
		})
	}
}

func (d *driverTest) open() {
	d.Helper()
	db, err := d.disk.Driver()
	if err != nil {
		d.Fatalf("open: %v", err)
	}
	d.db = db
}

func (d *driverTest) reopen() {
	d.Helper()
	d.must(d.db.Close())
	d.open()
}

// crash goes on with what a crash would leave.
func (d *driverTest) crash() {
	d.Helper()
	disk := d.disk.Crash(d)
	d.db.Close()
	d.disk = disk
	d.open()
}

func (d *driverTest) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// write commits pairs of keys and values.
func (d *driverTest) write(pairs ...string) {
	d.Helper()
	var ws []driver.Write
	for i := 0; i < len(pairs); i += 2 {
		ws = append(ws, driver.Write{Key: []byte(pairs[i]), Value: []byte(pairs[i+1])})
	}
	d.must(d.db.Commit(d.ctx, ws))
}

// wantGet fails unless key has value; absent keys are wanted as "-".
func (d *driverTest) wantGet(key, value string) {
	d.Helper()
	v, err := d.db.Get(d.ctx, []byte(key))
	if errors.Is(err, driver.ErrNotFound) {
		v, err = []byte("-"), nil
	}
	if err != nil || string(v) != value {
		d.Errorf("Get(%q) = %q, %v, want %q", key, v, err, value)
	}
}

// scan returns the pairs in [start, end) as "key=value".
func (d *driverTest) scan(start, end string) []string {
	d.Helper()
	var got []string
	d.must(d.db.Scan(d.ctx, []byte(start), []byte(end), func(k, v []byte) bool {
		got = append(got, string(k)+"="+string(v))
		return true
	}))
	return got
}

func (d *driverTest) wantScan(start, end string, want ...string) {
	d.Helper()
	if got := d.scan(start, end); !slices.Equal(got, want) {
		d.Errorf("Scan(%q, %q) visited %q, want %q", start, end, got, want)
	}
}

func (d *driverTest) notes() []string {
	d.Helper()
	var got []string
	d.must(d.db.ReadNotes(d.ctx, func(note []byte) { got = append(got, string(note)) }))
	return got
}

func (d *driverTest) wantNotes(want ...string) {
	d.Helper()
	if got := d.notes(); !slices.Equal(got, want) {
		d.Errorf("ReadNotes gave %q, want %q", got, want)
	}
}

func (d *driverTest) note(notes ...string) {
	d.Helper()
	for _, n := range notes {
		d.must(d.db.AppendNotes(d.ctx, []byte(n)))
	}
}

type driverClause struct {
	name     string
	sentence string
	check    func(d *driverTest)
}

var driverContract = []driverClause{
	{"Keys/Order", "Keys are ordered as bytes.Compare orders them", func(d *driverTest) {
		d.write("b", "1", "a\xff", "2", "a", "3", "a\x00", "4", "\xff\xff", "5", "\x00", "6")
		d.wantScan("\x00", "\xff\xff\xff", "\x00=6", "a=3", "a\x00=4", "a\xff=2", "b=1", "\xff\xff=5")
	}},
	{"Keys/Length", "Keys … are never empty and are at most 1,024 bytes long", func(d *driverTest) {
		long := string(bytes.Repeat([]byte("k"), 1024))
		d.write(long, "v", "k", "w")
		d.wantGet(long, "v")
		d.reopen()
		d.wantGet(long, "v")
		d.wantScan("k", "l", "k=w", long+"=v")
	}},
	{"Concurrent", "Get and Scan may be called from any number of goroutines at once and during a Commit", func(d *driverTest) {
		d.write("c/a", "0", "c/b", "0")
		stop := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if got := d.scan("c/", "c0"); len(got) != 2 || got[0][4:] != got[1][4:] {
						d.Errorf("a Scan saw %q, part of a batch", got)
						return
					}
					if _, err := d.db.Get(d.ctx, []byte("c/a")); err != nil {
						d.Errorf("Get during Commit: %v", err)
						return
					}
				}
			})
		}
		for i := range 200 {
			d.write("c/a", fmt.Sprint(i), "c/b", fmt.Sprint(i))
		}
		close(stop)
		readers.Wait()
	}},
	{"Get/Value", "Get returns the value of a key", func(d *driverTest) {
		d.write("k", "v", "empty", "")
		d.wantGet("k", "v")
		d.wantGet("empty", "")
	}},
	{"Get/NotFound", "It returns an error that wraps ErrNotFound if the key is absent", func(d *driverTest) {
		d.write("k", "v")
		for _, key := range []string{"j", "k\x00", "l"} {
			if _, err := d.db.Get(d.ctx, []byte(key)); !errors.Is(err, driver.ErrNotFound) {
				d.Errorf("Get(%q) returned %v", key, err)
			}
		}
	}},
	{"Get/Owned", "The caller owns the slice", func(d *driverTest) {
		d.write("k", "value")
		v, err := d.db.Get(d.ctx, []byte("k"))
		d.must(err)
		clear(v)
		_ = append(v[:0], "overwritten"...)
		d.wantGet("k", "value")
	}},
	{"Scan/Range", "Scan calls fn for each key k with start <= k < end, in ascending order", func(d *driverTest) {
		d.write("a", "1", "b", "2", "c", "3", "d", "4")
		d.wantScan("b", "d", "b=2", "c=3")
		d.wantScan("b", "b")
		d.wantScan("a\x00", "c\x00", "b=2", "c=3")
		d.wantScan("x", "z")
	}},
	{"Scan/Stop", "until fn returns false", func(d *driverTest) {
		d.write("a", "1", "b", "2", "c", "3")
		var got []string
		d.must(d.db.Scan(d.ctx, []byte("a"), []byte("z"), func(k, _ []byte) bool {
			got = append(got, string(k))
			return len(got) < 2
		}))
		if !slices.Equal(got, []string{"a", "b"}) {
			d.Errorf("visited %q", got)
		}
	}},
	{"Scan/Deleted", "Scan calls fn for each key (a deleted one is no key)", func(d *driverTest) {
		d.write("a", "1", "b", "2", "c", "3")
		d.must(d.db.Commit(d.ctx, []driver.Write{{Key: []byte("b"), Delete: true}}))
		d.wantScan("a", "z", "a=1", "c=3")
		d.wantGet("b", "-")
	}},
	{"Scan/Sees", "It sees each batch whose Commit had returned when the Scan began. The same is true of Get", func(d *driverTest) {
		for i := range 100 {
			v := fmt.Sprint(i)
			d.write("k", v)
			d.wantScan("k", "l", "k="+v)
			d.wantGet("k", v)
		}
	}},
	{"Commit/Together", "Commit applies the writes together or not at all", func(d *driverTest) {
		d.write("old", "1")
		d.must(d.db.Commit(d.ctx, []driver.Write{
			{Key: []byte("old"), Delete: true}, {Key: []byte("new"), Value: []byte("2")}, {Key: []byte("never"), Delete: true},
		}))
		d.wantScan("a", "z", "new=2")
	}},
	{"Commit/Survives", "When it returns nil they survive the death of the process and the loss of power", func(d *driverTest) {
		for i := range 10 {
			d.write(fmt.Sprintf("k%d", i), "v")
			d.crash()
			if got := d.scan("k", "l"); len(got) != i+1 {
				d.Fatalf("after crash %d: %q", i, got)
			}
		}
	}},
	{"Commit/Close", "Committed batches and notes are kept", func(d *driverTest) {
		d.write("k", "v")
		d.note("n")
		d.reopen()
		d.wantGet("k", "v")
		d.wantNotes("n")
	}},
	{"Commit/Twice", "Where a batch names a key twice, the later write wins", func(d *driverTest) {
		del := func(k string) driver.Write { return driver.Write{Key: []byte(k), Delete: true} }
		put := func(k, v string) driver.Write { return driver.Write{Key: []byte(k), Value: []byte(v)} }
		d.must(d.db.Commit(d.ctx, []driver.Write{
			put("a", "1"), put("a", "2"), put("b", "1"), del("b"), del("c"), put("c", "3"), put("b2", ""),
		}))
		d.wantScan("a", "z", "a=2", "b2=", "c=3")
		d.reopen()
		d.wantScan("a", "z", "a=2", "b2=", "c=3")
	}},
	{"Commit/New", "New says that the caller knows the key to be absent when the writes before this one are done", func(d *driverTest) {
		fresh := func(k, v string) driver.Write { return driver.Write{Key: []byte(k), Value: []byte(v), New: true} }
		del := func(k string) driver.Write { return driver.Write{Key: []byte(k), Delete: true} }
		d.write("b", "1", "c", "1")
		d.must(d.db.Commit(d.ctx, []driver.Write{fresh("a", "1"), del("b"), fresh("b", "2"), del("b"), fresh("b", "3"), del("c"), fresh("c", "4"), del("c")}))
		d.wantScan("a", "z", "a=1", "b=3")
		d.reopen()
		d.must(d.db.Commit(d.ctx, []driver.Write{del("a"), fresh("a", "2"), {Key: []byte("b"), Value: []byte("4")}, fresh("c", "5")}))
		d.wantScan("a", "z", "a=2", "b=4", "c=5")
		d.must(d.db.Verify(d.ctx))
	}},
	{"Commit/Slices", "Commit does not keep the slices after it has returned", func(d *driverTest) {
		key, value := []byte("key"), []byte("value")
		ws := []driver.Write{{Key: key, Value: value}}
		d.must(d.db.Commit(d.ctx, ws))
		copy(key, "xxx")
		copy(value, "xxxxx")
		ws[0] = driver.Write{}
		d.wantGet("key", "value")
		d.reopen()
		d.wantGet("key", "value")
	}},
	{"Commit/TooLarge", "A batch over Limits returns an error that wraps ErrTooLarge and has no effect", func(d *driverTest) {
		l := d.db.Limits()
		big := driver.Write{Key: []byte("big"), Value: make([]byte, l.Bytes)}
		if err := d.db.Commit(d.ctx, []driver.Write{{Key: []byte("a"), Value: []byte("1")}, big}); !errors.Is(err, driver.ErrTooLarge) {
			d.Errorf("too many bytes: %v", err)
		}
		var many []driver.Write
		for i := range l.Writes + 1 {
			many = append(many, driver.Write{Key: fmt.Appendf(nil, "k%08d", i)})
		}
		if err := d.db.Commit(d.ctx, many); !errors.Is(err, driver.ErrTooLarge) {
			d.Errorf("too many writes: %v", err)
		}
		d.wantScan("a", "z")
		d.write("still", "works")
		d.wantGet("still", "works")
	}},
	{"Commit/AtLimit", "Bytes bounds the sum over a batch of len(Key)+len(Value)+Overhead", func(d *driverTest) {
		l := d.db.Limits()
		const n = 4
		room := l.Bytes/n - l.Overhead - len("k0")
		var ws []driver.Write
		for i := range n {
			ws = append(ws, driver.Write{Key: fmt.Appendf(nil, "k%d", i), Value: bytes.Repeat([]byte{byte(i)}, room)})
		}
		if err := d.db.Commit(d.ctx, ws); err != nil {
			d.Fatalf("a batch just within Bytes: %v", err)
		}
		d.reopen()
		for i := range n {
			v, err := d.db.Get(d.ctx, fmt.Appendf(nil, "k%d", i))
			if err != nil || !bytes.Equal(v, bytes.Repeat([]byte{byte(i)}, room)) {
				d.Errorf("value %d: %d bytes, %v", i, len(v), err)
			}
		}
	}},
	{"Commit/Empty", "Commit applies the writes (no writes are no error)", func(d *driverTest) {
		d.must(d.db.Commit(d.ctx, nil))
	}},
	{"Notes/Survive", "When it returns nil the note survives the death of the process", func(d *driverTest) {
		d.note("1", "2")
		d.crash()
		d.wantNotes("1", "2")
		d.note("3")
		d.crash()
		d.wantNotes("1", "2", "3")
	}},
	{"Notes/Order", "ReadNotes calls fn for each note since the last ResetNotes, in the order in which they were appended", func(d *driverTest) {
		var want []string
		for i := range 300 {
			want = append(want, fmt.Sprintf("note %d %s", i, bytes.Repeat([]byte{byte(i)}, i)))
		}
		d.note(want...)
		d.wantNotes(want...)
		d.must(d.db.ResetNotes(d.ctx, nil))
		d.wantNotes()
		d.note("after")
		d.wantNotes("after")
	}},
	{"Notes/Reset", "ResetNotes replaces all notes by the given ones", func(d *driverTest) {
		d.note("a", "b")
		d.must(d.db.ResetNotes(d.ctx, [][]byte{[]byte("x"), []byte("y")}))
		d.wantNotes("x", "y")
		d.note("z")
		d.reopen()
		d.wantNotes("x", "y", "z")
		d.must(d.db.ResetNotes(d.ctx, nil))
		d.crash()
		d.wantNotes()
	}},
	{"Notes/Slices", "AppendNotes adds a note (and does not keep the slice)", func(d *driverTest) {
		n := []byte("note")
		d.must(d.db.AppendNotes(d.ctx, n))
		copy(n, "xxxx")
		d.wantNotes("note")
	}},
	{"Limits", "Limits returns the limits of one batch. They do not change", func(d *driverTest) {
		l := d.db.Limits()
		if l.Writes < 1000 || l.Bytes < 1<<20 || l.Overhead < 0 {
			d.Errorf("limits %+v leave no room for work", l)
		}
		d.write("k", "v")
		d.reopen()
		if l2 := d.db.Limits(); l2 != l {
			d.Errorf("limits were %+v and are %+v", l, l2)
		}
	}},
	{"Free", "Free returns how many bytes the backend can still write … A backend without a limit returns math.MaxInt64", func(d *driverTest) {
		n, err := d.db.Free()
		if err != nil || n <= 0 {
			d.Errorf("Free = %d, %v", n, err)
		}
	}},
	{"Verify", "Verify reads everything that is stored and returns an error … if it is not what was written", func(d *driverTest) {
		for i := range 100 {
			d.write(fmt.Sprintf("k%d", i), "v")
		}
		d.note("n")
		d.must(d.db.Verify(d.ctx))
		d.reopen()
		d.must(d.db.Verify(d.ctx))
	}},
	{"Close", "After Close every method returns an error that wraps ErrClosed", func(d *driverTest) {
		d.must(d.db.Close())
		_, getErr := d.db.Get(d.ctx, []byte("k"))
		_, freeErr := d.db.Free()
		for name, err := range map[string]error{
			"Get":         getErr,
			"Scan":        d.db.Scan(d.ctx, []byte("a"), []byte("b"), func(_, _ []byte) bool { return true }),
			"Commit":      d.db.Commit(d.ctx, []driver.Write{{Key: []byte("k")}}),
			"AppendNotes": d.db.AppendNotes(d.ctx, []byte("n")),
			"ReadNotes":   d.db.ReadNotes(d.ctx, func([]byte) {}),
			"ResetNotes":  d.db.ResetNotes(d.ctx, nil),
			"Free":        freeErr,
			"Verify":      d.db.Verify(d.ctx),
			"Close":       d.db.Close(),
		} {
			if !errors.Is(err, driver.ErrClosed) {
				d.Errorf("%s after Close returned %v", name, err)
			}
		}
	}},
	{"Locked", "ErrLocked is returned by a backend's Open when another … has the store open", func(d *driverTest) {
		if db, err := d.disk.Driver(); !errors.Is(err, driver.ErrLocked) {
			d.Errorf("a second open returned %v", err)
			if db != nil {
				db.Close()
			}
		}
		d.write("k", "v")
		d.reopen()
		d.wantGet("k", "v")
	}},
}
