package sim

import (
	"fmt"
	"strings"
)

// Fault names something that was done to a world.
type Fault string

// Faults. Each can strike in some world that NewPlan draws.
const (
	FaultLost       Fault = "file lost"
	FaultCut        Fault = "file cut"
	FaultFlipped    Fault = "bits of a file flipped"
	FaultRepeated   Fault = "file repeated"
	FaultHalf       Fault = "file shown half-written"
	FaultBack       Fault = "file brought back"
	FaultReplayed   Fault = "old file replayed"
	FaultOvertaken  Fault = "file overtaken by a later one"
	FaultDayLate    Fault = "file under way for a day or longer"
	FaultStopped    Fault = "mover stopped for an hour or longer"
	FaultMidStep    Fault = "power failed between two durable steps"
	FaultPower      Fault = "power failed at any time"
	FaultStateLost  Fault = "state lost"
	FaultClockLost  Fault = "state lost, and the clock set back"
	FaultRestored   Fault = "state restored from an older copy"
	FaultDoubled    Fault = "state run twice"
	FaultJump       Fault = "clock set while running"
	FaultDiskFull   Fault = "disk full at a commit"
	FaultNotWritten Fault = "file not written for want of room"
)

// AllFaults are the faults, in the order in which they are told.
var AllFaults = []Fault{FaultLost, FaultCut, FaultFlipped, FaultRepeated, FaultHalf, FaultBack, FaultReplayed, FaultOvertaken, FaultDayLate, FaultStopped,
	FaultMidStep, FaultPower, FaultStateLost, FaultClockLost, FaultRestored, FaultDoubled, FaultJump, FaultDiskFull, FaultNotWritten}

// struck counts a fault. It draws nothing, so that what a seed means stays.
func (w *World) struck(f Fault) { w.report.Faults[f]++ }

// kinds names what a world is of: how many sites, which mover, which seal.
func (p *Plan) kinds() []string {
	out := []string{fmt.Sprintf("%d sites", p.Sites), p.Mover.String(), "stand-in for the seal"}
	if p.RealSeal {
		out[2] = "real seal"
	}
	return out
}

// allKinds are the kinds of worlds that NewPlan draws.
func allKinds() (out []string) {
	for m := range numMovers {
		out = append(out, m.String())
	}
	for n := 2; n <= 8; n++ {
		out = append(out, fmt.Sprintf("%d sites", n))
	}
	return append(out, "real seal", "stand-in for the seal")
}

// Table tells what struck, as rows for docs/reliability.md.
func (r *Report) Table() string {
	var b strings.Builder
	b.WriteString("| fault | times |\n|---|---|\n")
	for _, f := range AllFaults {
		fmt.Fprintf(&b, "| %s | %d |\n", f, r.Faults[f])
	}
	b.WriteString("\n| worlds | |\n|---|---|\n")
	for _, k := range allKinds() {
		fmt.Fprintf(&b, "| %s | %d |\n", k, r.Kinds[k])
	}
	return b.String()
}

// Absent names the faults that never struck, and the kinds of worlds that there were none of.
func (r *Report) Absent() (out []string) {
	for _, f := range AllFaults {
		if r.Faults[f] == 0 {
			out = append(out, string(f))
		}
	}
	for _, k := range allKinds() {
		if r.Kinds[k] == 0 {
			out = append(out, "world: "+k)
		}
	}
	return out
}
