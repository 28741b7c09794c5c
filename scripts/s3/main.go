// Command s3 is an S3 server that checks signatures, and a client that signs, for the end-to-end test of signed requests.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/rclone/gofakes3/signature"
)

const (
	access = "hoft-access"
	secret = "hoft-secret"
)

func main() {
	ready := flag.String("serve", "", "serve, and write the address into this file")
	endpoint := flag.String("call", "", "call the server at this host:port and print what came of it")
	bucket := flag.String("bucket", "bucket", "bucket of the calls")
	flag.Parse()
	var err error
	if *ready != "" {
		err = serve(*ready)
	} else {
		err = call(*endpoint, *bucket)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func serve(ready string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	signature.ReloadKeys(map[string]string{access: secret})
	s3 := gofakes3.New(s3mem.New()).Server()
	checked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := signature.V4SignVerify(r); code != signature.ErrNone {
			refused := signature.GetAPIError(code)
			log.Printf("%s %s: %s", r.Method, r.URL.Path, refused.Code)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(refused.HTTPStatusCode)
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", refused.Code)
			return
		}
		if err := unchunk(r); err != nil {
			log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		s3.ServeHTTP(w, r)
	})
	if err := os.WriteFile(ready, []byte(l.Addr().String()), 0o644); err != nil {
		return err
	}
	return http.Serve(l, checked)
}

// call does what a client of a store does. Its output has nothing that differs from run to run.
func call(endpoint, bucket string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := client(endpoint, secret)
	if err != nil {
		return err
	}
	if err := c.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}); err != nil {
		return fmt.Errorf("make a bucket: %w", err)
	}
	for _, o := range []struct {
		key  string
		size int64
	}{{"plain", 1000}, {"with space & more+ü/ä%2Fb", 70000}, {"several parts", 11 << 20}, {"tiny", 1}} {
		if err := object(ctx, c, bucket, o.key, o.size); err != nil {
			return fmt.Errorf("object %q: %w", o.key, err)
		}
	}
	for o := range c.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			return fmt.Errorf("list: %w", o.Err)
		}
		fmt.Println("listed", o.Key, o.Size)
	}
	return refusals(ctx, c, endpoint, bucket)
}

func client(endpoint, secret string) (*minio.Client, error) {
	return minio.New(endpoint, &minio.Options{Creds: credentials.NewStaticV4(access, secret, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath})
}

// object puts, reads, and reads in part one object. Bodies are signed chunk by chunk, those of parts too.
func object(ctx context.Context, c *minio.Client, bucket, key string, size int64) error {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	info, err := c.PutObject(ctx, bucket, key, bytes.NewReader(data), size, minio.PutObjectOptions{ContentType: "text/x-test", PartSize: 5 << 20, UserMetadata: map[string]string{"Colour": "red"}})
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	got, err := c.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	back, err := io.ReadAll(got)
	if err != nil || !bytes.Equal(back, data) {
		return fmt.Errorf("get: %d of %d bytes: %v", len(back), len(data), err)
	}
	stat, err := c.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	sum := sha256.Sum256(back)
	fmt.Println("object", key, info.Size, stat.Size, stat.ContentType, stat.UserMetadata["Colour"], strings.Trim(stat.ETag, `"`), hex.EncodeToString(sum[:8]))
	if size < 100 {
		return nil
	}
	part := minio.GetObjectOptions{}
	if err := part.SetRange(10, 19); err != nil {
		return err
	}
	got, err = c.GetObject(ctx, bucket, key, part)
	if err != nil {
		return err
	}
	if back, err = io.ReadAll(got); err != nil || !bytes.Equal(back, data[10:20]) {
		return fmt.Errorf("range: %q, %v", back, err)
	}
	return nil
}

// refusals are what must fail, and how.
func refusals(ctx context.Context, c *minio.Client, endpoint, bucket string) error {
	wrong, err := client(endpoint, "another secret")
	if err != nil {
		return err
	}
	_, err = wrong.StatObject(ctx, bucket, "plain", minio.StatObjectOptions{})
	fmt.Println("wrong secret:", minio.ToErrorResponse(err).StatusCode)
	_, err = c.StatObject(ctx, bucket, "nothing", minio.StatObjectOptions{})
	fmt.Println("no such object:", minio.ToErrorResponse(err).Code)
	signed, err := c.PresignedGetObject(ctx, bucket, "plain", time.Minute, url.Values{})
	if err != nil {
		return err
	}
	for _, u := range []string{signed.String(), signed.String() + "0"} {
		resp, err := http.Get(u)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode == 200 && n != 1000 {
			return errors.Join(err, fmt.Errorf("presigned: %d bytes", n))
		}
		fmt.Println("presigned:", resp.StatusCode)
	}
	return c.RemoveObject(ctx, bucket, "plain", minio.RemoveObjectOptions{})
}
