package remote

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/queue"
)

// pageRequest is a commit of pages as workers send it.
func pageRequest(rng *rand.Rand) commitRequest {
	m := commitRequest{Client: "client-0123456789abcdef"}
	for t := range 1 + rng.IntN(3) {
		tx := transaction{ID: fmt.Sprint("t", t)}
		for i := range rng.IntN(40) {
			key := fmt.Sprint("https://a.example/", strings.Repeat("x", rng.IntN(300)), i)
			switch rng.IntN(5) {
			case 0:
				tx.Changes = append(tx.Changes, change{Kind: kind(queue.ChangeAck), Delivery: rng.Uint64(), Flag: rng.IntN(2) == 0})
			case 1:
				tx.Changes = append(tx.Changes, change{Kind: kind(queue.ChangePut), Name: "pages", Key: key, Value: make([]byte, 1+rng.IntN(70_000))})
			case 2:
				tx.Changes = append(tx.Changes, change{Kind: kind(queue.ChangeAdd), Name: "crawl", Key: "n", Delta: rng.Int64() - 1<<62, Wait: -1 - rng.Int64()})
			default:
				tx.Changes = append(tx.Changes, change{Kind: kind(queue.ChangeEnqueue), Name: "crawl", Item: &item{
					Body: []byte(key), Key: key + "\xff", Group: "a.example", Priority: -rng.IntN(9), Delay: rng.Int64N(1 << 40), Wait: -1, Expires: rng.Int64(), Batch: "b",
				}})
			}
		}
		m.Transactions = append(m.Transactions, tx)
	}
	return m
}

// expand reads the changes that are unread.
func (t *transaction) expand() {
	if t.unread == nil {
		return
	}
	all := make([]change, 0, t.len())
	_ = t.each(func(c *change) error {
		c2 := *c
		if c.Item != nil {
			it := *c.Item
			c2.Item = &it
		}
		all = append(all, c2)
		return nil
	})
	t.Changes, t.unread = all, nil
}

// What is read without reflection is what the library reads; and most of what is sent is
// read so.
func TestReadingWithoutReflection(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	same := func(b []byte) bool {
		t.Helper()
		var fast, slow commitRequest
		_, ok := fastCommit(b, &fast)
		for i := range fast.Transactions {
			fast.Transactions[i].expand()
		}
		err := unmarshal(b, true, &slow)
		if ok && (err != nil || !reflect.DeepEqual(fast, slow)) {
			t.Fatalf("%x\nis read as %+v\nand by the library as %+v, %v", b, fast, slow, err)
		}
		if !ok && !reflect.DeepEqual(fast, commitRequest{}) {
			t.Fatalf("%x\nis not read, and leaves %+v", b, fast)
		}
		return ok
	}
	for range 300 {
		b, err := encode(pageRequest(rng), true)
		if err != nil {
			t.Fatal(err)
		}
		if !same(b) {
			t.Fatalf("it is left to the library: %x", b)
		}
		if len(b) > 5000 {
			continue
		}
		for range 50 { // damaged
			c := bytes.Clone(b[:rng.IntN(len(b))+1])
			if rng.IntN(2) == 0 {
				c = bytes.Clone(b)
			}
			c[rng.IntN(len(c))] = byte(rng.Uint32())
			same(c)
		}
	}
	for _, m := range []commitRequest{
		{Transactions: []transaction{{Changes: []change{{Kind: kind(queue.ChangeConfigure), Config: &queue.Config{MaxAttempts: 3}}}}}},
		{Transactions: []transaction{{Changes: []change{{Kind: kind(queue.ChangeRequire), Absent: true}}}}},
	} {
		b, err := encode(m, true)
		if err != nil {
			t.Fatal(err)
		}
		if same(b) {
			t.Errorf("%+v is not left to the library", m)
		}
	}
}

// What is read without reflection is weighed too, and takes no memory before it is: neither
// transactions that are nothing nor more of them than a call may have.
func TestTransactionsWithoutChangesAreWeighed(t *testing.T) {
	message := func(n int) []byte {
		return append([]byte{0xa1, 2, 0x9a, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, bytes.Repeat([]byte{0xa0}, n)...)
	}
	var m commitRequest
	if n, ok := fastCommit(message(maxTransactions), &m); !ok || n != maxTransactions {
		t.Errorf("%d objects, %v; want as many as there are transactions", n, ok)
	}
	m = commitRequest{}
	if n, ok := fastCommit(message(1_000_000), &m); ok || n != 0 || m.Transactions != nil {
		t.Errorf("a million transactions: %d objects, %v", n, ok)
	}
	s, _ := serverWithTokens(t, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://weir"+Prefix+"commit", bytes.NewReader(message(1_000_000)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer work"+tokenOf)
	r.Header.Set("Content-Type", typeCBOR)
	resp, err := inProcess{s}.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); err != nil || !bytes.Contains(b, []byte("MiB of memory")) {
		t.Errorf("a million transactions are answered %d: %q, %v; want that they take too much memory", resp.StatusCode, b, err)
	}
}

// A message is never larger in memory than it was weighed, whatever it consists of.
func TestMessagesAreWeighed(t *testing.T) {
	if n := int(max(reflect.TypeFor[change]().Size(), reflect.TypeFor[item]().Size(), reflect.TypeFor[transaction]().Size())); n > objectWeight {
		t.Errorf("an object takes %d bytes, and is weighed as %d", n, objectWeight)
	}
	for _, c := range []struct {
		name   string
		body   []byte
		binary bool
		least  int
	}{
		{"empty changes", []byte(`{"transactions": [{"changes": [` + strings.Repeat("{},", 999) + `{}]}]}`), false, 1000 * objectWeight},
		{"empty changes in CBOR", append([]byte("\xa1\x02\x81\xa1\x02\x99\x03\xe8"), bytes.Repeat([]byte{0xa0}, 1000)...), true, 1000 * objectWeight},
		{"those of no definite length", append([]byte("\xbf\x02\x9f\xbf\x02\x9f"), bytes.Repeat([]byte("\xbf\xff"), 1000)...), true, 1000 * objectWeight},
		{"braces in a string", []byte(`{"a": "\"{{{{{{{{"}`), false, objectWeight},
		{"a map of 2^60", []byte("\xbb\x10\x00\x00\x00\x00\x00\x00\x00\xa0\xa0"), true, 3 * objectWeight},
		{"an array of 2^60", []byte("\x9b\x10\x00\x00\x00\x00\x00\x00\x00\xa0\xa0"), true, 2 * objectWeight},
		{"deep", bytes.Repeat([]byte{0x81}, 1000), true, valueWeight},
		{"bytes of 2^60", []byte("\x5b\x10\x00\x00\x00\x00\x00\x00\x00x"), true, valueWeight},
		{"tags", bytes.Repeat([]byte{0xc1}, 10), true, valueWeight},
		{"nothing", nil, true, 0},
	} {
		if got := weigh(c.body, c.binary); got < c.least || got > c.least+len(c.body)*2*valueWeight+3*objectWeight {
			t.Errorf("%s: %d, want %d and a little", c.name, got, c.least)
		}
	}
	// Changes that are nothing are refused before they take memory.
	s, _ := serverWithTokens(t, nil)
	many := bytes.Repeat([]byte{0xa0}, 1<<20)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://weir"+Prefix+"commit", bytes.NewReader(append([]byte("\xa1\x02\x81\xa1\x02\x9a\x00\x10\x00\x00"), many...)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer admin"+tokenOf)
	r.Header.Set("Content-Type", typeCBOR)
	resp, err := inProcess{s}.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a million empty changes: %d", resp.StatusCode)
	}
}
