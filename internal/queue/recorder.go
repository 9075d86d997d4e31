package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// sendRecorder writes down what became of offers to the node, for all drivers
// together and a moment later. Losing some of it is harmless: bytes of which
// nobody knows that they were sent are sent once more.
type sendRecorder struct {
	store   *Store
	waiters *waiters
	log     *slog.Logger
	full    chan struct{} // coalescing, size one

	writing sync.Mutex // held while records are written: who flushes then waits for them

	mu      sync.Mutex // guards records
	records []sendRecord
}

const (
	// recordEvery is how late the record is.
	recordEvery = 100 * time.Millisecond
	// recordAt is how many records do not wait that long, maxRecords how many are
	// kept while the database does not answer.
	recordAt, maxRecords = 500, 20_000
)

func newSendRecorder(store *Store, w *waiters, log *slog.Logger) *sendRecorder {
	return &sendRecorder{store: store, waiters: w, log: log, full: make(chan struct{}, 1)}
}

func (r *sendRecorder) add(records []sendRecord) {
	r.mu.Lock()
	r.records = append(r.records, records...)
	if beyond := len(r.records) - maxRecords; beyond > 0 {
		r.records = r.records[beyond:]
	}
	isFull := len(r.records) >= recordAt
	r.mu.Unlock()
	if isFull {
		select {
		case r.full <- struct{}{}:
		default:
		}
	}
}

// run writes until ctx ends, and then what is left.
func (r *sendRecorder) run(ctx context.Context) {
	ticker := time.NewTicker(recordEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-r.full:
		case <-ctx.Done():
			r.flush(context.WithoutCancel(ctx))
			return
		}
		r.flush(ctx)
	}
}

// flush writes what there is.
func (r *sendRecorder) flush(ctx context.Context) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	records := r.records
	r.records = nil
	r.mu.Unlock()
	if len(records) == 0 {
		return
	}
	if err := r.store.RecordSends(ctx, records); err != nil {
		r.log.DebugContext(ctx, "offers to the node are noted later", slog.Any("err", err))
		r.mu.Lock()
		r.records = append(records, r.records...)
		r.mu.Unlock()
		return
	}
	for _, record := range records {
		if record.taken {
			r.waiters.tell(record.txID, notice{})
		}
	}
}
