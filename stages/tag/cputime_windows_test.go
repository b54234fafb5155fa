package tag

import (
	"testing"
	"time"
)

var begun = time.Now()

// processorTime is the time that has passed: Windows counts that of processors in
// steps of 16 ms.
func processorTime(testing.TB) time.Duration { return time.Since(begun) }
