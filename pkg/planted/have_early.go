//go:build planted && have_early

package planted

// Bug is the defect that is built in.
const Bug = HaveEarly
