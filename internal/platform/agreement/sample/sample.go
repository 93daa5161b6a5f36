// Package sample holds neutral texts to begin with: a user agreement, a privacy policy and the terms of one service, in
// Chinese and English. They are no legal advice; an operator replaces them or has them reviewed. What differs from one
// installation to the next stands in placeholders, see Values.
package sample

import (
	"embed"
	"fmt"

	"borealis/internal/platform/agreement/legaltext"
)

//go:embed *.md
var files embed.FS

// Values are what the texts name of an installation.
type Values struct {
	// Operator is the name of the company, Address where it is registered.
	Operator, Address string
	// ContactEmail and ContactPhone are where users turn to.
	ContactEmail, ContactPhone string
	// Court has jurisdiction.
	Court string
}

// Map is the values by the names of the placeholders.
func (v Values) Map() map[string]string {
	return map[string]string{
		"operator": v.Operator, "address": v.Address, "contact_email": v.ContactEmail, "contact_phone": v.ContactPhone, "court": v.Court,
	}
}

// Texts are the samples with v filled in. It is a *legaltext.FieldError if a value is missing.
func Texts(v Values) ([]legaltext.Pair, error) {
	pairs, err := legaltext.ReadFolder(files, ".", v.Map())
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	return pairs, nil
}
