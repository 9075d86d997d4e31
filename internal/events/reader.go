package events

import (
	"context"
	"slices"
)

// Reader moves a position along the history without passing an event that is
// still being written. It is not for concurrent use. The position is the
// caller's; a Reader knows only what it waits for.
type Reader struct {
	hole *hole
}

// hole is the wait for ids that are missing below a visible one.
type hole struct {
	// upTo was visible when the writers were listed: every lower id was drawn, by
	// one of them or by a transaction that was over.
	upTo    int64
	writers []string
	// isOver says that all of them have ended. What is not visible to a later
	// statement never will be.
	isOver bool
}

// batch is how many ids are looked at in one step.
const batch = 1000

// Progress says what one step of a Reader found.
type Progress int

// What to do after a step.
const (
	// Idle: there was nothing more to see.
	Idle Progress = iota
	// Waiting: the next id is missing, and whoever drew it may still commit.
	// That takes as long as one SQL transaction.
	Waiting
	// Busy: there is more to see.
	Busy
)

// Advance says how far everything behind after is complete: ids up to the
// result are visible now or never will be. With db an SQL transaction, its
// isolation must be READ COMMITTED: each statement sees what the last has not.
func (r *Reader) Advance(ctx context.Context, db Querier, after int64) (int64, Progress, error) {
	if err := r.look(ctx, db); err != nil {
		return after, Idle, err
	}
	ids, err := idsAfter(ctx, db, after, batch)
	if err != nil {
		return after, Idle, err
	}
	n, settled := settle(after, ids, r.lostUpTo())
	switch {
	case n == len(ids):
		r.hole = nil
		if n == batch {
			return settled, Busy, nil
		}
		return settled, Idle, nil
	case r.hole == nil || r.hole.isOver:
		// The list is made after the ids were read: see hole.upTo.
		names, err := writers(ctx, db)
		if err != nil {
			return after, Idle, err
		}
		r.hole = &hole{upTo: ids[len(ids)-1], writers: names}
	}
	return settled, Waiting, nil
}

// Begin finds a position that is complete, near the end of the history. It is
// asked until it is true.
func (r *Reader) Begin(ctx context.Context, db Querier) (int64, bool, error) {
	if r.hole == nil {
		newest, err := newestID(ctx, db)
		if err != nil {
			return 0, false, err
		}
		names, err := writers(ctx, db)
		if err != nil {
			return 0, false, err
		}
		r.hole = &hole{upTo: newest, writers: names, isOver: len(names) == 0}
	} else if err := r.look(ctx, db); err != nil {
		return 0, false, err
	}
	if !r.hole.isOver {
		return 0, false, nil
	}
	position := r.hole.upTo
	r.hole = nil
	return position, true, nil
}

// look finds out whether those that were waited for have ended.
func (r *Reader) look(ctx context.Context, db Querier) error {
	if r.hole == nil || r.hole.isOver {
		return nil
	}
	names, err := writers(ctx, db)
	if err != nil {
		return err
	}
	r.hole.isOver = !slices.ContainsFunc(r.hole.writers, func(name string) bool { return slices.Contains(names, name) })
	return nil
}

// lostUpTo is the highest id below which a missing one is lost for good.
func (r *Reader) lostUpTo() int64 {
	if r.hole == nil || !r.hole.isOver {
		return 0
	}
	return r.hole.upTo
}

// settle counts the ids in front of the first hole that still matters, and says
// which is the last of them.
func settle(after int64, ids []int64, lostUpTo int64) (n int, settled int64) {
	settled = after
	for _, id := range ids {
		if id != settled+1 && id-1 > lostUpTo {
			return n, settled
		}
		n, settled = n+1, id
	}
	return n, settled
}
