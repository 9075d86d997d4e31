package clustertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	var names []string
	for _, path := range files {
		defined, err := defineAll(ctx, client, config.Host, path)
		if err != nil {
			return fmt.Errorf("define what is in %s: %w", filepath.Base(path), err)
		}
		names = append(names, defined...)
	}
	for _, name := range names { // all at once, since each takes its time
		if err := waitServed(ctx, client, config.Host, name); err != nil {
			return fmt.Errorf("definition %s: %w", name, err)
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

// defineAll defines what is in a file, and returns the names.
func defineAll(ctx context.Context, client *http.Client, server, path string) ([]string, error) {
	file, err := os.Open(path) //nolint:gosec // of the folder of programs, which is what the variable is for
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var names []string
	documents := yaml.NewYAMLReader(bufio.NewReader(file))
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		var wanted definition
		if err := yaml.Unmarshal(text, &wanted); err != nil {
			return nil, err
		}
		if wanted.Metadata.Name == "" {
			continue // a comment alone
		}
		if _, err := exchange(ctx, client, http.MethodPatch, urlOf(server, wanted.Metadata.Name)+"?fieldManager=clustertest&force=true", text); err != nil {
			return nil, err
		}
		names = append(names, wanted.Metadata.Name)
	}
}

func urlOf(server, name string) string {
	return server + "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + name
}

func waitServed(ctx context.Context, client *http.Client, server, name string) error {
	for {
		seen, err := exchange(ctx, client, http.MethodGet, urlOf(server, name), nil)
		if err != nil || seen.isServed() {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it is not served: %w", ctx.Err())
		case <-time.After(lookEvery):
		}
	}
}

// exchange sends a server-side apply, or asks.
func exchange(ctx context.Context, client *http.Client, method, url string, body []byte) (definition, error) {
	var out definition
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body)) //nolint:gosec // the API server of the test
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
