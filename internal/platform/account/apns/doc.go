// Package apns reads the certificates with which Apple's push service knows an app: PKCS#12 files as Apple's Keychain,
// OpenSSL and others export them, with the old ciphers (RC2, triple DES) and the new.
//
// A certificate is taken for what its extensions say; its chain is not verified, because Apple does that when it is
// used, and a self-made one does no harm but to its owner.
//
// No table. A file is read within a bounded time: key derivations of absurd length are refused before they begin.
package apns
