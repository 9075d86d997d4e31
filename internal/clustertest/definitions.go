package clustertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// definedWithin is the time that the API server has to serve what was defined.
const definedWithin = 2 * time.Minute

// define tells the API server of the custom resources in a folder, and waits
// until it serves them. No folder is none: then there are no definitions.
func (p *controlPlane) define(folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), definedWithin)
	defer cancel()
	for _, path := range files {
		if err := defineOne(ctx, client, config.Host, path); err != nil {
			return fmt.Errorf("define what is in %s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

// definition is as much of a CustomResourceDefinition as is read here.
type definition struct {
	Metadata struct{ Name string }
	Status   struct {
		Conditions []struct{ Type, Status string }
	}
}

func (d definition) isServed() bool {
	for _, condition := range d.Status.Conditions {
		if condition.Type == "Established" {
			return condition.Status == "True"
		}
	}
	return false
}

func defineOne(ctx context.Context, client *http.Client, server, path string) error {
	text, err := os.ReadFile(path) //nolint:gosec // of the folder of programs, which is what the variable is for
	if err != nil {
		return err
	}
	var wanted definition
	if err := yaml.Unmarshal(text, &wanted); err != nil {
		return err
	}
	url := server + "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + wanted.Metadata.Name
	seen, err := exchange(ctx, client, http.MethodPatch, url+"?fieldManager=clustertest&force=true", text)
	for err == nil && !seen.isServed() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("it is not served: %w", ctx.Err())
		case <-time.After(lookEvery):
		}
		seen, err = exchange(ctx, client, http.MethodGet, url, nil)
	}
	return err
}

// exchange sends a server-side apply, or asks.
func exchange(ctx context.Context, client *http.Client, method, url string, body []byte) (definition, error) {
	var out definition
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	request.Header.Set("Content-Type", "application/apply-patch+yaml")
	response, err := client.Do(request) //nolint:gosec // the API server that these tests started
	if err != nil {
		return out, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return out, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return out, fmt.Errorf("%s: %s", response.Status, text)
	}
	return out, json.Unmarshal(text, &out)
}
