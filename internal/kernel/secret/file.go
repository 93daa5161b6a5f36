package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Bounds of the key file.
const (
	maxMasters  = 1000
	maxFileSize = 128 << 10
	fileFormat  = "borealis-keys-1"
)

// ErrKeysLost is returned by LoadOrCreate when there is no key file but the database knows keys: creating new ones
// would make its contents unreadable and its ids worthless.
var ErrKeysLost = errors.New("secret: the key file is missing, but the database was made with keys: put that file back")

// fileBody is the key file: JSON, mode 0600.
type fileBody struct {
	Format string `json:"format"`
	// ID is the id key, base64.
	ID string `json:"id"`
	// Masters are the master keys, base64, by version.
	Masters []fileMaster `json:"masters"`
}

type fileMaster struct {
	Version uint32 `json:"version"`
	Key     string `json:"key"`
}

// Marshal is the contents of the key file. It is secret.
func (k *Keys) Marshal() ([]byte, error) {
	body := fileBody{Format: fileFormat, ID: base64.StdEncoding.EncodeToString(k.id[:])}
	for i := range k.masters {
		m := &k.masters[i]
		body.Masters = append(body.Masters, fileMaster{Version: m.version, Key: base64.StdEncoding.EncodeToString(m.key[:])})
	}
	data, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("secret: encode keys: %w", err)
	}
	return append(data, '\n'), nil
}

// Parse reads what Marshal wrote. Its errors never quote the contents.
func Parse(data []byte) (*Keys, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var body fileBody
	if err := dec.Decode(&body); err != nil {
		return nil, errors.New("secret: the key file is not the JSON it should be")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("secret: the key file goes on after its end")
	}
	if body.Format != fileFormat {
		return nil, fmt.Errorf("secret: the key file is not of format %s", fileFormat)
	}
	if n := len(body.Masters); n == 0 || n > maxMasters {
		return nil, fmt.Errorf("secret: the key file has %d master keys, it must have 1 to %d", n, maxMasters)
	}
	k := &Keys{}
	if err := decodeKey(&k.id, body.ID); err != nil {
		return nil, fmt.Errorf("secret: id key: %w", err)
	}
	last := uint32(0)
	for _, m := range body.Masters {
		if m.Version <= last {
			return nil, errors.New("secret: the versions of the master keys must start at 1 or above and ascend")
		}
		last = m.Version
		mk := masterKey{version: m.Version}
		if err := decodeKey(&mk.key, m.Key); err != nil {
			return nil, fmt.Errorf("secret: master key %d: %w", m.Version, err)
		}
		k.masters = append(k.masters, mk)
	}
	return k, nil
}

func decodeKey(key *[KeySize]byte, text string) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != KeySize {
		return errors.New("must be the base64 of " + strconv.Itoa(KeySize) + " bytes")
	}
	if allZero(raw) {
		return errors.New("is all zero")
	}
	copy(key[:], raw)
	return nil
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// Load reads a key file. It refuses one that others may read: mode 0600 or stricter; a file that root owns may be
// readable by its group (that is how secrets are mounted into containers). errors.Is(err, fs.ErrNotExist) if absent.
func Load(path string) (*Keys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("secret: key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("secret: key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("secret: key file %s is not a regular file", path)
	}
	if bad := info.Mode().Perm() & forbidden(info); bad != 0 {
		return nil, fmt.Errorf("secret: key file %s has mode %04o and can be used by others: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("secret: key file %s: %w", path, err)
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("secret: key file %s is larger than %d bytes", path, maxFileSize)
	}
	k, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return k, nil
}

// forbidden are the permission bits a key file must not have.
func forbidden(info fs.FileInfo) fs.FileMode {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid == 0 {
		return 0o037
	}
	return 0o077
}

// Create writes new key material to path, which must not exist (errors.Is(err, fs.ErrExist) otherwise). The file is
// complete and on disk when it appears under its name, whatever dies meanwhile.
func Create(path string) (*Keys, error) {
	k := Generate()
	if err := k.write(path, os.Link); err != nil {
		return nil, err
	}
	return k, nil
}

// Save replaces the key file at path by k, atomically.
func (k *Keys) Save(path string) error { return k.write(path, os.Rename) }

// LoadOrCreate loads path, or creates it on the first start. known is the fingerprint that the database holds, empty
// if it holds none. Errors: ErrKeysLost, ErrOtherKeys, those of Load.
func LoadOrCreate(path, known string) (*Keys, error) {
	k, err := Load(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && known != "":
		return nil, fmt.Errorf("%w (%s)", ErrKeysLost, path)
	case errors.Is(err, fs.ErrNotExist):
		return Create(path)
	case err != nil:
		return nil, err
	}
	if known != "" {
		if err := k.Check(known); err != nil {
			return nil, fmt.Errorf("key file %s: %w", path, err)
		}
	}
	return k, nil
}

// write makes a temporary file in the same directory, syncs it, gives it its name with place (os.Link refuses an
// existing name, os.Rename replaces it) and syncs the directory.
func (k *Keys) write(path string, place func(from, to string) error) (err error) {
	data, err := k.Marshal()
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".keys-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("secret: write keys: %w", err)
	}
	defer func() {
		// After a rename the temporary name is gone, and that is right.
		if rm := os.Remove(f.Name()); rm != nil && !errors.Is(rm, fs.ErrNotExist) && err == nil {
			err = fmt.Errorf("secret: write keys: %w", rm)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = place(f.Name(), path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("secret: write keys to %s: %w", path, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
