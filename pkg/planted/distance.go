//go:build planted && distance

package planted

// Bug is the defect that is built in.
const Bug = Distance
