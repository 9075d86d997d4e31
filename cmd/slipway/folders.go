package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/slipwayhq/slipway/internal/deploy"
)

type imagesCmd struct {
	List   imagesListCmd   `cmd:"" help:"Print every image that an installation uses."`
	Mirror imagesMirrorCmd `cmd:"" help:"Copy them to a registry of your own, for global.imageRegistry."`
}

type imagesListCmd struct {
	chartValues
	chartTarget

	Output string `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

// images are those of an installation with these values.
func images(ctx context.Context, values chartValues, target chartTarget) ([]deploy.Image, error) {
	loaded, err := values.load()
	if err != nil {
		return nil, err
	}
	objects, err := deploy.Render(ctx, target.target(), loaded)
	if err != nil {
		return nil, err
	}
	return deploy.Images(objects)
}

func (c *imagesListCmd) run(ctx context.Context, stdout io.Writer) error {
	list, err := images(ctx, c.chartValues, c.chartTarget)
	if err != nil {
		return err
	}
	return releaseFlags{Output: c.Output}.show(stdout, list, func(w io.Writer) {
		for _, image := range list {
			fmt.Fprintln(w, image.Name)
		}
	})
}

type imagesMirrorCmd struct {
	chartValues
	chartTarget

	To       string `required:"" help:"Registry, with a path in it if wanted: registry.example.org/slipway." placeholder:"REGISTRY"`
	Insecure bool   `help:"Allow registries without TLS."`
	Output   string `short:"o" enum:"text,json" default:"text" help:"text or json."`
}

func (c *imagesMirrorCmd) run(ctx context.Context, stdout, stderr io.Writer) error {
	list, err := images(ctx, c.chartValues, c.chartTarget)
	if err != nil {
		return err
	}
	flags := releaseFlags{Output: c.Output}
	copied, err := deploy.Mirror(ctx, list, deploy.MirrorOptions{To: c.To, Insecure: c.Insecure, Tell: flags.tell(stderr)})
	if err != nil {
		return fmt.Errorf("%d of %d images are copied: %w", len(copied), len(list), err)
	}
	return flags.show(stdout, copied, func(w io.Writer) {
		for _, one := range copied {
			fmt.Fprintf(w, "%s@%s\n", one.To, one.Digest)
		}
		fmt.Fprintf(w, "Install with --set global.imageRegistry=%s\n", strings.TrimSuffix(c.To, "/"))
	})
}

type gitopsCmd struct {
	Argocd   gitopsArgoCmd     `cmd:"" name:"argocd" help:"Write a folder for Argo CD: an app of apps, or an ApplicationSet."`
	Helmfile gitopsHelmfileCmd `cmd:"" help:"Write a folder for helmfile."`
}

type gitopsArgoCmd struct {
	chartValues
	chartTarget

	To          string            `required:"" help:"The folder." placeholder:"DIR"`
	Repository  string            `required:"" help:"URL of the Git repository in which the folder will be." placeholder:"URL"`
	Path        string            `help:"Path of the folder in the repository." placeholder:"PATH"`
	Revision    string            `default:"main" help:"Branch, tag or commit."`
	Environment map[string]string `help:"Environments with their namespaces, for an ApplicationSet: NAME=NAMESPACE;NAME=NAMESPACE." placeholder:"ENVIRONMENTS"`
}

func (c *gitopsArgoCmd) run(ctx context.Context, stdout io.Writer) error {
	from := deploy.Source{Repository: c.Repository, Path: strings.Trim(c.Path, "/"), Revision: c.Revision, Environments: c.Environment}
	return writeGitOps(ctx, c.chartValues, c.chartTarget, c.To, stdout, "kubectl apply --filename root.yaml", func(t deploy.Target, v deploy.Values, o []deploy.Object) ([]deploy.File, error) {
		return deploy.Argo(t, v, o, from)
	})
}

type gitopsHelmfileCmd struct {
	chartValues
	chartTarget

	To string `required:"" help:"The folder." placeholder:"DIR"`
}

func (c *gitopsHelmfileCmd) run(ctx context.Context, stdout io.Writer) error {
	return writeGitOps(ctx, c.chartValues, c.chartTarget, c.To, stdout, "helmfile apply", deploy.Helmfile)
}

func writeGitOps(ctx context.Context, values chartValues, target chartTarget, to string, stdout io.Writer, next string,
	files func(deploy.Target, deploy.Values, []deploy.Object) ([]deploy.File, error),
) error {
	loaded, err := values.load()
	if err != nil {
		return err
	}
	objects, err := deploy.Render(ctx, target.target(), loaded)
	if err != nil {
		return err
	}
	list, err := files(target.target(), loaded, objects)
	if err != nil {
		return err
	}
	if err := deploy.WriteFolder(to, list); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s has %d files, which render into %d objects. Commit them; then: %s\n", to, len(list), len(objects), next)
	return nil
}
