package ingress

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"
	"unicode/utf8"

	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/exchange/httpfields"
)

// requestBody reads what a caller uploads, within limits. Its errors but io.EOF are *exchange.Problem, so that
// nothing cut or too long is ever accepted. At io.EOF the trailers are in the request.
type requestBody struct {
	rc    io.ReadCloser
	ctl   *http.ResponseController
	r     *http.Request
	out   *exchange.Request
	limit int64
	read  int64
	stall time.Duration
	begun time.Time
	sum   *httpfields.Digest // nil: the caller told none
	late  bool               // no more came until it was due; the caller may still be there
}

// newBody gives out its body, nil where there is none; the limit is checked at once for a declared length.
func (s *Server) newBody(w http.ResponseWriter, r *http.Request, out *exchange.Request, limit int64) *exchange.Problem {
	if limit > 0 && r.ContentLength > limit {
		return tooLarge(limit)
	}
	if r.ContentLength == 0 {
		return nil
	}
	rc := r.Body
	if limit > 0 {
		rc = http.MaxBytesReader(w, rc, limit) // it also has the connection closed
	}
	out.Body = &requestBody{rc: rc, ctl: http.NewResponseController(w), r: r, out: out, limit: limit, stall: s.stall, begun: time.Now(),
		sum: httpfields.NewDigest(out.Fields)}
	return nil
}

func tooLarge(limit int64) *exchange.Problem {
	return exchange.Problemf(exchange.CodeTooLarge, "the body may have at most %d bytes", limit)
}

// due is until when more has to come: within the stall timeout, and on average not slower than slowest.
func (b *requestBody) due() time.Time {
	pause := time.Now().Add(b.stall)
	const most = 1 << 32 // seconds; more does not fit a time.Duration
	if at := b.begun.Add(b.stall + time.Duration(min(b.read/slowest, most))*time.Second); at.Before(pause) {
		return at
	}
	return pause
}

// Read waits for more until it is due.
func (b *requestBody) Read(p []byte) (int, error) {
	_ = b.ctl.SetReadDeadline(b.due()) // not every connection can
	n, err := b.rc.Read(p)
	b.read += int64(n)
	b.sum.Add(p[:n])
	if err == nil {
		return n, nil
	}
	_ = b.ctl.SetReadDeadline(time.Time{}) // from here on net/http watches for a hang-up
	if err == io.EOF {
		b.out.Trailers = httpfields.Trailers(httpfields.FromHeader(b.r.Trailer))
		if bad := httpfields.Check(b.out.Trailers); bad != nil {
			return n, exchange.Problemf(exchange.CodeFieldsLarge, "trailers: %v", bad)
		}
		if alg := b.sum.Wrong(); alg != "" {
			return n, exchange.Problemf(exchange.CodeDigest, "the body of %d bytes does not have the %s digest of Content-Digest", b.read, alg)
		}
		return n, io.EOF
	}
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return n, tooLarge(b.limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.late = true
		_ = b.ctl.SetReadDeadline(time.Now()) // or net/http would wait for the rest before it answers
		return n, exchange.Problemf(exchange.CodeBadRequest, "the body stopped after %d bytes: no more came for %s, or it came too slowly", b.read, b.stall)
	}
	return n, exchange.Problemf(exchange.CodeBadRequest, "the body broke off after %d bytes", b.read)
}

func validText(s string) bool { return utf8.ValidString(s) }
