package sharedstate

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/redis/go-redis/v9"
)

// marker is a field that is there whenever the cordons are: without it, Redis
// has lost them.
const marker = "cordons"

// exchangeCordons sends changes and reads what is cordoned. When Redis has lost
// the cordons, those known here are stored again.
func (s *State) exchangeCordons(ctx context.Context) error {
	s.round.Lock()
	defer s.round.Unlock()
	s.mu.Lock()
	changes := maps.Clone(s.changes)
	known := maps.Clone(s.stored)
	s.mu.Unlock()

	var fields map[string]string
	err := s.conn.Use(ctx, func(ctx context.Context, client redis.UniversalClient) error {
		var err error
		fields, err = s.askCordons(ctx, client, changes, known)
		return err
	})
	if err != nil {
		return fmt.Errorf("exchange cordons: %w", err)
	}
	stored := map[place]Cordon{}
	for field, text := range fields {
		var c Cordon
		if field != marker && json.Unmarshal([]byte(text), &c) == nil {
			stored[c.place()] = c
		}
	}
	s.mu.Lock()
	s.stored = stored
	for p, sent := range changes {
		if s.changes[p].number == sent.number {
			delete(s.changes, p)
		}
	}
	s.mu.Unlock()
	s.show()
	return nil
}

// askCordons sends changes in one step and reads all cordons after it.
func (s *State) askCordons(ctx context.Context, client redis.UniversalClient, changes map[place]change, known map[place]Cordon) (map[string]string, error) {
	key := s.key("cordons")
	isThere, err := client.HExists(ctx, key, marker).Result()
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller wraps it
	}
	var read *redis.MapStringStringCmd
	_, err = client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		if !isThere {
			pipe.HSet(ctx, key, marker, "1")
			for p, c := range known {
				set(ctx, pipe, key, p, c)
			}
		}
		for p, c := range changes {
			if c.lifted {
				pipe.HDel(ctx, key, p.field())
			} else {
				set(ctx, pipe, key, p, c.cordon)
			}
		}
		read = pipe.HGetAll(ctx, key)
		return nil
	})
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller wraps it
	}
	return read.Val(), nil
}

func set(ctx context.Context, pipe redis.Pipeliner, key string, p place, c Cordon) {
	text, err := json.Marshal(c)
	if err != nil {
		return // times and texts can always be written
	}
	pipe.HSet(ctx, key, p.field(), text)
}
