package jpushimport

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Counts say how far a run is.
type Counts struct {
	// Created devices, Updated ones, Known ones that stayed as they were, those that were Claimed or are Gone by now.
	Created int `json:"created"`
	Updated int `json:"updated"`
	Known   int `json:"known"`
	Claimed int `json:"claimed"`
	Gone    int `json:"gone"`
	// Bad lines were not imported.
	Bad int `json:"bad"`
}

// Devices is how many devices the lines had that were dealt with.
func (c Counts) Devices() int { return c.Created + c.Updated + c.Known + c.Claimed + c.Gone + c.Bad }

// State remembers in a file how far a run came, and is deleted at its end. The zero value remembers nothing.
type State struct {
	saved
	path string
}

type saved struct {
	// Input says what is imported: of another input the state is not used.
	Input string `json:"input"`
	// Lines are dealt with up to this number.
	Lines  int    `json:"lines"`
	Counts Counts `json:"counts"`
}

// OpenState reads what a run of the same input left, if it did not end.
func OpenState(path, input string) (*State, error) {
	s := &State{path: path, saved: saved{Input: input}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	var old saved
	if err := json.Unmarshal(data, &old); err != nil {
		return nil, fmt.Errorf("%s is not the state of an import: %w", path, err)
	}
	if old.Input != input {
		return nil, fmt.Errorf("%s is the state of another import; delete it, or name another file", path)
	}
	s.saved = old
	return s, nil
}

// save replaces the file by one that is complete.
func (s *State) save() error {
	if s.path == "" {
		return nil
	}
	data, err := json.Marshal(s.saved)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*")
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	_, err = tmp.Write(append(data, '\n'))
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), s.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("save state: %w", err), os.Remove(tmp.Name()))
	}
	return nil
}

// done deletes the file.
func (s *State) done() error {
	if s.path == "" {
		return nil
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete state: %w", err)
	}
	return nil
}
