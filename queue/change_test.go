package queue

import "testing"

// TestEveryChangeHasAKind fails when a kind of change is added that cannot travel.
func TestEveryChangeHasAKind(t *testing.T) {
	for kind := opAck; kind <= opDirectBury; kind++ {
		if changeKinds[kind] == 0 && kind != opAddName && kind != opDropName { // of Subscribe and Unsubscribe
			t.Errorf("op %d has no ChangeKind", kind)
		}
	}
}
