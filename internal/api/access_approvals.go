package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/admission"
	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/strictjson"
)

// pendingBody is a transaction that waits for people to agree.
type pendingBody struct {
	Transaction transactionBody   `json:"transaction"`
	Submitter   string            `json:"submitter"`
	Needs       []policy.Approval `json:"needs"`
	Votes       []queue.CastVote  `json:"votes"`
}

// pageOf reads limit and before; another parameter is an error.
func pageOf(c echo.Context) (before int64, limit int, err error) {
	limit = defaultPage
	for name, values := range c.QueryParams() {
		switch name {
		case "limit":
			if limit, err = strconv.Atoi(values[0]); err != nil || limit < 1 || limit > maxPage {
				return 0, 0, invalid("limit: must be between 1 and " + strconv.Itoa(maxPage))
			}
		case "before":
			if before, err = strconv.ParseInt(values[0], 10, 64); err != nil || before < 1 {
				return 0, 0, invalid("before: must be the next of another page")
			}
		default:
			return 0, 0, invalid("unknown query parameter " + strconv.Quote(name))
		}
	}
	return before, limit, nil
}

// listBody is one page of a list, newest first.
type listBody[T any] struct {
	Items []T `json:"items"`
	// Next is given as ?before= to get the page after this one; absent on the last.
	Next string `json:"next,omitempty"`
}

// pageBody makes a page of a list that was read with one more than the limit.
func pageBody[From, To any](list []From, limit int, seq func(From) int64, show func(From) To) listBody[To] {
	out := listBody[To]{Items: make([]To, min(len(list), limit))}
	for i := range out.Items {
		out.Items[i] = show(list[i])
	}
	if len(list) > limit {
		out.Next = strconv.FormatInt(seq(list[limit-1]), 10)
	}
	return out
}

func (s *server) listApprovals(c echo.Context) error {
	before, limit, err := pageOf(c)
	if err != nil {
		return err
	}
	list, err := s.access.approvals.Pending(c.Request().Context(), tenantOf(c), before, limit+1)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, pageBody(list, limit, func(p queue.Pending) int64 { return p.Seq }, func(p queue.Pending) pendingBody {
		return pendingBody{present(p.Transaction), p.Submitter, append([]policy.Approval{}, p.Needs...), append([]queue.CastVote{}, p.Votes...)}
	}))
}

const maxVoteReason = 256

// approve agrees to a transaction.
func (s *server) approve(c echo.Context) error { return s.vote(c, "approval.approve", true) }

// reject ends a transaction that waits for approval.
func (s *server) reject(c echo.Context) error { return s.vote(c, "approval.reject", false) }

func (s *server) vote(c echo.Context, action string, approves bool) error {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return queue.ErrNotFound
	}
	var asked struct {
		Reason string `json:"reason"`
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	if len(body) > 0 {
		if err := strictjson.Decode(body, &asked); err != nil {
			return err
		}
	}
	if len(asked.Reason) > maxVoteReason || strings.ContainsRune(asked.Reason, 0) {
		return invalid("reason: must have at most " + strconv.Itoa(maxVoteReason) + " bytes")
	}
	caller := principalOf(c)
	note := admission.Note(caller, action, "", string(policy.Allowed))
	if asked.Reason != "" {
		note.Detail = map[string]any{"reason": asked.Reason}
	}
	t, err := s.access.approvals.Vote(c.Request().Context(), caller.Tenant, id, queue.Vote{
		Approver: caller.Name, Approves: approves, Reason: asked.Reason, Audit: note,
	})
	if errors.Is(err, queue.ErrOwnApproval) || errors.Is(err, queue.ErrNotApprover) {
		note.Object, note.Decision = id.String(), string(policy.Denied)
		return errors.Join(err, s.note(c.Request().Context(), note))
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, present(t))
}

// getDecision shows what the policy decided about a transaction.
func (s *server) getDecision(c echo.Context) error {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return queue.ErrNotFound
	}
	decision, err := s.access.approvals.Decision(c.Request().Context(), tenantOf(c), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"decision": decision})
}

// dryRunPolicy shows what would be decided about a transaction.
func (s *server) dryRunPolicy(c echo.Context) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var fields restTransaction
	if err := strictjson.Decode(body, &fields); err != nil {
		return err
	}
	r, err := fields.request(s.chainID, "")
	if err != nil {
		return err
	}
	if s.access.gate == nil {
		return c.JSON(http.StatusOK, map[string]any{"decision": policy.Decision{Outcome: policy.Allowed}})
	}
	d, err := s.access.gate.DryRun(c.Request().Context(), r)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{"decision": d, "reason": d.Reason()})
}

// auditBody is a row of the audit log.
type auditBody struct {
	Seq      int64           `json:"seq"`
	At       time.Time       `json:"at"`
	Actor    string          `json:"actor"`
	KeyID    string          `json:"keyId,omitempty"`
	Address  string          `json:"address,omitempty"`
	Action   string          `json:"action"`
	Object   string          `json:"object,omitempty"`
	Decision string          `json:"decision,omitempty"`
	Detail   json.RawMessage `json:"detail,omitempty"`
}

func (s *server) listAudit(c echo.Context) error {
	before, limit, err := pageOf(c)
	if err != nil {
		return err
	}
	list, err := s.access.audit.List(c.Request().Context(), tenantOf(c), before, limit+1)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, pageBody(list, limit, func(r audit.Row) int64 { return r.Seq }, func(r audit.Row) auditBody {
		return auditBody{r.Seq, r.At.UTC(), r.Actor, r.KeyID, r.Address, r.Action, r.Object, r.Decision, json.RawMessage(r.Detail)}
	}))
}
