// Package audit is the signer's audit log: a chain of rows in PostgreSQL, of
// which each holds the hash of the one before. Rows are appended, in the SQL
// transaction of what they tell where there is one, and never changed. Old ones
// may be pruned, up to a checkpoint from which the chain goes on.
//
// Verify finds every row that was changed, removed or moved since. It cannot
// find a chain that was rewritten as a whole by who owns the database: keep the
// head that it prints elsewhere and compare.
package audit
