// Package access knows the signer's callers: by API keys, by tokens of an
// identity provider (JWT), by client certificates and by the network they call from. It says on behalf of which
// tenant a caller acts and which roles it has.
//
// Keys are 256 random bits, of which the database has the SHA-256 hash and a
// part that names them. Two keys of one caller may be active at a time, so that
// one can be replaced without an interruption.
package access
