// Package memory has the settings with which weir crawls in under 200 MB. The
// benchmark uses them too, so that it measures what people run.
package memory

import (
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// MaxItem is the largest item in bytes, compressed, of a crawl's store: what one in a
// folder takes, so that one in a database has none that it could not.
const MaxItem = 1_200_000

// StoreOptions returns the options of a crawl's store. A page may take a
// thirteenth of a memtable, compressed, on its way to the next stage. And as pages
// come from the network, nobody minds if one is stored some milliseconds later.
func StoreOptions() *badgerqueue.Options {
	return &badgerqueue.Options{
		MemTable:  16 << 20,
		MaxMapped: maxMapped,
		Queue:     queue.Options{CommitDelay: 10 * time.Millisecond, SeenMemory: 2 << 20, GroupMemory: 16 << 10, MaxItem: MaxItem},
	}
}

// maxMapped is for mapped files, of which the program itself is 30 MB.
const maxMapped = 64 << 20

// SeedOptions returns the options of a crawl's store while a file of seeds, which are
// small, is read into it. What is large of a store is large in proportion to memtables:
// they themselves, and what makes tables of them and compacts these.
func SeedOptions() *badgerqueue.Options {
	o := StoreOptions()
	o.MemTable, o.Queue.MaxItem = 3<<20, 0
	o.MaxMapped = 36 << 20
	o.Queue.ItemMemory, o.Queue.GroupMemory = 4<<20, 8192 // nobody takes any yet
	return o
}
