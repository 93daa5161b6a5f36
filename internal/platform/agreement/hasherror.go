package agreement

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that a HashError is, for errors.Is.
var (
	// ErrHashMissing: no hash was given. Answer 422.
	ErrHashMissing = errors.New("agreement: the hash of what is agreed to is missing")
	// ErrHashOutdated: the hash is not of what is in effect. Answer 409.
	ErrHashOutdated = errors.New("agreement: the hash is not of what is in effect")
)

// HashProblem is a set that was not agreed to as it is in effect.
type HashProblem struct {
	Set string `json:"set"`
	// Given is what came, Current what had to come.
	Given   string `json:"given"`
	Current string `json:"current"`
}

// HashError names every set whose hash is missing or not the one in effect, and the right hashes.
type HashError struct{ Problems []HashProblem }

// Error makes HashError an error.
func (e *HashError) Error() string {
	var list []string
	for _, p := range e.Problems {
		if p.Given == "" {
			list = append(list, fmt.Sprintf("%s: no hash given, %s is in effect", p.Set, p.Current))
		} else {
			list = append(list, fmt.Sprintf("%s: %.64q is not in effect, %s is", p.Set, p.Given, p.Current))
		}
	}
	return "agreement: " + strings.Join(list, "; ")
}

// Is tells the two kinds apart; a hash that is missing goes before one that is outdated.
func (e *HashError) Is(target error) bool {
	missing := false
	for _, p := range e.Problems {
		missing = missing || p.Given == ""
	}
	return missing && target == ErrHashMissing || !missing && target == ErrHashOutdated
}

func hashProblem(set, given, current string) error {
	return &HashError{Problems: []HashProblem{{Set: set, Given: given, Current: current}}}
}
