package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/hoft/hoft/pkg/egress/credentials"
	"github.com/hoft/hoft/pkg/exchange"
	"github.com/hoft/hoft/pkg/guard"
)

// problem maps a failed round trip to a code. Its detail goes to the caller on the other side, so it
// names no address of this network.
func (c *call) problem(err error, sent bool) *exchange.Problem {
	code, text := c.classify(err)
	var body *exchange.Problem
	if code == exchange.CodeInternal && errors.As(c.body.failed(), &body) {
		code, text = body.Code, text+": "+body.Detail
	}
	after := ""
	if sent && !retriable(c.r.Method) {
		after = "; it may have acted on the request"
	}
	return exchange.Problemf(code, "the server behind upstream %q %s%s", c.u.name, text, after)
}

func (c *call) classify(err error) (code, text string) {
	var (
		refused *guard.Refusal
		dns     *net.DNSError
		timeout net.Error
		op      *net.OpError
		login   *credentials.Error
	)
	switch {
	case errors.As(err, &login):
		return exchange.CodeCalleeLogin, "was not called: this site has nothing valid to show it"
	case errors.As(err, &refused):
		return exchange.CodeAddressRefused, "has an address that is not allowed"
	case errors.Is(c.whyCanceled(), errHeadLate):
		return exchange.CodeCalleeTimeout, "did not answer in time"
	case errors.Is(c.whyCanceled(), errTooLong):
		return exchange.CodeCalleeTimeout, "took longer than a call may"
	case errors.Is(c.whyCanceled(), context.DeadlineExceeded):
		return exchange.CodeCalleeTimeout, "did not answer before the call's deadline"
	case c.whyCanceled() != nil:
		return exchange.CodeCanceled, "was not waited for: the call was canceled"
	case errors.As(err, &dns):
		return exchange.CodeCalleeDNS, "has a name that could not be resolved"
	case isTLS(err):
		return exchange.CodeCalleeTLS, "could not be verified"
	case errors.As(err, &timeout) && timeout.Timeout():
		return exchange.CodeCalleeTimeout, "could not be reached in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return exchange.CodeCalleeRefused, "refused the connection"
	case errors.As(err, &op) && op.Op == "dial":
		return exchange.CodeCalleeRefused, "could not be reached"
	case c.body.failed() != nil:
		return exchange.CodeInternal, "was not sent the whole request: its body could not be read"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, os.ErrClosed):
		return exchange.CodeCalleeBroken, "closed the connection without an answer"
	}
	return exchange.CodeCalleeBroken, "gave a malformed answer or none"
}

// isTLS says whether the handshake failed, on either side.
func isTLS(err error) bool {
	var (
		verify  *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		unknown x509.UnknownAuthorityError
		op      *net.OpError
	)
	switch {
	case errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &unknown):
		return true
	}
	return errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}

// whyCanceled is the cause with which the call's context ended, nil while it has not.
func (c *call) whyCanceled() error { return context.Cause(c.ctx) }
