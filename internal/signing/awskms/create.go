package awskms

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/slipwayhq/slipway/internal/signing"
)

// Creation is how keys are made.
type Creation struct {
	// Prefix begins the aliases: alias/PREFIX-ORDER.
	Prefix string
	// Tags are put on each key, besides OrderTag.
	Tags map[string]string
}

// OrderTag is the tag that names the order a key was made for.
const OrderTag = "slipway-order"

// Create makes the key of an order, or finds the one that an earlier attempt made,
// and returns its ARN. Its policy is the account's default: KMS gives it where none
// is named. It fails as signing.Signer fails.
func (o *Opener) Create(ctx context.Context, cfg Config, creation Creation, order signing.Order) (arn string, err error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	m := &maker{alias: "alias/" + creation.Prefix + "-" + order.ID, timeout: cfg.Timeout, creation: creation, order: order}
	m.ref = signing.KeyRef("awskms:" + m.alias)
	loading, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	if m.client, err = o.client(loading, cfg); err != nil {
		return "", classify(ctx, m.ref, cfg.Timeout, err)
	}
	arn = order.Place
	if arn == "" && order.IsRepeated {
		if arn, err = m.find(ctx); err != nil {
			return "", err
		}
	}
	if arn == "" {
		if arn, err = m.create(ctx); err != nil {
			return "", err
		}
	}
	if arn != order.Place {
		if err := order.Note(ctx, arn); err != nil {
			return "", err
		}
	}
	return arn, m.name(ctx, arn)
}

// maker makes one key.
type maker struct {
	client   *kms.Client
	ref      signing.KeyRef
	alias    string
	timeout  time.Duration
	creation Creation
	order    signing.Order
}

// call runs one call of KMS.
func (m *maker) call(ctx context.Context, do func(ctx context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	if err := do(limited); err != nil {
		return classify(ctx, m.ref, m.timeout, err)
	}
	return nil
}

// create makes the key. It is not repeated by the SDK: what was not answered may have
// been done.
func (m *maker) create(ctx context.Context) (arn string, err error) {
	tags := []types.Tag{{TagKey: aws.String(OrderTag), TagValue: aws.String(m.order.ID)}}
	for name, value := range m.creation.Tags {
		tags = append(tags, types.Tag{TagKey: aws.String(name), TagValue: aws.String(value)})
	}
	err = m.call(ctx, func(ctx context.Context) error {
		made, err := m.client.CreateKey(ctx, &kms.CreateKeyInput{
			KeySpec: types.KeySpecEccSecgP256k1, KeyUsage: types.KeyUsageTypeSignVerify, Origin: types.OriginTypeAwsKms,
			Description: aws.String("Slipway: " + m.order.Name), Tags: tags,
		}, func(o *kms.Options) { o.Retryer = aws.NopRetryer{} })
		if err == nil && (made.KeyMetadata == nil || aws.ToString(made.KeyMetadata.Arn) == "") {
			return errors.New("no ARN")
		}
		if err == nil {
			arn = aws.ToString(made.KeyMetadata.Arn)
		}
		return err
	})
	return arn, err
}

// name gives the key its alias, unless it has it.
func (m *maker) name(ctx context.Context, arn string) error {
	err := m.call(ctx, func(ctx context.Context) error {
		_, err := m.client.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: aws.String(m.alias), TargetKeyId: aws.String(arn)})
		return err
	})
	var taken *types.AlreadyExistsException
	if !errors.As(err, &taken) {
		return err
	}
	held, err := m.byAlias(ctx)
	if err == nil && held != arn {
		err = &signing.PermanentError{Key: m.ref, Reason: "the alias is another key's"}
	}
	return err
}

// find looks for what an earlier attempt made: by its alias, and by its tag, since the
// attempt may have ended between the two.
func (m *maker) find(ctx context.Context) (arn string, err error) {
	if arn, err = m.byAlias(ctx); err != nil || arn != "" {
		return arn, err
	}
	return m.byTag(ctx)
}

// byAlias returns "" where nothing has the alias.
func (m *maker) byAlias(ctx context.Context) (arn string, err error) {
	err = m.call(ctx, func(ctx context.Context) error {
		description, err := m.client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: aws.String(m.alias)})
		var absent *types.NotFoundException
		if errors.As(err, &absent) {
			return nil
		}
		if err == nil && description.KeyMetadata != nil {
			arn = aws.ToString(description.KeyMetadata.Arn)
		}
		return err
	})
	return arn, err
}

// maxSearched bounds the keys whose tags are read: KMS does not search for tags. Where
// there are more, nothing is made, since it could be a second key.
const maxSearched = 1000

// byTag returns "" where no key has the order's tag.
func (m *maker) byTag(ctx context.Context) (string, error) {
	searched := 0
	pages := kms.NewListKeysPaginator(m.client, &kms.ListKeysInput{})
	for pages.HasMorePages() {
		var page *kms.ListKeysOutput
		err := m.call(ctx, func(ctx context.Context) (err error) { page, err = pages.NextPage(ctx); return err })
		if err != nil {
			return "", err
		}
		for _, key := range page.Keys {
			if searched++; searched > maxSearched {
				return "", &signing.PermanentError{Key: m.ref, Reason: "an earlier attempt may have made the key, and the account has too many keys to look for it: " +
					"look for the tag " + OrderTag + " = " + m.order.ID + ", and use a new idempotency key"}
			}
			if isOurs, err := m.hasTag(ctx, key); err != nil || isOurs {
				return aws.ToString(key.KeyArn), err
			}
		}
	}
	return "", nil
}

func (m *maker) hasTag(ctx context.Context, key types.KeyListEntry) (bool, error) {
	var tags *kms.ListResourceTagsOutput
	err := m.call(ctx, func(ctx context.Context) (err error) {
		tags, err = m.client.ListResourceTags(ctx, &kms.ListResourceTagsInput{KeyId: key.KeyId})
		return err
	})
	var forbidden *signing.PermanentError
	if errors.As(err, &forbidden) {
		return false, nil // somebody else's: the role may read the tags of keys that it made
	}
	if err != nil {
		return false, err
	}
	for _, tag := range tags.Tags {
		if aws.ToString(tag.TagKey) == OrderTag && aws.ToString(tag.TagValue) == m.order.ID {
			return true, nil
		}
	}
	return false, nil
}
