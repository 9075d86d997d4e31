// Package cluster puts a network's material into Kubernetes and reads it back.
//
// A network is one Secret, its record, made by one atomic create; whoever makes
// it has decided what the network is. Everything else is derived from it, so a
// run that was cut off anywhere, a second run and two runs at once end in the
// same network. Nothing is ever overwritten but the list of static nodes.
package cluster
