package cmd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/hoft/hoft/pkg/chunk"
	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/dataapi"
	"github.com/hoft/hoft/pkg/dataapi/client"
	"github.com/hoft/hoft/pkg/identity"
)

func newDataCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Store and read self-encrypted data by data maps",
		Long: `Store and read data by the Direct Data API of a site (data.listen; docs/data-api.md), or encrypt files
without any site.

A data map opens the data that it is of: whoever has the map has the data. It is printed to whoever stored the
data and kept nowhere, so keep it. MAP is its identifier, @FILE for one in a file, or - for standard
input; in a command line other users of this host can see it.

The API is that of the configuration's data.listen, or of --url.`,
	}
	cmd.AddCommand(newDataPutCmd(), newDataGetCmd(), newDataStatCmd(), newDataSendCmd(), newDataDeleteCmd(), newDataEncryptCmd(), newDataDecryptCmd())
	return cmd
}

// dataFlags say which API is meant.
type dataFlags struct {
	url   string
	token string
}

func (f *dataFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.url, "url", "", "`URL` of the API (default: data.listen of the configuration)")
	cmd.Flags().StringVar(&f.token, "token-file", "", "token to show: a `file`, credential:NAME or env:NAME")
}

// How often a transfer goes on that gets nowhere, and how long it waits before the first time, twice as long each time.
const (
	dataRetries = 6
	dataPause   = 500 * time.Millisecond
)

// client gives what speaks to the API.
func (f *dataFlags) client(cmd *cobra.Command) (*client.Client, error) {
	base := f.url
	if base == "" {
		cfg, err := loadConfig(cmd)
		if err != nil {
			return nil, fmt.Errorf("no --url, and %w", err)
		}
		if cfg.Data.Listen == "" {
			return nil, withExit(exitUsage, errors.New("data.listen of the configuration is empty: there is no Data API; set it, or name one by --url"))
		}
		base = dataURL(cfg.Data)
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, withExit(exitUsage, errors.New("--url is no http or https URL; write it as in http://127.0.0.1:8083"))
	}
	c := &client.Client{Base: base, HTTP: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Retries: dataRetries, Pause: dataPause}
	if f.token != "" {
		if c.Token, err = identity.LoadSecret(f.token, 1); err != nil {
			return nil, withExit(exitKey, err)
		}
	}
	return c, nil
}

// dataURL is where this host reaches a listener.
func dataURL(d config.Data) string {
	scheme := "http"
	if d.TLS.CertFile != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(d.Listen)
	if err != nil || host != "" && host != "0.0.0.0" && host != "::" {
		return scheme + "://" + d.Listen
	}
	return scheme + "://" + net.JoinHostPort("localhost", port)
}

// dataMap reads a map from an argument.
func dataMap(cmd *cobra.Command, arg string) (id string, m chunk.Map, err error) {
	id = arg
	if name, ok := strings.CutPrefix(arg, "@"); ok || arg == "-" {
		in := cmd.InOrStdin()
		if ok {
			f, err := os.Open(name)
			if err != nil {
				return "", m, withExit(exitUsage, err)
			}
			defer f.Close()
			in = f
		}
		text, err := io.ReadAll(io.LimitReader(in, 1<<20))
		if err != nil {
			return "", m, err
		}
		id = strings.TrimSpace(string(text))
	}
	if m, err = dataapi.ParseID(id); err != nil {
		return "", m, withExit(exitUsage, errors.New("the map is none; write what put printed, @FILE, or -"))
	}
	return id, m, nil
}

// dataFile opens a file or standard input for reading; size is -1 where it is not known.
func dataFile(cmd *cobra.Command, args []string) (in io.ReadCloser, size int64, err error) {
	if len(args) == 0 || args[0] == "-" {
		return io.NopCloser(cmd.InOrStdin()), -1, nil
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = withExit(exitUsage, fmt.Errorf("%s is a folder; put one file, as in: tar c %s | hoft data put", args[0], args[0]))
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return f, -1, nil
	}
	return f, info.Size(), nil
}

// dataBar shows how far a transfer is, on standard error where that is a terminal. size -1: not known.
func dataBar(cmd *cobra.Command, what string, size int64) *progressbar.ProgressBar {
	err := cmd.ErrOrStderr()
	if !isTerminal(err) {
		return progressbar.DefaultBytesSilent(size)
	}
	return progressbar.NewOptions64(size, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(err), progressbar.OptionShowBytes(true),
		progressbar.OptionShowTotalBytes(true), progressbar.OptionUseIECUnits(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}

// barReader shows by a bar what is read; a seek moves the bar too.
type barReader struct {
	io.Reader
	bar *progressbar.ProgressBar
}

func (c *barReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	_ = c.bar.Add(n) // a bar that cannot be drawn is no reason to stop
	return n, err
}

type barSeeker struct {
	barReader
	seek io.Seeker
}

func (c *barSeeker) Seek(off int64, whence int) (int64, error) {
	at, err := c.seek.Seek(off, whence)
	if err == nil {
		_ = c.bar.Set64(at)
	}
	return at, err
}

// showing gives what reads from in and moves a bar.
func showing(in io.Reader, bar *progressbar.ProgressBar) io.Reader {
	if s, ok := in.(io.ReadSeeker); ok {
		return &barSeeker{barReader{s, bar}, s}
	}
	return &barReader{in, bar}
}
