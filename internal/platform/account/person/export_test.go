package person

import (
	"errors"

	"github.com/go-webauthn/webauthn/protocol"
)

// CheckAnswers parses what an authenticator is said to have answered, as both ceremonies do.
func CheckAnswers(answer []byte) error {
	_, created := protocol.ParseCredentialCreationResponseBytes(answer)
	_, asserted := protocol.ParseCredentialRequestResponseBytes(answer)
	if created == nil || asserted == nil {
		return nil
	}
	return errors.Join(created, asserted)
}
