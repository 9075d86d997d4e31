package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
)

// secretJudge compares digests, so that neither the time of a comparison nor a
// dump of the memory tells the secret.
type secretJudge struct {
	digest [sha256.Size]byte
	as     Principal
}

func newSecretJudge(cfg Secret, as Principal) (*secretJudge, error) {
	digest, err := cfg.digest()
	as.User = cfg.ID
	return &secretJudge{digest, as}, err
}

func (j *secretJudge) judge(_ context.Context, c Credentials) (*Principal, Reason) {
	if !c.hasSecret {
		return nil, ReasonMissing
	}
	if subtle.ConstantTimeCompare(j.digest[:], c.secretDigest[:]) != 1 {
		return nil, ReasonSecret
	}
	return &j.as, ReasonNone
}
