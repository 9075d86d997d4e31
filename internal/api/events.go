package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/events"
)

// EventFeed is where events come from; package events says more.
type EventFeed interface {
	Join() (leave func(reason string), err error)
	Position(ctx context.Context) (int64, error)
	After(position int64) (list []events.Event, next int64, moved <-chan struct{}, err error)
	Page(ctx context.Context, f events.Filter, position int64) ([]events.Event, int64, error)
	Config() events.Config
}

const eventsRoute = "/v1/events"

// eventRoutes are the routes of events, webhooks and Hasura's actions.
func (s *server) eventRoutes(e *echo.Echo) {
	e.GET(eventsRoute, s.streamEvents)
	s.webhookRoutes(e.Group("/v1/webhooks", s.haveWebhooks))
	e.POST(hasuraRoute, s.hasuraAction)
}

// streamEvents answers GET /v1/events with a stream of server-sent events that
// ends when the client leaves, falls too far behind, its credentials end, or the signer stops. Without
// Last-Event-ID it begins now.
func (s *server) streamEvents(c echo.Context) error {
	if s.events == nil {
		return errNoEvents
	}
	filter, err := s.eventFilter(c)
	if err != nil {
		return err
	}
	cursor, isGiven, err := lastEventID(c)
	if err != nil {
		return err
	}
	leave, err := s.events.Join()
	if err != nil {
		return err
	}
	reason := "failed"
	defer func() { leave(reason) }()

	ctx, cancel := context.WithTimeout(c.Request().Context(), positionWait)
	position, err := s.events.Position(ctx)
	cancel()
	if err != nil {
		return err
	}
	if !isGiven {
		cursor = position
	}
	stream := newEventStream(c)
	reason = "left"
	if stream.open(cursor) == nil {
		reason = s.follow(c.Request().Context(), stream, filter, cursor)
	}
	return nil
}

// positionWait bounds the wait for the feed to find the end of the history.
const positionWait = 10 * time.Second

// follow sends what is behind the cursor for as long as it may, and says why it
// ended.
func (s *server) follow(ctx context.Context, stream *eventStream, filter events.Filter, cursor int64) string {
	heartbeat := time.NewTicker(s.events.Config().Heartbeat)
	defer heartbeat.Stop()
	f := follower{feed: s.events, stream: stream, filter: filter, cursor: cursor, hasEnded: s.hasEnded}
	for {
		moved, reason := f.step(ctx)
		if reason == "" {
			reason = f.wait(ctx, moved, heartbeat.C)
		}
		if reason != "" {
			return reason
		}
	}
}

// follower is one client and how far it has been told.
type follower struct {
	feed   EventFeed
	stream *eventStream
	filter events.Filter
	cursor int64
	isLive bool // what it needs was in memory before

	hasEnded func(context.Context) bool // the client's credentials
}

// step sends the next events. It returns what to wait for when there are none,
// or why the stream has ended.
func (f *follower) step(ctx context.Context) (moved <-chan struct{}, reason string) {
	list, next, moved, err := f.feed.After(f.cursor)
	switch {
	case errors.Is(err, events.ErrStopping):
		return nil, f.end("stopping")
	case errors.Is(err, events.ErrBehind) && f.isLive:
		return nil, f.end("slow")
	case errors.Is(err, events.ErrBehind):
		if list, next, err = f.feed.Page(ctx, f.filter, f.cursor); err != nil {
			return nil, f.end("failed")
		}
	default:
		f.isLive = true
	}
	for _, e := range list {
		if f.filter.Matches(e) && f.stream.send(e) != nil {
			return nil, "left"
		}
	}
	f.cursor = next
	if len(list) == 0 {
		return moved, ""
	}
	if f.stream.flush() != nil {
		return nil, "left"
	}
	return nil, ""
}

func (f *follower) end(reason string) string {
	f.stream.end(reason, f.cursor)
	return reason
}

// wait waits for more (moved is nil where there is more already). At each heartbeat it
// shows the client that the stream lives, and looks whether it still may.
func (f *follower) wait(ctx context.Context, moved <-chan struct{}, heartbeat <-chan time.Time) string {
	select { // a stream that never rests has heartbeats as well
	case <-heartbeat:
		return f.beat(ctx)
	default:
	}
	if moved == nil {
		return ""
	}
	select {
	case <-moved:
		return ""
	case <-heartbeat:
		return f.beat(ctx)
	case <-ctx.Done():
		return "left"
	}
}

func (f *follower) beat(ctx context.Context) string {
	if f.hasEnded(ctx) {
		return f.end("credentials")
	}
	if f.stream.beat(f.cursor) != nil {
		return "left"
	}
	return ""
}

// lastEventID reads where a client was: from the header that browsers send when
// they connect again, or from the query for clients that cannot set headers.
func lastEventID(c echo.Context) (id int64, isGiven bool, err error) {
	text := c.Request().Header.Get("Last-Event-ID")
	if text == "" {
		text = c.QueryParam("lastEventId")
	}
	if text == "" {
		return 0, false, nil
	}
	if id, err = strconv.ParseInt(text, 10, 64); err != nil || id < 0 {
		return 0, false, invalid("Last-Event-ID: must be the id of an event, or 0 for the beginning")
	}
	return id, true, nil
}

// eventFilter reads the query of a stream.
func (s *server) eventFilter(c echo.Context) (events.Filter, error) {
	f := events.Filter{Tenant: tenantOf(c), ChainID: s.chainID}
	for name, values := range c.QueryParams() {
		switch name {
		case "type":
			for _, t := range strings.Split(strings.Join(values, ","), ",") {
				if !slices.Contains(events.Types(), t) {
					return f, invalid("type: must be among " + strings.Join(events.Types(), ", "))
				}
				f.Types = append(f.Types, t)
			}
		case "from":
			for _, text := range strings.Split(strings.Join(values, ","), ",") {
				sender, err := address("from", text)
				if err != nil {
					return f, err
				}
				f.Senders = append(f.Senders, sender)
			}
		case "reference":
			f.Reference = values[0]
		case "transaction":
			id, err := uuid.Parse(values[0])
			if err != nil {
				return f, invalid("transaction: must be the id of a transaction")
			}
			f.TxID = id
		case "lastEventId":
		default:
			return f, invalid("unknown query parameter " + strconv.Quote(name))
		}
	}
	return f, nil
}

// eventStream writes server-sent events (WHATWG HTML, section 9.2).
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newEventStream(c echo.Context) *eventStream {
	return &eventStream{w: c.Response(), control: http.NewResponseController(c.Response())}
}

const (
	// streamWrite is how long a client may take no bytes.
	streamWrite = 10 * time.Second
	// reconnect is the pause, in milliseconds, that browsers make before they come back.
	reconnect = "1000"
)

// open begins the answer. The server's limits for whole requests do not hold.
func (e *eventStream) open(cursor int64) error {
	if err := e.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	e.w.WriteHeader(http.StatusOK)
	return e.write("retry: "+reconnect+"\nid: "+strconv.FormatInt(cursor, 10)+"\n\n", true)
}

func (e *eventStream) write(text string, isLast bool) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	if !isLast {
		return nil
	}
	return e.flush()
}

func (e *eventStream) flush() error { return e.control.Flush() }

func (e *eventStream) send(event events.Event) error {
	data, err := event.JSON()
	if err != nil {
		return err
	}
	return e.write("id: "+strconv.FormatInt(event.ID, 10)+"\nevent: "+event.Type+"\ndata: "+string(data)+"\n\n", false)
}

// beat shows that the stream lives. The id makes a client that comes back begin
// behind events that were not chosen for it.
func (e *eventStream) beat(cursor int64) error {
	return e.write(": heartbeat\nid: "+strconv.FormatInt(cursor, 10)+"\n\n", true)
}

// end tells the client to come back, and where it was. Who is too slow may never
// read it, and comes back all the same.
func (e *eventStream) end(reason string, cursor int64) {
	id := strconv.FormatInt(cursor, 10)
	_ = e.write("id: "+id+"\nevent: end\ndata: "+`{"reason":"`+reason+`","lastEventId":"`+id+`"}`+"\n\n", true)
}
