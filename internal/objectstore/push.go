package objectstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	// defaultPartSize is above what most copies have, so that they are one request.
	defaultPartSize = 64 << 20
	// maxParts is what S3 takes of one object.
	maxParts = 10_000
	// hashKey is under which an object has the SHA-256 of its content (x-amz-meta-sha256).
	hashKey = "sha256"
	// cleanupTimeout is for taking away what was not finished.
	cleanupTimeout = 30 * time.Second
)

// ErrMismatch is a copy that is not what was put.
var ErrMismatch = errors.New("the store gives back something else than was put")

// Push puts a file under its name, and reads it back. What comes back otherwise
// is taken away again.
func (s *Store) Push(ctx context.Context, file string) (Copy, error) {
	f, err := os.Open(file)
	if err != nil {
		return Copy{}, err
	}
	defer f.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, f)
	if err != nil {
		return Copy{}, fmt.Errorf("read %s: %w", file, err)
	}
	want := Copy{Name: filepath.Base(file), Size: size, SHA256: hex.EncodeToString(hash.Sum(nil))}
	if err := s.put(ctx, want, f); err != nil {
		return Copy{}, s.explain("put "+s.place(want.Name), err)
	}
	got, err := s.read(ctx, want.Name, io.Discard)
	if err == nil && (got.Size != want.Size || got.SHA256 != want.SHA256) {
		err = fmt.Errorf("%s: %w", s.place(want.Name), ErrMismatch)
	}
	if errors.Is(err, ErrMismatch) {
		return Copy{}, errors.Join(err, s.remove(ctx, want.Name))
	}
	return got, err
}

// put sends in one request what fits into a part.
func (s *Store) put(ctx context.Context, want Copy, f io.ReaderAt) error {
	metadata := map[string]string{hashKey: want.SHA256}
	if want.Size > s.partSize {
		return s.putParts(ctx, want, f, metadata)
	}
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: s.key(want.Name), Metadata: metadata,
		Body: io.NewSectionReader(f, 0, want.Size), ContentLength: &want.Size,
	})
	return err
}

// putParts sends one part after the other. The SDK's own uploader is
// deprecated, and what follows it is not yet a version 1.
func (s *Store) putParts(ctx context.Context, want Copy, f io.ReaderAt, metadata map[string]string) (err error) {
	upload, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: s.key(want.Name), Metadata: metadata})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
			defer cancel()
			_, aborted := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.bucket, Key: s.key(want.Name), UploadId: upload.UploadId})
			err = errors.Join(err, aborted)
		}
	}()
	var parts []types.CompletedPart
	size := partSize(want.Size, s.partSize)
	for at := int64(0); at < want.Size; at += size {
		number, length := int32(len(parts)+1), min(size, want.Size-at)
		part, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &s.bucket, Key: s.key(want.Name), UploadId: upload.UploadId, PartNumber: &number,
			Body: io.NewSectionReader(f, at, length), ContentLength: &length,
		})
		if err != nil {
			return err
		}
		parts = append(parts, types.CompletedPart{ETag: part.ETag, PartNumber: &number})
	}
	_, err = s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &s.bucket, Key: s.key(want.Name), UploadId: upload.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return err
}

// partSize is the least size, not below least, with which no more than maxParts are needed.
func partSize(size, least int64) int64 { return max(least, (size+maxParts-1)/maxParts) }

func (s *Store) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if _, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.key(name)}); err != nil {
		return s.explain("remove "+s.place(name), err)
	}
	return nil
}
