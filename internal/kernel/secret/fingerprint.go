package secret

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrOtherKeys is returned when keys and a stored fingerprint do not belong together.
var ErrOtherKeys = errors.New("secret: these are not the keys of this database")

// Fingerprint tells key material apart without revealing it: "id:<32 hex>,1:<32 hex>,2:<32 hex>", the id key and then
// each master key by version. The parts are HKDF outputs of random 256-bit keys.
func (k *Keys) Fingerprint() string {
	var b strings.Builder
	b.WriteString("id:" + keyPrint(&k.id))
	for i := range k.masters {
		m := &k.masters[i]
		b.WriteString("," + strconv.FormatUint(uint64(m.version), 10) + ":" + keyPrint(&m.key))
	}
	return b.String()
}

func keyPrint(key *[KeySize]byte) string {
	return hex.EncodeToString(derive(key[:], nil, "borealis/fingerprint/v1")[:16])
}

// Check compares k with the fingerprint in the database. nil: every key named there is here; if k has more (it was
// rotated), the caller stores the new Fingerprint. Otherwise the error is an ErrOtherKeys that says which is missing.
func (k *Keys) Check(stored string) error {
	have := map[string]bool{}
	for part := range strings.SplitSeq(k.Fingerprint(), ",") {
		have[part] = true
	}
	for part := range strings.SplitSeq(stored, ",") {
		if have[part] {
			continue
		}
		name, _, _ := strings.Cut(part, ":")
		switch {
		case name == "id":
			return fmt.Errorf("%w: the id key differs", ErrOtherKeys)
		case len(name) > 10:
			return fmt.Errorf("%w: the stored fingerprint is not readable", ErrOtherKeys)
		default:
			return fmt.Errorf("%w: master key %q is missing or differs", ErrOtherKeys, name)
		}
	}
	return nil
}
