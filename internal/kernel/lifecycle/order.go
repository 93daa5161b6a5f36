package lifecycle

import (
	"fmt"
	"strings"
)

// order sorts modules topologically, keeping the given order where the needs leave it open.
func order(modules []Module) ([]Module, error) {
	byName := make(map[string]*Module, len(modules))
	for i := range modules {
		m := &modules[i]
		if m.Name == "" {
			return nil, fmt.Errorf("lifecycle: module %d has no name", i)
		}
		if byName[m.Name] != nil {
			return nil, fmt.Errorf("lifecycle: two modules are named %q", m.Name)
		}
		byName[m.Name] = m
	}
	s := sorter{byName: byName, placed: map[string]bool{}}
	for i := range modules {
		if err := s.place(&modules[i]); err != nil {
			return nil, err
		}
	}
	return s.ordered, nil
}

type sorter struct {
	byName  map[string]*Module
	placed  map[string]bool
	path    []string // the chain of needs being followed
	ordered []Module
}

func (s *sorter) place(m *Module) error {
	if s.placed[m.Name] {
		return nil
	}
	for i, name := range s.path {
		if name == m.Name {
			return fmt.Errorf("lifecycle: modules need each other in a circle: %s", strings.Join(append(s.path[i:], m.Name), " → "))
		}
	}
	s.path = append(s.path, m.Name)
	for _, need := range m.Needs {
		dep := s.byName[need]
		if dep == nil {
			return fmt.Errorf("lifecycle: module %q needs %q, which does not exist", m.Name, need)
		}
		if err := s.place(dep); err != nil {
			return err
		}
	}
	s.path = s.path[:len(s.path)-1]
	s.placed[m.Name] = true
	s.ordered = append(s.ordered, *m)
	return nil
}
