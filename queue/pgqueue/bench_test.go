package pgqueue_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/seed-301537d8/weir/queue/driver"
)

func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n, " writes"), func(b *testing.B) {
			db, err := storeSchema(newSchema()).Driver()
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			value := make([]byte, 200)
			i := 0
			for b.Loop() {
				writes := make([]driver.Write, 0, n+1)
				for range n {
					i++
					writes = append(writes, driver.Write{Key: fmt.Appendf(nil, "i%012d", i), Value: value})
				}
				writes = append(writes, driver.Write{Key: []byte("c"), Value: value})
				if err := db.Commit(context.Background(), writes); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/write")
		})
	}
}
