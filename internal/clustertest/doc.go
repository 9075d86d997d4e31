// Package clustertest is a Kubernetes API server for tests.
//
// By default it is an imitation in the test's own process: ConfigMaps and
// Secrets, conflicts, dry runs, immutability, pages, and Roles. Where the
// variable SLIPWAY_CLUSTER names a folder with etcd and kube-apiserver, as
// `make cluster-test` builds them, the same tests run against these. RunNode
// adds a machine whose pods really run; test/clusternode is its program.
package clustertest
