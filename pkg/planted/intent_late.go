//go:build planted && intent_late

package planted

// Bug is the defect that is built in.
const Bug = IntentLate
