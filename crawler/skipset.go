package crawler

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// Where a page leads to many addresses of one host that are not followed, these are
// stored together, in the table SkipSets: a page of the web at large has a hundred, and
// records of their own are most of what is kept of it, and of what a commit costs.
//
// They go into a few sets by a digest of the address, so that somebody who asks for one
// address looks through a fraction of what pages lead to at its host. The key of a set is
// the host, that digest, and a digest of the content: no set takes the place of another,
// whoever visits the page again and whatever was recorded before. An address may be in
// several sets, and in the table Skips.
const (
	skipSetMin   = 16       // as many addresses of one host; fewer have a record each
	skipSetParts = 4        // by digest
	skipSetSize  = 16 << 10 // bytes of addresses, about, after which another set begins
)

// A skipSet is what is stored of skips with one page on which they were found.
type skipSet struct {
	prefix string // of its key; not stored
	from   string
	skips  []*Skip
}

// skipSetPrefix is what the keys of the sets begin with that may have an address.
func skipSetPrefix(address string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(address))
	return hostIn(address) + " " + strconv.Itoa(int(h.Sum32()%skipSetParts)) + " "
}

// skipSets divides skips into sets and those which have records of their own.
func skipSets(skips []*Skip) (sets []*skipSet, single []*Skip) {
	type source struct{ from, host string }
	together := make(map[source][]*Skip)
	var order []source
	for _, s := range skips {
		if s.Request != nil {
			single = append(single, s)
			continue
		}
		of := source{s.From, hostIn(s.URL)}
		if together[of] == nil {
			order = append(order, of)
		}
		together[of] = append(together[of], s)
	}
	for _, of := range order {
		all := together[of]
		if len(all) < skipSetMin {
			single = append(single, all...)
			continue
		}
		slices.SortFunc(all, func(a, b *Skip) int { return cmp.Compare(a.URL, b.URL) })
		parts := make(map[string]*skipSet, skipSetParts)
		sizes := make(map[*skipSet]int, skipSetParts)
		for _, s := range all {
			prefix := skipSetPrefix(s.URL)
			set := parts[prefix]
			if set == nil || sizes[set] > skipSetSize {
				set = &skipSet{prefix: prefix, from: of.from}
				parts[prefix] = set
				sets = append(sets, set)
			}
			set.skips = append(set.skips, s)
			sizes[set] += len(s.URL)
		}
	}
	return sets, single
}

// put adds a set to a page's transaction.
func (s *skipSet) put(out *pipeline.Out) error {
	b, err := codec.Encode(*s)
	if err != nil {
		return fmt.Errorf("encode record of %s: %w", tables.SkipSets, err)
	}
	sum := sha256.Sum256(b)
	out.PutAhead(tables.SkipSets, s.prefix+base64.RawURLEncoding.EncodeToString(sum[:8]), b)
	return nil
}

// MarshalBinary implements encoding.BinaryMarshaler: the page; the reasons, each as a Skip
// has it; and each address as what it has beside the one before, with the number of its
// reason.
func (s skipSet) MarshalBinary() ([]byte, error) {
	var reasons, addresses packed
	numbers := make(map[shortReason]int, 4)
	before := s.from
	for _, skip := range s.skips {
		r := shorten(skip)
		n, ok := numbers[r]
		if !ok {
			n = len(numbers)
			numbers[r] = n
			reasons = append(reasons, r.flags)
			reasons.number(r.begin)
			reasons.text(r.rest)
		}
		same := commonPrefix(before, skip.URL)
		addresses.number(same)
		addresses.text(skip.URL[same:])
		addresses.number(n)
		before = skip.URL
	}
	b := make(packed, 0, len(s.from)+len(reasons)+len(addresses)+8)
	b.text(s.from)
	b.number(len(numbers))
	b = append(b, reasons...)
	b.number(len(s.skips))
	return append(b, addresses...), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (s *skipSet) UnmarshalBinary(data []byte) error {
	u := unpack(data)
	*s = skipSet{from: u.Text()}
	reasons := make([]shortReason, u.Count(3))
	for i := range reasons {
		reasons[i] = shortReason{u.Byte(), u.Int(), u.Text()}
		if reasons[i].flags&^(flagSkipFound|flagSkipHost) != 0 {
			return errMalformed
		}
	}
	s.skips = make([]*Skip, 0, u.Count(3))
	before := s.from
	for range cap(s.skips) {
		same := u.Int()
		if same > len(before) {
			return errMalformed
		}
		skip := &Skip{URL: before[:same] + u.Text(), From: s.from}
		n := u.Int()
		if !u.OK() || n >= len(reasons) {
			return errMalformed
		}
		r := reasons[n]
		if err := r.lengthen(skip); err != nil {
			return err
		}
		if r.flags&flagSkipFound != 0 {
			skip.Reason += reasonFound + hostIn(skip.URL)
		}
		s.skips = append(s.skips, skip)
		before = skip.URL
	}
	return u.end()
}

// A skipQuery asks a stored set for one address. It makes nothing of the others.
type skipQuery struct {
	address string
	found   bool
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (q *skipQuery) UnmarshalBinary(data []byte) error {
	u := unpack(data)
	from := u.Bytes()
	for range u.Count(3) { // reasons
		_, _, _ = u.Byte(), u.Int(), u.Bytes()
	}
	alike, size := commonPrefix(from, q.address), len(from) // of the address before
	for range u.Count(3) {
		same, rest := u.Int(), u.Bytes()
		_ = u.Int()
		if same > size || !u.OK() {
			return errMalformed
		}
		if size = same + len(rest); same <= alike {
			alike = same + commonPrefix(rest, q.address[same:])
		}
		if alike == size && size == len(q.address) {
			q.found = true
		}
	}
	return u.end()
}

// commonPrefix returns how many bytes two texts begin with alike.
func commonPrefix[A, B string | []byte](a A, b B) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// skipScan is how many sets are read at once.
const skipScan = 1000

// FindSkip returns why a link to an address was not followed, if that was recorded. It
// looks at a quarter of what pages lead to that have sixteen and more such addresses of the host.
func FindSkip(ctx context.Context, store *queue.Store, address string) (skip Skip, ok bool, err error) {
	ok, err = tables.Get(ctx, store, tables.Skips, tables.Key(address), &skip)
	if ok || err != nil {
		return skip, ok, err
	}
	prefix := skipSetPrefix(address)
	for from := prefix; ; {
		records, err := store.Scan(ctx, tables.SkipSets, from, prefix+"\x7f", skipScan)
		if err != nil {
			return skip, false, err
		}
		for _, r := range records {
			query := skipQuery{address: address}
			if err := tables.Decode(tables.SkipSets, r.Key, r.Value, &query); err != nil {
				return skip, false, err
			}
			if !query.found {
				continue
			}
			var set skipSet
			if err := tables.Decode(tables.SkipSets, r.Key, r.Value, &set); err != nil {
				return skip, false, err
			}
			for _, s := range set.skips {
				if s.URL == address {
					return *s, true, nil
				}
			}
		}
		if len(records) < skipScan {
			return skip, false, nil
		}
		from = records[len(records)-1].Key + "\x00"
	}
}

// WalkSkips calls fn with each link that was not followed, those of sets last. One that was
// recorded for several pages may come for each of them.
func WalkSkips(ctx context.Context, store *queue.Store, fn func(*Skip) error) error {
	if err := tables.Walk(ctx, store, tables.Skips, fn); err != nil {
		return err
	}
	return tables.Walk(ctx, store, tables.SkipSets, func(set *skipSet) error {
		for _, s := range set.skips {
			if err := fn(s); err != nil {
				return err
			}
		}
		return nil
	})
}
