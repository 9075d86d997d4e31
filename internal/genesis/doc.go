// Package genesis is the material of a Besu network that needs no I/O: node
// keys, the extraData of QBFT and IBFT 2.0, the genesis file, its hash as Besu
// computes it, and enode URLs. The same input gives the same bytes, always.
package genesis
