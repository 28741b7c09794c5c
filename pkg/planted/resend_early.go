//go:build planted && resend_early

package planted

// Bug is the defect that is built in.
const Bug = ResendEarly
