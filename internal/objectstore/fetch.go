package objectstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// resumes is how often an answer that breaks off is taken up where it did.
const resumes = 5

// Fetch writes a copy to a file that must not be there, and compares it with
// what was put. The file appears under its name when it is whole.
func (s *Store) Fetch(ctx context.Context, name, to string) (Copy, error) {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return Copy{}, fmt.Errorf("%s is there already: name another file", to)
	}
	part := to + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return Copy{}, err
	}
	got, err := s.fetch(ctx, name, f)
	if err == nil {
		err = os.Rename(part, to)
	}
	if err != nil {
		return Copy{}, errors.Join(err, os.Remove(part))
	}
	return got, nil
}

func (s *Store) fetch(ctx context.Context, name string, f *os.File) (Copy, error) {
	got, err := s.read(ctx, name, f)
	if err == nil {
		err = f.Sync()
	}
	return got, errors.Join(err, f.Close())
}

// Verify reads a copy, and compares it with what was put.
func (s *Store) Verify(ctx context.Context, name string) (Copy, error) {
	return s.read(ctx, name, io.Discard)
}

// read writes an object to w. Its SHA-256 must be what it says of itself.
func (s *Store) read(ctx context.Context, name string, w io.Writer) (Copy, error) {
	hash := sha256.New()
	head, err := s.stream(ctx, name, io.MultiWriter(hash, w))
	if err != nil {
		return Copy{}, s.explain("read "+s.place(name), err)
	}
	out := Copy{Name: name, Size: aws.ToInt64(head.ContentLength), SHA256: hex.EncodeToString(hash.Sum(nil))}
	if head.LastModified != nil {
		out.Modified = head.LastModified.UTC()
	}
	switch promised := head.Metadata[hashKey]; promised {
	case "":
		return Copy{}, fmt.Errorf("%s has no SHA-256 to be compared with: it was not put there by slipway", s.place(name))
	case out.SHA256:
		return out, nil
	default:
		return Copy{}, fmt.Errorf("%s: %w: it has SHA-256 %s and should have %s", s.place(name), ErrMismatch, out.SHA256, promised)
	}
}

// stream reads the same object to its end, and goes on where an answer breaks off.
func (s *Store) stream(ctx context.Context, name string, w io.Writer) (*s3.GetObjectOutput, error) {
	first, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: s.key(name)})
	if err != nil {
		return nil, err
	}
	body, at, to := first.Body, int64(0), sink{Writer: w}
	for resumed := 0; ; resumed++ {
		n, err := io.Copy(&to, body)
		_ = body.Close() // what counts is what was read
		if to.failed != nil {
			return nil, to.failed
		}
		at += n
		if err == nil && at == aws.ToInt64(first.ContentLength) {
			return first, nil
		}
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		if resumed == resumes || ctx.Err() != nil {
			return nil, err
		}
		more, err := s.client.GetObject(ctx, &s3.GetObjectInput{
			Bucket: &s.bucket, Key: s.key(name), IfMatch: first.ETag, Range: aws.String(fmt.Sprintf("bytes=%d-", at)),
		})
		if err != nil {
			return nil, err
		}
		body = more.Body
	}
}

// sink keeps apart that writing failed, after which there is nothing to resume.
type sink struct {
	io.Writer
	failed error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	s.failed = errors.Join(s.failed, err)
	return n, err
}
