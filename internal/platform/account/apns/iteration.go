package apns

import (
	"encoding/asn1"
	"errors"
	"slices"
)

const (
	// maxIterations of one key derivation; exports of today have 2,000 to 600,000, which take up to half a second.
	maxIterations = 1_000_000
	// maxDerivations of one file: real ones have three or four, for the certificates, the key and the checksum.
	maxDerivations = 6
	// maxDepth of nested values; real files have 12.
	maxDepth = 24
)

var (
	errMalformed  = errors.New("not a PKCS#12 file")
	errIterations = errors.New("its keys take too long to derive")
)

// Prefixes of the object ids of password-based encryption (PKCS#12) and of PBKDF2, whose parameters begin with a salt
// and the number of iterations.
var (
	oidPBE    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
)

// checkIterations looks at every key derivation that can be seen without deriving a key. One of a key bag inside of
// encrypted content, as no known exporter writes it, is not seen; the caller bounds how many files are read at once.
func checkIterations(file []byte) error {
	var pfx struct {
		Version int
		Safe    asn1.RawValue
		Mac     struct {
			Digest     asn1.RawValue
			Salt       []byte
			Iterations int `asn1:"optional,default:1"`
		} `asn1:"optional"`
	}
	if rest, err := asn1.Unmarshal(file, &pfx); err != nil || len(rest) > 0 {
		return errMalformed
	}
	s := scan{}
	if !s.allows(pfx.Mac.Iterations) {
		return errIterations
	}
	return s.values(file, 0)
}

type scan struct{ derivations int }

// allows counts a derivation. A missing number, as in a file without a checksum, is 0.
func (s *scan) allows(iterations int) bool {
	s.derivations++
	return iterations >= 0 && iterations <= maxIterations && s.derivations <= maxDerivations
}

// values walks over a concatenation of values, and into whatever has values inside.
func (s *scan) values(data []byte, depth int) error {
	if depth > maxDepth {
		return errMalformed
	}
	for len(data) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(data, &v)
		if err != nil {
			return errMalformed
		}
		data = rest
		if err := s.value(v, depth); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) value(v asn1.RawValue, depth int) error {
	if v.Class == asn1.ClassUniversal && v.Tag == asn1.TagSequence {
		if n, is := iterations(v.FullBytes); is && !s.allows(n) {
			return errIterations
		}
	}
	switch {
	case v.IsCompound:
		return s.values(v.Bytes, depth+1)
	case v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString:
		// Most are not values themselves but keys, salts and ciphertexts.
		if err := s.values(v.Bytes, depth+1); errors.Is(err, errIterations) {
			return err
		}
	}
	return nil
}

// iterations is the number in an AlgorithmIdentifier of a key derivation. A number that is too large to be read is -1.
func iterations(sequence []byte) (n int, is bool) {
	var algorithm struct {
		ID         asn1.ObjectIdentifier
		Parameters asn1.RawValue
	}
	if _, err := asn1.Unmarshal(sequence, &algorithm); err != nil {
		return 0, false
	}
	id := algorithm.ID
	if !id.Equal(oidPBKDF2) && (len(id) != len(oidPBE)+1 || !slices.Equal(id[:len(oidPBE)], oidPBE)) {
		return 0, false
	}
	var salt asn1.RawValue
	rest, err := asn1.Unmarshal(algorithm.Parameters.Bytes, &salt)
	if err != nil {
		return -1, true
	}
	if _, err := asn1.Unmarshal(rest, &n); err != nil {
		return -1, true
	}
	return n, true
}
