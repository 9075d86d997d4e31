package objectstore

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Copy is a file in the store.
type Copy struct {
	// Name is that of the file, without the prefix.
	Name string `json:"name"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// Modified is when the store took it.
	Modified time.Time `json:"modified,omitzero"`
	// SHA256 is of its content, in hexadecimal; a list does not have it.
	SHA256 string `json:"sha256,omitempty"`
}

// List gives what is directly below the prefix and fits the pattern (of
// path.Match; "" is everything), by name.
func (s *Store) List(ctx context.Context, pattern string) ([]Copy, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("%q is no pattern of names: %w", pattern, err)
	}
	out := []Copy{} // an empty list, not null, in JSON
	slash := "/"
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &s.prefix, Delimiter: &slash})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.explain("list "+s.place(""), err)
		}
		for _, object := range page.Contents {
			name := strings.TrimPrefix(*object.Key, s.prefix)
			if fits(pattern, name) {
				one := Copy{Name: name}
				if object.Size != nil {
					one.Size = *object.Size
				}
				if object.LastModified != nil {
					one.Modified = object.LastModified.UTC()
				}
				out = append(out, one)
			}
		}
	}
	slices.SortFunc(out, func(a, b Copy) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func fits(pattern, name string) bool {
	if name == "" { // some programs mark folders so
		return false
	}
	matches, err := path.Match(pattern, name)
	return pattern == "" || (err == nil && matches)
}

// Prune takes away all but the last copies by name, which so must begin with
// their time. The one called except stays in any case. It gives what it took away.
func (s *Store) Prune(ctx context.Context, pattern string, keep int, except string) ([]Copy, error) {
	copies, err := s.List(ctx, pattern)
	if err != nil {
		return nil, err
	}
	var gone []Copy
	for _, old := range tooMany(copies, keep, except) {
		if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(old.Name)}); err != nil {
			return gone, s.explain("remove "+s.place(old.Name), err)
		}
		gone = append(gone, old)
	}
	return gone, nil
}

// tooMany are the copies, sorted by name, that are not among the last ones.
func tooMany(copies []Copy, keep int, except string) []Copy {
	keep = max(keep, 1)
	if len(copies) <= keep {
		return nil
	}
	var out []Copy
	for _, one := range copies[:len(copies)-keep] {
		if one.Name != except {
			out = append(out, one)
		}
	}
	return out
}

// place is where a copy is, for people.
func (s *Store) place(name string) string { return "s3://" + s.bucket + "/" + s.prefix + name }
