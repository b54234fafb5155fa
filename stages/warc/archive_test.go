package warc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// piece returns a record of its own, as a gzip member.
func piece(t testing.TB, name string) []byte {
	t.Helper()
	b, err := AppendGzip(nil, &Record{Type: "metadata", Date: when, Block: []byte(name)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mustWrite writes pieces of those names, and checks that they lie where Write
// says.
func mustWrite(t testing.TB, a *Archive, at Position, names ...string) (Position, []Location) {
	t.Helper()
	var pieces [][]byte
	for _, name := range names {
		pieces = append(pieces, piece(t, name))
	}
	next, places, err := a.Write(at, pieces)
	if err != nil {
		t.Fatal(err)
	}
	if len(places) != len(names) {
		t.Fatalf("%d places for %d pieces", len(places), len(names))
	}
	for i, p := range places {
		file, err := os.ReadFile(filepath.Join(a.Dir, p.File))
		if err != nil {
			t.Fatal(err)
		}
		text := member(t, file[p.Offset:p.Offset+p.Length])
		if !bytes.HasSuffix(text, []byte("\r\n\r\n"+names[i]+"\r\n\r\n")) {
			t.Fatalf("at %+v is %q, not piece %q", p, text, names[i])
		}
	}
	return next, places
}

// contents returns the blocks of the records in each file of the folder, in
// the order of the files, without their warcinfo, which must be there.
func contents(t testing.TB, dir string) [][]string {
	t.Helper()
	var all [][]string
	for _, name := range fileNames(t, dir) {
		if strings.HasSuffix(name, orphan) {
			continue
		}
		file, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		records := readAll(t, file)
		if info := records[0]; info.Type != "warcinfo" || info.Get("WARC-Filename") != name {
			t.Fatalf("%s begins with %+v", name, info)
		}
		var blocks []string
		for _, r := range records[1:] {
			blocks = append(blocks, string(r.Block))
		}
		all = append(all, blocks)
	}
	return all
}

func fileNames(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	// By number: two files may be of one second, or a clock may go back.
	slices.SortFunc(names, func(a, b string) int {
		return strings.Compare(a[strings.LastIndexByte(a, '-')+1:], b[strings.LastIndexByte(b, '-')+1:])
	})
	return names
}

func checkContents(t *testing.T, dir string, want ...[]string) {
	t.Helper()
	if got := contents(t, dir); !reflect.DeepEqual(got, want) {
		t.Errorf("the archive holds %q, want %q", got, want)
	}
}

func TestArchiveGrowsFromPositionToPosition(t *testing.T) {
	a := &Archive{
		Dir:  filepath.Join(t.TempDir(), "new", "folder"),
		Info: []Field{{"software", "weir/1"}, {"robots", "obey\r\nevil: yes"}},
	}
	at, _ := mustWrite(t, a, Position{})
	if at != (Position{}) || len(fileNames(t, a.Dir)) != 0 {
		t.Fatalf("without pieces, next is %+v", at)
	}
	at, _ = mustWrite(t, a, at, "a", "b")
	at, _ = mustWrite(t, a, at)
	at, places := mustWrite(t, a, at, "c")
	checkContents(t, a.Dir, []string{"a", "b", "c"})

	form := regexp.MustCompile(`^weir-[0-9]{14}-00001\.warc\.gz$`)
	if !form.MatchString(at.File) || at.Number != 1 || at.Offset != places[0].Offset+places[0].Length {
		t.Errorf("position %+v after %+v", at, places)
	}
	file, err := os.ReadFile(filepath.Join(a.Dir, at.File))
	if err != nil {
		t.Fatal(err)
	}
	info := readAll(t, file)[0]
	if info.ContentType != "application/warc-fields" || string(info.Block) != "software: weir/1\r\nrobots: obey  evil: yes\r\n" {
		t.Errorf("warcinfo %+v %q", info, info.Block)
	}
}

// What a position names is on the disk when Write returns it: the bytes before it, and the
// names of the file and of the folders that were made for it.
func TestWhatAPositionNamesIsSynced(t *testing.T) {
	top := t.TempDir()
	sizes, names := make(map[string]int64), make(map[string]bool) // that a power cut leaves
	a := &Archive{Dir: filepath.Join(top, "new", "folder"), MaxSize: 1000}
	a.sync = func(f *os.File) error {
		st, err := f.Stat()
		if err != nil {
			return err
		}
		if !st.IsDir() {
			sizes[f.Name()] = st.Size()
			return nil
		}
		entries, err := os.ReadDir(f.Name())
		for _, e := range entries {
			names[filepath.Join(f.Name(), e.Name())] = true
		}
		return err
	}
	at, before := Position{}, Position{}
	for range 30 {
		at, _ = mustWrite(t, a, at, strings.Repeat("x", 100))
		file := filepath.Join(a.Dir, at.File)
		if sizes[file] < at.Offset {
			t.Errorf("%d bytes of %s are synced, the position is %d", sizes[file], at.File, at.Offset)
		}
		for name := file; name != top && runtime.GOOS != "windows"; name = filepath.Dir(name) {
			if !names[name] {
				t.Errorf("the name %s is not durable", name)
			}
		}
		if at.Number != before.Number && before.File != "" { // it is finished
			if st, err := os.Stat(filepath.Join(a.Dir, before.File)); err != nil || sizes[filepath.Join(a.Dir, before.File)] != st.Size() {
				t.Errorf("%s is not synced to its end: %v", before.File, err)
			}
		}
		before = at
	}
	if at.Number < 3 {
		t.Errorf("only %d files", at.Number)
	}
}

func TestWritesWhosePositionWasNotStoredAreUndone(t *testing.T) {
	for _, maxSize := range []int64{0, 1} { // 1: each piece in a file of its own
		for _, sameProcess := range []bool{true, false} {
			t.Run(fmt.Sprintf("size %d, same process %v", maxSize, sameProcess), func(t *testing.T) {
				a := &Archive{Dir: t.TempDir(), MaxSize: maxSize}
				again := func() {
					if !sameProcess {
						a = &Archive{Dir: a.Dir, MaxSize: maxSize}
					}
				}
				mustWrite(t, a, Position{}, "lost", "lost", "lost")
				again()
				stored, _ := mustWrite(t, a, Position{}, "a", "b")
				mustWrite(t, a, stored, "lost", "lost", "lost")
				again()
				mustWrite(t, a, stored, "lost")
				again()
				stored, _ = mustWrite(t, a, stored, "c")
				mustWrite(t, a, stored, "lost")
				again()
				mustWrite(t, a, stored)
				want := [][]string{{"a", "b", "c"}}
				if maxSize == 1 {
					want = [][]string{{"a"}, {"b"}, {"c"}}
				}
				checkContents(t, a.Dir, want...)
			})
		}
	}
}

func TestWriteEndsAtThePositionAfterATornWrite(t *testing.T) {
	a := &Archive{Dir: t.TempDir()}
	stored, _ := mustWrite(t, a, Position{}, "a")
	path := filepath.Join(a.Dir, stored.File)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	next := piece(t, "b")
	for n := range next {
		if err := os.WriteFile(path, append(slices.Clone(whole), next[:n]...), 0o644); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, &Archive{Dir: a.Dir}, stored, "c")
		checkContents(t, a.Dir, []string{"a", "c"})
	}
}

func TestFileThatIsFullIsFollowedByANewOne(t *testing.T) {
	a := &Archive{Dir: t.TempDir(), MaxSize: 1000}
	big := strings.Repeat("x", 10)
	at, want := Position{}, [][]string{nil}
	for range 30 {
		if at.Offset >= a.MaxSize {
			want = append(want, nil)
		}
		at, _ = mustWrite(t, a, at, big)
		want[len(want)-1] = append(want[len(want)-1], big)
		if at.Number != len(want) {
			t.Fatalf("position %+v, want number %d", at, len(want))
		}
	}
	if len(want) < 3 {
		t.Fatalf("only %d files", len(want))
	}
	checkContents(t, a.Dir, want...)
}

func TestFileThatWasMovedAwayIsFollowedByANewOne(t *testing.T) {
	a := &Archive{Dir: t.TempDir()}
	at, _ := mustWrite(t, a, Position{}, "a")
	if err := os.Remove(filepath.Join(a.Dir, at.File)); err != nil {
		t.Fatal(err)
	}
	if same, _ := mustWrite(t, a, at); same != at {
		t.Errorf("without pieces, next is %+v after %+v", same, at)
	}
	next, _ := mustWrite(t, a, at, "b")
	if next.Number != 2 {
		t.Errorf("position %+v", next)
	}
	checkContents(t, a.Dir, []string{"b"})
}

func TestFileThatIsTooShortIsAnError(t *testing.T) {
	a := &Archive{Dir: t.TempDir()}
	at, _ := mustWrite(t, a, Position{}, "a")
	if err := os.Truncate(filepath.Join(a.Dir, at.File), 5); err != nil {
		t.Fatal(err)
	}
	next, places, err := a.Write(at, [][]byte{piece(t, "b")})
	if !errors.Is(err, ErrShort) || next != at || places != nil {
		t.Fatalf("got %+v, %v, %v", next, places, err)
	}
	for _, part := range []string{at.File, "5 bytes", fmt.Sprint(at.Offset)} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %s", err, part)
		}
	}
}

func TestFilesOfOthersAreNotTouched(t *testing.T) {
	dir := t.TempDir()
	others := []string{
		"other-20250101000000-00001.warc.gz",
		"weir-x-20250101000000-00001.warc.gz",
		"weirweir-20250101000000-00001.warc.gz",
		"weir-20250101000000-00001.warc",
		"weir-20250101000000-00001.warc.gz.part",
		"weir-20250101000000-000001.warc.gz",
		"weir-20250101000000-00000.warc.gz",
		"weir-2025010100000-00001.warc.gz",
		"weir-20250101000000-1.warc.gz",
		"weir-20250101000000-00001-2.warc.gz",
		"weir-.warc.gz",
	}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	folder := "weir-20250101000000-00009.warc.gz"
	if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
		t.Fatal(err)
	}
	leftovers := []string{"weir-20250101000000-00001.warc.gz", "weir-19990101000000-123456.warc.gz"}
	for _, name := range leftovers {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("left"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at, _ := mustWrite(t, &Archive{Dir: dir}, Position{}, "a")
	got := fileNames(t, dir)
	want := append(slices.Clone(others), folder, at.File)
	for _, name := range leftovers {
		want = append(want, name+".orphan")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
}

func TestFilesBeforeThePositionAreKept(t *testing.T) {
	a := &Archive{Dir: t.TempDir(), MaxSize: 1}
	at, _ := mustWrite(t, a, Position{}, "a", "b", "c")
	mustWrite(t, a, at, "lost")
	a = &Archive{Dir: a.Dir, MaxSize: 1}
	mustWrite(t, a, at, "d")
	checkContents(t, a.Dir, []string{"a"}, []string{"b"}, []string{"c"}, []string{"d"})
}

func TestWriteRefusesNamesOutsideOfItsFolder(t *testing.T) {
	dir := t.TempDir()
	for _, at := range []Position{
		{File: "../x", Number: 1}, {File: "/etc/hosts", Number: 1}, {File: "x", Number: 1, Offset: -1},
	} {
		if _, _, err := (&Archive{Dir: dir}).Write(at, nil); err == nil {
			t.Errorf("%+v was taken", at)
		}
	}
	if _, _, err := (&Archive{Dir: dir, Prefix: "../x"}).Write(Position{}, nil); err == nil {
		t.Error("a prefix with a slash was taken")
	}
}

// A write that fails behind the beginning of a file leaves no file behind,
// however often it is tried.
func TestWriteThatFailsLeavesNoFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where the time in names stands still
		dir := t.TempDir()
		now := time.Now().UTC().Format("20060102150405")
		inTheWay := "weir-" + now + "-00002.warc.gz"
		if err := os.Mkdir(filepath.Join(dir, inTheWay), 0o755); err != nil {
			t.Fatal(err)
		}
		a := &Archive{Dir: dir, MaxSize: 1}
		for range 3 {
			if _, _, err := a.Write(Position{}, [][]byte{[]byte("a"), []byte("b")}); err == nil {
				t.Fatal("the second file was made")
			}
			if got := fileNames(t, dir); !slices.Equal(got, []string{inTheWay}) {
				t.Errorf("the folder holds %q", got)
			}
		}
	})
}

func TestWriteThatFailsCanBeRepeated(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(dir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	a := &Archive{Dir: dir}
	if next, places, err := a.Write(Position{}, [][]byte{piece(t, "a")}); err == nil || places != nil || next != (Position{}) {
		t.Fatalf("wrote to a folder that is a file: %+v, %v, %v", next, places, err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, a, Position{}, "a")
	checkContents(t, dir, []string{"a"})
}

func TestFileNamesAreReadBack(t *testing.T) {
	for number := range 3 {
		name := fmt.Sprintf("p-%s-%05d.warc.gz", time.Time{}.Format("20060102150405"), number+99_998)
		if n, ok := fileNumber(name, "p"); !ok || n != number+99_998 {
			t.Errorf("%s: %d, %v", name, n, ok)
		}
	}
}

// Pages may be private, so the archive is for its user alone.
func TestArchiveIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // where files have no such bits
	}
	a := &Archive{Dir: filepath.Join(t.TempDir(), "archive")}
	mustWrite(t, a, Position{}, "a")
	if err := filepath.WalkDir(a.Dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
