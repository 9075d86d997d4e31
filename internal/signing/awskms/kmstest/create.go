package kmstest

import (
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"
)

// request is what the operations read.
type request struct {
	KeyID            string
	Message          []byte
	MessageType      string
	SigningAlgorithm string

	KeySpec, KeyUsage, Origin, Description, Policy string

	AliasName, TargetKeyID string
	Tags                   []tag
}

type tag struct{ TagKey, TagValue string }

// creation serves the operations that make keys; nil for the others. Its caller holds
// the lock.
func (f *Server) creation(operation string, in request) map[string]any {
	switch operation {
	case "CreateKey":
		return f.createKey(in)
	case "CreateAlias":
		return f.createAlias(in)
	case "ListKeys":
		keys := []map[string]string{{"KeyArn": ARN, "KeyId": idOf(ARN)}}
		for _, m := range f.Made {
			keys = append(keys, map[string]string{"KeyArn": m.ARN, "KeyId": idOf(m.ARN)})
		}
		return map[string]any{"Keys": keys, "Truncated": false}
	case "ListResourceTags":
		m := f.made(in.KeyID)
		if m == nil {
			return map[string]any{"refusal": "AccessDeniedException"}
		}
		tags := []tag{}
		for name, value := range m.Tags {
			tags = append(tags, tag{name, value})
		}
		return map[string]any{"Tags": tags, "Truncated": false}
	}
	return nil
}

func (f *Server) createKey(in request) map[string]any {
	if in.KeySpec != "ECC_SECG_P256K1" || in.KeyUsage != "SIGN_VERIFY" || in.Origin != "AWS_KMS" || in.Policy != "" {
		return map[string]any{"refusal": "ValidationException"}
	}
	key, err := crypto.GenerateKey()
	if err != nil {
		f.problems = append(f.problems, err.Error())
	}
	m := &Made{ARN: fmt.Sprintf("arn:aws:kms:%s:111122223333:key/made-%d", Region, len(f.Made)), Description: in.Description, Tags: map[string]string{}, Key: key}
	for _, t := range in.Tags {
		m.Tags[t.TagKey] = t.TagValue
	}
	f.Made = append(f.Made, m)
	return map[string]any{"KeyMetadata": map[string]any{"KeyId": idOf(m.ARN), "Arn": m.ARN, "KeySpec": in.KeySpec, "KeyUsage": in.KeyUsage, "KeyState": "Enabled"}}
}

func (f *Server) createAlias(in request) map[string]any {
	switch {
	case !strings.HasPrefix(in.AliasName, "alias/"), strings.HasPrefix(in.AliasName, "alias/aws/"):
		return map[string]any{"refusal": "InvalidAliasNameException"}
	case f.Aliases[in.AliasName] != "":
		return map[string]any{"refusal": "AlreadyExistsException"}
	case f.made(in.TargetKeyID) == nil:
		return map[string]any{"refusal": "NotFoundException"}
	}
	if f.Aliases == nil {
		f.Aliases = map[string]string{}
	}
	f.Aliases[in.AliasName] = f.made(in.TargetKeyID).ARN
	return map[string]any{}
}

// made finds a key by ARN, id or alias.
func (f *Server) made(name string) *Made {
	if arn := f.Aliases[name]; arn != "" {
		name = arn
	}
	for _, m := range f.Made {
		if m.ARN == name || idOf(m.ARN) == name {
			return m
		}
	}
	return nil
}

// loses says whether the answer of a call is lost.
func (f *Server) loses(operation string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Lose[operation] == 0 {
		return false
	}
	f.Lose[operation]--
	return true
}

func idOf(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }
