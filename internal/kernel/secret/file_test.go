package secret

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestCreateAndLoad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	k, err := LoadOrCreate(path, "")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, err := LoadOrCreate(path, k.Fingerprint())
	if err != nil || again.Fingerprint() != k.Fingerprint() {
		t.Errorf("loaded again: %v", err)
	}
	if _, err := Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created over an existing file: %v", err)
	}
	if _, err := LoadOrCreate(path, Generate().Fingerprint()); !errors.Is(err, ErrOtherKeys) {
		t.Errorf("other database: %v", err)
	}
	onlyFile(t, path)
}

func TestRefusesToReplaceLostKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	if _, err := LoadOrCreate(path, Generate().Fingerprint()); !errors.Is(err, ErrKeysLost) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}

func TestSaveReplaces(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	k, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	k2, err := k.Rotate()
	if err != nil {
		t.Fatal(err)
	}
	if err := k2.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || got.Fingerprint() != k2.Fingerprint() {
		t.Errorf("loaded %v", err)
	}
	onlyFile(t, path)
}

// Of several processes that start on one empty directory, all use the keys of one.
func TestConcurrentCreateHasOneWinner(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	var wg sync.WaitGroup
	results := make(chan error, 8)
	for range cap(results) {
		wg.Go(func() { _, err := Create(path); results <- err })
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, fs.ErrExist):
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d created the file", won)
	}
	onlyFile(t, path)
}

func TestLoadRefusesOpenPermissions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	if _, err := Create(path); err != nil {
		t.Fatal(err)
	}
	groupRead := os.Getuid() == 0 // root's files may be readable by their group
	for mode, ok := range map[fs.FileMode]bool{0o600: true, 0o400: true, 0o640: groupRead, 0o440: groupRead, 0o644: false, 0o660: false, 0o604: false, 0o610: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if ok != (err == nil) {
			t.Errorf("mode %04o: %v", mode, err)
		}
		if !ok && (err == nil || !strings.Contains(err.Error(), "chmod 600")) {
			t.Errorf("mode %04o: the error does not help: %v", mode, err)
		}
	}
	if _, err := Load(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
	cases := map[string]string{
		"nothing":        "",
		"no JSON":        "hunter2",
		"other format":   `{"format":"x","id":"` + key + `","masters":[{"version":1,"key":"` + key + `"}]}`,
		"no master":      `{"format":"borealis-keys-1","id":"` + key + `","masters":[]}`,
		"short id":       `{"format":"borealis-keys-1","id":"AQEB","masters":[{"version":1,"key":"` + key + `"}]}`,
		"version 0":      `{"format":"borealis-keys-1","id":"` + key + `","masters":[{"version":0,"key":"` + key + `"}]}`,
		"version twice":  `{"format":"borealis-keys-1","id":"` + key + `","masters":[{"version":1,"key":"` + key + `"},{"version":1,"key":"` + key + `"}]}`,
		"zero key":       `{"format":"borealis-keys-1","id":"` + strings.Repeat("A", 43) + `=","masters":[{"version":1,"key":"` + key + `"}]}`,
		"unknown member": `{"format":"borealis-keys-1","hunter2":1}`,
		"trailing":       `{"format":"borealis-keys-1","id":"` + key + `","masters":[{"version":1,"key":"` + key + `"}]} {}`,
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(text))
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "AQEB") {
				t.Errorf("the error quotes the file: %v", err)
			}
		})
	}
}

func TestLoadRefusesHugeFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, make([]byte, maxFileSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}

// onlyFile checks that no temporary file was left beside path.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("directory %v, %v", entries, err)
	}
}
