package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	"sigs.k8s.io/yaml"
)

// Image is an image that an installation uses.
type Image struct {
	// Name is as it stands in the pods: registry/repository:tag@digest.
	Name string `json:"name"`
	// Digest is part of the name, or what was copied; empty is not known.
	Digest string `json:"digest,omitempty"`
	// UsedBy are the workloads, by kind and name.
	UsedBy []string `json:"usedBy"`
}

// Images are those of rendered objects, init containers and hooks included, by
// name.
func Images(objects []Object) ([]Image, error) {
	users := make(map[string][]string)
	for _, o := range objects {
		var w workload
		switch o.Kind {
		case "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod":
			if err := yaml.Unmarshal([]byte(o.Text), &w); err != nil {
				return nil, fmt.Errorf("%s %s: %w", o.Kind, o.Name, err)
			}
		default:
			continue
		}
		pod, err := podOf(o, w)
		if err != nil {
			return nil, err
		}
		for _, one := range slices.Concat(pod.InitContainers, pod.Containers) {
			user := o.Kind + " " + o.Name
			if !slices.Contains(users[one.Image], user) {
				users[one.Image] = append(users[one.Image], user)
			}
		}
	}
	var out []Image
	for image, by := range users {
		_, digest, _ := strings.Cut(image, "@")
		out = append(out, Image{Name: image, Digest: digest, UsedBy: by})
	}
	slices.SortFunc(out, func(a, b Image) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// podOf is the pod of a workload, which lies deeper in a CronJob and higher in
// a Pod.
func podOf(o Object, w workload) (podSpec, error) {
	switch o.Kind {
	case "CronJob":
		var cron struct {
			Spec struct {
				JobTemplate struct {
					Spec struct {
						Template podTemplate `json:"template"`
					} `json:"spec"`
				} `json:"jobTemplate"`
			} `json:"spec"`
		}
		err := yaml.Unmarshal([]byte(o.Text), &cron)
		return cron.Spec.JobTemplate.Spec.Template.Spec, err
	case "Pod":
		var bare podTemplate
		err := yaml.Unmarshal([]byte(o.Text), &bare)
		return bare.Spec, err
	default:
		return w.Spec.Template.Spec, nil
	}
}

// MirroredName is where an image is looked for when global.imageRegistry is
// set: the registry takes the place of the one in front, all else stays.
func MirroredName(image, registry string) (string, error) {
	if _, err := name.ParseReference(image); err != nil {
		return "", fmt.Errorf("image %s: %w", image, err)
	}
	// The first part is a registry if it can be a host; Docker's own may be left out.
	first, rest, found := strings.Cut(image, "/")
	if !found || (!strings.ContainsAny(first, ".:") && first != "localhost") {
		rest = image
	}
	return strings.TrimSuffix(registry, "/") + "/" + rest, nil
}

// Copied is an image that was copied.
type Copied struct {
	From string `json:"from"`
	To   string `json:"to"`
	// Digest is the same on both sides.
	Digest string `json:"digest"`
}

// ErrDigest says that a copy is not what was copied.
var ErrDigest = errors.New("the digests differ")

// MirrorOptions say how images are copied.
type MirrorOptions struct {
	// To is the registry, with a path in it if wanted.
	To string
	// Insecure allows registries without TLS.
	Insecure bool
	// Tell hears of every image; nil is nobody.
	Tell Tell
}

// Mirror copies images with all their platforms to a registry, logging in as
// `docker login` and its helpers have it. Every copy is read back by its digest.
// What was copied before a failure is returned with it.
func Mirror(ctx context.Context, images []Image, o MirrorOptions) ([]Copied, error) {
	options := []crane.Option{crane.WithContext(ctx), crane.WithAuthFromKeychain(authn.DefaultKeychain)}
	if o.Insecure {
		options = append(options, crane.Insecure)
	}
	var out []Copied
	for _, image := range images {
		one, err := mirrorOne(image.Name, o.To, options)
		if err != nil {
			return out, err
		}
		out = append(out, one)
		if o.Tell != nil {
			o.Tell(Event{"copy", one.To, one.Digest})
		}
	}
	return out, nil
}

func mirrorOne(image, registry string, options []crane.Option) (Copied, error) {
	to, err := MirroredName(image, registry)
	if err != nil {
		return Copied{}, err
	}
	digest, err := crane.Digest(image, options...)
	if err != nil {
		return Copied{}, fmt.Errorf("read %s: %w: is it there, and may you read it? docker login", image, err)
	}
	// A tag may move while it is copied; the digest cannot.
	tagged, _, _ := strings.Cut(to, "@")
	from, err := name.ParseReference(image)
	if err != nil {
		return Copied{}, fmt.Errorf("image %s: %w", image, err)
	}
	if err := crane.Copy(from.Context().Digest(digest).String(), tagged, options...); err != nil {
		return Copied{}, fmt.Errorf("copy %s to %s: %w: may you write there? docker login", image, tagged, err)
	}
	copied, err := crane.Digest(tagged, options...)
	if err != nil {
		return Copied{}, fmt.Errorf("read %s back: %w", tagged, err)
	}
	if copied != digest {
		return Copied{}, fmt.Errorf("%w: %s is %s, and %s is %s: does somebody else write there?", ErrDigest, image, digest, tagged, copied)
	}
	return Copied{image, tagged, digest}, nil
}
