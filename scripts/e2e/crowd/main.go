// Command crowd makes many calls that nobody waits for, and says how many were accepted.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

func main() {
	url := flag.String("url", "", "where to call")
	n := flag.Int("n", 1000, "calls")
	together := flag.Int("c", 64, "at once")
	size := flag.Int("size", 100, "bytes of each body")
	flag.Parse()
	if err := run(*url, *n, *together, *size); err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
}

func run(url string, n, together, size int) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: together}}
	body := strings.Repeat("x", size)
	var next, accepted atomic.Int64
	var first atomic.Pointer[error]
	var wg sync.WaitGroup
	for range together {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := call(client, fmt.Sprintf("%s/job/crowd%d", url, i), body); err != nil {
					first.CompareAndSwap(nil, &err)
					continue
				}
				accepted.Add(1)
			}
		})
	}
	wg.Wait()
	fmt.Println(accepted.Load())
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}

func call(client *http.Client, url, body string) error {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Prefer", "respond-async")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	if cerr := resp.Body.Close(); err != nil || cerr != nil {
		return errors.Join(err, cerr)
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%s: %s", resp.Status, text)
	}
	return nil
}
