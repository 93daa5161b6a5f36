package gate

import (
	"crypto/sha256"
	"errors"
)

// Group is a set of apps of one developer with credentials of its own: a call with them goes to all its apps. It is
// immutable.
type Group struct {
	ID int64
	// Key is the public GroupKey, 24 characters of [A-Za-z0-9]; callers name it with "group-" before it.
	Key  string
	Name string
	// Developer is the number of the developer it belongs to.
	Developer int64
	// SecretHash is the SHA-256 of the group's master secret.
	SecretHash [sha256.Size]byte
	// Apps are the numbers of its apps, in ascending order.
	Apps []int64
	// Revision rises with every change.
	Revision int64
}

// Developer is who makes apps through the API. It is immutable.
type Developer struct {
	ID int64
	// Key is the public DevKey, 24 characters of [A-Za-z0-9].
	Key  string
	Name string
	// SecretHash is the SHA-256 of the DevSecret.
	SecretHash [sha256.Size]byte
	// Files may upload files for pushes to groups.
	Files bool
	// Revision rises with every change.
	Revision int64
}

// ErrUnknownGroup and ErrUnknownDeveloper say that nobody has the key.
var (
	ErrUnknownGroup     = errors.New("no group has this key")
	ErrUnknownDeveloper = errors.New("no developer has this key")
)

// PublishGroup makes a group known, or replaces what was known of it unless that is newer.
func (g *Gate) PublishGroup(group Group) {
	g.groups.publish(group.Key, group.ID, group.Revision, &group)
}

// WithdrawGroup forgets a group as of a revision: facts that are older do not bring it back.
func (g *Gate) WithdrawGroup(id, revision int64) { g.groups.withdraw(id, revision) }

// PublishDeveloper makes a developer known, or replaces what was known of them unless that is newer.
func (g *Gate) PublishDeveloper(d Developer) { g.developers.publish(d.Key, d.ID, d.Revision, &d) }

// GroupByID returns the group with the internal number, or nil.
func (g *Gate) GroupByID(id int64) *Group { return g.groups.get(id) }

// DeveloperByID returns the developer with the internal number, or nil.
func (g *Gate) DeveloperByID(id int64) *Developer { return g.developers.get(id) }

// AuthenticateGroup finds the group of a pair of GroupKey (without "group-") and master secret.
func (g *Gate) AuthenticateGroup(key, secret string) (*Group, error) {
	group := g.groups.find(key)
	if group == nil {
		return nil, ErrUnknownGroup
	}
	if !sameSecret(group.SecretHash, secret) {
		return nil, ErrWrongSecret
	}
	return group, nil
}

// AuthenticateDeveloper finds the developer of a pair of DevKey and DevSecret.
func (g *Gate) AuthenticateDeveloper(key, secret string) (*Developer, error) {
	developer := g.developers.find(key)
	if developer == nil {
		return nil, ErrUnknownDeveloper
	}
	if !sameSecret(developer.SecretHash, secret) {
		return nil, ErrWrongSecret
	}
	return developer, nil
}
