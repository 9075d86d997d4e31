// Package chaos holds the proof that the signer executes everything it accepts
// exactly once: one test for each row of the fault matrix in
// docs/reliability.md. The signer runs as processes of its own, built with the
// tag failpoints; PostgreSQL, the gateway and the chain are real. The judge is
// a contract that counts how often it was hit, and the blocks of the chain.
//
// SLIPWAY_CHAOS=long makes the rows long (make chaos); SLIPWAY_CHAOS=mutants
// checks that they fail when a protection is taken out (make chaos-mutants).
package chaos
