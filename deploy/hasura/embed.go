// Package hasura holds the signer's actions for Hasura, as its metadata has them.
package hasura

import _ "embed"

// Actions is actions.yaml: the operations and the names of their types.
//
//go:embed actions.yaml
var Actions []byte

// Types is actions.graphql: the operations' arguments and results.
//
//go:embed actions.graphql
var Types string
