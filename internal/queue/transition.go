package queue

import "slices"

// moves lists for every status the statuses that may follow. Statuses without
// an entry are ends. The database states the same table once more, in the
// trigger transactions_move; TestMoves_DatabaseAgrees compares the two.
func moves() map[Status][]Status {
	return map[Status][]Status{
		StatusQueued:    {StatusSigned, StatusRejected, StatusCancelled, StatusExpired, StatusSuspended},
		StatusSuspended: {StatusQueued, StatusCancelled, StatusExpired},
		// From here on bytes exist that may be anywhere: only the chain ends it.
		StatusSigned:    {StatusSubmitted, StatusMined, StatusConfirmed, StatusReverted, StatusCancelled, StatusFailed},
		StatusSubmitted: {StatusMined, StatusConfirmed, StatusReverted, StatusCancelled, StatusFailed},
		// A reorganisation takes a mined transaction back into the pool.
		StatusMined: {StatusSubmitted, StatusConfirmed, StatusReverted, StatusCancelled, StatusFailed},
	}
}

// CanMove says whether a transaction may go from one status to another.
func CanMove(from, to Status) bool { return slices.Contains(moves()[from], to) }

// IsEnd says whether nothing follows a status.
func (s Status) IsEnd() bool { return len(moves()[s]) == 0 }

// Statuses lists all statuses.
func Statuses() []Status {
	return []Status{
		StatusQueued, StatusSuspended, StatusSigned, StatusSubmitted, StatusMined,
		StatusConfirmed, StatusReverted, StatusRejected, StatusCancelled, StatusExpired, StatusFailed,
	}
}
