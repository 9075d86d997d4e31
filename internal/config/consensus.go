package config

import (
	"log/slog"
	"slices"
	"time"

	"github.com/slipwayhq/slipway/internal/upstreams"
)

// ConsensusFile is the section consensus of a rule. What it leaves out keeps
// its default.
type ConsensusFile struct {
	// How many nodes are asked; left out: 5.
	MaxParticipants *int `yaml:"maxParticipants,omitempty"`
	// How many must give the same answer; left out: 2.
	AgreementThreshold *int `yaml:"agreementThreshold,omitempty"`
	// What holds when they do not: returnError (left out), acceptMostCommonValidResult, preferBlockHeadLeader or onlyBlockHeadLeader.
	DisputeBehavior *upstreams.Arbitration `yaml:"disputeBehavior,omitempty"`
	// What holds when fewer have answered; the same words; left out: acceptMostCommonValidResult.
	LowParticipantsBehavior *upstreams.Arbitration `yaml:"lowParticipantsBehavior,omitempty"`
	// Whether an answer is taken over an empty one; left out: true.
	PreferNonEmpty *bool `yaml:"preferNonEmpty,omitempty"`
	// Members that do not count in the comparison: lists of paths such as logs.*.blockTimestamp, by method.
	IgnoreFields map[string][]string `yaml:"ignoreFields,omitempty"`
	// When a node that disagrees is left out for a while.
	PunishMisbehavior *PunishmentFile `yaml:"punishMisbehavior,omitempty"`
	// Level at which a dispute is logged: debug, info, warn or error; left out: warn.
	DisputeLogLevel *slog.Level `yaml:"disputeLogLevel,omitempty"`
}

// PunishmentFile is the section punishMisbehavior.
type PunishmentFile struct {
	// How many disagreements.
	DisputeThreshold int `yaml:"disputeThreshold"`
	// Time within which they count.
	DisputeWindow time.Duration `yaml:"disputeWindow"`
	// Time for which the node is left out.
	SitOutPenalty time.Duration `yaml:"sitOutPenalty"`
}

// policy is what the section makes of the defaults; nil without one.
func (f *ConsensusFile) policy() *upstreams.Consensus {
	if f == nil {
		return nil
	}
	c := upstreams.DefaultConsensus()
	take(&c.Participants, f.MaxParticipants)
	take(&c.Threshold, f.AgreementThreshold)
	take(&c.OnDispute, f.DisputeBehavior)
	take(&c.OnLow, f.LowParticipantsBehavior)
	take(&c.PreferNonEmpty, f.PreferNonEmpty)
	take(&c.DisputeLevel, f.DisputeLogLevel)
	c.IgnoreFields = f.IgnoreFields
	if p := f.PunishMisbehavior; p != nil {
		c.Punishment = &upstreams.Punishment{Disputes: p.DisputeThreshold, Window: p.DisputeWindow, SitOut: p.SitOutPenalty}
	}
	return &c
}

func checkConsensus(f *ConsensusFile, at string, r *report) {
	if f == nil {
		return
	}
	c := f.policy()
	if c.Participants < 1 {
		r.fail(at+".maxParticipants", "must be at least 1")
	}
	if c.Threshold < 1 || c.Threshold > c.Participants {
		r.fail(at+".agreementThreshold", "must be between 1 and maxParticipants")
	}
	for name, a := range map[string]upstreams.Arbitration{"disputeBehavior": c.OnDispute, "lowParticipantsBehavior": c.OnLow} {
		if !slices.Contains([]upstreams.Arbitration{upstreams.ReturnError, upstreams.AcceptMostCommon, upstreams.PreferBlockHeadLeader, upstreams.OnlyBlockHeadLeader}, a) {
			r.fail(at+"."+name, "must be returnError, acceptMostCommonValidResult, preferBlockHeadLeader or onlyBlockHeadLeader")
		}
	}
	if p := f.PunishMisbehavior; p != nil && (p.DisputeThreshold < 1 || p.DisputeWindow <= 0 || p.SitOutPenalty <= 0) {
		r.fail(at+".punishMisbehavior", "disputeThreshold, disputeWindow and sitOutPenalty must be more than zero")
	}
}
