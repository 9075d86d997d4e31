package hasuraactions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/secret"
)

const (
	// requestTimeout is long, since Hasura looks at all its sources with every
	// change of its metadata.
	requestTimeout = time.Minute
	// maxAnswer is far above the metadata of large installations, in bytes.
	maxAnswer = 64 << 20
	// attempts is how often a change of somebody else in between is endured.
	attempts = 5
)

// Config says which Hasura.
type Config struct {
	// URL is its address, such as http://hasura:8080.
	URL string
	// AdminSecret is that of its administrator.
	AdminSecret secret.String
}

// errChanged says that the metadata were changed since they were read.
var errChanged = errors.New("its metadata are changed by others at the same time")

// Apply writes the actions into the metadata, and says whether there was
// something to write.
func Apply(ctx context.Context, config Config) (bool, error) {
	c := client{config}
	var err error
	for range attempts {
		var written bool
		written, err = c.apply(ctx)
		if !errors.Is(err, errChanged) {
			return written, err
		}
	}
	return false, err
}

type client struct{ Config }

// exported is the answer to export_metadata, version 2.
type exported struct {
	Version  int64  `json:"resource_version"` //nolint:tagliatelle // Hasura's name
	Metadata object `json:"metadata"`
}

func (c client) apply(ctx context.Context) (bool, error) {
	var before, after exported
	text, err := c.call(ctx, object{"type": "export_metadata", "version": 2, "args": object{}})
	if err != nil {
		return false, fmt.Errorf("read the metadata: %w", err)
	}
	if err := errors.Join(decode(text, &before), decode(text, &after)); err != nil {
		return false, fmt.Errorf("read the metadata: %w", err)
	}
	if after.Metadata == nil {
		return false, errors.New("read the metadata: the answer has none")
	}
	actions, types, err := ours()
	if err != nil {
		return false, err
	}
	merge(after.Metadata, actions, types)
	isSame, err := same(before.Metadata, after.Metadata)
	if err != nil || isSame {
		return false, err
	}
	args := object{"allow_inconsistent_metadata": true, "metadata": after.Metadata}
	if _, err := c.call(ctx, object{"type": "replace_metadata", "version": 2, "resource_version": after.Version, "args": args}); err != nil {
		return false, fmt.Errorf("write the metadata: %w", err)
	}
	return true, nil
}

// same compares what both are as JSON.
func same(a, b object) (bool, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return false, fmt.Errorf("encode the metadata: %w", err)
	}
	var again object
	if err := decode(text, &again); err != nil {
		return false, err
	}
	return reflect.DeepEqual(a, again), nil
}

// decode keeps numbers as they are written.
func decode(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	return nil
}

func (c client) call(ctx context.Context, request object) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.URL, "/")+"/v1/metadata", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Hasura-Admin-Secret", c.AdminSecret.Reveal())
	// The secret goes where it was meant to, and nowhere else.
	stay := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := stay.Do(r)
	if err != nil {
		return nil, fmt.Errorf("call Hasura: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // all that is wanted was read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return text, nil
	}
	var problem struct{ Code, Error string }
	if err := json.Unmarshal(text, &problem); err != nil || problem.Error == "" {
		return nil, fmt.Errorf("the status is %s", response.Status)
	}
	if response.StatusCode == http.StatusConflict {
		return nil, errChanged
	}
	return nil, fmt.Errorf("%s (%s)", problem.Error, problem.Code)
}
