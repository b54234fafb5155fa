package queue

import (
	"context"
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
)

// markFilter knows of most keys that were never enqueued that they were not, so
// that enqueueing them needs no look at the disk. It is a split block Bloom
// filter, as Parquet has it: a key sets one bit in each of the eight words of one
// block of 32 bytes. With one byte for each key about one look-up in 30 is still
// made in vain, with two one in 700.
//
// Every mark is added before the batch that stores it leaves. Those that an
// earlier process has stored are read in the background when the first key is
// looked up, and until all have been, the filter has no answers. So the
// invariant is: once complete is set, a key that is not here has no mark in any
// batch that was published before.
//
// It may be used concurrently. A nil filter has no answers.
type markFilter struct {
	blocks   []filterBlock
	complete atomic.Bool
	began    atomic.Bool
	done     sync.WaitGroup
}

type filterBlock [8]atomic.Uint32

// newMarkFilter returns a filter of at most so many bytes, nil if that is none.
func newMarkFilter(bytes int64) *markFilter {
	if bytes < 32 {
		return nil
	}
	return &markFilter{blocks: make([]filterBlock, bytes/32)}
}

// salts choose the bit in each word; they are those of the Parquet format.
var salts = [8]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31}

// at returns a mark's block, and the number that chooses its bits.
func (f *markFilter) at(id markID) (*filterBlock, uint32) {
	high := binary.BigEndian.Uint64(id.hash[:8])
	low := binary.BigEndian.Uint64(id.hash[8:]) + uint64(id.queue)*0x9e3779b97f4a7c15
	// The upper half of the product is even over the blocks, whatever their number.
	return &f.blocks[(high>>32)*uint64(len(f.blocks))>>32], uint32(low ^ low>>32)
}

func (f *markFilter) add(id markID) {
	if f == nil {
		return
	}
	b, x := f.at(id)
	for i, salt := range salts {
		if bit := uint32(1) << (x * salt >> 27); b[i].Load()&bit == 0 {
			b[i].Or(bit)
		}
	}
}

// lacks reports whether it is certain that there is no such mark.
func (f *markFilter) lacks(id markID) bool {
	if f == nil || !f.complete.Load() {
		return false
	}
	b, x := f.at(id)
	for i, salt := range salts {
		if b[i].Load()&(1<<(x*salt>>27)) == 0 {
			return true
		}
	}
	return false
}

// begin has the stored marks read, if nobody has yet.
func (f *markFilter) begin(s *leader) {
	if f == nil || f.began.Load() || !f.began.CompareAndSwap(false, true) {
		return
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closing {
		return // Close may be waiting already
	}
	f.done.Go(func() {
		if err := f.read(s); err != nil && s.err() == nil {
			s.log.Warn("new keys are looked up on the disk, since the earlier ones could not be read", "err", err)
		}
	})
}

// filterPage is how many marks are read at a time.
const filterPage = 4096

// read adds the marks that are stored. It gives up if there may be so many that
// the filter would be of no use.
func (f *markFilter) read(s *leader) error {
	var seen int64
	queues := s.all()
	for _, q := range queues {
		q.mu.Lock()
		if marks := q.visible.marks; marks != unknownMarks {
			seen += marks
		} else {
			seen += q.visible.total.Enqueued // at most
		}
		q.mu.Unlock()
	}
	if seen > 4*32*int64(len(f.blocks)) {
		return nil
	}
	start, end := []byte{kindMark}, []byte{kindMark + 1}
	for start != nil {
		if err := s.err(); err != nil {
			return err
		}
		n := 0
		var next []byte
		err := s.db.Scan(context.Background(), start, end, func(key, _ []byte) bool {
			if n++; n > filterPage {
				next = append(next, key...)
				return false
			}
			if len(key) == 3+16 {
				f.add(markID{binary.BigEndian.Uint16(key[1:]), hash128(key[3:])})
			}
			return true
		})
		if err != nil {
			return err
		}
		start = next
		runtime.Gosched()
	}
	f.complete.Store(true)
	return nil
}
