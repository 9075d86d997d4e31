package http1

import (
	"context"
	"net/http"
	"time"
)

const (
	// watchEvery is how often the watcher looks.
	watchEvery = 200 * time.Millisecond
	// watchAfter is how long a request is left alone: most are answered by then.
	watchAfter = 100 * time.Millisecond
)

// watch ends the contexts of requests whose clients have left, and keeps the
// time that answers show.
func (s *Server) watch(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			s.tellTime(now)
			s.endAbandoned()
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) endAbandoned() {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		since := time.Duration(c.since.Load())
		if since != 0 && now-since >= watchAfter && isAbandoned(c.net) {
			c.cancel()
		}
	}
}

// tellTime sets the time that answers show, which has whole seconds.
func (s *Server) tellTime(now time.Time) {
	text := now.UTC().Format(http.TimeFormat)
	if last := s.date.Load(); last == nil || *last != text {
		s.date.Store(&text)
	}
}
