package demo

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hoft/hoft/pkg/config"
	"github.com/hoft/hoft/pkg/pipe/mover"
)

// Faults says how badly files are carried, the same in both directions. All but the times are probabilities per file.
type Faults struct {
	Drop, Truncate, Duplicate, Reorder, Partial float64
	DelayMin, DelayMax                          time.Duration
}

// levels are the faults that have a name.
var levels = []struct {
	name string
	Faults
}{
	{"none", Faults{}},
	{"light", Faults{Drop: 0.06, Truncate: 0.1, Duplicate: 0.06, Reorder: 0.06, Partial: 0.1, DelayMin: 5 * time.Millisecond, DelayMax: 80 * time.Millisecond}},
	{"heavy", Faults{Drop: 0.15, Truncate: 0.15, Duplicate: 0.15, Reorder: 0.15, Partial: 0.25, DelayMin: 10 * time.Millisecond, DelayMax: 120 * time.Millisecond}},
}

const (
	// worst is the highest probability of a fault: a pipe that carries nothing ends no demo.
	worst = 0.9
	// longestDelay bounds a delay.
	longestDelay = time.Minute
)

// ParseFaults reads none, light or heavy, or a list as drop=0.1,truncate=10%,delay=50ms-200ms,duplicate=0.05,reorder=0.1,partial=0.1
// whose missing kinds do not happen. A single delay is the longest one.
func ParseFaults(s string) (Faults, error) {
	for _, l := range levels {
		if s == l.name {
			return l.Faults, nil
		}
	}
	var f Faults
	seen := map[string]bool{}
	for _, part := range strings.Split(s, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return Faults{}, fmt.Errorf("faults: %q is neither none, light, heavy nor kind=value", part)
		}
		if seen[key] {
			return Faults{}, fmt.Errorf("faults: %s is given twice", key)
		}
		seen[key] = true
		if err := f.set(key, value); err != nil {
			return Faults{}, err
		}
	}
	return f, nil
}

func (f *Faults) set(key, value string) error {
	if key == "delay" {
		return f.setDelay(value)
	}
	p := f.rate(key)
	if p == nil {
		mend := "kinds are " + strings.Join(append(kinds(), "delay"), ", ")
		if near := config.Closest(key, append(kinds(), "delay")); near != "" {
			mend = "did you mean " + near + "?"
		}
		return fmt.Errorf("faults: there is no %q; %s", key, mend)
	}
	number, percent := strings.CutSuffix(value, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || math.IsNaN(v) || v < 0 || v > worst {
		return fmt.Errorf("faults: %s=%s: write a share between 0 and %v, as in %s=0.1", key, value, worst, key)
	}
	*p = v
	return nil
}

func kinds() []string { return []string{"drop", "truncate", "duplicate", "reorder", "partial"} }

// rate gives the field of a kind, nil if there is none.
func (f *Faults) rate(kind string) *float64 {
	switch kind {
	case "drop":
		return &f.Drop
	case "truncate":
		return &f.Truncate
	case "duplicate":
		return &f.Duplicate
	case "reorder":
		return &f.Reorder
	case "partial":
		return &f.Partial
	}
	return nil
}

func (f *Faults) setDelay(value string) error {
	low, high, isRange := strings.Cut(value, "-")
	if !isRange {
		low, high = "0s", value
	}
	from, err1 := time.ParseDuration(low)
	to, err2 := time.ParseDuration(high)
	if err1 != nil || err2 != nil || from < 0 || to < from || to > longestDelay {
		return fmt.Errorf("faults: delay=%s: write a time up to %v or a range, as in delay=200ms or delay=50ms-200ms", value, longestDelay)
	}
	f.DelayMin, f.DelayMax = from, to
	return nil
}

// String gives the list that ParseFaults reads, or none.
func (f Faults) String() string {
	var parts []string
	for _, k := range kinds() {
		if p := *f.rate(k); p > 0 {
			parts = append(parts, k+"="+strconv.FormatFloat(p, 'f', -1, 64))
		}
	}
	if f.DelayMax > 0 {
		parts = append(parts, fmt.Sprintf("delay=%v-%v", f.DelayMin, f.DelayMax))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ",")
}

// mover gives the configuration of a mover with these faults.
func (f Faults) mover(from, to string, seed uint64) mover.Config {
	return mover.Config{From: from, To: to, Kind: mover.Move, Seed: seed,
		Drop: f.Drop, Truncate: f.Truncate, Duplicate: f.Duplicate, Reorder: f.Reorder, Partial: f.Partial, DelayMin: f.DelayMin, DelayMax: f.DelayMax}
}
