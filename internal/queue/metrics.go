package queue

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

type metrics struct {
	accepted   *prometheus.CounterVec // outcome
	commits    *prometheus.CounterVec // outcome
	sends      *prometheus.CounterVec // outcome
	ended      *prometheus.CounterVec // status
	toCommit   *prometheus.HistogramVec
	leases     *prometheus.GaugeVec
	openSlots  *prometheus.GaugeVec
	head       *prometheus.GaugeVec
	failures   *prometheus.CounterVec // where
	stolen     *prometheus.CounterVec
	resentRuns *prometheus.CounterVec
	replaced   *prometheus.CounterVec // purpose
}

func newMetrics(f telemetry.Factory) *metrics {
	return &metrics{
		accepted:   f.CounterVec("signer_queue_accepted_total", "Requests to execute a transaction, by outcome (accepted, replayed, refused, failed).", "outcome"),
		commits:    f.CounterVec("signer_queue_commits_total", "Commits of signed batches, by outcome (committed, fenced, changed, failed).", "outcome"),
		sends:      f.CounterVec("signer_queue_sends_total", "Raw transactions offered to the node, by what its answer means.", "outcome"),
		ended:      f.CounterVec("signer_queue_ended_total", "Transactions that reached an end, by status.", "status"),
		toCommit:   f.DurationVec("signer_queue_commit_seconds", "Time to commit a signed batch."),
		leases:     f.GaugeVec("signer_queue_leases", "Senders this replica drives."),
		openSlots:  f.GaugeVec("signer_queue_open_slots", "Nonces given out by this replica's senders that are not final."),
		head:       f.GaugeVec("signer_queue_head_block", "Newest block the signer has seen."),
		failures:   f.CounterVec("signer_queue_failures_total", "Rounds that failed and are repeated, by where (database, node, signer).", "where"),
		stolen:     f.CounterVec("signer_queue_stolen_slots_total", "Nonces used by a transaction that is not ours."),
		replaced:   f.CounterVec("signer_queue_replacements_total", "Further attempts for a nonce that was given out, by purpose (bump, cancel).", "purpose"),
		resentRuns: f.CounterVec("signer_queue_resends_total", "Times all open transactions of a sender were sent again because the lowest was overdue."),
	}
}
