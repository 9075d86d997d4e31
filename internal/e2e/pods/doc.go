// Package pods has the tests that install the charts into a Kubernetes whose pods
// really run: make cluster-e2e. CONTRIBUTING.md says what is real there and what
// stands in for something.
package pods
