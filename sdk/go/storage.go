package borealis

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Storage keeps a few named documents. A client makes one call at a time.
type Storage interface {
	// Get returns a document, nil if there is none.
	Get(name string) ([]byte, error)
	// Put replaces a document, whole or not at all. It must have survived when the process dies after Put returned.
	Put(name string, document []byte) error
	// Remove deletes a document; it is no error if there is none.
	Remove(name string) error
}

// FileStorage is a directory with a file for each document.
type FileStorage struct{ dir string }

// OpenFileStorage makes the directory, readable by its owner alone, if it is not there.
func OpenFileStorage(dir string) (*FileStorage, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("borealis: storage: %w", err)
	}
	return &FileStorage{dir}, nil
}

func (s *FileStorage) file(name string) string { return filepath.Join(s.dir, name+".json") }

// Get implements Storage.
func (s *FileStorage) Get(name string) ([]byte, error) {
	data, err := os.ReadFile(s.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Put implements Storage. The file is complete on the disk before it takes the place of the older one.
func (s *FileStorage) Put(name string, document []byte) (err error) {
	f, err := os.CreateTemp(s.dir, name+"-*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(document)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), s.file(name))
}

// Remove implements Storage.
func (s *FileStorage) Remove(name string) error {
	err := os.Remove(s.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// MemoryStorage forgets everything with the process: the device is a new one each time. The zero value is ready.
type MemoryStorage struct {
	mu        sync.Mutex
	documents map[string][]byte
}

// Get implements Storage.
func (s *MemoryStorage) Get(name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.documents[name], nil
}

// Put implements Storage.
func (s *MemoryStorage) Put(name string, document []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.documents == nil {
		s.documents = map[string][]byte{}
	}
	s.documents[name] = document
	return nil
}

// Remove implements Storage.
func (s *MemoryStorage) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.documents, name)
	return nil
}
