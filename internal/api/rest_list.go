package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/strictjson"
)

// page is one page of a list, newest first.
type page struct {
	Items []transactionBody `json:"items"`
	// Next is given as ?cursor= to get the page after this one; absent on the last.
	Next string `json:"next,omitempty"`
}

const (
	defaultPage = 50
	maxPage     = 500
)

func (s *server) listTransactions(c echo.Context) error {
	return s.list(c, c.QueryParams())
}

// listByReference lists what has the caller's own name: it need not be unique.
func (s *server) listByReference(c echo.Context) error {
	query := maps.Clone(c.QueryParams())
	if query.Has("reference") {
		return unknownParameter("reference", nil)
	}
	reference := c.Param("reference")
	if c.Request().URL.RawPath != "" { // the router has not decoded it
		var err error
		if reference, err = url.PathUnescape(reference); err != nil {
			return invalid("reference: cannot be read")
		}
	}
	query.Set("reference", reference)
	return s.list(c, query)
}

func (s *server) list(c echo.Context, query url.Values) error {
	f, elsewhere, err := s.readFilter(query)
	if err != nil {
		return err
	}
	f.Tenant = tenantOf(c)
	out := page{Items: []transactionBody{}}
	if elsewhere {
		return respond(c, http.StatusOK, out)
	}
	limit := f.Limit
	f.Limit++ // one more tells whether there is a next page
	list, err := s.queue.List(c.Request().Context(), f)
	if err != nil {
		return err
	}
	for _, t := range list[:min(len(list), limit)] {
		out.Items = append(out.Items, present(t))
	}
	if len(list) > limit {
		out.Next = cursor(list[limit-1].Seq, query)
	}
	return respond(c, http.StatusOK, out)
}

func filterNames() []string {
	return []string{"chainId", "cursor", "from", "idempotencyKey", "limit", "reference", "since", "status", "until"}
}

func unknownParameter(name string, known []string) error {
	if len(name) > 40 {
		name = strings.ToValidUTF8(name[:40], "") + "…"
	}
	text := "unknown query parameter " + strconv.Quote(name)
	if near := strictjson.Nearest(name, known); near != "" {
		text += "; did you mean " + strconv.Quote(near) + "?"
	}
	return invalid(text)
}

// readFilter reads the query of a list; an unknown parameter is an error, since
// a misspelt filter would otherwise show everything. elsewhere says that only
// transactions of another chain are asked for: there are none here.
func (s *server) readFilter(query url.Values) (f queue.Filter, elsewhere bool, err error) {
	f = queue.Filter{Limit: defaultPage}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		if name != "status" && len(values) > 1 {
			return f, false, invalid(name + ": is given twice")
		}
		value := values[0]
		switch name {
		case "limit":
			if f.Limit, err = strconv.Atoi(value); err != nil || f.Limit < 1 || f.Limit > maxPage {
				err = invalid("limit: must be between 1 and " + strconv.Itoa(maxPage))
			}
		case "cursor":
			f.Before, err = readCursor(value, query)
		case "status":
			f.Statuses, err = readStatuses(values)
		case "from":
			sender, addressErr := address("from", value)
			f.Sender, err = &sender, addressErr
		case "chainId":
			n, ok := parseQuantity(value)
			if !ok {
				err = invalid("chainId: must be a number")
			}
			elsewhere = ok && (!n.IsUint64() || n.Uint64() != s.chainID)
		case "idempotencyKey":
			f.IdempotencyKey, err = notEmpty(name, value)
		case "reference":
			f.Reference, err = notEmpty(name, value)
		case "since":
			f.Since, err = readTime(name, value)
		case "until":
			f.Until, err = readTime(name, value)
		default:
			err = unknownParameter(name, filterNames())
		}
		if err != nil {
			return f, false, err
		}
	}
	return f, elsewhere, nil
}

// notEmpty refuses the empty text, which the queue takes for no filter at all.
func notEmpty(name, value string) (string, error) {
	if value == "" || strings.ContainsRune(value, 0) {
		return "", invalid(name + ": must not be empty")
	}
	return value, nil
}

func readTime(name, value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return t, invalid(name + ": must be a time such as 2026-01-31T12:00:00Z (RFC 3339)")
	}
	return t, nil
}

// readStatuses reads ?status=a,b and ?status=a&status=b.
func readStatuses(values []string) ([]queue.Status, error) {
	var out []queue.Status
	for _, text := range strings.Split(strings.Join(values, ","), ",") {
		status := queue.Status(text)
		if !slices.Contains(queue.Statuses(), status) {
			return nil, invalid(fmt.Sprintf("status: must be of %v", queue.Statuses()))
		}
		out = append(out, status)
	}
	return out, nil
}

// A cursor is a version, the place in the order of acceptance, and a digest of
// the filters: with other filters it would show another list from its middle.
const cursorVersion = 1

func cursor(seq int64, query url.Values) string {
	raw := binary.BigEndian.AppendUint64([]byte{cursorVersion}, uint64(seq))
	return base64.RawURLEncoding.EncodeToString(append(raw, filterDigest(query)...))
}

func readCursor(text string, query url.Values) (int64, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	digest := filterDigest(query)
	if err != nil || len(raw) != 9+len(digest) || raw[0] != cursorVersion {
		return 0, invalid("cursor: must be the next of another page")
	}
	if string(raw[9:]) != string(digest) {
		return 0, invalid("cursor: belongs to a list with other filters")
	}
	seq := int64(binary.BigEndian.Uint64(raw[1:9]))
	if seq <= 0 {
		return 0, invalid("cursor: must be the next of another page")
	}
	return seq, nil
}

func filterDigest(query url.Values) []byte {
	filters := maps.Clone(query)
	filters.Del("cursor")
	filters.Del("limit")
	sum := sha256.Sum256([]byte(filters.Encode()))
	return sum[:6]
}
