package api

import (
	"errors"

	"github.com/slipwayhq/slipway/internal/events"
	"github.com/slipwayhq/slipway/internal/webhooks"
)

// eventProblem is what events and webhooks refuse.
func eventProblem(err error) (problem, bool) {
	var bad *webhooks.InvalidError
	if errors.As(err, &bad) {
		return problemOf(problemInvalid, bad.Error()), true
	}
	for known, code := range map[error]problemCode{
		webhooks.ErrNotFound: problemNotFound, webhooks.ErrTooMany: problemHooks, webhooks.ErrSecrets: problemSecrets, webhooks.ErrNotDead: problemPending,
		webhooks.ErrNoKey: problemAbsent, errNoEvents: problemAbsent, events.ErrFull: problemStreams, events.ErrStopping: problemStopping,
		events.ErrUnavailable: problemDatabase, webhooks.ErrUnavailable: problemDatabase,
	} {
		if errors.Is(err, known) {
			return problemOf(code, ""), true
		}
	}
	return problem{}, false
}

// errNoEvents says that this signer tells nobody.
var errNoEvents = errors.New("this signer has no events and webhooks")
