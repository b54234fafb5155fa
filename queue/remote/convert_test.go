package remote

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// TestNothingOfAnItemIsLost fails when a field is added to queue.Item that does not
// travel.
func TestNothingOfAnItemIsLost(t *testing.T) {
	now := time.Now()
	it := queue.Item{
		Body: []byte("b"), Key: "k", Mode: queue.OnceLive, Group: "g", Priority: 3, Delay: time.Second,
		NotBefore: now.Add(time.Minute), Expires: time.UnixMilli(now.UnixMilli() + 1000), Headers: map[string]string{"h": "v"}, Batch: "x",
	}
	for i := range reflect.TypeFor[queue.Item]().NumField() {
		if reflect.ValueOf(it).Field(i).IsZero() {
			t.Errorf("set %s here", reflect.TypeFor[queue.Item]().Field(i).Name)
		}
	}
	for _, binary := range []bool{false, true} {
		b, err := encode(toItem(&it, now), binary)
		if err != nil {
			t.Fatal(err)
		}
		var m item
		if err := decode(bytes.NewReader(b), 1<<20, binary, &m); err != nil {
			t.Fatal(err)
		}
		if got := m.item(now); !reflect.DeepEqual(got, it) {
			t.Errorf("binary %v: %+v, want %+v", binary, got, it)
		}
	}
}

// TestEveryKindHasAName fails when a kind of change is added without one.
func TestEveryKindHasAName(t *testing.T) {
	for k := queue.ChangeAck; k <= queue.ChangeCloseBatch; k++ {
		if int(k) >= len(kindNames) || kindNames[k] == "" {
			t.Errorf("kind %d has no name", k)
		}
	}
}
