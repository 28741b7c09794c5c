package sim

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"
)

// Mover says what kind of mover stands between the folders.
type Mover uint8

// Kinds of movers.
const (
	Moves     Mover = iota // takes files out of the outbox
	Copies                 // leaves them there, and skips names it knows
	Mirrors                // copies, and deletes what was deleted at its source
	OneFolder              // none: all sites work on one folder
	numMovers
)

func (m Mover) String() string { return [...]string{"moves", "copies", "mirrors", "one folder"}[m] }

// Plan is one run: what is simulated and which faults come. Probabilities are per file unless they say otherwise.
type Plan struct {
	Seed    uint64
	Verbose bool // keep the last events as text

	Sites    int
	Mover    Mover
	RealSeal bool
	Expires  bool // old exchanges are looked for each minute: dear in runs of months
	Keep     bool // consume: keep; only with a mover that mirrors

	Calls      int           // that callers make
	Gap        time.Duration // mean time between two calls
	Crowd      int           // above 1: so many calls come at once, most of them with bodies that travel as chunks
	MinTrouble time.Duration // faults go on at least so long
	Trouble    time.Duration // and at most so long
	Heartbeat  time.Duration
	Window     int // link.Config.WindowMessages
	MaxRanges  int
	MaxFiles   int
	FrameBytes int

	Delay, DelayMax time.Duration // the mover's ordinary delay, evenly between
	Tail            float64       // probability of a delay up to TailMax
	TailMax         time.Duration

	Drop, Cut, Flip, Dup, Partial, Reappear float64
	Replay                                  time.Duration // mean time between old files that come again; 0: none
	Stop                                    time.Duration // mean time between stops of the mover; 0: none
	StopFor                                 time.Duration // at most

	Crash         float64       // per durable step
	CrashEvery    time.Duration // mean time between crashes; 0: none
	DownFor       time.Duration // at most
	Lose          int           // state folders lost
	LoseClock     bool          // with the clock set back as well
	Rollback      int           // state folders restored from an old copy
	Clone         int           // state folders run twice for a while
	Jumps         int           // of clocks
	Stops         int           // times that a site is stopped in order
	JumpMost      time.Duration
	DiskFull      int // times that a disk is full for a while
	PutFail       float64
	SkewMost      time.Duration // clocks differ by up to this from the beginning
	Veteran       bool          // the sites have spoken for long before the run begins
	SlowCommits   float64       // of commits, which take up to 300 ms
	CalleesBreak  bool
	CallersLeave  bool
	Deadlines     bool
	HoldBack      uint64 // the mover never delivers this message of site 0 to site 1 while there are faults
	Flood         int    // small messages from site 0 to site 1
	Chunks        bool   // long bodies travel as chunks in packs
	Private       bool   // nobody but the sites writes in the folders: packs enter and leave the pipe by name
	Shares        bool   // the file system of state and pipe shares blocks: packs enter and leave the pipe as clones
	Apart         bool   // long bodies lie in files of their own, as they do where packs are linked or cloned
	Signed        bool   // half of the links are signed and not encrypted
	Data          int    // times that data is stored at a site and read at another
	Sends         int    // times that stored data is sent to another site
	Nested        bool   // the maps of stored data nest
	Evict         int    // times that a chunk store drops what nobody needs
	Streams       bool   // every answer comes in many pieces
	Impatient     bool   // callers soon cease to wait: answers are stored
	Ahead         int64  // exchange.Config.Window; 0: more than any answer has
	NoDisturbance bool   // nothing but ordinary delays: every call must succeed
}

// NewPlan draws a plan from a seed.
func NewPlan(seed uint64) Plan {
	p := PlanOfAhead(seed)
	p.drawStops()
	return p
}

// PlanOfAhead is what a seed meant before sites were stopped in order.
func PlanOfAhead(seed uint64) Plan {
	p := PlanOfShares(seed)
	p.drawAhead()
	return p
}

// PlanOfShares is what a seed meant before answers were longer than their windows.
func PlanOfShares(seed uint64) Plan {
	p := PlanOfSends(seed)
	p.drawShares()
	return p
}

// PlanOfSends is what a seed meant before packs were cloned.
func PlanOfSends(seed uint64) Plan {
	p := PlanOfReads(seed)
	p.drawSends()
	return p
}

// PlanOfReads is what a seed meant before stored data was sent and nested.
func PlanOfReads(seed uint64) Plan {
	p := PlanOfCopies(seed)
	p.drawLinks()
	return p
}

// PlanOfCopies is what a seed meant before packs were linked, links signed and data stored: all packs are copied, all links
// encrypted, and only bodies travel.
func PlanOfCopies(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 0x706c616e))
	p := Plan{Seed: seed, RealSeal: seed%100 == 99, Sites: 2, Mover: Mover(r.IntN(int(numMovers))), Calls: 100 + r.IntN(300),
		Window: 4096, MaxRanges: 4096, MaxFiles: 256, FrameBytes: 1 << 20, MinTrouble: time.Minute, Trouble: 60 * 24 * time.Hour}
	if r.IntN(3) == 0 {
		p.Sites = 3 + r.IntN(6)
	}
	p.Keep = p.Mover == Mirrors && r.IntN(2) == 0
	p.drawPipe(r)
	p.drawLimits(r)
	p.drawChunks()
	switch r.IntN(8) {
	case 0:
		p.NoDisturbance = true
		return p
	case 1, 2: // a bad pipe between machines that never fail
		p.drawFaults(r)
	default:
		p.drawFaults(r)
		p.drawDisasters(r)
	}
	p.Heartbeat = max(p.Heartbeat, p.TailMax/50) // a run is to be of calls, not of heartbeats
	p.CalleesBreak, p.CallersLeave, p.Deadlines = r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(3) == 0
	if p.RealSeal {
		p.Calls = min(p.Calls, 60)
	}
	return p
}

// drawChunks lets half of the plans have long bodies in packs. It has a source of its own: the other choices of a seed
// are older.
func (p *Plan) drawChunks() {
	r := rand.New(rand.NewPCG(p.Seed, 0x6368756e))
	if p.Chunks = r.IntN(2) == 0; p.Chunks && r.IntN(2) == 0 {
		p.Evict = 1 + r.IntN(4)
	}
}

// drawLinks lets some of the plans with packs have these linked, links that are signed, or stored data that travels. A source of its own, as above.
func (p *Plan) drawLinks() {
	r := rand.New(rand.NewPCG(p.Seed, 0x6c696e6b))
	p.Private, p.Signed = p.Chunks && r.IntN(3) == 0, p.Chunks && r.IntN(4) == 0
	p.Apart = p.Private
	if r.IntN(3) == 0 && p.Chunks && !p.Signed && !p.RealSeal && p.Expires { // what is sealed for good does not travel on signed links
		p.Data = 3 + r.IntN(20)
	}
	if p.Signed && p.DelayMax >= time.Minute { // each body is a pack, and only so many are on their way at once
		p.Calls = min(p.Calls, 80)
	}
}

// drawSends lets half of the plans in which data can be stored have it sent to other sites. A source of its own, as above.
func (p *Plan) drawSends() {
	r := rand.New(rand.NewPCG(p.Seed, 0x73656e64))
	if !p.Chunks || p.Signed || p.RealSeal || !p.Expires || r.IntN(2) == 0 {
		return
	}
	p.Sends, p.Nested = 3+r.IntN(20), r.IntN(3) == 0
	p.Data, p.Evict = max(p.Data, 3+r.IntN(8)), p.Evict+r.IntN(4)
}

// drawShares lets half of the plans in which packs would be copied have them cloned. A source of its own, as above.
func (p *Plan) drawShares() {
	r := rand.New(rand.NewPCG(p.Seed, 0x636c6f6e))
	p.Shares = p.Chunks && !p.Private && r.IntN(2) == 0
	p.Apart = p.Apart || p.Shares
}

// drawAhead lets answers be longer than their windows in half of the plans. A source of its own, as above.
func (p *Plan) drawAhead() {
	r := rand.New(rand.NewPCG(p.Seed, 0x61686561))
	if r.IntN(2) == 0 {
		p.Ahead = 1 << 10 << r.IntN(8)
	}
}

// drawStops has sites stopped in order in half of the plans that have any disturbance. A source of its own, as above.
func (p *Plan) drawStops() {
	r := rand.New(rand.NewPCG(p.Seed, 0x68616c74))
	if !p.NoDisturbance && r.IntN(2) == 0 {
		p.Stops = 1 + r.IntN(12)
	}
}

// drawPipe chooses how fast the pipe is, and with it how fast the rest of the world.
func (p *Plan) drawPipe(r *rand.Rand) {
	switch r.IntN(8) {
	case 0, 1: // a shared folder
		p.Delay, p.DelayMax, p.Gap, p.Heartbeat = time.Millisecond, 30*time.Millisecond, 30*time.Millisecond, time.Minute
	case 2, 3, 4: // a busy mover
		p.Delay, p.DelayMax, p.Gap, p.Heartbeat = 50*time.Millisecond, 2*time.Second, 200*time.Millisecond, time.Minute
	case 5: // a job that runs every minute
		p.Delay, p.DelayMax, p.Gap, p.Heartbeat = 10*time.Second, time.Minute, 10*time.Second, 5*time.Minute
	case 6: // one that runs every hour
		p.Delay, p.DelayMax, p.Gap, p.Heartbeat = 10*time.Minute, time.Hour, 5*time.Minute, time.Hour
	default: // a courier
		p.Delay, p.DelayMax, p.Gap, p.Heartbeat = 4*time.Hour, 48*time.Hour, 30*time.Minute, 24*time.Hour
	}
	if r.IntN(4) == 0 {
		if p.SlowCommits = 0.2; p.Seed%2 == 1 {
			p.SlowCommits = 1
		}
	}
	p.Expires = p.DelayMax <= 2*time.Second
}

// drawLimits makes the bounds small in some runs, so that they are reached.
func (p *Plan) drawLimits(r *rand.Rand) {
	if r.IntN(4) == 0 {
		p.Window = 8 << r.IntN(4)
	}
	if r.IntN(4) == 0 {
		if p.MaxRanges = 32 << r.IntN(4); p.DelayMax > time.Minute {
			p.MaxRanges *= 32 // each round trip closes so many gaps only, and here it takes days
		}
	}
	if r.IntN(4) == 0 {
		p.MaxFiles = 1 << r.IntN(4)
	}
	if r.IntN(3) == 0 {
		p.FrameBytes = 4 << 10 << r.IntN(4)
	}
	if p.DelayMax >= time.Minute { // a few files at a time, and small ones, would take weeks
		p.MaxFiles, p.FrameBytes, p.Window = max(p.MaxFiles, 16), max(p.FrameBytes, 64<<10), max(p.Window, 512)
	}
}

// some gives a probability up to most, or none in half of the plans.
func some(r *rand.Rand, most float64) float64 {
	if r.IntN(2) == 0 {
		return 0
	}
	return most * r.Float64()
}

func (p *Plan) drawFaults(r *rand.Rand) {
	p.Drop, p.Cut, p.Flip, p.Dup = some(r, 0.3), some(r, 0.3), some(r, 0.1), some(r, 0.3)
	p.Partial, p.Reappear = some(r, 0.5), some(r, 0.3)
	if r.IntN(3) == 0 {
		p.Tail, p.TailMax = 0.2*r.Float64(), p.DelayMax*time.Duration(1+r.IntN(50))
	}
	if r.IntN(6) == 0 {
		p.Tail, p.TailMax = 0.05, 72*time.Hour
	}
	if r.IntN(2) == 0 {
		p.Replay = p.Gap * time.Duration(2+r.IntN(20))
	}
	if r.IntN(4) == 0 {
		p.Stop, p.StopFor = p.Gap*time.Duration(10+r.IntN(60)), p.DelayMax*10+time.Duration(r.IntN(8))*time.Hour
	}
	if r.IntN(3) == 0 {
		p.SkewMost = time.Duration(r.Int64N(int64(72 * time.Hour)))
	}
}

func (p *Plan) drawDisasters(r *rand.Rand) {
	few := func(odds, most int) int {
		if r.IntN(odds) != 0 {
			return 0
		}
		return 1 + r.IntN(most)
	}
	if r.IntN(2) == 0 {
		p.Crash = 0.02 * r.Float64()
	}
	if r.IntN(2) == 0 {
		p.CrashEvery = p.Gap * time.Duration(5+r.IntN(60))
	}
	p.DownFor = p.DelayMax * time.Duration(r.IntN(20))
	p.Lose, p.Rollback, p.Clone = few(3, 3), few(3, 3), few(6, 2)
	p.LoseClock, p.Veteran = r.IntN(2) == 0, r.IntN(4) == 0
	p.Jumps, p.JumpMost = few(3, 4), 48*time.Hour
	p.DiskFull, p.PutFail = few(4, 3), some(r, 0.1)
}

// String says in one line what is not zero.
func (p Plan) String() string {
	var parts []string
	v := reflect.ValueOf(p)
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() {
			parts = append(parts, fmt.Sprintf("%s:%v", v.Type().Field(i).Name, f.Interface()))
		}
	}
	return strings.Join(parts, " ")
}
