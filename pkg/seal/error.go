package seal

import "fmt"

// Reason is the class of a refusal: what is counted, and all that is said outside.
type Reason string

// The reasons, in the order of the checks.
const (
	// Name: the file is not for this site, not from a configured peer, or no frame.
	Name Reason = "name"
	// Mode: the file is encrypted and the peer configured as signed only, or the other way round.
	Mode Reason = "mode"
	// Size: the line or the file exceeds a limit.
	Size Reason = "size"
	// Charset: the line has not the shape of a token, or not its one canonical spelling.
	Charset Reason = "charset"
	// Header: the outer header is not exactly the one of the suite.
	Header Reason = "header"
	// Decrypt: sealed for a key that is not live here, or the ciphertext was changed.
	Decrypt Reason = "decrypt"
	// Signature: the inner token is malformed, or not signed by an accepted key of the sender.
	Signature Reason = "signature"
	// Claims: the signed claims are malformed, or disagree with the file's name, the keys or other lines.
	Claims Reason = "claims"
	// Version: the claims are of another version of the format.
	Version Reason = "version"
	// Truncated: nothing was wrong in what came, but the file is not whole.
	Truncated Reason = "truncated"
	// Panic: a library broke down on the line; the line is refused.
	Panic Reason = "panic"
)

// Error is the only error of opening. Its text names the reason and no more; Check and Detail are for
// the operator (debug log, inspect) and must never be sent to a peer. Neither holds a secret or
// anything of the plaintext.
type Error struct {
	Reason Reason
	// Check is the number of the failed check as docs/security.md counts them, 1 to 10.
	Check int
	// Detail says in plain words what is wrong.
	Detail string
}

// Error gives the reason only.
func (e *Error) Error() string { return "line refused: " + string(e.Reason) }

// Is lets errors.Is compare by reason: errors.Is(err, &seal.Error{Reason: seal.Decrypt}).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason && (t.Check == 0 || t.Check == e.Check) && (t.Detail == "" || t.Detail == e.Detail)
}

// refuse makes the error of one failed check.
func refuse(check int, r Reason, format string, args ...any) *Error {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return &Error{Reason: r, Check: check, Detail: format}
}
