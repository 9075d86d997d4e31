package subscriptions

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Metrics are the metrics of all hubs.
type Metrics struct {
	subscriptions *prometheus.GaugeVec
	events        *prometheus.CounterVec
	drops         *prometheus.CounterVec
	filled        *prometheus.CounterVec
	reorgs        *prometheus.CounterVec
	switches      *prometheus.CounterVec
	unverified    *prometheus.CounterVec
	isFollowing   *prometheus.GaugeVec
}

// NewMetrics makes the metrics, once for a program.
func NewMetrics(f telemetry.Factory) *Metrics {
	return &Metrics{
		subscriptions: f.GaugeVec("gateway_subscriptions", "Subscriptions of clients.", "project", "network", "kind"),
		events:        f.CounterVec("gateway_subscription_events_total", "Events queued for clients, one for each subscription.", "project", "network", "kind"),
		drops:         f.CounterVec("gateway_subscription_drops_total", "Clients let go (slow, lost_track) and pending transactions not told (backlog), by reason.", "project", "network", "reason"),
		filled:        f.CounterVec("gateway_subscription_gap_blocks_total", "Blocks that were read to fill a gap between two triggers.", "project", "network"),
		reorgs:        f.CounterVec("gateway_subscription_removed_blocks_total", "Blocks that were taken back by a longer branch.", "project", "network"),
		switches:      f.CounterVec("gateway_subscription_source_switches_total", "Ends of a followed node's WebSocket, by feed and reason (stalled, broken).", "project", "network", "feed", "reason"),
		unverified:    f.CounterVec("gateway_subscription_unverified_logs_total", "Blocks whose logs were told although they do not make the bloom filter of the header.", "project", "network"),
		isFollowing:   f.GaugeVec("gateway_subscription_following", "1 while a node's WebSocket is followed, 0 while nodes are polled or nobody is subscribed.", "project", "network", "feed"),
	}
}

// hubMetrics are those of one hub, with their labels resolved.
type hubMetrics struct {
	subscriptions, following    []prometheus.Gauge
	events                      []prometheus.Counter
	filled, removed, unverified prometheus.Counter
	drops                       map[string]prometheus.Counter
	switches                    func(feed, reason string) prometheus.Counter
}

func (m *Metrics) of(project, network string) *hubMetrics {
	h := &hubMetrics{
		filled: m.filled.WithLabelValues(project, network), removed: m.reorgs.WithLabelValues(project, network), unverified: m.unverified.WithLabelValues(project, network),
		drops: map[string]prometheus.Counter{},
		switches: func(feed, reason string) prometheus.Counter {
			return m.switches.WithLabelValues(project, network, feed, reason)
		},
	}
	for kind := range kindCount {
		h.subscriptions = append(h.subscriptions, m.subscriptions.WithLabelValues(project, network, kind.String()))
		h.events = append(h.events, m.events.WithLabelValues(project, network, kind.String()))
	}
	for _, reason := range []string{"slow", "lost_track", "backlog"} {
		h.drops[reason] = m.drops.WithLabelValues(project, network, reason)
	}
	for _, feed := range []string{"newHeads", "newPendingTransactions"} {
		h.following = append(h.following, m.isFollowing.WithLabelValues(project, network, feed))
	}
	return h
}
