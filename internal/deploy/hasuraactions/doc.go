// Package hasuraactions writes the signer's actions into the metadata of a
// Hasura, and leaves everything else in it as it is.
package hasuraactions
