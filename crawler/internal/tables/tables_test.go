package tables_test

import (
	"testing"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/weburl"
)

// What tells visits of one address apart makes no key that is another address's.
func TestKeysAreNoAddresses(t *testing.T) {
	for _, address := range []string{"http://site.test/", "http://site.test/a", "http://site.test/?q=1"} {
		for _, key := range []string{tables.BackKey(address, 1), tables.RoundKey(address, 2), tables.BackKey(tables.RoundKey(address, 2), 1), tables.ExactKey(address), tables.AssetKey(address), tables.RaisedKey(address, 3)} {
			if u, err := weburl.Parse(key); err == nil && u.String() == key {
				t.Errorf("%q, a key of %s, is an address itself", key, address)
			}
		}
	}
}
