package wallets

import (
	"context"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// maxOpenChallenges bounds the challenges of one verification that can be
// answered; a new one pushes out the oldest.
const maxOpenChallenges = 50

// addChallenges makes amount challenges for each verification a target means.
func (s *Store) addChallenges(ctx context.Context, vault common.Address, t Target, amount int, ttl time.Duration) ([]Challenge, error) {
	var out []Challenge
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := s.walletID(ctx, tx, walletKey{vault, t.Tenant, *t.Address}); err != nil {
			return err
		}
		records, err := s.lockVerifications(ctx, tx, vault, t)
		if err != nil {
			return err
		}
		if t.Verification != uuid.Nil && len(records) == 0 {
			return ErrUnknownVerification
		}
		for _, r := range records {
			for range amount {
				c := newChallenge(r)
				if _, err := tx.Exec(ctx, `
					insert into wallet_challenges (id, verification_id, secret, created_at, expires_at)
					values (@id, @verification, @secret, clock_timestamp(), clock_timestamp() + @ttl)`,
					pgx.NamedArgs{"id": c.ID, "verification": r.id, "secret": c.secret, "ttl": ttl}); err != nil {
					return err
				}
				out = append(out, c)
			}
			if err := pruneChallenges(ctx, tx, r.id); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func pruneChallenges(ctx context.Context, tx pgx.Tx, verification uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		delete from wallet_challenges where verification_id = @id and (expires_at <= clock_timestamp() or id in (
			select id from wallet_challenges where verification_id = @id order by created_at desc offset @most))`,
		pgx.NamedArgs{"id": verification, "most": maxOpenChallenges})
	return err
}

// openChallenges reads the challenges of a verification that can be answered,
// or the one a target names.
func openChallenges(ctx context.Context, tx pgx.Tx, verification uuid.UUID, t Target) ([]challengeRow, error) {
	rows, err := tx.Query(ctx, `
		select id, secret from wallet_challenges
		where verification_id = @verification and expires_at > clock_timestamp() and (@challenge::uuid is null or id = @challenge)
		order by created_at desc limit @most`,
		pgx.NamedArgs{"verification": verification, "challenge": idOrNull(t.Challenge), "most": maxOpenChallenges})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (challengeRow, error) {
		var c challengeRow
		err := row.Scan(&c.id, &c.secret)
		return c, err
	})
}

// attempt locks the verifications a target means, lets rule decide, and writes
// what it decided. Attempts at one verification wait for each other, so none is
// free and no challenge is answered twice. What is repeated is seen under the lock:
// the one before has said by then for which requests its response was used up. The
// clock is the database's.
func (s *Store) attempt(ctx context.Context, vault common.Address, t Target, requests []Request, ttl time.Duration, rule func([]record, time.Time) ruling) error {
	var verdict error
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		records, err := s.lockVerifications(ctx, tx, vault, t)
		if err != nil {
			return err
		}
		if proved, err := isProved(ctx, tx, t.Tenant, requests, ttl); err != nil || proved {
			return err
		}
		if err := readChallenges(ctx, tx, records, t); err != nil {
			return err
		}
		var now time.Time
		if err := tx.QueryRow(ctx, `select clock_timestamp()`).Scan(&now); err != nil {
			return err
		}
		decided := rule(records, now)
		verdict = decided.err
		for _, r := range decided.changed {
			if err := save(ctx, tx, r); err != nil {
				return err
			}
		}
		if verdict == nil {
			return useUp(ctx, tx, decided.used, t.Tenant, requests)
		}
		return nil
	})
	if err != nil { // the verdict is not durable: it does not count
		return err
	}
	return verdict
}

func readChallenges(ctx context.Context, tx pgx.Tx, records []record, t Target) (err error) {
	for i := range records {
		if records[i].challenges, err = openChallenges(ctx, tx, records[i].id, t); err != nil {
			return err
		}
	}
	return nil
}

// useUp takes away the challenge that was answered, if any, and writes down for which
// requests it was.
func useUp(ctx context.Context, tx pgx.Tx, challenge *uuid.UUID, tenant string, requests []Request) error {
	if challenge != nil {
		if _, err := tx.Exec(ctx, `delete from wallet_challenges where id = @id`, pgx.NamedArgs{"id": *challenge}); err != nil {
			return err
		}
	}
	return noteProved(ctx, tx, tenant, requests)
}
