package borealis

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Bounds of what is kept.
const (
	maxSeen     = 500
	maxReceipts = 1000
	batchSize   = 100
	maxTags     = 1000 // in one pending change
	maxMembers  = 64   // attributes, token channels
)

// Names of the documents in the storage.
const (
	docIdentity = "identity"
	docProfile  = "profile"
	docReceipts = "receipts"
	docSeen     = "seen"
)

// identity is who the device is. It is empty before consent.
type identity struct {
	Consent        *consent `json:"consent,omitempty"`
	InstallID      string   `json:"install_id,omitempty"`
	RegistrationID string   `json:"registration_id,omitempty"`
	Secret         string   `json:"secret,omitempty"`
	MQTT           []string `json:"mqtt,omitempty"`
	KeepAlive      int      `json:"keep_alive,omitempty"` // seconds
	// Known is the last registration id, also after it became void.
	Known string `json:"known,omitempty"`
	// Offset is the server's clock minus the device's, ms.
	Offset int64 `json:"offset,omitempty"`
	// Ending is the identity whose end the server has not heard of.
	Ending *credentials `json:"ending,omitempty"`
}

type credentials struct {
	RegistrationID string `json:"registration_id"`
	Secret         string `json:"secret"`
}

// words are what the program said of the device.
type words struct {
	// Said is all of it, for a new registration.
	Said profile `json:"said"`
	// Pending is what the server has not acknowledged.
	Pending profile `json:"pending"`
	// Tokens by channel, and those of them that wait for the server.
	Tokens        map[string]Token `json:"tokens,omitempty"`
	PendingTokens map[string]Token `json:"pending_tokens,omitempty"`
	// Off and Silence are obeyed here too.
	Off     bool     `json:"off,omitempty"`
	Silence *Silence `json:"silence,omitempty"`
}

// seen are the messages that need not be shown any more, the oldest first.
type seen struct {
	// Messages are "type/id" of those that were handed over, or never will be.
	Messages []string `json:"messages"`
	// Gone are ids that were withdrawn or overridden.
	Gone []string `json:"gone"`
}

// state is everything a client remembers.
type state struct {
	identity identity
	words    words
	receipts []receipt
	seen     seen
}

func load(s Storage) (*state, error) {
	st := &state{}
	for name, into := range map[string]any{docIdentity: &st.identity, docProfile: &st.words, docReceipts: &st.receipts, docSeen: &st.seen} {
		data, err := s.Get(name)
		if err != nil {
			return nil, fmt.Errorf("borealis: read %s: %w", name, err)
		}
		if len(data) == 0 {
			continue
		}
		if err := json.Unmarshal(data, into); err != nil {
			return nil, fmt.Errorf("borealis: read %s: %w", name, err)
		}
	}
	return st, nil
}

func put(s Storage, name string, document any) error {
	data, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("borealis: encode %s: %w", name, err)
	}
	if err := s.Put(name, data); err != nil {
		return fmt.Errorf("borealis: store %s: %w", name, err)
	}
	return nil
}

// bounded appends v and drops the oldest beyond limit; the result is a list of its own.
func bounded(list []string, v string, limit int) []string {
	out := append(slices.Clone(list), v)
	return out[max(0, len(out)-limit):]
}

// anew makes everything that was said wait for the server again.
func (w *words) anew() {
	w.Pending = w.Said.forNew()
	w.PendingTokens = map[string]Token{}
	for channel, t := range w.Tokens {
		if t.Token != "" {
			w.PendingTokens[channel] = t
		}
	}
}

// clone is a copy that can be changed.
func (w *words) clone() words {
	out := *w
	out.Tokens, out.PendingTokens = maps.Clone(w.Tokens), maps.Clone(w.PendingTokens)
	return out
}
