package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// sources counts the answers of each method by who gave them: gateway, cache,
// joined, upstream.
type sources map[string]map[string]int

// parseSources reads gateway_requests_total in the text of a metrics page.
func parseSources(text string) (sources, error) {
	out := sources{}
	for line := range strings.Lines(text) {
		labels, ok := strings.CutPrefix(line, "gateway_requests_total{")
		if !ok {
			continue
		}
		labels, value, _ := strings.Cut(labels, "} ")
		var count float64
		if _, err := fmt.Sscan(value, &count); err != nil {
			return nil, fmt.Errorf("a metric that is no number: %s", line)
		}
		method, source := label(labels, "method"), label(labels, "source")
		if out[method] == nil {
			out[method] = map[string]int{}
		}
		out[method][source] += int(count)
	}
	return out, nil
}

// label is the value of a label; those of the gateway hold no quotes.
func label(labels, name string) string {
	_, value, _ := strings.Cut(","+labels, ","+name+`="`)
	value, _, _ = strings.Cut(value, `"`)
	return value
}

// report is one measurement.
type report struct {
	maxAge, allowed time.Duration
	sources         sources
	nodeCalls       map[string]int // what the gateway asks for itself among it
	popular         int            // node calls of the popular contract
	blocks          uint64
	tally           *tally
}

func (r *report) isRight() bool { return len(r.tally.wrong) == 0 }

const columns = "%-26s %9s %6s %6s %7s %9s %11s %10s %7s\n"

func (r *report) table() string {
	var b strings.Builder
	state := "latest replaced by the number, latestMaxAge " + r.maxAge.String()
	if r.maxAge == 0 {
		state = "latest left as it is, latestMaxAge 0s"
	}
	fmt.Fprintf(&b, "%s; an answer may be %s old\n", state, r.allowed)
	fmt.Fprintf(&b, columns, "method", "requests", "own %", "hit %", "joined %", "node %", "node calls", "oldest ms", "wrong")
	sum, calls, oldest, wrong := map[string]int{}, 0, time.Duration(0), 0
	for _, method := range slices.Sorted(maps.Keys(r.sources)) {
		for source, n := range r.sources[method] {
			sum[source] += n
		}
		b.WriteString(row(method, r.sources[method], r.nodeCalls[method], r.tally.oldest[method], r.tally.wrong[method]))
		oldest, wrong = max(oldest, r.tally.oldest[method]), wrong+r.tally.wrong[method]
	}
	for _, n := range r.nodeCalls {
		calls += n
	}
	b.WriteString(row("all", sum, calls, oldest, wrong))
	fmt.Fprintf(&b, "one popular eth_call: %.1f node calls for each of %d blocks\n", float64(r.popular)/float64(r.blocks), r.blocks)
	for _, text := range r.tally.first {
		fmt.Fprintln(&b, "wrong:", text)
	}
	return b.String()
}

func row(method string, by map[string]int, nodeCalls int, oldest time.Duration, wrong int) string {
	all := 0
	for _, n := range by {
		all += n
	}
	share := func(source string) string { return fmt.Sprintf("%.1f", 100*float64(by[source])/float64(max(all, 1))) }
	return fmt.Sprintf(columns, method, fmt.Sprint(all), share("gateway"), share("cache"), share("joined"), share("upstream"),
		fmt.Sprint(nodeCalls), fmt.Sprint(oldest.Milliseconds()), fmt.Sprint(wrong))
}
