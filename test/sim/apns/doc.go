// Package apns is Apple's push service as its clients see it, from Apple's documents: HTTP/2, with TLS (TLSConfig) or without, provider
// tokens and client certificates, every rule about headers, topics, push types and sizes, and broadcast channels.
//
// Requests of the environment for development have /sandbox in front of their path. Certificates need TLS. What Apple takes and
// then drops (an alert push with nothing to show, a date that is over) is taken and listed by Dropped.
package apns
