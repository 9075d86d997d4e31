package cluster

import (
	"context"
	"fmt"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"github.com/slipwayhq/slipway/internal/network"
)

// pageSize is how many ConfigMaps are read at once.
const pageSize = 100

// ABIs are all interfaces of contracts that are kept in the namespace.
func (c *Cluster) ABIs(ctx context.Context) ([]network.ABI, error) {
	pages := pager.New(pager.SimplePageFunc(func(options meta.ListOptions) (runtime.Object, error) {
		return c.api.ConfigMaps(c.namespace).List(ctx, options)
	}))
	pages.PageSize = pageSize
	var out []network.ABI
	err := pages.EachListItem(ctx, meta.ListOptions{}, func(item runtime.Object) error {
		configMap, ok := item.(*core.ConfigMap)
		if !ok || configMap.Annotations[network.ArtifactAnnotation] != network.ArtifactABI {
			return nil
		}
		for file, content := range configMap.Data {
			abi := network.ABI{File: file, Content: content}
			if err := abi.Check(); err != nil {
				return fmt.Errorf("ConfigMap %s: %w", configMap.Name, err)
			}
			out = append(out, abi)
		}
		return nil
	})
	return out, c.explain("list ConfigMaps", err)
}
