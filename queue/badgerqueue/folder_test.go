package badgerqueue

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gofrs/flock"
)

// The name of a folder survives a power cut only if the folder above is synced.
func TestMakeFolderSyncsEachName(t *testing.T) {
	top := t.TempDir()
	var synced []string
	note := func(dir string) error {
		synced = append(synced, dir)
		return nil
	}
	dir := filepath.Join(top, "a", "b")
	if err := makeFolder(dir, note); err != nil {
		t.Fatal(err)
	}
	if want := []string{top, filepath.Join(top, "a")}; !slices.Equal(synced[1:], want) {
		t.Errorf("synced %q, want %q after the folder above", synced, want)
	}
	synced = nil
	if err := makeFolder(dir, note); err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(top, "a")}; !slices.Equal(synced, want) {
		t.Errorf("of a folder that was there synced %q, want %q", synced, want)
	}
}

func TestExists(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(dir, "store")
	s, err := Open(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	for path, want := range map[string]bool{dir: false, filepath.Join(dir, "none"): false, store: true} {
		if ok, err := Exists(path); ok != want || err != nil {
			t.Errorf("Exists(%s) is %v, %v; want %v", path, ok, err, want)
		}
	}
	if ok, err := Exists(file); ok || err == nil || !strings.Contains(err.Error(), file+": not a folder") {
		t.Errorf("of a file: %v, %v", ok, err)
	}
}

// A folder that cannot be written to is refused in words that say why it is to be, and is
// left without trying to write to it again.
func TestFolderThatCannotBeWrittenTo(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, pidFile, "x"), 0o755); err != nil { // so PID cannot be removed
		t.Fatal(err)
	}
	f := &folder{dir: dir, lock: flock.New(filepath.Join(dir, lockFile)), pid: []byte("4711"), refused: true}
	if err := f.writePID(nil); err == nil || !strings.HasPrefix(err.Error(), "a store is written to by whoever opens it: ") {
		t.Errorf("error %v", err)
	}
	if err := f.leave(); err != nil {
		t.Errorf("leave: %v", err)
	}
}
