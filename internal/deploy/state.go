package deploy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
)

// State is what the stored revisions say about a release.
type State string

// The states.
const (
	// Absent: there is no release of this name.
	Absent State = "absent"
	// Deployed: the newest revision was installed to its end.
	Deployed State = "deployed"
	// Failed: the newest revision was not, and whoever installed it said so.
	Failed State = "failed"
	// Stuck: a revision was begun and nobody wrote down how it ended, or
	// somebody is at it right now.
	Stuck State = "stuck"
)

// Errors about the state of a release.
var (
	ErrNotInstalled     = errors.New("there is no such release")
	ErrAlreadyInstalled = errors.New("the release is installed already")
	ErrStuck            = errors.New("another operation on the release has not ended")
	ErrNoRevision       = errors.New("there is no such revision")
)

// Revision is one of the stored revisions of a release.
type Revision struct {
	Number      int       `json:"revision"`
	Status      string    `json:"status"`
	Chart       string    `json:"chart"`
	Updated     time.Time `json:"updated"`
	Description string    `json:"description"`
}

// history is what is stored of a release, the oldest first.
type history []*release.Release

// historyOf reads what is stored; no release is an empty history.
func historyOf(list []*release.Release, err error) (history, error) {
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b *release.Release) int { return a.Version - b.Version })
	return list, nil
}

func (h history) last() *release.Release {
	if len(h) == 0 {
		return nil
	}
	return h[len(h)-1]
}

// state tells the state by the newest revision.
func (h history) state() State {
	last := h.last()
	switch {
	case last == nil || last.Info.Status == release.StatusUninstalled:
		return Absent
	case last.Info.Status.IsPending() || last.Info.Status == release.StatusUninstalling:
		return Stuck
	case last.Info.Status == release.StatusDeployed:
		return Deployed
	default:
		return Failed
	}
}

// deployed is the newest revision that was installed to its end; nil is none.
func (h history) deployed() *release.Release {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i].Info.Status == release.StatusDeployed {
			return h[i]
		}
	}
	return nil
}

// mixed are the revisions of which objects may be in the cluster at the same
// time: where the newest revision did not get to its end, itself, those that
// were tried before it, and the last that did.
func (h history) mixed() []*release.Release {
	if state := h.state(); state != Failed && state != Stuck {
		return nil
	}
	for i := len(h) - 1; i >= 0; i-- {
		if h[i].Info.Status == release.StatusDeployed {
			return h[i:]
		}
	}
	return h
}

// running is the revision whose objects are in the cluster, as far as anybody
// knows: the newest deployed one, or the newest that was tried.
func (h history) running() *release.Release {
	if deployed := h.deployed(); deployed != nil {
		return deployed
	}
	if h.state() == Absent {
		return nil
	}
	return h.last()
}

// previous is the revision that a rollback without a number means: the newest
// one before the last that was once installed to its end.
func (h history) previous() *release.Release {
	for i := len(h) - 2; i >= 0; i-- {
		if status := h[i].Info.Status; status == release.StatusDeployed || status == release.StatusSuperseded {
			return h[i]
		}
	}
	return nil
}

func (h history) revision(number int) *release.Release {
	for _, one := range h {
		if one.Version == number {
			return one
		}
	}
	return nil
}

// stuckError says what is stuck and how it is mended.
func (h history) stuckError(now time.Time) error {
	last := h.last()
	return fmt.Errorf("%w: revision %d of %s is %s since %s (%s ago): if somebody is at it, wait; if that program was killed, "+
		"run the command again with --recover, which writes down that the revision failed and goes on",
		ErrStuck, last.Version, last.Name, last.Info.Status, last.Info.LastDeployed.UTC().Format(time.RFC3339), now.Sub(last.Info.LastDeployed.Time).Round(time.Second))
}

func (h history) revisions() []Revision {
	out := make([]Revision, 0, len(h))
	for _, one := range h {
		chart := ""
		if one.Chart != nil && one.Chart.Metadata != nil {
			chart = one.Chart.Metadata.Name + "-" + one.Chart.Metadata.Version
		}
		out = append(out, Revision{
			Number: one.Version, Status: one.Info.Status.String(), Chart: chart,
			Updated: one.Info.LastDeployed.Time.UTC(), Description: one.Info.Description,
		})
	}
	return out
}
