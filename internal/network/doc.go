// Package network makes the material of a Besu network, its keys, genesis file,
// static nodes and everything that is read by name, and writes it to a screen,
// a folder or Kubernetes objects.
//
// Keys are drawn in NewKeys and nowhere else. All other material is derived
// from the keys and a Spec, so the same keys give the same network.
//
// The packages below it put the material into a cluster (cluster), and change
// the set of validators of a running network (validators).
package network
