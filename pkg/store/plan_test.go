package store_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hoft/hoft/pkg/store"
	"github.com/hoft/hoft/pkg/store/storetest"
)

// scanAllowed is what may be walked through: small tables, results of inner queries, and indexes that
// hold only rows at work, or that are read from one end.
var scanAllowed = regexp.MustCompile(`^SCAN (links|fetches|chunk_files|chunks USING INDEX chunks_idle|sqlite_master|\(subquery-\d+\)|CONSTANT ROW|inbox USING INDEX inbox_part|callbacks USING INDEX callbacks_dead)$`)

// oneThing finds in a statement the column that names the one thing that it is about, of which there are few rows.
var oneThing = regexp.MustCompile(`^[^(]* WHERE (id|exchange|owner|name|root|scope|url) = \?`)

// TestPlans runs all kinds of changes and reads, then checks that no statement's work grows with what
// is stored: each finds its rows by an index, in the order asked for.
func TestPlans(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	gen := rapid.Custom(storetest.Draw)
	for seed := range 600 {
		var b store.Batch
		for _, change := range gen.Example(seed) {
			change(&b)
		}
		_ = s.Commit(context.Background(), &b) // some add an id twice and are refused: their statements count too
	}
	storetest.Dump(s)
	statements := s.Statements()
	for _, q := range statements {
		lines, err := s.Plan(q)
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		for _, line := range lines {
			if strings.HasPrefix(line, "SCAN") && !scanAllowed.MatchString(line) {
				t.Errorf("%s\n\twalks through a table: %s", q, line)
			}
			// An index that begins with another column may hold all that was ever stored.
			if of := oneThing.FindStringSubmatch(q); of != nil && strings.HasPrefix(line, "SEARCH") && !strings.Contains(line, "("+of[1]+"=?") && !strings.Contains(line, "(rowid=?)") {
				t.Errorf("%s\n\tdoes not go to its %s: %s", q, of[1], line)
			}
			if strings.Contains(line, "TEMP B-TREE") && !strings.Contains(q, "UNION ALL") {
				t.Errorf("%s\n\tsorts: %s", q, line)
			}
		}
	}
	for _, q := range store.NamedSQL {
		if !slices.Contains(statements, q) {
			t.Errorf("not used, so not checked: %s", q)
		}
	}
}
