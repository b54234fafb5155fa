package badgerqueue

import (
	"path/filepath"
	"slices"
	"testing"
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
