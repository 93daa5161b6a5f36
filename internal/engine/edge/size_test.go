package edge

import (
	"testing"
	"unsafe"
)

// TestSessionSize keeps the session in its size class: there is one per idle device.
func TestSessionSize(t *testing.T) {
	if size := unsafe.Sizeof(session{}); size > 160 {
		t.Fatalf("a session takes %d bytes, the size class has 160", size)
	}
}
