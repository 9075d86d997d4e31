// Package queue is the durable transaction queue: what was accepted executes at
// most once and is never lost.
//
// # Words
//
//   - A transaction is what a caller asked for. It has no nonce while queued.
//   - A slot is a nonce of a sender that was given out. It exists only together
//     with signed bytes.
//   - An attempt is signed bytes for a slot. Attempts of one slot exclude each
//     other on the chain, since they share its nonce.
//   - A lease lets one replica drive one sender for a while. Its epoch rises
//     with every new holder.
//
// # The life of a transaction
//
//	queued ── signed ── submitted ── mined ── confirmed | reverted
//	   └─ rejected | cancelled | expired        (no nonce was ever used)
//
// transition.go has the whole table; the database refuses every other move.
//
// # Why it is safe
//
// Allocation is fenced, broadcast is idempotent:
//
//  1. Accepting is one SQL transaction; the idempotency key is a unique index.
//  2. A nonce, the signed bytes and the new next_nonce are committed in one SQL
//     transaction that requires the lease's epoch and the expected next_nonce to
//     be unchanged (Store.Commit). A replica that lost its lease, however late
//     it wakes up, changes nothing.
//  3. A partial unique index allows one live slot for a transaction.
//     Another price, or a cancellation, is another attempt for the same slot.
//  4. Only committed bytes are sent, and any number of times. No answer of a
//     node frees a slot: from "signed" on, only the chain ends a transaction.
//
// # Who writes
//
// The driver of a sender is the only goroutine of the process that moves that
// sender's slots, so it needs no locks. The watcher follows the chain and hands
// each driver what it saw; the keeper holds the leases and starts and stops
// drivers. All of them run inside Queue.Run. What several drivers do at the same
// time is one statement, or one batch to the node (gather, shared).
package queue
