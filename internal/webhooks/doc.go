// Package webhooks tells receivers of events by HTTP: at least once, in the
// order of each transaction, signed, and only where it may.
//
// # How an event travels
//
//	tx_events ── fan-out ── webhook_deliveries ── dispatch ── POST
//
// The fan-out follows the history (package events) and makes one row for each
// webhook that wants an event, in the same SQL transaction that moves its
// position: no event is passed over, none becomes two rows. One replica does it
// at a time; the others find its row locked.
//
// The dispatcher of every replica claims rows that are due. A claim is a lease:
// it moves next_at to the end of the lease and counts the attempt, and only the
// holder of the latest attempt may report. A replica that is killed loses its
// leases after a while and others try again, so a receiver may see a delivery
// twice; its id stays the same.
//
// # Order
//
// Of one transaction and one webhook, only the earliest pending event can be
// claimed: later ones are blocked until it is delivered or given up. Different
// transactions do not wait for each other.
//
// # What a receiver cannot do
//
// A slow or dead one holds at most its own share of connections, one while it
// keeps failing. It cannot lead elsewhere (redirects are not followed), send much
// (answers are read up to a limit), or lie in a network that was not allowed:
// see guard.
package webhooks
