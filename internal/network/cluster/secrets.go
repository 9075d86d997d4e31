package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/tyler-smith/go-bip39"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"github.com/slipwayhq/slipway/internal/network"
)

// requestLabel marks ConfigMaps by which charts ask for a Secret: templates
// cannot make up a password that stays.
const requestLabel = "slipway.io/secret-request=true"

// Keys of such a ConfigMap: the Secret's name, and its keys with their kinds as
// JSON.
const (
	requestName = "name"
	requestKeys = "keys"
)

// secretRequest is a Secret that somebody needs.
type secretRequest struct {
	from  string // the ConfigMap
	name  string
	kinds map[string]string // of each key
}

// ensureSecrets makes every requested Secret that is missing. One that is there
// is never changed; it must have all keys.
func (r *run) ensureSecrets(ctx context.Context) error {
	requests, err := r.secretRequests(ctx)
	if err != nil {
		return err
	}
	for _, request := range requests {
		if err := r.ensureSecret(ctx, request); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) secretRequests(ctx context.Context) ([]secretRequest, error) {
	pages := pager.New(pager.SimplePageFunc(func(options meta.ListOptions) (runtime.Object, error) {
		return r.api.ConfigMaps(r.namespace).List(ctx, options)
	}))
	pages.PageSize = pageSize
	var out []secretRequest
	err := pages.EachListItem(ctx, meta.ListOptions{LabelSelector: requestLabel}, func(item runtime.Object) error {
		configMap, ok := item.(*core.ConfigMap)
		if !ok {
			return nil
		}
		request, err := readRequest(configMap)
		out = append(out, request)
		return err
	})
	return out, r.explain("list the requested Secrets", err)
}

func readRequest(configMap *core.ConfigMap) (secretRequest, error) {
	request := secretRequest{from: configMap.Name, name: configMap.Data[requestName]}
	if err := json.Unmarshal([]byte(configMap.Data[requestKeys]), &request.kinds); err != nil || request.name == "" || len(request.kinds) == 0 {
		return secretRequest{}, fmt.Errorf("ConfigMap %s asks for a Secret, but does not say a name and keys with their kinds", configMap.Name)
	}
	for _, key := range slices.Sorted(maps.Keys(request.kinds)) {
		switch request.kinds[key] {
		case "password", "mnemonic", "hexKey":
		default:
			return secretRequest{}, fmt.Errorf("ConfigMap %s asks for the kind %q, which is not known; it is password, mnemonic or hexKey", configMap.Name, request.kinds[key])
		}
	}
	return request, nil
}

func (r *run) ensureSecret(ctx context.Context, request secretRequest) error {
	data, found, err := r.data(ctx, network.Secret, request.name)
	if err != nil {
		return err
	}
	if !found {
		made, err := r.makeSecret(ctx, request)
		if made || err != nil {
			return err
		}
		if data, _, err = r.data(ctx, network.Secret, request.name); err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(request.kinds)) {
		if data[key] == "" {
			return fmt.Errorf("secret %s is there, but has no %s, which ConfigMap %s asks for: add it, or delete the Secret if nobody uses it yet", request.name, key, request.from)
		}
	}
	r.report.Kept++
	return nil
}

func (r *run) makeSecret(ctx context.Context, request secretRequest) (made bool, err error) {
	data := make(map[string]string, len(request.kinds))
	for key, kind := range request.kinds {
		if data[key], err = makeUp(kind); err != nil {
			return false, err
		}
	}
	made, err = r.create(ctx, network.Object{Kind: network.Secret, Name: request.name, Data: data}, r.request.Labels, r.request.DryRun)
	if made {
		r.report.Made = append(r.report.Made, "Secret "+request.name)
	}
	return made, err
}

// Sizes of what is made up: 190 bits, 128 bits and 256 bits.
const (
	passwordLength  = 32
	passwordLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	mnemonicBits    = 128 // 12 words
	hexKeyBytes     = 32
)

func makeUp(kind string) (string, error) {
	switch kind {
	case "mnemonic":
		entropy, err := bip39.NewEntropy(mnemonicBits)
		if err != nil {
			return "", fmt.Errorf("make up a mnemonic: %w", err)
		}
		return bip39.NewMnemonic(entropy)
	case "hexKey":
		raw := make([]byte, hexKeyBytes)
		if _, err := rand.Read(raw); err != nil {
			return "", fmt.Errorf("make up a key: %w", err)
		}
		return hex.EncodeToString(raw), nil
	default:
		text := make([]byte, passwordLength)
		for i := range text {
			n, err := rand.Int(rand.Reader, big.NewInt(int64(len(passwordLetters))))
			if err != nil {
				return "", fmt.Errorf("make up a password: %w", err)
			}
			text[i] = passwordLetters[n.Int64()]
		}
		return string(text), nil
	}
}
