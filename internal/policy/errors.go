package policy

import (
	"fmt"
	"time"
)

// DeniedError says that a request goes no further.
type DeniedError struct{ Decision Decision }

func (e *DeniedError) Error() string { return "refused by the policy: " + e.Decision.Reason() }

// LimitError says that a window of a rule has no room for a request now.
type LimitError struct {
	Rule string
	// Per is the length of the window.
	Per time.Duration
	// Of is what there is too much of: requests, value or gas.
	Of string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("refused by the policy: rule %s lets no more %s through in %s", e.Rule, e.Of, e.Per)
}

// RetryAfter is how often room can appear in the window.
func (e *LimitError) RetryAfter() time.Duration { return e.Per / Buckets }
