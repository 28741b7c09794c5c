package main

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
)

// signedChunks is the form of a body that is signed chunk by chunk, each signature over the one before (Signature Version 4,
// "Transferring Payload in Multiple Chunks").
const signedChunks = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

// unchunk checks the chunks of a body and takes their frame away, so that the server behind sees a plain one. A request of
// another form is left as it is.
func unchunk(r *http.Request) error {
	if r.Header.Get("X-Amz-Content-Sha256") != signedChunks {
		return nil
	}
	size, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || size < 0 || size > 64<<20 {
		return fmt.Errorf("decoded length: %w", err)
	}
	c, err := newChunks(r)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	for {
		data, err := c.next()
		if err != nil {
			return err
		}
		if body.Write(data); len(data) == 0 {
			break
		}
	}
	if int64(body.Len()) != size {
		return fmt.Errorf("%d bytes, %d were announced", body.Len(), size)
	}
	r.Body, r.ContentLength = io.NopCloser(&body), size
	r.Header.Set("Content-Length", strconv.FormatInt(size, 10))
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	r.Header.Del("X-Amz-Decoded-Content-Length")
	r.Header.Del("Content-Encoding")
	log.Printf("%s %s: %d signed chunks are as they were signed", r.Method, r.URL.Path, c.count)
	return nil
}

// chunks reads signed chunks.
type chunks struct {
	r     *bufio.Reader
	key   []byte
	head  string // of each text to sign, before the signature of the chunk before
	last  string
	count int
}

var errChunk = errors.New("a chunk is not as the client signed it")

func newChunks(r *http.Request) (*chunks, error) {
	auth := r.Header.Get("Authorization")
	_, credential, ok := strings.Cut(auth, "Credential="+access+"/")
	scope, _, ok2 := strings.Cut(credential, ",")
	_, signature, ok3 := strings.Cut(auth, "Signature=")
	parts := strings.Split(scope, "/") // day, region, service, aws4_request
	if !ok || !ok2 || !ok3 || len(parts) != 4 {
		return nil, fmt.Errorf("Authorization %q", auth)
	}
	key := []byte("AWS4" + secret)
	for _, part := range parts {
		key = mac(key, part)
	}
	return &chunks{r: bufio.NewReader(r.Body), key: key, last: signature,
		head: "AWS4-HMAC-SHA256-PAYLOAD\n" + r.Header.Get("X-Amz-Date") + "\n" + scope + "\n"}, nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// next gives the data of a chunk, none at the end.
func (c *chunks) next() ([]byte, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("head of chunk %d: %w", c.count, err)
	}
	length, signature, ok := strings.Cut(strings.TrimSuffix(line, "\r\n"), ";chunk-signature=")
	n, err := strconv.ParseUint(length, 16, 25)
	if !ok || err != nil {
		return nil, fmt.Errorf("head of chunk %d: %q", c.count, line)
	}
	data := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, data); err != nil {
		return nil, fmt.Errorf("chunk %d: %w", c.count, err)
	}
	data = data[:n]
	empty, sum := sha256.Sum256(nil), sha256.Sum256(data)
	want := hex.EncodeToString(mac(c.key, c.head+c.last+"\n"+hex.EncodeToString(empty[:])+"\n"+hex.EncodeToString(sum[:])))
	if subtle.ConstantTimeCompare([]byte(want), []byte(signature)) != 1 {
		return nil, fmt.Errorf("chunk %d: %w", c.count, errChunk)
	}
	c.last = signature
	c.count++
	return data, nil
}
