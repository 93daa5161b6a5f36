package borealis

import (
	"os"
	"path/filepath"
	"testing"
)

func TestStorages(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	file, err := OpenFileStorage(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Storage{"file": file, "memory": &MemoryStorage{}} {
		if data, err := s.Get("x"); data != nil || err != nil {
			t.Errorf("%s: nothing is %q %v", name, data, err)
		}
		if err := s.Remove("x"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range []string{"one", "longer", ""} {
			if err := s.Put("x", []byte(text)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if data, err := s.Get("x"); string(data) != text || err != nil {
				t.Errorf("%s: %q is %q %v", name, text, data, err)
			}
		}
		if err := s.Remove("x"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if data, err := s.Get("x"); data != nil || err != nil {
			t.Errorf("%s: removed is %q %v", name, data, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestBrokenDocumentsAreReported(t *testing.T) {
	t.Parallel()
	s := &MemoryStorage{}
	if err := s.Put(docSeen, []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Server: "http://one.example", AppKey: "k", Platform: "iot", Storage: s}); err == nil {
		t.Error("no error")
	}
}
