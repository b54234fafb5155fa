package memqueue_test

import (
	"testing"

	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// disk makes a memqueue.Disk a queuetest.Disk.
type disk struct{ *memqueue.Disk }

func (d disk) Crash(testing.TB) queuetest.Disk { return disk{d.Clone()} }

func harness(testing.TB) queuetest.Disk { return disk{memqueue.NewDisk()} }

func TestDriver(t *testing.T) { queuetest.RunDriver(t, harness) }

func TestQueue(t *testing.T) { queuetest.Run(t, harness) }

func TestCrashAtEveryWrite(t *testing.T) { queuetest.CrashAtEveryWrite(t, harness, 1) }

func TestConserve(t *testing.T) { queuetest.Conserve(t, harness, 10) }

func TestModel(t *testing.T) { queuetest.Model(t, harness, 60) }
