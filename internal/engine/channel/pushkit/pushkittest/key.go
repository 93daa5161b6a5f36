// Package pushkittest makes keys of service accounts for tests of what signs with them.
package pushkittest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"sync"
)

// Project is the project of every key.
const Project = "388421841221"

var privateKey = sync.OnceValue(func() string { return NewKey(2048) })

// NewKey is a new RSA key in PEM.
func NewKey(bits int) string {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// KeyFile is the file of a service account's key as Huawei gives it, changed by pairs of a field and its value. The key is
// the same in all of a process, unless it is changed.
func KeyFile(change ...string) json.RawMessage {
	file := map[string]string{
		"project_id": Project, "key_id": "k-1", "private_key": privateKey(), "sub_account": "110001",
		"auth_uri": "https://oauth-login.cloud.huawei.com/oauth2/v3/authorize", "token_uri": "https://oauth-login.cloud.huawei.com/oauth2/v3/token",
		"auth_provider_cert_uri": "https://oauth-login.cloud.huawei.com/oauth2/v3/certs",
		"client_cert_uri":        "https://oauth-login.cloud.huawei.com/oauth2/v3/x509?client_id=",
	}
	for i := 0; i < len(change); i += 2 {
		file[change[i]] = change[i+1]
	}
	raw, err := json.Marshal(file)
	if err != nil {
		panic(err)
	}
	return raw
}
