// Package archtest holds tests over the tree itself: who may import whom, how folders are named, how long files are,
// that every dependency has its reason and that links in documents lead somewhere. It has no other code.
package archtest
