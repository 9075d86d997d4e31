package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"
)

// Authenticator holds the strategies of one project. Its methods may be called
// from many goroutines. New makes it, Run keeps its keys fresh; without Run, no
// token can be judged whose key has to be fetched.
type Authenticator struct {
	strategies []strategy
	asks       asked
	metrics    *scopeMetrics
	keySets    []*keySet
	everybody  Principal // who everybody is without any strategy
}

// judge is the part of a strategy that differs by kind. It gives a principal or
// the reason why not; ReasonMissing if the credentials show nothing to judge.
type judge interface {
	judge(ctx context.Context, c Credentials) (*Principal, Reason)
}

type strategy struct {
	kind Kind
	judge
}

// asked says of which kinds of credentials there is a strategy.
type asked struct{ secret, token, message bool }

// New checks the configuration and prepares what can be prepared. It talks to
// nobody.
func New(cfg Config, m *Metrics, log *slog.Logger) (*Authenticator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("authentication: %w", err)
	}
	a := &Authenticator{metrics: m.of(cfg.Scope)}
	for i, s := range cfg.Strategies {
		made, err := a.make(cfg, s, log)
		if err != nil {
			return nil, fmt.Errorf("authentication: strategy %d: %w", i+1, err)
		}
		a.strategies = append(a.strategies, strategy{s.Kind, made})
	}
	return a, nil
}

func (a *Authenticator) make(cfg Config, s Strategy, log *slog.Logger) (judge, error) {
	filter, err := NewMethodFilter(s.AllowMethods, s.IgnoreMethods)
	if err != nil {
		return nil, err
	}
	as := Principal{Strategy: s.Kind, Budget: s.Budget, methods: filter}
	switch s.Kind {
	case KindSecret:
		a.asks.secret = true
		return newSecretJudge(*s.Secret, as)
	case KindJWT:
		a.asks.token = true
		j, err := newTokenJudge(*s.JWT, as, cfg.Budgets, a.metrics, log)
		if err == nil && j.remote != nil {
			a.keySets = append(a.keySets, j.remote)
		}
		return j, err
	case KindSIWE:
		a.asks.message = true
		return newMessageJudge(*s.SIWE, as), nil
	default:
		return newAddressJudge(*s.Network, as), nil
	}
}

// Authenticate says who shows these credentials. The error is an *Error. It
// waits, a short while at most, only for the key of a token that was signed with
// a key not seen before.
func (a *Authenticator) Authenticate(ctx context.Context, c Credentials) (*Principal, error) {
	if len(a.strategies) == 0 {
		return &a.everybody, nil
	}
	why, by := ReasonMissing, Kind("")
	for _, s := range a.strategies {
		if s.kind == KindNetwork && a.asksFor(c) {
			continue
		}
		p, reason := s.judge.judge(ctx, c)
		if p != nil {
			a.metrics.accepted(s.kind)
			return p, nil
		}
		if reason > why {
			why, by = reason, s.kind
		}
	}
	if why == ReasonMissing && c.tooLong {
		why = ReasonMalformed
	}
	refusal := &Error{Reason: why, Strategy: by}
	a.metrics.refused(refusal)
	return nil, refusal
}

// asksFor says whether the credentials hold something a strategy judges.
func (a *Authenticator) asksFor(c Credentials) bool {
	return a.asks.secret && c.hasSecret || a.asks.token && !c.token.IsEmpty() || a.asks.message && c.message != ""
}

// IsOpen says that there is no strategy: everybody is let in.
func (a *Authenticator) IsOpen() bool { return len(a.strategies) == 0 }

// Run keeps the published keys of issuers fresh until ctx ends. It calls ready
// when each was asked once: an issuer that is away does not keep the gateway
// from starting, its tokens are refused until it is there. It implements
// lifecycle.Run.
func (a *Authenticator) Run(ctx context.Context, ready func()) error {
	var first, all errgroup.Group
	for _, s := range a.keySets {
		asked := make(chan struct{})
		first.Go(func() error { <-asked; return nil })
		all.Go(func() error {
			s.run(ctx, func() { close(asked) })
			return nil
		})
	}
	_ = first.Wait() // it gives no error
	ready()
	<-ctx.Done()
	return all.Wait() //nolint:wrapcheck // it gives no error
}

func digestOf(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }
