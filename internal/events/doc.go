// Package events reads the history of all transactions, the table tx_events, in
// an order in which nothing ever appears behind a reader.
//
// # The problem
//
// An event's id is drawn from a sequence when the row is written, and becomes
// visible when its SQL transaction commits. So event 7 may be seen before event
// 6, and a reader that remembers "7" and asks for what is newer never sees 6.
//
// # The solution
//
// Missing ids are looked at, never jumped over. An id that is missing below a
// visible one was drawn by an SQL transaction that held, and still holds, a lock
// on tx_events (RowExclusiveLock, which every insert takes before it computes a
// row, and keeps to its end). Once all the transactions that held this lock when
// the hole was seen are over, what still is missing was rolled back and never
// comes. Until then the reader stays in front of the hole. Transactions of other
// tables, however long they run, keep nobody waiting. See Reader.
//
// The sequence must hand out one number at a time (CACHE 1, the default of
// identity columns).
//
// # The order
//
// Events of one business transaction have ascending ids, since each is written
// while its row in transactions is locked.
package events
