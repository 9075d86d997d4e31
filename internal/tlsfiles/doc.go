// Package tlsfiles serves TLS with a certificate, a key and a CA that lie in
// files, and takes new ones over when the files change, as cert-manager and
// Kubernetes change them: for connections that begin from then on, while open
// ones go on.
package tlsfiles
